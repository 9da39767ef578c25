// Package stall finds links that stand still (spec.md 6): whose peer takes nothing of what
// waits for it, or has stopped within a frame.
//
// It does not look by itself and closes nothing. One goroutine of the broker looks at all
// links from time to time, since a timer for each frame would cost more than the frame.
package stall

import (
	"time"

	"shvtools/internal/wire/link"
)

// Bounds are how long a link may stand still.
type Bounds struct {
	Write time.Duration // while something waits for the peer
	Frame time.Duration // within a frame that the peer sends
}

// Watch is what is known of one link. It may not be used concurrently. The zero value knows
// nothing; the first look begins both times.
type Watch struct {
	last    link.Pulse
	wrote   time.Time // when something of what waits for the peer last went out
	read    time.Time // when the frame that it has begun last went on
	tunnels bool      // it had tunnels when it was last looked at
	begun   bool      // wrote and read are set
	// It had a tunnel while nothing went out, or came in.
	awayWriting, awayReading bool
}

// Look compares where a link is with where it was, and returns the cause with which it is to
// be closed, or link.Open.
//
// A link that carries tunnels may stand still, in the middle of a frame too, since its user
// may have suspended it. What waits for it does not grow: the other end of a tunnel keeps to
// a window, or is not read while the queue is full. That goes on when the tunnel ends
// meanwhile, so that its last words are there when the user comes back.
func (w *Watch) Look(p link.Pulse, tunnels bool, now time.Time, b Bounds) link.Cause {
	before := w.last
	w.last = p
	if !w.begun || p.Queued == 0 || p.Sent != before.Sent || p.Unacked != before.Unacked {
		w.wrote, w.awayWriting = now, w.tunnels
	}
	if !w.begun || !p.Within || p.Received != before.Received {
		w.read, w.awayReading = now, w.tunnels
	}
	w.tunnels, w.begun = tunnels, true
	w.awayWriting = w.awayWriting || tunnels
	w.awayReading = w.awayReading || tunnels
	switch {
	case now.Sub(w.read) >= b.Frame && !w.awayReading:
		return link.FrameStalled
	case now.Sub(w.wrote) >= b.Write && !w.awayWriting:
		return link.WriteStalled
	}
	return link.Open
}
