package agent

import (
	"errors"
	"sync"
	"time"

	"shvtools/internal/calls"
	"shvtools/internal/chainpack"
	"shvtools/internal/client"
	"shvtools/internal/cpon"
	"shvtools/internal/launch"
	"shvtools/internal/node"
	"shvtools/internal/policy"
	"shvtools/internal/rpc"
)

// findWait is how long the brokers may take to find a tunnel.
const findWait = 5 * time.Second

// connection is what belongs to one connection to the broker.
type connection struct {
	agent    *Agent
	searches sync.WaitGroup
	calls    *calls.Table
	client   *client.Client // set before the read loop begins

	mu      sync.Mutex
	finding map[int64]*search // by the request id of the call
	refusal string            // of the broker, which disconnects us
}

// search is the way from a call to its helper. Answers of brokers are told
// apart by their request id alone, and every shvrsh calls with the same one, so
// those of one id wait for each other.
type search struct {
	call     launch.Call
	from     rpc.Address
	user     string
	owner    string // the one of the users that counts
	use      policy.Use
	grant    *policy.Grant
	answer   chan rpc.TunnelCtl // capacity 1
	find     rpc.TunnelCtl
	next     []*search
	answered func() // the call no longer runs
}

// begun takes the client, before any request comes.
func (c *connection) begun(cl *client.Client) { c.client = cl }

// wait ends the calls of a connection that has ended, and waits for them and for
// all searches.
func (c *connection) wait() {
	c.calls.Close(callGrace)
	c.searches.Wait()
}

// allow asks the judge whether a request may do what it wants. Its errors are for
// the caller.
func (a *Agent) allow(r *node.Request, w policy.Wanted) (*policy.Grant, error) {
	ask := policy.Ask{User: policy.UserOf(r.UserID), Level: r.Access, Wanted: w}
	grant, err := a.opts.Policy.Judge(ask)
	if err != nil {
		a.opts.Log.Warn().Err(err).Str("user", userChain(r.UserID)).Stringer("access", r.Access).Stringer("use", w.Use).Msg("refused")
		return nil, err
	}
	return grant, nil
}

// launchRexec starts the search for a tunnel. The call is answered by the
// helper, or by an error.
func (c *connection) launchRexec(r *node.Request) (chainpack.Value, error) {
	cl := c.client
	call := launch.CallFromParam(r.Param)
	wanted, err := call.Wanted()
	if err != nil {
		// The helper tells the caller what is wrong. That is left to who might run
		// anything: another helper may understand more than we do.
		wanted = policy.Wanted{Use: policy.Commands, Argv: []string{""}}
	}
	grant, err := c.agent.allow(r, wanted)
	if err != nil {
		return chainpack.Value{}, err
	}
	s := &search{
		call:   call,
		from:   r.From,
		user:   userChain(r.UserID),
		owner:  policy.UserOf(r.UserID),
		use:    wanted.Use,
		grant:  grant,
		answer: make(chan rpc.TunnelCtl, 1),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.finding[s.from.ID]; before != nil {
		if len(before.next) >= c.agent.opts.Sessions.Total {
			return chainpack.Value{}, rpc.Errorf(rpc.CodeTryAgainLater, "too many sessions are being opened on this device")
		}
		s.answered = c.calls.Hold(s.from)
		before.next = append(before.next, s)
		return chainpack.Value{}, node.ErrLater
	}
	s.answered = c.calls.Hold(s.from)
	c.begin(cl, s)
	return chainpack.Value{}, node.ErrLater
}

// begin sends the FindTunnelRequest of s; c.mu is held.
func (c *connection) begin(cl *client.Client, s *search) {
	c.finding[s.from.ID] = s
	c.searches.Go(func() { c.search(cl, s) })
}

// found takes a message with a TunnelCtl from the broker, in the read loop.
func (c *connection) found(m *rpc.Message) {
	c.mu.Lock()
	s := c.finding[m.ID()]
	c.mu.Unlock()
	if s == nil || m.Tunnel().State != rpc.FindTunnelResponse {
		return
	}
	select {
	case s.answer <- *m.Tunnel():
	default: // a second answer to one request
	}
}

// search waits for the answer and starts the helper.
func (c *connection) search(cl *client.Client, s *search) {
	defer s.answered()
	err := c.find(cl, s)
	c.mu.Lock()
	delete(c.finding, s.from.ID)
	if len(s.next) > 0 {
		next := s.next[0]
		next.next = s.next[1:]
		c.begin(cl, next)
	}
	c.mu.Unlock()
	if err == nil {
		err = c.agent.helpers.start(s.line(), s.owner, s.use, func(why error) { _ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(why))) })
	}
	if err != nil {
		c.agent.opts.Log.Warn().Err(err).Str("user", s.user).Msg("no session")
		_ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(err)))
	}
}

func (c *connection) find(cl *client.Client, s *search) error {
	ctl := rpc.TunnelCtl{State: rpc.FindTunnelRequest}
	err := cl.Send(rpc.AppendTunnel(nil, s.from, rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, 0, chainpack.Value{}))
	if err != nil {
		return err
	}
	late := time.NewTimer(findWait)
	defer late.Stop()
	select {
	case s.find = <-s.answer:
		s.find.RequestID = s.from.ID
		return nil
	case <-late.C:
		return errors.New("no broker offered a tunnel to this device")
	case <-cl.Done():
		return cl.Err()
	}
}

// line is what the helper is told.
func (s *search) line() launch.Line {
	return launch.Line{Find: s.find, Call: s.call, Policy: *s.grant, User: s.user}
}

// userChain is tag 16 as text, for logs.
func userChain(v chainpack.Value) string {
	if v.IsNull() {
		return ""
	}
	if text, ok := v.AsString(); ok {
		return text
	}
	return cpon.String(v)
}
