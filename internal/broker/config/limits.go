package config

import (
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Limits bound what clients can take. Sizes are in bytes.
type Limits struct {
	Frame                    int // that a client may send after its login
	LoginFrame               int // and before
	Connections              int
	Unauthenticated          int           // connections that are not logged in, in all
	UnauthenticatedPerSource int           // and from one address
	Handshakes               int           // of TLS, at once
	Queue                    int           // bytes that wait for one client
	QueueTotal               int           // and for all
	WriteStall               time.Duration // of a client that takes nothing of what waits for it
	FrameStall               time.Duration // of a client within a frame
	LoginDeadline            time.Duration
}

// DefaultLimits are those of a configuration that says nothing.
func DefaultLimits() Limits {
	return Limits{
		Frame:                    16 << 20,
		LoginFrame:               64 << 10,
		Connections:              20000,
		Unauthenticated:          1000,
		UnauthenticatedPerSource: 200,
		Handshakes:               2 * runtime.GOMAXPROCS(0),
		Queue:                    4 << 20,
		QueueTotal:               256 << 20,
		WriteStall:               30 * time.Second,
		FrameStall:               10 * time.Second,
		LoginDeadline:            10 * time.Second,
	}
}

// limit is a key of limits; lowest and highest are in its own unit.
type limit struct {
	name            string
	size            func(*Limits) *int // in bytes, or a count
	time            func(*Limits) *time.Duration
	bytes           bool
	lowest, highest int64
}

// limits are all keys, in the order of the documentation.
var limits = []limit{
	{name: "frame", size: func(l *Limits) *int { return &l.Frame }, bytes: true, lowest: 64 << 10, highest: 256 << 20},
	{name: "login-frame", size: func(l *Limits) *int { return &l.LoginFrame }, bytes: true, lowest: 4 << 10, highest: 1 << 20},
	{name: "connections", size: func(l *Limits) *int { return &l.Connections }, lowest: 1, highest: 1e6},
	{name: "unauthenticated", size: func(l *Limits) *int { return &l.Unauthenticated }, lowest: 1, highest: 1e6},
	{name: "unauthenticated-per-source", size: func(l *Limits) *int { return &l.UnauthenticatedPerSource }, lowest: 1, highest: 1e6},
	{name: "handshakes", size: func(l *Limits) *int { return &l.Handshakes }, lowest: 1, highest: 1e4},
	{name: "queue", size: func(l *Limits) *int { return &l.Queue }, bytes: true, lowest: 64 << 10, highest: 1 << 30},
	{name: "queue-total", size: func(l *Limits) *int { return &l.QueueTotal }, bytes: true, lowest: 1 << 20, highest: 1 << 40},
	{name: "write-stall", time: func(l *Limits) *time.Duration { return &l.WriteStall }, lowest: int64(time.Second), highest: int64(time.Hour)},
	{name: "frame-stall", time: func(l *Limits) *time.Duration { return &l.FrameStall }, lowest: int64(5 * time.Second), highest: int64(time.Hour)},
	{name: "login-deadline", time: func(l *Limits) *time.Duration { return &l.LoginDeadline }, lowest: int64(time.Second), highest: int64(10 * time.Minute)},
}

// limits reads the map of them into l.
func (r *reader) limits(n *node, l *Limits, c *Config) {
	known := make(map[string]func(key))
	for _, each := range limits {
		known[each.name] = func(k key) {
			if err := each.set(l, k.value); err != nil {
				r.fail(k.value.at, "limits: %s: %w", k.name, err)
				return
			}
			c.note("limits."+k.name, each.show(l), k.at)
		}
	}
	r.fields(n, "limits", known)
	if l.Queue > l.QueueTotal {
		r.fail(n.at, "limits: queue is above queue-total: %s and %s", sizeText(int64(l.Queue)), sizeText(int64(l.QueueTotal)))
	}
}

func (each limit) set(l *Limits, n *node) error {
	var value int64
	var err error
	switch {
	case n.kind != scalar:
		return fmt.Errorf("%s was expected, such as %s", kindNames[scalar], each.show(l))
	case each.time != nil:
		var d time.Duration
		d, err = time.ParseDuration(n.text)
		value = int64(d)
	case each.bytes:
		value, err = parseSize(n.text)
	default:
		value, err = strconv.ParseInt(n.text, 10, 64)
	}
	if err != nil {
		return fmt.Errorf("%q is not of the form %s", n.text, each.show(l))
	}
	if value < each.lowest || value > each.highest {
		return fmt.Errorf("%s is not from %s to %s", n.text, each.text(each.lowest), each.text(each.highest))
	}
	if each.time != nil {
		*each.time(l) = time.Duration(value)
	} else {
		*each.size(l) = int(value)
	}
	return nil
}

func (each limit) show(l *Limits) string {
	if each.time != nil {
		return each.text(int64(*each.time(l)))
	}
	return each.text(int64(*each.size(l)))
}

func (each limit) text(value int64) string {
	switch {
	case each.time != nil:
		return time.Duration(value).String()
	case each.bytes:
		return sizeText(value)
	}
	return strconv.FormatInt(value, 10)
}

var units = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// parseSize reads a count of bytes, with a unit of 1024 or without one.
func parseSize(text string) (int64, error) {
	factor := int64(1)
	for _, u := range units {
		if number, ok := strings.CutSuffix(text, u.name); ok {
			text, factor = strings.TrimSpace(number), u.size
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && (n < 0 || n > math.MaxInt64/factor) {
		err = strconv.ErrRange
	}
	return n * factor, err
}

func sizeText(n int64) string {
	for _, u := range units {
		if n >= u.size && n%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
