package broker

import "sync/atomic"

// counters count what passed and what was dropped.
type counters struct {
	requests, responses, signals atomic.Uint64
	unmounted                    atomic.Uint64 // signals of clients without a mount point
	missed                       atomic.Uint64 // signals to subscribers who did not keep up, each counts
	unaddressed                  atomic.Uint64 // responses without caller ids
	forged                       atomic.Uint64 // responses that nobody asked for
	late                         atomic.Uint64 // responses to somebody who is gone
	malformed                    atomic.Uint64 // neither request, response nor signal
}

// Stats is a snapshot of what the broker has done since it began.
type Stats struct {
	Clients, Mounts, Tunnels       int
	Requests, Responses, Signals   uint64 // that were passed on; signals: whether somebody wanted them or not
	Unmounted, Missed              uint64 // signals without a mount point; signals that a subscriber did not get
	Unaddressed, Forged, Late, Bad uint64 // messages that were dropped
}

// Stats gives the numbers of now.
func (b *Broker) Stats() Stats {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return Stats{
		Clients:     len(b.sessions),
		Mounts:      b.mounts.Len(),
		Tunnels:     len(b.tunnels) / 2,
		Requests:    b.stats.requests.Load(),
		Responses:   b.stats.responses.Load(),
		Signals:     b.stats.signals.Load(),
		Unmounted:   b.stats.unmounted.Load(),
		Missed:      b.stats.missed.Load(),
		Unaddressed: b.stats.unaddressed.Load(),
		Forged:      b.stats.forged.Load(),
		Late:        b.stats.late.Load(),
		Bad:         b.stats.malformed.Load(),
	}
}
