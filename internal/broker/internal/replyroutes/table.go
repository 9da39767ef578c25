package replyroutes

import (
	"slices"
	"sync"
	"time"

	"shvtools/internal/broker/internal/sentids"
	"shvtools/internal/shv/rpc"
)

const (
	// Generation is how long an unused route lives at least; it lives twice as long
	// at most.
	Generation = 30 * time.Minute
	// MaxText bounds the paths and methods that one session has remembered on one
	// link, in bytes for each route that it may open.
	MaxText = 64
	// SweepFrom is the table size at which routes of departed sessions are swept.
	SweepFrom = 1 << 10
	// MaxAsked is how many requests a route remembers: an agent asks for a tunnel
	// at once.
	MaxAsked = 16
)

// Table holds the routes of one link. Its methods may be called concurrently; no method
// calls out or sends while it holds its lock, under which it takes those of Openers alone.
// The zero value is empty.
type Table struct {
	mu      sync.Mutex
	fresh   map[string]*route    // used in this generation
	old     map[string]*route    // used in the one before
	counts  map[int64]routeCount // what fresh has, by the session that opened it
	swapped time.Time            // when fresh began
	sweepAt int                  // table size at the next sweep; SweepFrom at least
	places  sentids.Places       // of the link
}

// routeCount is what one session holds on a link.
type routeCount struct{ routes, text int } // text in bytes

// route is guarded by the lock of its table.
type route struct {
	asked    []askedCall    // the latest requests, a ring once there are MaxAsked
	next     int            // place of the next one
	pins     int            // live tunnels that use it: it does not expire
	openerID int64          // the session that opened it, on top of the stack
	opener   *Opener        // that session; nil: not known
	sent     *sentids.Stack // for the ids of opener; nil: no request took the route
	response bool           // one opened it, so that any id is good
}

// Open lets the link answer with the stack callers. asked is the request that goes
// to the link, the zero Call for a response. Open returns false if by, the session
// on top of the stack, has as many routes as it may. Only the read loop of that
// session may call it. A route that is open already costs no allocation.
func (t *Table) Open(callers rpc.CallerIDs, asked Call, by *Opener) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.findLocked(callers)
	if r == nil {
		t.sweepLocked()
		n := t.counts[openerID(callers)].routes
		if n >= by.limit || n > 0 && !by.another() {
			return false
		}
		r = t.addLocked(callers)
	}
	if r.opener != by {
		r.opener, r.sent = by, nil
	}
	if asked.ID <= 0 {
		r.response = true
		return true
	}
	t.rememberLocked(r, asked, by)
	if r.sent == nil {
		r.sent = by.sent.Stack(callers.AppendKey(nil))
	}
	by.sent.Sent(r.sent, asked.ID, &t.places)
	return true
}

// Has reports whether the link may answer with the stack callers. That counts as a
// use of the route. It does not allocate for a route in use.
func (t *Table) Has(callers rpc.CallerIDs) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.findLocked(callers) != nil
}

// MayAnswer reports whether the link may answer with the stack callers, as Has does, and
// whether a response with that id is misplaced all the same: the request went to another
// device, or to none yet. Routes that a response opened are good for any id.
func (t *Table) MayAnswer(callers rpc.CallerIDs, id int64) (ok, misplaced bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.findLocked(callers)
	if r == nil || r.sent == nil {
		return r != nil, false
	}
	return true, !r.opener.sent.MayAnswer(r.sent, id, &t.places) && !r.response
}

// WasAsked reports whether one of the latest requests with this stack had this id,
// and with what right it was made.
func (t *Table) WasAsked(callers rpc.CallerIDs, id int64) (with Right, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.findLocked(callers)
	if r == nil || id <= 0 {
		return Right{}, false
	}
	n := len(r.asked)
	for i := 1; i <= n; i++ { // the latest first
		if a := &r.asked[(r.next+2*n-i)%n]; a.id == id {
			return a.right(), true
		}
	}
	return Right{}, false
}

// Pin keeps a route, however quiet it is, until Unpin was called as often. It opens
// the route if there is none, whatever the bounds.
func (t *Table) Pin(callers rpc.CallerIDs) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.findLocked(callers)
	if r == nil {
		r = t.addLocked(callers)
	}
	r.pins++
}

// Unpin takes back one Pin.
func (t *Table) Unpin(callers rpc.CallerIDs) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.findLocked(callers); r != nil && r.pins > 0 {
		r.pins--
	}
}

// Inherit takes over the routes of a link whose mount point this link takes: an
// agent may answer a call after it reconnected. The locks of both tables are not
// held at once.
func (t *Table) Inherit(from *Table) {
	inherited, places := from.snapshot(), from.handOver()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.places.Take(places)
	for key, r := range inherited {
		if t.fresh[key] == nil {
			r.pins = 0
			t.putLocked(key, &r)
		}
	}
}

func (t *Table) handOver() sentids.Places {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.places.HandOver()
}

// Len returns how many routes the table holds, including those of departed sessions.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.fresh) + len(t.old)
}

// Live returns how many routes lead to somebody: an answer on them can arrive.
func (t *Table) Live() int { return len(t.snapshot()) }

// snapshot copies the live routes.
func (t *Table) snapshot() map[string]route {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renewLocked()
	all := make(map[string]route, len(t.old)+len(t.fresh))
	for _, routes := range []map[string]*route{t.old, t.fresh} {
		for key, r := range routes {
			if r.isDead() {
				continue
			}
			copied := *r
			copied.asked = slices.Clone(r.asked)
			for i := range copied.asked {
				copied.asked[i].text = slices.Clone(copied.asked[i].text)
			}
			all[key] = copied
		}
	}
	return all
}

// rememberLocked keeps a request that takes the route r.
func (t *Table) rememberLocked(r *route, asked Call, by *Opener) {
	if len(r.asked) < MaxAsked {
		r.asked = append(r.asked, askedCall{})
		r.next = len(r.asked) - 1
	}
	has := t.counts[r.openerID]
	if taken := r.asked[r.next].set(asked, MaxText*by.limit-has.text); taken > 0 {
		has.text += taken
		t.counts[r.openerID] = has
	}
	r.next = (r.next + 1) % MaxAsked
}

// sweepLocked drops the routes of departed sessions when the table is large, so
// that a client that reconnects over and over leaves no more than that.
func (t *Table) sweepLocked() {
	if len(t.fresh)+len(t.old) < max(t.sweepAt, SweepFrom) {
		return
	}
	for _, routes := range []map[string]*route{t.old, t.fresh} {
		for key, r := range routes {
			if r.isDead() {
				delete(routes, key)
				delete(t.counts, r.openerID) // all of its routes go
			}
		}
	}
	t.sweepAt = 2 * (len(t.fresh) + len(t.old))
}

// isDead reports whether the route leads to a departed session.
func (r *route) isDead() bool { return r.pins == 0 && r.opener != nil && r.opener.departed.Load() }

// openerID is the session on top of a stack.
func openerID(callers rpc.CallerIDs) int64 {
	_, id, _ := callers.Pop()
	return id
}

// findLocked returns the route of a stack, nil if there is none. That counts as a
// use of the route.
func (t *Table) findLocked(callers rpc.CallerIDs) *route {
	t.renewLocked()
	var buf [64]byte
	key := callers.AppendKey(buf[:0])
	if r := t.fresh[string(key)]; r != nil {
		return r
	}
	r := t.old[string(key)]
	if r != nil {
		t.putLocked(string(key), r)
	}
	return r
}

func (t *Table) addLocked(callers rpc.CallerIDs) *route {
	r := &route{openerID: openerID(callers)}
	t.putLocked(string(callers.AppendKey(nil)), r)
	return r
}

func (t *Table) putLocked(key string, r *route) {
	if t.fresh == nil {
		t.beginLocked(time.Now())
	}
	t.fresh[key] = r
	has := t.counts[r.openerID]
	has.routes++
	for i := range r.asked {
		has.text += cap(r.asked[i].text)
	}
	t.counts[r.openerID] = has
}

func (t *Table) beginLocked(now time.Time) {
	t.fresh, t.counts, t.swapped = make(map[string]*route), make(map[int64]routeCount), now
}

// renewLocked begins a new generation when it is time.
func (t *Table) renewLocked() {
	if t.fresh == nil {
		return
	}
	now := time.Now()
	age := now.Sub(t.swapped)
	if age < Generation {
		return
	}
	last := []map[string]*route{t.old, t.fresh}
	t.old = t.fresh
	if age >= 2*Generation {
		t.old = nil
	}
	t.beginLocked(now)
	for _, routes := range last {
		for key, r := range routes {
			if r.pins > 0 {
				t.putLocked(key, r)
			}
		}
	}
}
