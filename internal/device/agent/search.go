package agent

import (
	"errors"
	"time"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// search is the way from a call to its helper. Those with the same request id wait
// for each other.
type search struct {
	method   string
	param    []byte // the helperline.Call: many values take many times their bytes
	from     rpc.Address
	user     string
	owner    string // the one of the users that counts
	use      policy.Use
	grant    *policy.Grant
	answer   chan rpc.TunnelCtl // capacity 1
	find     rpc.TunnelCtl
	answered func() // the call no longer runs

	// Of a caller who can do without a tunnel.
	inBandID string          // "": it cannot
	session  *inband.Session // from the offer on
	attached chan struct{}   // capacity 1: the caller took the offer
}

// begin sends the FindTunnelRequest of s; c.mu is held.
func (c *connection) begin(cl *client.Client, s *search) {
	c.searches.Go(func() { c.search(cl, s) })
}

// found takes a message with a TunnelCtl from the broker, in the read loop.
func (c *connection) found(m *rpc.Message) {
	c.mu.Lock()
	s := c.finding.turn(m.ID())
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
	if s.inBandID != "" {
		c.offer(cl, s)
	}
	inBand, err := c.find(cl, s)
	c.release(cl, s)
	c.mu.Lock()
	c.finding.done(s)
	c.mu.Unlock()
	if inBand {
		c.carry(s)
		return
	}
	if s.session != nil {
		s.session.End()
	}
	if err == nil {
		err = c.agent.helpers.start(job{
			line:   s.line(trust(c.broker.URL)),
			owner:  s.owner,
			use:    s.use,
			failed: func(why error) { _ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(why))) },
		})
	}
	if err != nil {
		c.agent.noSession(s, err)
		_ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(err)))
	}
}

// noSession logs that a call got no session.
func (a *agent) noSession(s *search, err error) {
	if a.often.Pass("no session", s.user) {
		a.opts.Log.Warn().Err(err).Str("user", s.user).Msg("no session")
	}
}

// release lets the next search with the id of s begin.
func (c *connection) release(cl *client.Client, s *search) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if next := c.finding.pass(s); next != nil {
		c.begin(cl, next)
	}
}

// find waits for a tunnel, or for the caller to take the offer of a session
// without one; the first of them wins.
func (c *connection) find(cl *client.Client, s *search) (inBand bool, err error) {
	ctl, key, offer := request(c.broker.URL), int64(0), chainpack.Value{}
	var again <-chan time.Time
	if s.inBandID != "" {
		key, offer = rpc.KeyResult, inband.Offer(s.inBandID)
		timer := time.NewTimer(inband.OfferAgain)
		defer timer.Stop()
		again = timer.C
	}
	err = cl.Send(rpc.AppendTunnel(nil, s.from, rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, key, offer))
	if err != nil {
		return false, err
	}
	late := time.NewTimer(findWait)
	defer late.Stop()
	for {
		select {
		case s.find = <-s.answer:
			s.find.RequestID = s.from.ID
			return false, judge(c.broker.URL, s.find)
		case <-s.attached:
			return true, nil
		case <-again:
			// A broker may not pass on what it does not know.
			_ = cl.Send(rpc.AppendResult(nil, s.from, offer))
		case <-late.C:
			if s.inBandID != "" && again != nil {
				// Who may not take the offer holds up nobody else.
				c.release(cl, s)
				again = nil
				late.Reset(inband.FindWait - findWait)
				continue
			}
			return false, errors.New("no broker offered a tunnel to this device")
		case <-cl.Done():
			return false, cl.Err()
		}
	}
}

// line is what the helper is told.
func (s *search) line(trust helperline.Trust) helperline.Line {
	v, _, _ := chainpack.Decode(s.param, chainpack.Limits{}) // we have written it
	return helperline.Line{Find: s.find, Call: helperline.CallFromParam(v), Policy: *s.grant, User: s.user, Trust: trust}
}

// findWait is how long the brokers may take to find a tunnel.
const findWait = 5 * time.Second
