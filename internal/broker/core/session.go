package core

import (
	"crypto/x509"
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/childbroker"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/broker/internal/record"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/broker/internal/stall"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

const (
	// maxStack bounds the caller ids of a message, and maxTags the entries of a meta
	// that is passed on: a message grows from broker to broker, and must not get longer
	// than the next one accepts.
	maxStack = 32
	maxTags  = 96
	// keptHead is how many bytes for the head of a message a session keeps for reuse.
	keptHead = 4 << 10
	// lingering is how long a link may outlive its purpose, so that the last messages
	// arrive. The C++ helper does not know that the other end can close a tunnel.
	lingering = time.Second
)

// session is a peer from its connection, or its last reset, to its end.
type session struct {
	// Set before the read loop starts.
	broker *Broker
	link   *link.Link
	from   transport.Peer
	secure *transport.TLSConn // nil: it is not over TLS
	id     int64              // the caller id of this session, never used twice
	parent *parentBroker      // the peer is a parent broker; nil: it connected to us

	// Of the read loop.
	login    loginState
	head     []byte     // the new head of a message that is passed on
	path     []byte     // the path of a signal, from the root
	targets  []*session // of a signal
	flows    map[*link.Link]*flows
	deadline *time.Timer         // of the login; nil after it
	slot     *door.PendingSlot   // nil after the login
	since    time.Time           // never changes
	before   link.Traffic        // of the link, until this session began; never changes
	opens    *replyroutes.Opener // nil before its first call

	// Set at login, before others can reach the session.
	ticket *ticket            // of a tunnel login; nil for others; written under broker.mu
	child  *childbroker.Child // nil unless the peer is one; written under broker.mu
	log    sessionLog

	// user has the current rights; nil before the login and for a helper. Written under
	// broker.mu.
	user    atomic.Pointer[auth.User]
	owner   atomic.Pointer[shares.Owner] // pays for what the peer causes; never nil
	routes  replyroutes.Table            // with which the peer may answer
	watched stall.Watch                  // of the watch alone

	pings    mounts.Pinger
	ready    atomic.Bool   // its login is answered
	missed   atomic.Uint64 // signals that it was too slow for
	recorded atomic.Int32  // calls of the peer in broker.book

	// Guarded by broker.mu.
	admitted   auth.Login  // the login of user, as it was accepted
	expiry     *time.Timer // nil: the user does not expire
	mountPoint string
	claim      *auth.Claim          // with which it was mounted; nil: it never was
	tunnels    map[*tunnel]struct{} // of which either end is here
	tickets    int                  // that this agent holds unredeemed
}

// peer is the handler of a link: it holds the session of the connection, which a reset
// replaces with a new one.
type peer struct{ session *session }

// Message passes a message to the current session.
func (p *peer) Message(m *rpc.Message, f *link.Frame) { p.session.message(m, f) }

// Reset ends the session and begins a new one, before its login.
func (p *peer) Reset() {
	old := p.session
	if !old.login.done {
		// The deadline and the count of failures go on.
		old.login.nonce = ""
		old.login.messages++
		return
	}
	if old.ticket != nil {
		old.link.Close(link.TunnelEnded) // it served one tunnel, nothing else
		return
	}
	old.end(link.Done)
	b := old.broker
	slot, cause := b.connections.LoggedOut(old.from.Source(), old.link)
	if cause != link.Open {
		old.link.Close(cause)
		return
	}
	if s := b.newSession(old.link, old.from, old.secure, slot, nil); s != nil {
		// The link has one goroutine, which is counted once.
		b.running.Done()
		old.link.SetMaxFrame(b.limits.LoginFrame)
		p.session = s
	} else {
		b.connections.LoggedIn(slot)
		old.link.Close(link.Shutdown)
	}
}

// newSession registers a session; it returns nil if the broker is closed.
func (b *Broker) newSession(l *link.Link, from transport.Peer, secure *transport.TLSConn, slot *door.PendingSlot,
	parent *parentBroker) *session {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.running.Add(1)
	b.lastID++
	s := &session{
		broker: b, link: l, from: from, secure: secure, id: b.lastID,
		since: time.Now(), before: l.Traffic(), slot: slot, tunnels: make(map[*tunnel]struct{}),
	}
	s.log = sessionLog{to: &b.opts.Log, session: s}
	b.sessions[s.id] = s
	s.owe(s.ownerName())
	if parent != nil {
		s.parent, s.login.done = parent, true
		b.parents[s] = struct{}{}
		return s
	}
	s.deadline = time.AfterFunc(b.limits.LoginDeadline, s.late)
	return s
}

// late ends a connection that did not log in in time.
func (s *session) late() {
	cause := link.LoginTimeout
	if s.secure != nil && s.secure.Waiting() {
		cause = link.HandshakeLate
	}
	s.link.Close(cause)
}

// end removes the session from all tables, and sends the notices of its end.
func (s *session) end(cause link.Cause) {
	b := s.broker
	s.stopDeadline()
	s.releaseSlot()
	if s.opens != nil {
		s.opens.Depart()
	}
	b.mu.Lock()
	delete(b.sessions, s.id)
	delete(b.parents, s)
	b.endedTotals.traffic = b.endedTotals.traffic.Plus(s.traffic())
	s.stopExpiryLocked()
	unmounted, back := b.unmountLocked(s)
	notices := b.endTunnelsOfLocked(s, cause)
	notices = append(notices, b.endTicketsOfLocked(s)...)
	b.mu.Unlock()
	if s.child != nil {
		s.child.Stop()
	}
	b.topics.RemoveAll(s)
	if s.ready.Load() && s.parent == nil {
		s.owner.Load().Add(shares.Connections, -1)
	}
	s.owner.Load().Leave()
	b.tellMounts()
	if back != nil {
		back.pings.Tell(back.send, 0, "")
	}
	b.book.Gone(s.id, cause)
	s.logEnd(cause, unmounted)
	for _, n := range notices {
		n.send()
	}
}

// certificate returns the verified certificate of the peer, nil if there is none.
func (s *session) certificate() *x509.Certificate {
	if s.secure == nil {
		return nil
	}
	return s.secure.Certificate()
}

// releaseSlot gives back the pending slot, if the session still has it.
func (s *session) releaseSlot() {
	if s.slot != nil {
		s.broker.connections.LoggedIn(s.slot)
		s.slot = nil
	}
}

// stopDeadline ends the wait for the login.
func (s *session) stopDeadline() {
	if s.deadline != nil {
		s.deadline.Stop()
		s.deadline = nil // it would only take memory
	}
}

func (s *session) logEnd(cause link.Cause, unmounted string) {
	var event *zerolog.Event
	var bug *link.PanicError
	err := s.link.Err()
	switch {
	case errors.As(err, &bug):
		event = s.log.Error().Err(err).Bytes("stack", bug.Stack)
	case s.user.Load() == nil && s.ticket == nil && s.parent == nil:
		event = s.log.Debug()
	default:
		event = s.log.Visit("client gone", unmounted)
	}
	if err != nil {
		event = event.AnErr("cause", err)
	} else {
		event = event.Stringer("cause", cause)
	}
	if unmounted != "" {
		event = event.Str("mount", unmounted)
	}
	event.Str("closedBy", record.ClosedBy(cause)).Msg("client gone")
	s.broker.book.LoggedOut(s, unmounted, cause.String(), time.Since(s.since), s.traffic())
}

// message handles a message of the peer.
func (s *session) message(m *rpc.Message, f *link.Frame) {
	if !s.login.done {
		s.broker.opts.Journal.Received(s.id, f.Message(), false)
		link.Aside(func() { s.beforeLogin(m) })
		return
	}
	if s.broker.opts.Journal != nil {
		s.broker.opts.Journal.Received(s.id, f.Message(), s.isTunnelData(m))
	}
	if len(m.Callers()) > maxStack || len(m.RevCallers()) > maxStack {
		s.tooLong(m, maxStack, "caller ids")
		return
	}
	if m.Has(rpc.TagRevCallerIDs) {
		m.PushRevCaller(s.id) // before anything else (spec.md 7.1a)
	}
	switch m.Kind() {
	case rpc.Request:
		s.request(m, f)
	case rpc.Response:
		s.response(m, f)
	case rpc.Signal:
		s.signal(m, f)
	default:
		s.broker.stats.malformed.Add(1)
	}
}

// tooLong refuses a message that has more than n of something.
func (s *session) tooLong(m *rpc.Message, n int, of string) {
	s.broker.stats.malformed.Add(1)
	if m.Kind() == rpc.Request {
		s.answer(rpc.AppendError(nil, m.Address(), rpc.Errorf(rpc.CodeInvalidRequest, "more than %d %s", n, of)))
	}
}

// opener returns the peer as it opens reply routes.
func (s *session) opener() *replyroutes.Opener {
	if s.opens == nil || s.opens.IsBroker() != s.isBroker() {
		s.opens = replyroutes.NewOpener(s.isBroker(), s.owner.Load())
	}
	return s.opens
}

// send sends a message of the broker's own to the peer. It may be lost.
func (s *session) send(message []byte) error {
	s.broker.opts.Journal.Sent(s.id, message, false)
	f := link.NewMessage(message)
	defer f.Release()
	return s.link.Send(f, nil)
}

// answer sends a message that must not be lost: a peer whose queue is full is closed.
func (s *session) answer(message []byte) {
	if s.send(message) == link.ErrQueueFull {
		s.link.Close(link.SlowPeer)
	}
}

// answerIn sends a message as a part of a stream, after what waits of it. Unlike answer,
// it waits for queue space, in the background: others share the link.
func (s *session) answerIn(flow *link.Flow, message []byte) {
	s.broker.opts.Journal.Sent(s.id, message, false)
	f := link.NewMessage(message)
	if s.link.Send(f, flow) == link.ErrQueueFull {
		s.broker.aside(func() {
			_ = s.link.SendWait(f, flow, nil) // the peer may be gone
			f.Release()
		})
		return
	}
	f.Release()
}

// errTooBig says that a message with its new head is longer than peers accept.
var errTooBig = errors.New("broker: message too big")

// forward gives f the head of m and queues it for to. t is the tunnel that m belongs to,
// nil for none. data says that the body is what somebody typed or was shown.
func (s *session) forward(m *rpc.Message, f *link.Frame, to *session, t *tunnel, data bool) error {
	if err := s.rehead(m, f); err != nil {
		return err
	}
	s.broker.opts.Journal.Sent(to.id, f.Message(), data)
	if t != nil && to.isBroker() {
		f.Charge(t.client.session.owner.Load()) // many share the link
	}
	flow := s.flowTo(to, t)
	if s.ticket != nil {
		return to.link.SendWait(f, flow, s.link)
	}
	return to.link.Relay(f, flow, s.link)
}

// flowTo returns the stream in which a message goes, of those that share the link of a
// broker: that of its tunnel, or that of this peer. So the bulk of one does not delay
// others. It is nil if the link is not shared.
func (s *session) flowTo(to *session, t *tunnel) *link.Flow {
	switch {
	case !to.isBroker():
		return nil
	case t != nil:
		return t.flowTo(to)
	}
	return &s.flowsTo(to).data
}

// flows are the streams of a peer on the link of a broker.
type flows struct {
	data link.Flow
	lost link.Flow // errors instead of responses that did not fit
}

func (s *session) flowsTo(to *session) *flows {
	f := s.flows[to.link]
	if f == nil {
		if s.flows == nil {
			s.flows = make(map[*link.Link]*flows)
		}
		for l := range s.flows {
			if l.Cause() != link.Open {
				delete(s.flows, l)
			}
		}
		f = new(flows)
		s.flows[to.link] = f
	}
	return f
}

// rehead gives f the head of m.
func (s *session) rehead(m *rpc.Message, f *link.Frame) error {
	s.head = m.AppendMeta(s.head[:0])
	f.ReplaceHead(s.head, len(m.Body()))
	tooBig := len(f.Payload()) > s.broker.limits.MaxFrame || rpc.HasMoreTags(s.head, maxTags)
	if cap(s.head) > keptHead {
		s.head = nil
	}
	if tooBig {
		return errTooBig
	}
	return nil
}

// isBroker reports whether the peer is a broker, so that many share its link.
func (s *session) isBroker() bool { return s.parent != nil || s.child != nil }

// Name returns the name of the user, or says what the peer is that has none.
func (s *session) Name() string {
	user := s.user.Load()
	switch {
	case user != nil:
		return user.Name
	case s.ticket != nil:
		return "tunnel of client " + strconv.FormatInt(s.ticket.caller, 10)
	case s.parent != nil:
		return "parent broker " + s.parent.Name
	}
	return ""
}
