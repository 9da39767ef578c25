package agent

import (
	"errors"
	"sync"
	"time"

	"shvtools/internal/chainpack"
	"shvtools/internal/client"
	"shvtools/internal/cpon"
	"shvtools/internal/launch"
	"shvtools/internal/node"
	"shvtools/internal/rpc"
)

// findWait is how long the brokers may take to find a tunnel.
const findWait = 5 * time.Second

// clientEnv is what a client may set in the environment of its session.
var clientEnv = []string{"TERM", "LANG", "LC_*", "COLORTERM", "GIT_PROTOCOL"}

// connection is what belongs to one connection to the broker.
type connection struct {
	agent    *Agent
	searches sync.WaitGroup
	client   *client.Client // set before the read loop begins

	mu      sync.Mutex
	finding map[int64]*search // by the request id of the call
}

// search is the way from a call to its helper. Answers of brokers are told
// apart by their request id alone, and every shvrsh calls with the same one, so
// those of one id wait for each other.
type search struct {
	call   launch.Call
	from   rpc.Address
	user   string
	answer chan rpc.TunnelCtl // capacity 1
	find   rpc.TunnelCtl
	next   []*search
}

// begun takes the client, before any request comes.
func (c *connection) begun(cl *client.Client) { c.client = cl }

// wait ends when no search is under way.
func (c *connection) wait() { c.searches.Wait() }

// launchRexec starts the search for a tunnel. The call is answered by the
// helper, or by an error.
func (c *connection) launchRexec(r *node.Request) (chainpack.Value, error) {
	cl := c.client
	s := &search{
		call:   launch.CallFromParam(r.Param),
		from:   r.From,
		user:   userChain(r.UserID),
		answer: make(chan rpc.TunnelCtl, 1),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.finding[s.from.ID]; before != nil {
		if len(before.next) >= maxSessions {
			return chainpack.Value{}, rpc.Errorf(rpc.CodeTryAgainLater, "too many sessions are being opened on this device")
		}
		before.next = append(before.next, s)
		return chainpack.Value{}, node.ErrLater
	}
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
		err = c.agent.helpers.start(s.line(trust(c.agent.opts.URL)), func(why error) { _ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(why))) })
	}
	if err != nil {
		c.agent.opts.Log.Warn().Err(err).Str("user", s.user).Msg("no session")
		_ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(err)))
	}
}

func (c *connection) find(cl *client.Client, s *search) error {
	ctl := request(c.agent.opts.URL)
	err := cl.Send(rpc.AppendTunnel(nil, s.from, rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, 0, chainpack.Value{}))
	if err != nil {
		return err
	}
	late := time.NewTimer(findWait)
	defer late.Stop()
	select {
	case s.find = <-s.answer:
		s.find.RequestID = s.from.ID
		return judge(c.agent.opts.URL, s.find)
	case <-late.C:
		return errors.New("no broker offered a tunnel to this device")
	case <-cl.Done():
		return cl.Err()
	}
}

// line is what the helper is told.
func (s *search) line(trust launch.Trust) launch.Line {
	return launch.Line{Find: s.find, Call: s.call, Policy: launch.Policy{Env: clientEnv}, User: s.user, Trust: trust}
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
