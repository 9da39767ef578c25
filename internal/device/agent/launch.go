package agent

import (
	"slices"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// launchRexec starts the search for a tunnel (spec.md 8.3). The helper answers the call, or
// an error does.
func (c *connection) launchRexec(r *node.Request) (chainpack.Value, error) {
	cl := c.client
	call := helperline.CallFromParam(r.Param)
	wanted, err := call.Wanted()
	if err != nil {
		// The helper tells the caller what is wrong, if the caller may run anything:
		// another helper may understand more than this agent.
		wanted = policy.Wanted{Use: policy.Commands, Argv: []string{""}}
	}
	permit, err := c.allow(r, wanted)
	if err != nil {
		return chainpack.Value{}, err
	}
	if wanted.Pty && !permit.grant.Terminal(wanted) {
		call = call.WithoutTerminal()
	}
	s := &search{
		method: call.Method,
		param:  chainpack.Append(nil, call.Value()),
		from:   r.From,
		user:   policy.UserChain(r.UserID),
		owner:  rpc.UserOf(r.UserID),
		permit: permit,
		answer: make(chan rpc.TunnelCtl, 1),
	}
	if call.Extended && slices.Contains(call.Ext.Features, inband.Feature) {
		s.inBandID, s.attached = inband.NewID(), make(chan struct{}, 1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	begins, err := c.finding.add(s)
	if err != nil {
		return chainpack.Value{}, err
	}
	s.answered = c.calls.Hold(s.from)
	if begins {
		c.beginLocked(cl, s)
	}
	return chainpack.Value{}, node.ErrLater
}
