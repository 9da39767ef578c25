package door

import (
	"time"

	"shvtools/internal/wire/link"
)

// looks is how often Hold looks whether the peer has gone, which nothing else sees: the
// link is not read meanwhile.
const looks = 200 * time.Millisecond

// Outcome is how a Hold ended.
type Outcome int

// The outcomes of Hold.
const (
	Over Outcome = iota // its time is over
	Gone                // the link has ended
	Lost                // another connection has the slot
)

// Hold waits as long as a login, or the answer to one, is held back. checked says that it is
// the answer. It ends before if the peer goes, whose link is then closed so that its slot is
// free, or if another connection takes the slot.
func (c *Connections) Hold(slot *PendingSlot, l *link.Link, user string, checked bool, d time.Duration) Outcome {
	if d <= 0 {
		return Over
	}
	lost := c.hold(slot, user, checked)
	defer c.unhold(slot)
	look := time.NewTicker(looks)
	defer look.Stop()
	for over := time.After(d); ; {
		select {
		case <-over:
			return Over
		case <-lost:
			return Lost
		case <-l.Done():
			return Gone
		case <-look.C:
			if l.HungUp() {
				l.Close(link.PeerClosed)
				return Gone
			}
		}
	}
}

// Wait waits for a time; it returns false if the link has ended before.
func Wait(l *link.Link, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	over := time.NewTimer(d)
	defer over.Stop()
	select {
	case <-over.C:
		return true
	case <-l.Done():
		return false
	}
}
