package core

import (
	"cmp"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
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

	requestsRefused, requestsDenied atomic.Uint64
	responsesLost                   atomic.Uint64

	logins    [LoginResults]atomic.Uint64
	loginTime struct {
		counts [len(latencyBounds) + 1]atomic.Uint64
		sum    atomic.Int64 // nanoseconds
	}

	ended [link.Causes]atomic.Uint64 // connections, by the cause of their end
}

// endedTotals are what those did who are gone. It is guarded by broker.mu.
type endedTotals struct {
	traffic            link.Traffic
	toClient, toHelper int64 // bytes in tunnels
}

// Stats is a snapshot of what the broker has done since it began.
type Stats struct {
	Clients, Mounts, Tunnels       int
	Unauthenticated                int    // of the clients
	Subscriptions                  int    // of clients and brokers above
	Awaiting                       int    // calls that wait for their helper, and so for a tunnel
	Queued                         int64  // bytes that wait for peers
	Requests, Responses, Signals   uint64 // that were passed on; signals: whether somebody wanted them or not
	Unmounted, Missed              uint64 // signals without a mount point; signals that a subscriber did not get
	Unaddressed, Forged, Late, Bad uint64 // messages that were dropped

	ResponsesLost   uint64 // since the link of a broker had no room for more; their callers are told
	RequestsRefused uint64 // since their device, or the broker, had no room for more
	RequestsDenied  uint64 // since their user has no level there

	Traffic              link.Traffic // of all connections
	TunnelsOpened        uint64
	TunnelBytesToClients uint64
	TunnelBytesToHelpers uint64
	Logins               [LoginResults]uint64
	LoginTime            Latency // how long it took to judge logins, without what they are held back for
	Listeners            []ListenerStats

	// Ended counts connections by the cause of their end; those that were closed at
	// once, since there were too many, too.
	Ended [link.Causes]uint64
}

// ListenerStats are of one listener.
type ListenerStats struct {
	URL      string
	Open     int    // connections
	Accepted uint64 // those that were closed at once, since there were too many, too
}

// LoginResult is what became of a login.
type LoginResult int

// The results of a login.
const (
	LoginAccepted   LoginResult = iota
	LoginOfHelper               // accepted, with the secret of a tunnel
	LoginInvalid                // an unknown user, a wrong password, or not from there
	LoginRefused                // for all other reasons, such as a mount point that is taken
	LoginOverloaded             // nobody is let in, since too much waits for slow peers
	LoginStopping               // nor when the broker stops
	LoginResults    = int(iota)
)

// String names the result.
func (r LoginResult) String() string {
	return [...]string{"accepted", "accepted helper", "invalid", "refused", "overloaded", "stopping"}[r]
}

// latencyBounds are the longest times of each class of a Latency, but for the last.
var latencyBounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latency is how often something took how long.
type Latency struct {
	Bounds []time.Duration // the longest time of each class; the last one has none
	Counts []uint64        // of the classes
	Sum    time.Duration
}

// loginDone counts a login, and what it took to judge it.
func (c *counters) loginDone(r LoginResult, took time.Duration) {
	c.logins[r].Add(1)
	class, _ := slices.BinarySearch(latencyBounds[:], took)
	c.loginTime.counts[class].Add(1)
	c.loginTime.sum.Add(int64(took))
}

// entrance counts the connections of a listener.
type entrance struct {
	url      string
	open     atomic.Int64
	accepted atomic.Uint64
}

func newEntrance(l net.Listener) *entrance {
	if named, ok := l.(interface{ URL() transport.URL }); ok {
		return &entrance{url: named.URL().String()}
	}
	return &entrance{url: l.Addr().Network() + "://" + l.Addr().String()}
}

// Stats gives the numbers of now. No counter ever goes back.
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
		ResponsesLost:   b.stats.responsesLost.Load(),
		RequestsRefused: b.stats.requestsRefused.Load(),
		RequestsDenied:  b.stats.requestsDenied.Load(),
		Traffic:         b.endedTotals.traffic,
		TunnelsOpened:   uint64(b.lastTunnel),
		LoginTime:       Latency{Bounds: latencyBounds[:], Sum: time.Duration(b.stats.loginTime.sum.Load())},
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
	for _, e := range b.entrances {
		s.Listeners = append(s.Listeners, ListenerStats{e.url, int(e.open.Load()), e.accepted.Load()})
	}
	slices.SortFunc(s.Listeners, func(x, y ListenerStats) int { return cmp.Compare(x.URL, y.URL) })
	for result := range s.Logins {
		s.Logins[result] = b.stats.logins[result].Load()
	}
	for i := range b.stats.loginTime.counts {
		s.LoginTime.Counts = append(s.LoginTime.Counts, b.stats.loginTime.counts[i].Load())
	}
	for cause := range s.Ended {
		s.Ended[cause] = b.stats.ended[cause].Load()
	}
	return s
}

// traffic is what has passed the link of a session since that began.
func (s *session) traffic() link.Traffic { return s.link.Traffic().Minus(s.before) }
