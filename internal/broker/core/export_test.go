package core

import (
	"sync"
	"time"

	"shvtools/internal/wire/transport"
)

// What the tests of this package, which see it from outside, still reach for. This file
// may only shrink.

// The bounds that no document tells of, so that tests go up to each and one further.
const (
	AwaitFor       = awaitFor       // how long a tunnel is awaited that a broker below asked for
	Lingering      = lingering      // how long a link outlives its purpose
	Looks          = looks          // of the watch, in one stall time
	MaxAsking      = maxAsking      // brokers below that ask for those above at once
	MaxAwaited     = maxAwaited     // tunnels that one broker below may make
	MaxBeforeLogin = maxBeforeLogin // messages before a login
	MaxCurious     = maxCurious     // others that ask for brokers above at once
	MaxEdits       = maxEdits       // changes of rights at once
	MaxLoginItems  = maxLoginItems  // values in a login
	MaxTickets     = maxTickets     // secrets of a device that nobody has redeemed
	MaxTunnels     = maxTunnels     // of a client
	Refresh        = refresh        // after which a subscription below is asked for again
)

// Records counts what the broker knows of tunnels: secrets that nobody has redeemed,
// calls that wait for their tunnel, and ends of tunnels.
func (b *Broker) Records() (secrets, calls, ends int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.tickets), len(b.calls), len(b.tunnels)
}

// Expected counts the tunnels that brokers below have asked for, by either table.
func (b *Broker) Expected() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := 0
	for _, of := range b.awaited.count {
		n += of
	}
	return max(n, len(b.awaited.calls))
}

// Routes counts the stacks of caller ids that a client's link may answer, and those of
// them whose callers are there.
func (b *Broker) Routes(id int64) (all, live int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	routes := &b.sessions[id].routes
	return routes.Len(), routes.Live()
}

// Topics counts what clients and parent brokers are subscribed to, the same once, and
// the child brokers that are asked for it.
func (b *Broker) Topics() (topics, children int) { return b.topics.Topics(), b.topics.Watchers() }

// Locks are those that all clients share.
func (b *Broker) Locks() map[string]sync.Locker {
	table, watchers := b.topics.Mutexes()
	return map[string]sync.Locker{"mu": &b.mu, "telling": &b.telling, "connections": b.connections.Mutex(),
		"penalties": b.penalties.Mutex(), "subscriptions": table, "children": watchers}
}

// Handshakes are the slots of TLS handshakes, to fill.
func (b *Broker) Handshakes() transport.Slots { return b.handshakes }

// SetLooked lets the watch over the links have had its last turn at a time.
func (b *Broker) SetLooked(at time.Time) { b.looked.Store(&at) }
