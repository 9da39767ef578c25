package core

import (
	"cmp"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"shvtools/internal/broker/internal/door"
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/sys/health"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// counters count what was passed on and what was dropped.
type counters struct {
	requests, responses, signals atomic.Uint64
	unmounted                    atomic.Uint64 // signals of clients without a mount point
	missed                       atomic.Uint64 // signals to subscribers that did not keep up, each counts
	unaddressed                  atomic.Uint64 // responses without caller ids
	forged                       atomic.Uint64 // responses that nobody asked for, signals of another device
	misplaced                    atomic.Uint64 // responses to calls that went to another device
	late                         atomic.Uint64 // responses to sessions that are gone
	malformed                    atomic.Uint64 // neither request, response nor signal

	requestsRefused, requestsDenied atomic.Uint64
	responsesLost                   atomic.Uint64

	takeoversAlive, takeoversRefused atomic.Uint64

	logins    [door.Results]atomic.Uint64
	loginTime health.LatencyCounter

	ended [link.Causes]atomic.Uint64 // connections, by the cause of their end
}

// endedTotals are the totals of ended sessions and tunnels, guarded by broker.mu.
type endedTotals struct {
	traffic            link.Traffic
	toClient, toHelper int64 // bytes in tunnels
}

// Stats is a snapshot of what the broker has done since it was started.
type Stats struct {
	Clients, Mounts, Tunnels       int
	Unauthenticated                int    // of the clients
	Subscriptions                  int    // of clients and parent brokers
	Awaiting                       int    // calls that wait for a helper, and so for a tunnel
	Queued, Begun                  int64  // bytes that wait for peers, and of unfinished frames
	Requests, Responses, Signals   uint64 // that were passed on; signals without a subscriber too
	Unmounted, Missed, Skipped     uint64 // signals without a mount point, that a subscriber did not get, see topics
	Unaddressed, Forged, Late, Bad uint64 // messages that were dropped
	Misplaced                      uint64 // answers to calls of another device, which were dropped

	ResponsesLost   uint64 // the link of a broker had no space; the callers receive an error
	RequestsRefused uint64 // the queue of the device, or the broker, was full
	RequestsDenied  uint64 // the user has no access there

	// Takeovers of mount points whose device still answered; those that were refused.
	TakeoversAlive, TakeoversRefused uint64

	Traffic              link.Traffic // of all connections
	TunnelsOpened        uint64
	TunnelBytesToClients uint64
	TunnelBytesToHelpers uint64
	Logins               [door.Results]uint64
	LoginTime            health.Latency // how long checking logins took, without what they are held back for
	Listeners            []ListenerStats

	// Ended counts connections by the cause of their end, including those that were
	// refused because there were too many.
	Ended [link.Causes]uint64
}

// ListenerStats are the numbers of one listener.
type ListenerStats struct {
	URL      string
	Open     int    // connections
	Accepted uint64 // connections, including those that were then refused
}

// loginDone counts a login, and how long checking it took.
func (c *counters) loginDone(r door.Result, took time.Duration) {
	c.logins[r].Add(1)
	c.loginTime.Add(took)
}

// listenerCounts are the connections of a listener.
type listenerCounts struct {
	url      string
	open     atomic.Int64
	accepted atomic.Uint64
}

func newListenerCounts(l net.Listener) *listenerCounts {
	if named, ok := l.(interface{ URL() transport.URL }); ok {
		return &listenerCounts{url: named.URL().String()}
	}
	return &listenerCounts{url: l.Addr().Network() + "://" + l.Addr().String()}
}

// Stats returns the current numbers. No counter ever goes back.
func (b *Broker) Stats() Stats {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s := Stats{
		Clients:         len(b.sessions),
		Mounts:          b.mounts.Len(),
		Tunnels:         len(b.tunnels) / 2,
		Unauthenticated: b.connections.Pending(),
		Subscriptions:   b.topics.Len(),
		Awaiting:        len(b.calls),
		Queued:          b.shares.Used(shares.Queued),
		Begun:           b.shares.Used(shares.Begun),
		Requests:        b.stats.requests.Load(),
		Responses:       b.stats.responses.Load(),
		Signals:         b.stats.signals.Load(),
		Unmounted:       b.stats.unmounted.Load(),
		Missed:          b.stats.missed.Load(),
		Skipped:         b.topics.Skipped(),
		Unaddressed:     b.stats.unaddressed.Load(),
		Forged:          b.stats.forged.Load(),
		Misplaced:       b.stats.misplaced.Load(),
		Late:            b.stats.late.Load(),
		Bad:             b.stats.malformed.Load(),
		ResponsesLost:   b.stats.responsesLost.Load(),
		RequestsRefused: b.stats.requestsRefused.Load(),
		RequestsDenied:  b.stats.requestsDenied.Load(),
		Traffic:         b.endedTotals.traffic,
		TunnelsOpened:   uint64(b.lastTunnel),
		LoginTime:       b.stats.loginTime.Latency(),

		TakeoversAlive: b.stats.takeoversAlive.Load(), TakeoversRefused: b.stats.takeoversRefused.Load(),
	}
	for _, one := range b.sessions {
		s.Traffic = s.Traffic.Plus(one.traffic())
	}
	toClient, toHelper := b.endedTotals.toClient, b.endedTotals.toHelper
	for _, t := range b.numbered {
		toClient += t.toClient.Load()
		toHelper += t.toHelper.Load()
	}
	s.TunnelBytesToClients, s.TunnelBytesToHelpers = uint64(toClient), uint64(toHelper)
	for _, e := range b.counted {
		s.Listeners = append(s.Listeners, ListenerStats{e.url, int(e.open.Load()), e.accepted.Load()})
	}
	slices.SortFunc(s.Listeners, func(x, y ListenerStats) int { return cmp.Compare(x.URL, y.URL) })
	for result := range s.Logins {
		s.Logins[result] = b.stats.logins[result].Load()
	}
	for cause := range s.Ended {
		s.Ended[cause] = b.stats.ended[cause].Load()
	}
	return s
}

// traffic is what has passed the link since the session began.
func (s *session) traffic() link.Traffic { return s.link.Traffic().Minus(s.before) }
