package agent

import (
	"errors"

	"github.com/rs/zerolog"

	"shvtools/internal/device/policy"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

const (
	callRefused = "call refused"
	// userIDAsked is no refusal yet: clients such as pyshv send the user id with a second call
	// only, when they are asked for it (spec.md 3.6).
	userIDAsked = "call without a user id; asked for one"
)

// allow returns the policy's permit for a request. Its errors are for the caller.
func (c *connection) allow(r *node.Request, w policy.Wanted) (permit, error) {
	a := c.agent
	ask := policy.Ask{User: rpc.UserOf(r.UserID), Level: r.Access, Wanted: w}
	terms := a.opts.InForce.now()
	grant, err := terms.Policy.Judge(ask)
	if err == nil && ask.User == "" && w.Use != policy.Files && terms.Sessions.PerUser > 0 {
		// Otherwise omitting the user id would grant a second quota.
		err = rpc.Errorf(rpc.CodeUserIDRequired,
			"refused: sessions.per-user applies by user, and the call has no user id; repeat it with one")
	}
	if err != nil {
		level, message := zerolog.WarnLevel, callRefused
		if told := (*rpc.Error)(nil); errors.As(err, &told) && told.Code == rpc.CodeUserIDRequired {
			level, message = zerolog.InfoLevel, userIDAsked
		} else {
			c.denied(r, w.Use.String(), commandOf(w), err)
		}
		if user := policy.UserChain(r.UserID); a.often.Pass(provoked(message, user, err)) {
			a.opts.Log.WithLevel(level).Err(err).Str("user", user).Stringer("access", r.Access).Stringer("use", w.Use).
				Msg(message)
		}
		return permit{}, err
	}
	return permit{ask, grant}, nil
}
