package agent

import (
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"shvtools/internal/device/helperline"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
	"shvtools/internal/wire/client"
)

// search is a call of launchRexec from its acceptance to the start of its helper: the
// search for a tunnel. Searches with the same request id wait for each other.
type search struct {
	method string
	// param is the encoded helperline.Call. Decoded values take many times their bytes,
	// and a search may wait for seconds.
	param    []byte
	from     rpc.Address
	user     string // chain of the calling users, for logs
	owner    string // the user whose quota counts
	permit   permit
	answer   chan rpc.TunnelCtl // capacity 1: the broker's FindTunnelResponse
	find     rpc.TunnelCtl      // that response, once it has come
	answered func()             // the call no longer runs

	// For a caller that can do without a tunnel.
	inBandID string          // "": it cannot
	session  *inband.Session // set when it is offered
	attached chan struct{}   // capacity 1: the caller has accepted the offer
}

// beginLocked starts the search s.
func (c *connection) beginLocked(cl *client.Client, s *search) {
	c.searches.Go(func() { c.search(cl, s) })
}

// found takes a message with a TunnelCtl from the broker. It runs in the read loop.
func (c *connection) found(m *rpc.Message) {
	c.mu.Lock()
	s := c.finding.turn(m.ID())
	c.mu.Unlock()
	if s == nil || m.Tunnel().State != rpc.FindTunnelResponse {
		return
	}
	select {
	case s.answer <- *m.Tunnel():
	default: // a second answer to the same request
	}
}

// search finds out what carries the session, and starts its helper.
func (c *connection) search(cl *client.Client, s *search) {
	defer s.answered()
	over := sync.OnceFunc(func() { // it no longer waits for a tunnel
		c.release(cl, s)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.finding.done(s)
	})
	defer func() {
		if cause := recover(); cause != nil { // all other sessions go on
			c.agent.panicked(&node.Request{Method: "launchRexec"}, cause, debug.Stack())
			over()
			_ = cl.Send(rpc.AppendError(nil, s.from, node.ErrInternal))
		}
	}()
	if s.inBandID != "" {
		c.offer(cl, s)
	}
	inBand, err := c.find(cl, s)
	over()
	if inBand {
		c.carry(s)
		return
	}
	if s.session != nil {
		s.session.End()
	}
	if err == nil {
		err = c.agent.helpers.start(job{
			line:   s.line(trust(c.broker.URL), rpc.SessionName(s.find.Secret)),
			owner:  s.owner,
			permit: s.permit,
			record: c.recordOf(audit.SessionStart, s.user, s.owner, "launchRexec"),
			failed: func(why error) { _ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(why))) },
		})
	}
	if err != nil {
		c.agent.noSession(s, err)
		_ = cl.Send(rpc.AppendError(nil, s.from, rpc.AsError(err)))
	}
}

// noSession logs that no session could be started for a call.
func (a *agent) noSession(s *search, err error) {
	if a.often.Pass(provoked("session not started", s.user, err)) {
		a.opts.Log.Warn().Err(err).Str("user", s.user).Msg("session not started")
	}
}

// release begins the next search with the request id of s.
func (c *connection) release(cl *client.Client, s *search) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if next := c.finding.pass(s); next != nil {
		c.beginLocked(cl, next)
	}
}

// find waits until a broker offers a tunnel or the caller accepts an in-band session,
// whichever comes first.
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
			// A broker without tunnels may have dropped the first one, which has a
			// TunnelCtl.
			_ = cl.Send(rpc.AppendResult(nil, s.from, offer))
		case <-late.C:
			if s.inBandID != "" && again != nil {
				// A caller that may not accept the offer must not hold up others.
				c.release(cl, s)
				again = nil
				late.Reset(inband.FindWait - findWait)
				continue
			}
			return false, errors.New("cannot start a session: no broker offered a tunnel")
		case <-cl.Done():
			return false, cl.Err()
		}
	}
}

// line returns the line for the helper.
func (s *search) line(trust helperline.Trust, session string) helperline.Line {
	v, _, _ := chainpack.Decode(s.param, chainpack.Limits{}) // cannot fail: launchRexec encoded it
	call := helperline.CallFromParam(v)
	return helperline.Line{
		Find: s.find, Call: call, Policy: *s.permit.grant, User: s.user, Session: session, Trust: trust,
	}
}

// findWait is how long the brokers may take to offer a tunnel.
const findWait = 5 * time.Second
