package core

import (
	"time"

	"shvtools/internal/wire/link"
)

// looks is how often in the shortest of its limits a watch looks at each link.
const looks = 4

// watched is what the watch knows of a session; it is the watch's alone.
type watched struct {
	last     link.Pulse
	wrote    time.Time // when something of what waits for the peer last went out
	read     time.Time // when the frame that it has begun last went on
	had      bool      // tunnels, when it was last looked at
	relevant bool      // wrote and read are set
	// It had a tunnel while nothing went out, or came in.
	awayWriting, awayReading bool
}

// watch ends links that stand still, or whose client certificates expire, until the
// broker closes. One goroutine looks at all of them: a timer for each frame would cost
// more than the frame.
func (b *Broker) watch() {
	ticker := time.NewTicker(b.lookEvery())
	defer ticker.Stop()
	for {
		began := time.Now()
		b.looked.Store(&began)
		select {
		case now := <-ticker.C:
			for s, cause := range b.stalled(now) {
				s.link.Close(cause)
			}
		case <-b.done:
			return
		}
	}
}

// lookEvery is the time between two looks of the watch.
func (b *Broker) lookEvery() time.Duration {
	return max(min(b.limits.WriteStall, b.limits.FrameStall)/looks, time.Millisecond)
}

// stalled finds the sessions that stand still, or whose time is over.
func (b *Broker) stalled(now time.Time) map[*session]link.Cause {
	var found map[*session]link.Cause
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		cause := s.watched.look(s.link.Pulse(), len(s.tunnels) > 0 && !s.isBroker() || s.ticket != nil, now, b.limits)
		if s.secure != nil && s.secure.Expired(now) {
			cause = link.CertificateExpired
		}
		if cause == link.Open {
			continue
		}
		if found == nil {
			found = make(map[*session]link.Cause)
		}
		found[s] = cause
	}
	return found
}

// look compares where a link stands with where it stood. tunnels tells whether it
// carries any: then it may stand still, for its user may have suspended it, in the
// middle of a frame too. What waits for it does not grow: the other end of a tunnel
// keeps to a window, or is not read while there is no room. That holds on when the
// tunnel ends meanwhile: its last words shall be there when the user comes back.
func (w *watched) look(p link.Pulse, tunnels bool, now time.Time, l Limits) link.Cause {
	before := w.last
	w.last = p
	if !w.relevant || p.Queued == 0 || p.Sent != before.Sent || p.Unacked != before.Unacked {
		w.wrote, w.awayWriting = now, w.had
	}
	if !w.relevant || !p.Within || p.Received != before.Received {
		w.read, w.awayReading = now, w.had
	}
	w.had, w.relevant = tunnels, true
	w.awayWriting = w.awayWriting || tunnels
	w.awayReading = w.awayReading || tunnels
	switch {
	case now.Sub(w.read) >= l.FrameStall && !w.awayReading:
		return link.FrameStalled
	case now.Sub(w.wrote) >= l.WriteStall && !w.awayWriting:
		return link.WriteStalled
	}
	return link.Open
}
