package agent

import (
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// allow asks the judge whether a request may do what it wants. Its errors are for
// the caller.
func (a *agent) allow(r *node.Request, w policy.Wanted) (*policy.Grant, error) {
	ask := policy.Ask{User: policy.UserOf(r.UserID), Level: r.Access, Wanted: w}
	grant, err := a.opts.Policy.Judge(ask)
	if err == nil && ask.User == "" && w.Use != policy.Files && a.opts.Sessions.PerUser > 0 {
		// Else who leaves out his name would have that many once more.
		err = rpc.Errorf(rpc.CodeUserIDRequired, "refused: this device counts the sessions of each user (sessions.per-user), and the user is not told; the call needs a user id")
	}
	if err != nil {
		if user := policy.UserChain(r.UserID); a.often.Pass("refused", user) {
			a.opts.Log.Warn().Err(err).Str("user", user).Stringer("access", r.Access).Stringer("use", w.Use).Msg("refused")
		}
		return nil, err
	}
	return grant, nil
}
