// Package limits declares what keeps one client of a broker from hurting another: of
// each limit its field, key, default, bounds and text, once. The broker's core enforces
// them, its configuration reads them, and --print-config and the documentation show
// them. The package enforces nothing itself.
package limits

import (
	"math"
	"runtime"
	"time"

	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/link"
)

// Limits of a broker. A zero field stands for its default. What happens at each is
// counted in core.Stats.
type Limits struct {
	// MaxFrame is the size of a message after login, LoginFrame before it. A longer
	// one ends its link unread.
	MaxFrame, LoginFrame int

	// Connections bounds the connections that are logged in, in shares. Unauthenticated
	// bounds those without a login, and UnauthenticatedPerSource those of one IPv4
	// address, IPv6 /64 or local user. One more of these is closed at once.
	Connections, Unauthenticated, UnauthenticatedPerSource int
	// Handshakes bounds the TLS handshakes that compute at once. Those that wait are
	// connections without a login, and bounded as such.
	Handshakes int

	// LoginDeadline is how long a connection may take to log in, TLS handshake
	// included. It does not run while the broker holds an answer back.
	LoginDeadline time.Duration
	// LoginPenalty is that of a first failed login. It doubles with each further failure
	// of the same user from the same source, up to 60 times as much, of which the answer
	// is held back for 4 times at most (package door). No configuration sets it.
	LoginPenalty time.Duration

	// QueueBytes bounds what waits for one peer; what more means depends on the kind
	// of message (docs/design.md). QueueTotal bounds what waits for all peers, and
	// FramesTotal the memory of messages that have begun and are not complete. Each is
	// divided into shares (package shares).
	QueueBytes, QueueTotal, FramesTotal int
	// DevicesPerUser is how many devices of one user have a share of their own.
	DevicesPerUser int
	// Work bounds the steps of comparing signals with patterns of subscriptions in a
	// second, and WorkPerUser those for one user. Beyond it signals are dropped. No
	// configuration sets them.
	Work, WorkPerUser int
	// WriteStall is how long a peer may take nothing of what waits for it; one that has
	// a tunnel may for ever, since its user may be away. FrameStall is how long a
	// peer may stop within a frame.
	WriteStall, FrameStall time.Duration
}

// Defaults of Limits that tests count in.
const (
	DefaultLoginDeadline = 10 * time.Second
	DefaultLoginPenalty  = time.Second
	DefaultWriteStall    = 30 * time.Second
	DefaultFrameStall    = 10 * time.Second
)

// declaration is one limit. Sizes and counts have a size, times a time.
type declaration struct {
	key, about string // key "": no configuration sets it
	size       func(*Limits) *int
	time       func(*Limits) *time.Duration
	unit       conf.Type[int64] // of a size
	standard   int64            // the default; a time in nanoseconds
	lowest     int64
	highest    int64
}

// declarations are all limits, in the order of --print-config and the documentation.
var declarations = []declaration{
	{key: "frame", about: "the size of a message after login", size: func(l *Limits) *int { return &l.MaxFrame },
		unit: conf.Size, standard: link.DefaultMaxFrame, lowest: 64 << 10, highest: 256 << 20},
	{key: "login-frame", about: "the size of a message before login", size: func(l *Limits) *int { return &l.LoginFrame },
		unit: conf.Size, standard: link.LoginMaxFrame, lowest: 4 << 10, highest: 1 << 20},
	{key: "connections", about: "connections that are logged in", size: func(l *Limits) *int { return &l.Connections },
		unit: conf.Count, standard: 20_000, lowest: 1, highest: 1e6},
	{key: "unauthenticated", about: "connections that are not logged in",
		size: func(l *Limits) *int { return &l.Unauthenticated },
		unit: conf.Count, standard: 1000, lowest: 1, highest: 1e6},
	{key: "unauthenticated-per-source", about: "the same of one IPv4 address, IPv6 /64 or local user",
		size: func(l *Limits) *int { return &l.UnauthenticatedPerSource },
		unit: conf.Count, standard: 200, lowest: 1, highest: 1e6},
	{key: "handshakes", about: "TLS handshakes that compute at once; default: two per core",
		size: func(l *Limits) *int { return &l.Handshakes },
		unit: conf.Count, standard: 2 * int64(runtime.GOMAXPROCS(0)), lowest: 1, highest: 1e4},
	{key: "queue", about: "bytes that wait for one client", size: func(l *Limits) *int { return &l.QueueBytes },
		unit: conf.Size, standard: link.DefaultQueueBytes, lowest: 64 << 10, highest: 1 << 30},
	{key: "queue-total", about: "bytes that wait for all clients", size: func(l *Limits) *int { return &l.QueueTotal },
		unit: conf.Size, standard: 256 << 20, lowest: 1 << 20, highest: 1 << 40},
	{key: "frames-total", about: "memory of messages of all clients that have not arrived as a whole",
		size: func(l *Limits) *int { return &l.FramesTotal },
		unit: conf.Size, standard: 256 << 20, lowest: 1 << 20, highest: 1 << 40},
	{key: "devices-per-user", about: "devices of one user that have a share of their own",
		size: func(l *Limits) *int { return &l.DevicesPerUser },
		unit: conf.Count, standard: 20_000, lowest: 1, highest: 1e6},
	{key: "write-stall", about: "how long a client without a tunnel may leave unread what waits for it",
		time:     func(l *Limits) *time.Duration { return &l.WriteStall },
		standard: int64(DefaultWriteStall), lowest: int64(time.Second), highest: int64(time.Hour)},
	{key: "frame-stall", about: "how long a client may stop within a frame",
		time:     func(l *Limits) *time.Duration { return &l.FrameStall },
		standard: int64(DefaultFrameStall), lowest: int64(5 * time.Second), highest: int64(time.Hour)},
	{key: "login-deadline", about: "how long a connection may take to log in",
		time:     func(l *Limits) *time.Duration { return &l.LoginDeadline },
		standard: int64(DefaultLoginDeadline), lowest: int64(time.Second), highest: int64(10 * time.Minute)},
	{size: func(l *Limits) *int { return &l.Work }, standard: 50_000_000},
	{size: func(l *Limits) *int { return &l.WorkPerUser }, standard: 10_000_000},
	{time: func(l *Limits) *time.Duration { return &l.LoginPenalty }, standard: int64(DefaultLoginPenalty)},
}

// Default returns the limits of a configuration that says nothing.
func Default() Limits { return Limits{}.OrDefaults() }

// OrDefaults returns l with the defaults of what is zero.
func (l Limits) OrDefaults() Limits {
	for _, d := range declarations {
		switch {
		case d.size != nil && *d.size(&l) == 0:
			*d.size(&l) = int(min(d.standard, math.MaxInt))
		case d.time != nil && *d.time(&l) == 0:
			*d.time(&l) = time.Duration(d.standard)
		}
	}
	return l
}

// Settings returns the settings of a configuration that holds its limits at field, in
// the section limits.
func Settings[C any](field func(*C) *Limits) []conf.Setting[C] {
	var settings []conf.Setting[C]
	for _, d := range declarations {
		key := "limits." + d.key
		switch {
		case d.key == "":
		case d.time != nil:
			t := conf.Between(conf.Duration, time.Duration(d.lowest), time.Duration(d.highest))
			settings = append(settings, conf.Value(key, d.about, t, func(c *C) *time.Duration { return d.time(field(c)) }))
		default:
			t := conf.Between(d.unit, d.lowest, d.highest)
			settings = append(settings, conf.Int(key, d.about, t, func(c *C) *int { return d.size(field(c)) }))
		}
	}
	return settings
}
