package broker

import (
	"sync/atomic"

	"shvtools/internal/link"
)

// counters count what passed and what was dropped.
type counters struct {
	requests, responses, signals atomic.Uint64
	unmounted                    atomic.Uint64 // signals of clients without a mount point
	missed                       atomic.Uint64 // signals to subscribers who did not keep up, each counts
	unaddressed                  atomic.Uint64 // responses without caller ids
	forged                       atomic.Uint64 // responses that nobody asked for, signals of another device
	late                         atomic.Uint64 // responses to somebody who is gone
	malformed                    atomic.Uint64 // neither request, response nor signal

	requestsRefused, loginsRefused atomic.Uint64

	ended [link.Causes]atomic.Uint64 // connections, by the cause of their end
}

// Stats is a snapshot of what the broker has done since it began.
type Stats struct {
	Clients, Mounts, Tunnels       int
	Unauthenticated                int    // of the clients
	Queued                         int64  // bytes that wait for peers
	Requests, Responses, Signals   uint64 // that were passed on; signals: whether somebody wanted them or not
	Unmounted, Missed              uint64 // signals without a mount point; signals that a subscriber did not get
	Unaddressed, Forged, Late, Bad uint64 // messages that were dropped

	RequestsRefused uint64 // since their device, or the broker, had no room for more
	LoginsRefused   uint64
	// Ended counts connections by the cause of their end; those that were closed at
	// once, since there were too many, too.
	Ended [link.Causes]uint64
}

// Stats gives the numbers of now.
func (b *Broker) Stats() Stats {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := Stats{
		Clients:         len(b.sessions),
		Mounts:          b.mounts.Len(),
		Tunnels:         len(b.tunnels) / 2,
		Unauthenticated: b.gate.count(),
		Queued:          b.queued.Bytes(),
		Requests:        b.stats.requests.Load(),
		Responses:       b.stats.responses.Load(),
		Signals:         b.stats.signals.Load(),
		Unmounted:       b.stats.unmounted.Load(),
		Missed:          b.stats.missed.Load(),
		Unaddressed:     b.stats.unaddressed.Load(),
		Forged:          b.stats.forged.Load(),
		Late:            b.stats.late.Load(),
		Bad:             b.stats.malformed.Load(),
		RequestsRefused: b.stats.requestsRefused.Load(),
		LoginsRefused:   b.stats.loginsRefused.Load(),
	}
	for cause := range s.Ended {
		s.Ended[cause] = b.stats.ended[cause].Load()
	}
	return s
}
