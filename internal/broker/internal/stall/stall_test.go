package stall_test

import (
	"testing"
	"time"

	"shvtools/internal/broker/internal/stall"
	"shvtools/internal/wire/link"
)

var bounds = stall.Bounds{Write: 30 * time.Second, Frame: 10 * time.Second}

// watched is a link that is looked at every second.
type watched struct {
	t     *testing.T
	watch stall.Watch
	now   time.Time
}

// looks wants the cause at the nth look, from now on, and link.Open before it.
func (w *watched) looks(n int, tunnels bool, want link.Cause, pulse func(i uint64) link.Pulse) {
	w.t.Helper()
	for i := range n {
		cause := w.watch.Look(pulse(uint64(i)), tunnels, w.now, bounds)
		w.now = w.now.Add(time.Second)
		if i < n-1 && cause != link.Open {
			w.t.Fatalf("look %d of %d: %v", i, n, cause)
		}
		if i == n-1 && cause != want {
			w.t.Fatalf("look %d: %v, want %v", i, cause, want)
		}
	}
}

func idle(uint64) link.Pulse        { return link.Pulse{Received: 7, Sent: 8} }
func full(uint64) link.Pulse        { return link.Pulse{Queued: 5, Sent: 8, Unacked: 5} }
func within(uint64) link.Pulse      { return link.Pulse{Within: true, Received: 7} }
func writing(i uint64) link.Pulse   { return link.Pulse{Queued: 5, Sent: i, Unacked: 5} }
func acking(i uint64) link.Pulse    { return link.Pulse{Queued: 5, Sent: 8, Unacked: int(i)} }
func receiving(i uint64) link.Pulse { return link.Pulse{Within: true, Received: i} }

func TestLinksThatStandStill(t *testing.T) {
	for name, tt := range map[string]struct {
		pulse func(uint64) link.Pulse
		looks int
		want  link.Cause
	}{
		"nothing to do":                 {idle, 1000, link.Open},
		"takes nothing, not long":       {full, 30, link.Open},
		"takes nothing":                 {full, 31, link.WriteStalled},
		"takes a little":                {writing, 1000, link.Open},
		"acknowledges a little":         {acking, 1000, link.Open},
		"stops within a frame, briefly": {within, 10, link.Open},
		"stops within a frame":          {within, 11, link.FrameStalled},
		"a frame that goes on":          {receiving, 1000, link.Open},
	} {
		t.Run(name, func(t *testing.T) {
			w := &watched{t: t, now: time.Now()}
			w.looks(tt.looks, false, tt.want, tt.pulse)
		})
	}
}

// What a link did before does not count against it.
func TestTimesBeginAnew(t *testing.T) {
	w := &watched{t: t, now: time.Now()}
	for range 3 {
		w.looks(30, false, link.Open, full)
		w.looks(1, false, link.Open, idle)
	}
	w.looks(29, false, link.Open, full)
	w.looks(10, false, link.Open, within) // the queue is empty meanwhile
	w.looks(30, false, link.Open, full)
	w.looks(1, false, link.WriteStalled, full)
}

// A user may suspend a shell for as long as they like.
func TestTunnelsMayStandStill(t *testing.T) {
	w := &watched{t: t, now: time.Now()}
	w.looks(100_000, true, link.Open, full)
	w.looks(100_000, true, link.Open, within)
}

// The last words of a tunnel are kept, however long the user is away; once the peer takes
// something, the link is like any other.
func TestEndedTunnelMayStandStillUntilItMoves(t *testing.T) {
	w := &watched{t: t, now: time.Now()}
	w.looks(5, false, link.Open, full)
	w.looks(100, true, link.Open, full)
	w.looks(1000, false, link.Open, full)
	w.looks(1, false, link.Open, idle)
	w.looks(31, false, link.WriteStalled, full)

	w = &watched{t: t, now: time.Now()}
	w.looks(100, true, link.Open, within)
	w.looks(1000, false, link.Open, within)
	w.looks(1, false, link.Open, idle)
	w.looks(10, false, link.FrameStalled, within)
}
