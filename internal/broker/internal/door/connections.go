package door

import (
	"maps"
	"slices"
	"sync"

	"shvtools/internal/wire/link"
)

// Bounds of Connections. There are no defaults: 0 admits nobody.
type Bounds struct {
	Pending          int // connections without a login
	PendingPerSource int // of those, from one source
}

// MaxHeld is how many logins of one user from one source are held back at once before they
// are checked. One more takes the place of another one.
const MaxHeld = 10

// Connections counts the connections that have not logged in, by their source. All methods
// may be called concurrently. No link is closed under its lock.
type Connections struct {
	bounds Bounds

	mu      sync.Mutex
	pending int                                  // without a login
	sources map[string]map[*PendingSlot]struct{} // of pending
}

// PendingSlot is the place of a connection that has not logged in.
type PendingSlot struct {
	source string
	// Guarded by Connections.mu.
	lost bool       // it was given back, or to another connection
	link *link.Link // nil: not known yet
	held *hold      // nil unless a login is held back
}

// hold is a login that is held back.
type hold struct {
	user    string
	checked bool          // it was checked already, and refused
	lost    chan struct{} // closed when the slot is lost to another connection
}

// NewConnections returns the counts of a broker without connections.
func NewConnections(b Bounds) *Connections {
	return &Connections{bounds: b, sources: make(map[string]map[*PendingSlot]struct{})}
}

// Enter admits a new connection. Any cause other than link.Open refuses it, and the
// slot is nil. An admitted connection gives its slot back with LoggedIn.
//
// If too many connections are pending, one of the source that has most loses its
// slot and its link is closed, so that a few sources cannot keep all others out. If too
// many of the same source are, one loses it whose login is held back, so that the wrong
// logins of one do not keep out all others behind the same address.
func (c *Connections) Enter(source string) (*PendingSlot, link.Cause) { return c.enter(source, nil) }

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
// and displaces as Enter does.
func (c *Connections) LoggedOut(source string, l *link.Link) (*PendingSlot, link.Cause) {
	return c.enter(source, l)
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

// enter takes a slot, and closes the link that lost its own to it.
func (c *Connections) enter(source string, l *link.Link) (*PendingSlot, link.Cause) {
	c.mu.Lock()
	slot, victim, cause := c.takeLocked(source, l)
	c.mu.Unlock()
	if victim != nil {
		victim.Close(link.TooManyLogins)
	}
	return slot, cause
}

// takeLocked takes a slot. victim is the link of the connection that lost its own to
// it, nil for none; the caller closes it.
func (c *Connections) takeLocked(source string, l *link.Link) (slot *PendingSlot, victim *link.Link, cause link.Cause) {
	own := len(c.sources[source])
	var displaced *PendingSlot
	switch {
	case own >= c.bounds.PendingPerSource:
		if displaced = heldOf(c.sources[source]); displaced == nil {
			return nil, nil, link.TooManyFromSource
		}
	case c.pending >= c.bounds.Pending:
		if displaced = c.displaceableLocked(own); displaced == nil {
			return nil, nil, link.TooManyLogins
		}
	}
	if displaced != nil {
		victim = c.displaceLocked(displaced)
	}
	c.pending++
	if len(c.sources[source]) == 0 {
		c.sources[source] = make(map[*PendingSlot]struct{})
	}
	slot = &PendingSlot{source: source, link: l}
	c.sources[source][slot] = struct{}{}
	return slot, victim, link.Open
}

// displaceLocked takes a slot from its connection. It returns the link that the caller
// closes, nil if the connection is told: its login is held back.
func (c *Connections) displaceLocked(slot *PendingSlot) *link.Link {
	c.removeLocked(slot)
	if slot.held == nil {
		return slot.link
	}
	close(slot.held.lost)
	return nil
}

// heldOf returns a slot with a login that is held back, of the user that has most of those;
// nil if there is none.
func heldOf(slots map[*PendingSlot]struct{}) *PendingSlot {
	users := make(map[string][]*PendingSlot)
	var most []*PendingSlot
	for slot := range slots {
		if slot.held == nil {
			continue
		}
		of := append(users[slot.held.user], slot)
		users[slot.held.user] = of
		if len(of) > len(most) {
			most = of
		}
	}
	if len(most) == 0 {
		return nil
	}
	return most[0] // a random one, as the order of a map is
}

// displaceableLocked returns a slot of the source that has most, nil if none has
// more than own. One whose login is held back goes first.
func (c *Connections) displaceableLocked(own int) *PendingSlot {
	var largest map[*PendingSlot]struct{}
	for _, slots := range c.sources {
		if len(slots) > max(own, len(largest)) {
			largest = slots
		}
	}
	if held := heldOf(largest); held != nil {
		return held
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

// hold says that a login is held back. If there are MaxHeld of its user and source that
// are not checked yet, a random one of them loses its slot.
func (c *Connections) hold(slot *PendingSlot, user string, checked bool) (lost <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := &hold{user: user, checked: checked, lost: make(chan struct{})}
	if slot.lost {
		close(h.lost)
		return h.lost
	}
	slot.held = h
	if checked {
		return h.lost
	}
	var same []*PendingSlot
	for _, other := range slices.Collect(maps.Keys(c.sources[slot.source])) {
		if o := other.held; other != slot && o != nil && o.user == user && !o.checked {
			same = append(same, other)
		}
	}
	if len(same) >= MaxHeld {
		c.displaceLocked(same[0])
	}
	return h.lost
}

// unhold ends hold.
func (c *Connections) unhold(slot *PendingSlot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot.held = nil
}
