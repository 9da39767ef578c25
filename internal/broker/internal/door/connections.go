package door

import (
	"sync"

	"shvtools/internal/wire/link"
)

// Bounds of Connections. There are no defaults: 0 admits nobody.
type Bounds struct {
	Connections      int // in all
	Pending          int // of those, without a login
	PendingPerSource int // of those, from one source
}

// Connections counts connections, and those that have not logged in by their
// source. All methods may be called concurrently. No link is closed under its lock.
type Connections struct {
	bounds Bounds

	mu      sync.Mutex
	all     int
	pending int                                  // without a login
	sources map[string]map[*PendingSlot]struct{} // of pending
}

// PendingSlot is the place of a connection that has not logged in.
type PendingSlot struct {
	source string
	// Guarded by Connections.mu.
	lost bool       // it was given back, or to another connection
	link *link.Link // nil: not known yet
}

// NewConnections returns the counts of a broker without connections.
func NewConnections(b Bounds) *Connections {
	return &Connections{bounds: b, sources: make(map[string]map[*PendingSlot]struct{})}
}

// Enter admits a new connection. Any cause other than link.Open refuses it, and the
// slot is nil. An admitted connection ends with Leave.
//
// If too many connections are pending, one of the source that has most loses its
// slot and its link is closed, so that a few sources cannot keep all others out.
func (c *Connections) Enter(source string) (*PendingSlot, link.Cause) {
	c.mu.Lock()
	if c.all >= c.bounds.Connections {
		c.mu.Unlock()
		return nil, link.TooManyConnections
	}
	slot, victim, cause := c.takeLocked(source, nil)
	if cause == link.Open {
		c.all++
	}
	c.mu.Unlock()
	if victim != nil {
		victim.Close(link.TooManyLogins)
	}
	return slot, cause
}

// Assign says which link has a slot. It returns false if the slot was lost to
// another connection: the caller then closes the link.
func (c *Connections) Assign(slot *PendingSlot, l *link.Link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot.link = l
	return !slot.lost
}

// LoggedIn gives a slot back. It may be called again.
func (c *Connections) LoggedIn(slot *PendingSlot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.removeLocked(slot)
}

// LoggedOut makes an admitted connection pending again, as a reset does. It refuses
// and displaces as Enter does, but for the bound on all connections.
func (c *Connections) LoggedOut(source string, l *link.Link) (*PendingSlot, link.Cause) {
	c.mu.Lock()
	slot, victim, cause := c.takeLocked(source, l)
	c.mu.Unlock()
	if victim != nil {
		victim.Close(link.TooManyLogins)
	}
	return slot, cause
}

// Leave ends an admitted connection. One that is pending gives its slot back with
// LoggedIn first.
func (c *Connections) Leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all--
}

// Pending returns how many connections have not logged in.
func (c *Connections) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending
}

// Mutex is what guards all of it, for a health check: whoever takes it must give it
// back at once.
func (c *Connections) Mutex() *sync.Mutex { return &c.mu }

// takeLocked takes a slot. victim is the link of the connection that lost its own to
// it, nil for none; the caller closes it.
func (c *Connections) takeLocked(source string, l *link.Link) (slot *PendingSlot, victim *link.Link, cause link.Cause) {
	own := len(c.sources[source])
	if own >= c.bounds.PendingPerSource {
		return nil, nil, link.TooManyFromSource
	}
	if c.pending >= c.bounds.Pending {
		displaced := c.displaceableLocked(own)
		if displaced == nil {
			return nil, nil, link.TooManyLogins
		}
		c.removeLocked(displaced)
		victim = displaced.link
	}
	c.pending++
	if own == 0 {
		c.sources[source] = make(map[*PendingSlot]struct{})
	}
	slot = &PendingSlot{source: source, link: l}
	c.sources[source][slot] = struct{}{}
	return slot, victim, link.Open
}

// displaceableLocked returns a slot of the source that has most, nil if none has
// more than own.
func (c *Connections) displaceableLocked(own int) *PendingSlot {
	var largest map[*PendingSlot]struct{}
	for _, slots := range c.sources {
		if len(slots) > max(own, len(largest)) {
			largest = slots
		}
	}
	for slot := range largest {
		return slot
	}
	return nil
}

// removeLocked gives a slot back, once.
func (c *Connections) removeLocked(slot *PendingSlot) {
	if slot.lost {
		return
	}
	slot.lost = true
	c.pending--
	slots := c.sources[slot.source]
	if delete(slots, slot); len(slots) == 0 {
		delete(c.sources, slot.source)
	}
}
