package core

import (
	"sync"

	"shvtools/internal/wire/transport"
)

// The tests of this package see it from outside. This file lists what they still reach
// for. It may only shrink.

// Bounds that no document states. Tests go up to each, and one further.
const (
	Lingering      = lingering      // time that a link outlives its purpose
	Looks          = looks          // of the watch, in one stall time
	MaxAsking      = maxAsking      // child brokers that ask which brokers are above, at once
	MaxBeforeLogin = maxBeforeLogin // messages before a login
	MaxCurious     = maxCurious     // other clients that ask that, at once
	MaxEdits       = maxEdits       // changes of rights at once
	MaxTickets     = maxTickets     // secrets of a device that nobody has redeemed
	MaxTunnels     = maxTunnels     // of a client
)

// Records counts secrets that nobody has redeemed, calls that wait for their tunnel, and
// ends of tunnels.
func (b *Broker) Records() (secrets, calls, ends int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.tickets), len(b.calls), len(b.tunnels)
}

// Expected counts the tunnels that child brokers have asked for.
func (b *Broker) Expected() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.expected.Len()
}

// Routes counts the reply routes of a client's link, and those whose callers are connected.
func (b *Broker) Routes(id int64) (all, live int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	routes := &b.sessions[id].routes
	return routes.Len(), routes.Live()
}

// Topics counts the distinct topics of all subscriptions, and the child brokers that learn
// them.
func (b *Broker) Topics() (topics, children int) { return b.topics.Topics(), b.topics.Watchers() }

// Locks returns the locks that all clients share.
func (b *Broker) Locks() map[string]sync.Locker {
	table, watchers := b.topics.Mutexes()
	return map[string]sync.Locker{"mu": &b.mu, "telling": &b.telling, "connections": b.connections.Mutex(),
		"penalties": b.penalties.Mutex(), "subscriptions": table, "children": watchers}
}

// Handshakes returns the slots of TLS handshakes, for a test to fill.
func (b *Broker) Handshakes() transport.Slots { return b.handshakes }
