package agent

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/session/inband"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// findWait is how long the brokers may take to find a tunnel.
const findWait = 5 * time.Second

// connection is what belongs to one connection to the broker.
type connection struct {
	agent    *Agent
	broker   Broker // that it goes to
	searches sync.WaitGroup
	calls    *asynccall.Table
	client   *client.Client // set before the read loop begins

	mu       sync.Mutex
	finding  searches
	sessions map[string]*inband.Session // that were offered or run, by the name of their node
	refusal  string                     // of the broker, which disconnects us
}

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

// begun takes the client, before any request comes.
func (c *connection) begun(cl *client.Client) { c.client = cl }

// wait ends what the connection carries when it has ended, and waits until no call
// and no search is under way.
func (c *connection) wait() {
	c.endSessions()
	c.calls.Close(callGrace)
	c.searches.Wait()
}

// allow asks the judge whether a request may do what it wants. Its errors are for
// the caller.
func (a *Agent) allow(r *node.Request, w policy.Wanted) (*policy.Grant, error) {
	ask := policy.Ask{User: policy.UserOf(r.UserID), Level: r.Access, Wanted: w}
	grant, err := a.opts.Policy.Judge(ask)
	if err == nil && ask.User == "" && w.Use != policy.Files && a.opts.Sessions.PerUser > 0 {
		// Else who leaves out his name would have that many once more.
		err = rpc.Errorf(rpc.CodeUserIDRequired, "refused: this device counts the sessions of each user (sessions.per-user), and the user is not told; the call needs a user id")
	}
	if err != nil {
		if user := userChain(r.UserID); a.often.Pass("refused", user) {
			a.opts.Log.Warn().Err(err).Str("user", user).Stringer("access", r.Access).Stringer("use", w.Use).Msg("refused")
		}
		return nil, err
	}
	return grant, nil
}

// launchRexec starts the search for a tunnel. The call is answered by the
// helper, or by an error.
func (c *connection) launchRexec(r *node.Request) (chainpack.Value, error) {
	cl := c.client
	call := helperline.CallFromParam(r.Param)
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
		method: call.Method,
		param:  chainpack.Append(nil, call.Value()),
		from:   r.From,
		user:   userChain(r.UserID),
		owner:  policy.UserOf(r.UserID),
		use:    wanted.Use,
		grant:  grant,
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
		c.begin(cl, s)
	}
	return chainpack.Value{}, node.ErrLater
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
func (a *Agent) noSession(s *search, err error) {
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

// userChain is tag 16 as text, for logs, with a bound.
func userChain(v chainpack.Value) string {
	if v.IsNull() {
		return ""
	}
	if text, ok := v.AsString(); ok {
		return endOfChain(text)
	}
	return endOfChain(cpon.String(v))
}

// endOfChain leaves out the beginning of a chain that is long: callers write that, and
// the brokers nearest to us the end.
func endOfChain(text string) string {
	if len(text) > maxLoggedChain {
		text = "…" + text[len(text)-maxLoggedChain:]
	}
	return strings.ToValidUTF8(text, "?")
}
