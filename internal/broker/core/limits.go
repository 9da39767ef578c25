package core

import (
	"shvtools/internal/broker/internal/peerlog"
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/broker/limits"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
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
	line := peerlog.Line{
		Message: "signals not delivered", Field: "reason", Reason: "the user's subscriptions take too long to compare",
		User: o.Name().String(),
	}
	if e := b.peerLog.Refused(line); e != nil {
		e.Str("user", o.Name().User).Stringer("of", o.Name())
		b.aside(func() { e.Msg(line.Message) }) // others may wait for this goroutine
	}
}

// makeSpace returns why there is no space for one more connection of the user, mounted at a
// place ("": nowhere) or as a child broker; nil if there is. A device that comes back while
// its last connection is not known to be dead takes the place of that.
func (s *session) makeSpace(mount string, child bool) *rpc.Error {
	b, user := s.broker, s.user.Load()
	n := shares.Name{User: user.Name, Mount: mount}
	if child {
		n = shares.Name{Link: s.id}
	}
	o := b.shares.Enter(n, user.Share)
	defer o.Leave()
	if o.Fits(shares.Connections) {
		return nil
	}
	if o.Name().Mount != "" {
		if old := o.Oldest(b.accounts); old != nil {
			old.Close(link.TooManyConnections)
			return nil
		}
	}
	return rpc.Errorf(rpc.CodeTryAgainLater, "too many connections: %s has an even part of limits.connections", o.Name())
}

// accounts are all links, and who pays for them.
func (b *Broker) accounts(yield func(shares.Account) bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		in := s.ready.Load() && s.parent == nil
		if !yield(shares.Account{Owner: s.owner.Load(), Link: s.link, ID: s.id, LoggedIn: in}) {
			return
		}
	}
}
