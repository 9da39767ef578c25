package core

import (
	"sync/atomic"
	"time"

	"shvtools/internal/broker/internal/record"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// tunnel is the record of a tunnel that goes through this broker (design.md 6). Its
// fields do not change, except for the counts and streams.
type tunnel struct {
	number         int64
	client, helper tunnelEnd
	with           replyroutes.Right // of the client
	agent          *session          // that asked for it
	agentAt        string            // its mount point then
	since          time.Time
	account        *record.Session // for the record of who did what

	toClient, toHelper         atomic.Int64 // bytes of bodies that were passed on
	clientStream, helperStream link.Flow    // towards either, where its link is shared
}

// flowTo returns the stream towards an end.
func (t *tunnel) flowTo(to *session) *link.Flow {
	if to == t.client.session {
		return &t.clientStream
	}
	return &t.helperStream
}

// count counts a message of n bytes that was passed on to an end.
func (t *tunnel) count(to *session, n int) {
	if to == t.client.session {
		t.toClient.Add(int64(n))
	} else {
		t.toHelper.Add(int64(n))
	}
}

// tunnelEnd is the address of one end of a tunnel, from here.
type tunnelEnd struct {
	session *session // the adjacent one
	id      int64
	callers rpc.CallerIDs
}

func (e tunnelEnd) key() tunnels.Key {
	return tunnels.NewKey(e.session.id, e.id, e.callers)
}

// replyRoute returns the stack with which the session at the end e answers into the
// tunnel.
func (t *tunnel) replyRoute(e tunnelEnd) rpc.CallerIDs {
	far := t.client
	if e.session == t.client.session {
		far = t.helper
	}
	return append(append(rpc.CallerIDs(nil), far.callers...), far.session.id)
}

// other returns the session at the other end than s.
func (t *tunnel) other(s *session) *session {
	if t.client.session == s {
		return t.helper.session
	}
	return t.client.session
}

// verdict is what to do with a response that is about to be passed on.
type verdict int

const (
	deliver verdict = iota
	dropQuietly
	dropForged
	dropMisplaced
	tooMany
)

// route returns the session that a response goes to and the tunnel that it belongs to, nil
// for none. The top caller id of m is popped already. misplaced counts if there is no tunnel.
func (b *Broker) route(s *session, m *rpc.Message, toID int64, state rpc.TunnelState, misplaced bool) (
	*session, *tunnel, verdict) {
	if state == rpc.CreateTunnelRequest {
		return b.create(s, m, toID)
	}
	var buf [32]byte
	stack := m.Callers().AppendKey(buf[:0])
	b.mu.RLock()
	defer b.mu.RUnlock()
	to := b.sessions[toID]
	key := tunnels.Key{To: toID, ID: m.ID(), Stack: string(stack)}
	t := b.tunnels[key]
	switch {
	case to == nil:
		return nil, nil, dropQuietly
	case t != nil && t.other(to) != s:
		return to, nil, dropForged
	case t == nil && (s.ticket != nil && s.ticket.tunnelled || to.ticket != nil):
		return to, nil, dropQuietly // a straggler of an ended tunnel
	case t == nil && b.ended.Has(key, s.id):
		return to, nil, dropQuietly
	case t == nil && misplaced:
		return to, nil, dropMisplaced
	}
	return to, t, deliver
}

// create records the tunnel of a CreateTunnelRequest. Only the helper that redeemed a
// secret may ask for one, and only for the call of that secret. A child broker may pass
// on the request of such a helper if it has asked for the tunnel of that call before.
func (b *Broker) create(s *session, m *rpc.Message, toID int64) (*session, *tunnel, verdict) {
	ctl := *m.Tunnel()
	readID := ctl.RequestID
	if readID == 0 {
		readID = m.ID()
	}
	back, _, _ := m.RevCallers().Pop() // our own entry of s
	b.mu.Lock()
	defer b.mu.Unlock()
	to := b.sessions[toID]
	if to == nil {
		return nil, nil, dropQuietly
	}
	var with replyroutes.Right
	may, name, agent := false, "", s
	if s.ticket != nil {
		with, agent, may, name = s.ticket.with, s.ticket.agent, !s.ticket.tunnelled, rpc.SessionNameOf(s.ticket.key)
	} else {
		with, name, may = b.expected.Take(tunnels.NewKey(toID, m.ID(), m.Callers()), s.id, time.Now())
	}
	if !may || !m.Has(rpc.TagRevCallerIDs) || !to.holds(with) {
		return to, nil, dropForged
	}
	t := &tunnel{
		client:  tunnelEnd{to, m.ID(), append(rpc.CallerIDs(nil), m.Callers()...)},
		helper:  tunnelEnd{s, readID, append(rpc.CallerIDs(nil), back...)},
		with:    with,
		agent:   agent,
		agentAt: agent.mountPoint,
		since:   time.Now(),
	}
	switch {
	case b.tunnels[t.client.key()] != nil:
		return to, nil, dropForged
	case !to.mayHaveTunnelLocked() || !s.mayHaveTunnelLocked():
		return to, nil, tooMany
	}
	if s.ticket != nil {
		s.ticket.tunnelled = true
		delete(b.calls, s.ticket.call())
	}
	b.lastTunnel++
	t.number = b.lastTunnel
	b.numbered[t.number] = t
	t.account = b.book.Opened(t.client.key(), name, to, with.Path, with.Method)
	for _, end := range []tunnelEnd{t.client, t.helper} {
		b.tunnels[end.key()] = t
		end.session.tunnels[t] = struct{}{}
		end.session.routes.Pin(t.replyRoute(end))
	}
	ctl.Forget() // the client needs no secret
	m.SetTunnel(ctl)
	return to, t, deliver
}

// maxTunnels bounds the tunnels that end at a client: each shvrsh has its own connection.
// maxTunnelsOfBroker is the bound for a broker, on behalf of all behind it.
const (
	maxTunnels         = 1000
	maxTunnelsOfBroker = 20 * maxTunnels
)

// mayHaveTunnelLocked reports whether one more tunnel may end here.
func (s *session) mayHaveTunnelLocked() bool {
	limit := maxTunnels
	if s.isBroker() {
		limit = maxTunnelsOfBroker
	}
	return len(s.tunnels) < limit
}

// forgetLocked drops the record of a tunnel, which has ended somehow; false if that was done
// before.
func (b *Broker) forgetLocked(t *tunnel, how record.How) bool {
	if b.tunnels[t.client.key()] != t {
		return false
	}
	delete(b.numbered, t.number)
	for _, end := range []tunnelEnd{t.client, t.helper} {
		delete(b.tunnels, end.key())
		delete(end.session.tunnels, t)
		end.session.routes.Unpin(t.replyRoute(end))
	}
	b.endedTotals.toClient += t.toClient.Load()
	b.endedTotals.toHelper += t.toHelper.Load()
	t.account.Count(t.toHelper.Load(), t.toClient.Load())
	t.account.End(how)
	b.rememberLocked(t)
	b.noteIdleLocked()
	return true
}

// rememberLocked remembers an ended tunnel if other brokers may still send messages for
// it: those of helpers stop with their link.
func (b *Broker) rememberLocked(t *tunnel) {
	if !t.client.session.isBroker() && !t.helper.session.isBroker() {
		return
	}
	now := time.Now()
	for _, end := range []tunnelEnd{t.client, t.helper} {
		b.ended.Add(end.key(), t.other(end.session).id, now)
	}
}

// reuse says that a client makes a new call with the numbers of m, whose caller ids are
// those that it sent.
func (b *Broker) reuse(s *session, m *rpc.Message) {
	b.mu.RLock()
	none := b.ended.Len() == 0
	b.mu.RUnlock()
	if none {
		return
	}
	b.mu.Lock()
	b.ended.Forget(tunnels.NewKey(s.id, m.ID(), m.Callers()))
	b.mu.Unlock()
}

// tunnelClosed ends the record of a tunnel after a CloseTunnel was passed on.
func (b *Broker) tunnelClosed(t *tunnel, how record.How) {
	b.mu.Lock()
	b.forgetLocked(t, how)
	b.mu.Unlock()
	t.helper.session.linger()
}

// closeTunnel ends a tunnel and sends the reason to both ends.
func (b *Broker) closeTunnel(t *tunnel, why string) {
	b.mu.Lock()
	forgotten := b.forgetLocked(t, record.How{Cause: why})
	b.mu.Unlock()
	if !forgotten {
		return
	}
	t.closing(t.client, why).send()
	t.closing(t.helper, why).send()
}

// endTunnelsOfLocked drops the tunnels of a session that is gone, and returns the notices
// for their other ends. A broker that is closed has none: it closes the other ends as
// well, and a notice that came first would blame the peer.
func (b *Broker) endTunnelsOfLocked(s *session, cause link.Cause) (notices []notice) {
	for t := range s.tunnels {
		why, other := "the user has gone: "+cause.String(), t.helper
		if s != t.client.session {
			why, other = "the device restarted or lost its connection: "+cause.String(), t.client
		}
		if b.closed {
			why = stopping
		} else {
			notices = append(notices, t.closing(other, why))
		}
		b.forgetLocked(t, record.How{Cause: why})
	}
	return notices
}

// linger closes the link of a helper soon, unless the helper does.
func (s *session) linger() {
	if s.ticket != nil {
		time.AfterFunc(lingering, func() { s.link.Close(link.TunnelEnded) })
	}
}

// notice is a message that is sent after broker.mu is released.
type notice struct {
	to      *session // nil: it is gone
	message []byte   // nil: none
	linger  bool
	patient bool       // wait for queue space instead of closing the slow peer
	flow    *link.Flow // that it belongs to
}

func (n notice) send() {
	if n.to == nil {
		return
	}
	switch {
	case n.message == nil:
	case n.patient:
		n.to.answerIn(n.flow, n.message)
	default:
		n.to.answer(n.message)
	}
	if n.linger {
		n.to.linger()
	}
}

// closing returns the CloseTunnel that tells an end that the other one is lost. It never
// looks like a normal end.
func (t *tunnel) closing(end tunnelEnd, why string) notice {
	return notice{
		to:      end.session,
		linger:  true,
		patient: end.session == t.client.session || end.session.isBroker(),
		flow:    t.flowTo(end.session),
		message: rpc.AppendTunnel(nil, rpc.Address{ID: end.id, Callers: end.callers},
			rpc.Meta{Tunnel: &rpc.TunnelCtl{State: rpc.CloseTunnel}},
			rpc.KeyError, rpc.Errorf(rpc.CodeException, "%s", why).Value()),
	}
}

// isTunnelData reports, before routing, whether a message from s may carry what somebody
// typed or was shown. Messages for ended tunnels count.
func (s *session) isTunnelData(m *rpc.Message) bool {
	if m.Kind() != rpc.Response || m.Tunnel().State != rpc.NoTunnel {
		return false
	}
	if s.ticket != nil {
		return true
	}
	rest, toID, ok := m.Callers().Pop()
	if !ok {
		return false
	}
	b := s.broker
	b.mu.RLock()
	defer b.mu.RUnlock()
	to := b.sessions[toID]
	key := tunnels.NewKey(toID, m.ID(), rest)
	return to == nil || to.ticket != nil || b.tunnels[key] != nil || b.ended.Has(key, s.id)
}
