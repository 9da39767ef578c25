package core

import (
	"cmp"
	"crypto/sha256"
	"time"

	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// maxTickets bounds the secrets that one agent holds unredeemed.
const maxTickets = 64

// maxTickets returns the bound for the peer: a child broker asks for all its agents.
func (s *session) maxTickets() int {
	if s.child != nil {
		return 16 * maxTickets
	}
	return maxTickets
}

// secretKey is a hash of a secret, so that the time of a look-up does not show how much of
// a guess was right.
type secretKey [sha256.Size]byte

// ticket is what a tunnel secret stands for: the right of one helper to answer one call.
type ticket struct {
	key    secretKey
	agent  *session
	caller int64             // session that the call came from
	id     int64             // request id of the call
	asked  rpc.CallerIDs     // caller ids of the call, caller on top
	back   rpc.CallerIDs     // reverse caller ids behind agent
	scheme string            // of the address that was offered with the secret; "": none
	with   replyroutes.Right // that the call was made with
	timer  *time.Timer

	// Guarded by broker.mu.
	helper    *session // that redeemed it
	tunnelled bool     // its helper has created the tunnel
	offered   bool     // to a parent broker, which may know a better address
	vouched   bool     // all brokers on the way report the loss of the client
}

func (t *ticket) rest() rpc.CallerIDs { return t.asked[:len(t.asked)-1] }

// call is the request that the ticket answers, as its caller numbers it.
func (t *ticket) call() tunnels.Key {
	return tunnels.NewKey(t.caller, t.id, t.rest())
}

// refuse returns the answer to the call if no tunnel comes of it.
func (t *ticket) refuse(why string) []byte {
	to := rpc.Address{ID: t.id, Callers: t.rest()}
	return rpc.AppendError(nil, to, rpc.Errorf(rpc.CodeException, "no tunnel: %s", why))
}

// issue registers a ticket, and its life begins. refused says why that is not possible,
// "" if it is.
func (b *Broker) issue(t *ticket) (refused string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	call := t.call()
	switch _, open := b.tunnels[call]; {
	case b.draining.Load():
		return stopping
	case open:
		return "this call has a tunnel already"
	case b.calls[call] != nil:
		return "this call waits for a tunnel already"
	case !b.mayTunnelLocked(t):
		return t.with.String() + " was taken away"
	case t.agent.tickets >= t.agent.maxTickets():
		return "too many tunnels are being opened on this device"
	}
	t.agent.tickets++
	b.tickets[t.key] = t
	b.calls[call] = t
	t.timer = time.AfterFunc(b.opts.SecretLife, func() { b.expire(t) })
	return ""
}

// redeemLocked makes a secret invalid; false if it is so already. The call still waits for
// its tunnel.
func (b *Broker) redeemLocked(t *ticket) bool {
	if b.tickets[t.key] != t {
		return false
	}
	t.timer.Stop()
	t.agent.tickets--
	delete(b.tickets, t.key)
	return true
}

// revokeLocked drops a ticket, redeemed or not; false if its call does not wait any more.
func (b *Broker) revokeLocked(t *ticket) bool {
	b.redeemLocked(t)
	call := t.call()
	if b.calls[call] != t {
		return false
	}
	delete(b.calls, call)
	b.noteIdleLocked()
	return true
}

// hurry ends a helper that redeemed its secret and did not make its tunnel in time. The
// caller learns of that as of any other end of a helper.
func (b *Broker) hurry(t *ticket) {
	b.mu.RLock()
	late := b.calls[t.call()] == t
	b.mu.RUnlock()
	if late {
		t.helper.link.Close(link.TunnelEnded)
	}
}

// settle says that the call of a ticket is answered.
func (b *Broker) settle(t *ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.revokeLocked(t)
}

func (b *Broker) expire(t *ticket) {
	b.mu.Lock()
	n := notice{to: b.sessions[t.caller], message: t.refuse("the device did not connect in time")}
	late := t.helper == nil && b.revokeLocked(t)
	offered := t.offered
	b.mu.Unlock()
	if late && !offered { // otherwise the broker whose address is used tells the caller
		n.send()
	}
}

// admitTunnel redeems a secret: once, only while it is valid, and only over the scheme that
// it was given for. A secret that came another way may have been seen by others, so it
// becomes invalid.
func (s *session) admitTunnel(secret string) *rpc.Error {
	b := s.broker
	b.mu.Lock()
	t := b.tickets[sha256.Sum256([]byte(secret))]
	redeemed := t != nil && b.redeemLocked(t)
	if redeemed && !s.from.CameBy(t.scheme) {
		const why = "the device connected by another way than the one it was given"
		n := notice{to: b.sessions[t.caller], message: t.refuse(why)}
		b.revokeLocked(t)
		b.mu.Unlock()
		n.send()
		return rpc.Errorf(rpc.CodeException, "Invalid authentication: the tunnel secret was given for %s alone", t.scheme)
	}
	if redeemed {
		t.helper, s.ticket = s, t
		s.owe(cmp.Or(b.sessions[t.caller], t.agent).owner.Load().Name())
		s.watchExpiryLocked(t.agent.user.Load())
		t.timer = time.AfterFunc(b.opts.SecretLife, func() { b.hurry(t) })
	}
	b.mu.Unlock()
	if !redeemed {
		return rpc.Errorf(rpc.CodeException, "Invalid authentication: the tunnel secret is unknown, used or too old")
	}
	s.routes.Pin(t.asked)
	s.log.tunnelOf = t.caller
	return nil
}

// endTicketsOfLocked ends what depends on a session that is gone: the secrets of an agent,
// the call that a helper has not answered, and the helpers that are to answer a caller.
func (b *Broker) endTicketsOfLocked(s *session) (notices []notice) {
	if s.user.Load() == nil && s.ticket == nil && s.parent == nil {
		return nil
	}
	for _, t := range b.calls {
		caller := b.sessions[t.caller]
		switch {
		case t.caller == s.id:
			b.revokeLocked(t)
			notices = append(notices, notice{to: t.helper, linger: true})
		case t.helper == s:
			b.revokeLocked(t)
			notices = append(notices, notice{to: caller, message: t.refuse("the device restarted or lost its connection")})
		case t.helper == nil && t.agent == s:
			b.revokeLocked(t)
			notices = append(notices, notice{to: caller, message: t.refuse("the device disconnected")})
		}
	}
	return notices
}
