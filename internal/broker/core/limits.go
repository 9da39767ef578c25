package core

import (
	"cmp"
	"runtime"
	"time"

	"shvtools/internal/wire/link"
)

// Limits keep one client from hurting another. A zero field has its default. What
// happens at each is counted in Stats.
type Limits struct {
	// MaxFrame is how many bytes a message may have after login, 16 MiB, and
	// LoginFrame before it, 64 KiB. A longer one ends its link, unread.
	MaxFrame, LoginFrame int

	// Connections is how many there may be in all, 20 000; of those,
	// Unauthenticated may have no login yet, 1000, and UnauthenticatedPerSource of
	// one IPv4 address, IPv6 /64 or local user, 200. One more is closed at once.
	Connections, Unauthenticated, UnauthenticatedPerSource int
	// Handshakes of TLS that compute at once: two for each core. Those that wait
	// are connections without a login, and bounded as such.
	Handshakes int

	// LoginDeadline is how long a connection may take to its login, TLS handshake
	// included, 10 s. It does not run while the broker holds an answer back.
	LoginDeadline time.Duration
	// LoginPenalty is how long the answer to a first failed login is held back, 1 s.
	// It doubles with each further failure of the same user from the same source,
	// up to 60 times as much.
	LoginPenalty time.Duration

	// QueueBytes is how much may wait for one peer, 4 MiB; what more means is
	// each kind of message's own matter (docs/design.md). QueueTotal is how much may
	// wait for all of them, 256 MiB: beyond it no request and no login is taken,
	// and signals are dropped.
	QueueBytes, QueueTotal int
	// WriteStall is how long a peer for which something waits may take nothing of
	// it, 30 s; one that has a tunnel may for ever, for its user may be away.
	// FrameStall is how long a peer may stop within a frame, 10 s.
	WriteStall, FrameStall time.Duration
}

// Defaults of Limits.
const (
	DefaultConnections              = 20_000
	DefaultUnauthenticated          = 1000
	DefaultUnauthenticatedPerSource = 200
	DefaultLoginDeadline            = 10 * time.Second
	DefaultLoginPenalty             = time.Second
	DefaultQueueTotal               = 256 << 20
	DefaultWriteStall               = 30 * time.Second
	DefaultFrameStall               = 10 * time.Second
)

// DefaultLimits are those of a broker that is told none.
func DefaultLimits() Limits { return Limits{}.orDefaults() }

// orDefaults fills in what is zero.
func (l Limits) orDefaults() Limits {
	return Limits{
		MaxFrame:                 cmp.Or(l.MaxFrame, link.DefaultMaxFrame),
		LoginFrame:               cmp.Or(l.LoginFrame, link.LoginMaxFrame),
		Connections:              cmp.Or(l.Connections, DefaultConnections),
		Unauthenticated:          cmp.Or(l.Unauthenticated, DefaultUnauthenticated),
		UnauthenticatedPerSource: cmp.Or(l.UnauthenticatedPerSource, DefaultUnauthenticatedPerSource),
		Handshakes:               cmp.Or(l.Handshakes, 2*runtime.GOMAXPROCS(0)),
		LoginDeadline:            cmp.Or(l.LoginDeadline, DefaultLoginDeadline),
		LoginPenalty:             cmp.Or(l.LoginPenalty, DefaultLoginPenalty),
		QueueBytes:               cmp.Or(l.QueueBytes, link.DefaultQueueBytes),
		QueueTotal:               cmp.Or(l.QueueTotal, DefaultQueueTotal),
		WriteStall:               cmp.Or(l.WriteStall, DefaultWriteStall),
		FrameStall:               cmp.Or(l.FrameStall, DefaultFrameStall),
	}
}

// overloaded tells whether so much waits for slow peers that no more may be
// taken on.
func (b *Broker) overloaded() bool { return b.queued.Bytes() >= int64(b.limits.QueueTotal) }
