package agent

import (
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// allow returns the policy's grant for a request. Its errors are for the caller.
func (c *connection) allow(r *node.Request, w policy.Wanted) (*policy.Grant, error) {
	a := c.agent
	ask := policy.Ask{User: rpc.UserOf(r.UserID), Level: r.Access, Wanted: w}
	grant, err := a.opts.Policy.Judge(ask)
	if err == nil && ask.User == "" && w.Use != policy.Files && a.opts.Sessions.PerUser > 0 {
		// Otherwise omitting the user id would grant a second quota.
		err = rpc.Errorf(rpc.CodeUserIDRequired,
			"refused: sessions.per-user applies by user, and the call has no user id; repeat it with one")
	}
	if err != nil {
		c.denied(r, w.Use.String(), err)
		if user := policy.UserChain(r.UserID); a.often.Pass("call refused", user) {
			a.opts.Log.Warn().Err(err).Str("user", user).Stringer("access", r.Access).Stringer("use", w.Use).Msg("call refused")
		}
		return nil, err
	}
	return grant, nil
}
