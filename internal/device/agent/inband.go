package agent

import (
	"shvtools/internal/device/helperline"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

// offer creates the in-band session that the caller may attach to if there is no tunnel.
func (c *connection) offer(cl *client.Client, s *search) {
	batch := inband.CommandBatch
	if s.method == "runPtyCmd" {
		batch = inband.PtyBatch
	}
	s.session = inband.NewSession(inband.SessionOptions{
		Call:   s.from,
		Batch:  batch,
		Send:   cl.Send,
		Attach: func() { s.attached <- struct{}{} },
		Ended: func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.sessions, s.inBandID)
		},
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[s.inBandID] = s.session
}

// carry starts the helper of an in-band session that the caller has accepted, and carries the
// session until the helper ends.
func (c *connection) carry(s *search) {
	ours, theirs, err := transport.Pair()
	if err == nil {
		err = c.agent.helpers.start(job{
			line: s.inBandLine(), owner: s.owner, permit: s.permit, socket: theirs, failed: s.session.Refuse,
			record: c.recordOf(audit.SessionStart, s.user, s.owner, "launchRexec"),
		})
		_ = theirs.Close()
		if err != nil {
			_ = ours.Close()
		}
	}
	if err != nil {
		c.agent.noSession(s, err)
		s.session.Refuse(err)
		return
	}
	s.session.Start(ours)
}

// inBandLine returns the line for the helper of an in-band session.
func (s *search) inBandLine() helperline.Line {
	line := s.line(helperline.Trust{}, rpc.SessionName(s.inBandID))
	line.Find = rpc.TunnelCtl{State: rpc.FindTunnelResponse, RequestID: s.from.ID}
	line.InBand = true
	return line
}

// sessionNode returns the methods of the in-band session with that name. ls does not list
// them.
func (c *connection) sessionNode(id string) (methods []node.Method, children []string, ok bool) {
	c.mu.Lock()
	session := c.sessions[id]
	c.mu.Unlock()
	if session == nil {
		return nil, nil, false
	}
	return session.Methods(), nil, true
}
