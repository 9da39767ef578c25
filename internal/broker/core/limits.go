package core

import (
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/broker/limits"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// Limits keep one client from hurting another; see the package limits, which declares
// them.
type Limits = limits.Limits

// ownerName returns whose share the peer uses now (design.md 15). Only the goroutine of
// its login calls it, or whoever makes the session.
func (s *session) ownerName() shares.Name {
	user := s.user.Load()
	switch {
	case s.isBroker():
		return shares.Name{Link: s.id}
	case user != nil:
		return shares.Name{User: user.Name, Mount: s.mountPoint}
	case s.ticket != nil:
		return s.owner.Load().Name() // that of its caller, by admitTunnel
	}
	return shares.Name{Source: s.from.Source()}
}

// owe makes an owner pay for what the peer causes from now on. It does not wait.
func (s *session) owe(n shares.Name) {
	weight := 1
	if user := s.user.Load(); user != nil {
		weight = user.Share
	}
	o := s.broker.shares.Enter(n, weight)
	s.link.SetAccount(o)
	if old := s.owner.Swap(o); old != nil {
		old.Leave()
	}
}

// overShare returns why no request of the peer is accepted now, nil if one is.
func (s *session) overShare() *rpc.Error {
	o := s.owner.Load()
	if o.May(shares.Queued) {
		return nil
	}
	return rpc.Errorf(rpc.CodeTryAgainLater,
		"the broker is overloaded, and %s has more than an even part of what waits for peers that do not read", o.Name())
}

// tooCostly logs that an owner misses signals since comparing their subscriptions takes
// too long.
func (b *Broker) tooCostly(o *shares.Owner) {
	p := provocation{"signals not delivered", "reason", "the user's subscriptions take too long to compare"}
	if e := b.provoked(p, transport.Peer{}, o.Name().String()); e != nil {
		e.Str("user", o.Name().User).Stringer("of", o.Name())
		b.aside(func() { e.Msg(p.message) }) // others may wait for this goroutine
	}
}

// accounts are all links, and who pays for them.
func (b *Broker) accounts(yield func(*shares.Owner, *link.Link) bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		if !yield(s.owner.Load(), s.link) {
			return
		}
	}
}
