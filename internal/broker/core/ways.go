package core

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/rpc"
)

const (
	// wayGeneration is how long a way that is not used lives at least; twice that
	// at the most.
	wayGeneration = 30 * time.Minute
	// maxWays is how many ways onto one link one session may open in a generation.
	// An ordinary client needs one; a client that makes caller ids up must not
	// cost more.
	maxWays = 1024
	// maxWaysOfBroker is that for a broker, on behalf of all behind it.
	maxWaysOfBroker = 20 * maxWays
	// maxFurther is how many ways a client may open in a generation onto all links
	// together, but for the first onto each: that many made-up caller ids must not
	// cost more with each device that it can reach.
	maxFurther = 16 * maxWays
	// maxKeptText bounds the paths and methods that are kept on one link for one
	// session, in bytes, by the ways that it may open.
	maxKeptText = 64
	// manyWays is how many a link has when those of sessions that are gone begin to
	// be looked for.
	manyWays = 1 << 10
	// maxAsked is how many request ids a way remembers: an agent asks for a
	// tunnel at once.
	maxAsked = 16
	// maxKeptCall bounds the path and the method of a request that are kept. A
	// tunnel of a longer one ends with any change of its user's rights.
	maxKeptCall = 512
)

// ways are the stacks of caller ids with which one link may answer (design.md
// section 5). A way opens when a request, or a response that asks for reverse
// caller ids, goes to the link; it does not close by being used. The zero value
// has none.
type ways struct {
	mu      sync.Mutex
	fresh   map[string]*way  // used in this generation
	old     map[string]*way  // used in the one before
	opened  map[int64]opened // what fresh has, by the session that opened it
	swapped time.Time        // when fresh began
	sweepAt int              // how many ways there are when it is swept; at least manyWays
}

// opened is what one session has opened onto a link.
type opened struct{ ways, text int } // text in bytes

// caller is a session that opens ways.
type caller struct {
	gone  atomic.Bool // its ways lead nowhere: no id is used twice
	limit int         // of ways onto one link; never changes

	// Of the read loop of its session.
	further int // ways that were not the first onto their link, since
	since   time.Time
}

// another tells whether the caller may open one more way that is not its first onto
// a link. A broker has as many as its links allow: it stands for all behind it.
func (c *caller) another() bool {
	if now := time.Now(); now.Sub(c.since) > wayGeneration {
		c.further, c.since = 0, now
	}
	c.further++
	return c.further <= maxFurther || c.limit > maxWays
}

// way is guarded by the lock of its ways.
type way struct {
	asked  []kept  // the latest requests, in a ring when there are maxAsked
	next   int     // place of the next one
	pins   int     // live tunnels that use it: it is not forgotten
	by     int64   // the session that opened it, on top of the stack
	caller *caller // that session; nil: not known
}

// call is a request that is passed on: what a tunnel that answers it hangs on.
type call struct {
	id           int64 // 0: none
	path, method []byte
	level        rpc.Access // that the caller had
}

// kept is a call in memory of its own, which is used again.
type kept struct {
	id     int64
	level  rpc.Access
	text   []byte // the path and the method; empty when they were too long
	method int    // where the method begins in text
}

// set keeps c, with no more memory for its text than room; it gives what it took.
func (k *kept) set(c call, room int) (taken int) {
	k.id, k.level, k.method, k.text = c.id, c.level, len(c.path), k.text[:0]
	size := len(c.path) + len(c.method)
	if taken = max(0, size-cap(k.text)); size > maxKeptCall || taken > room {
		return 0
	}
	if taken > 0 {
		k.text = make([]byte, 0, size)
	}
	k.text = append(append(k.text, c.path...), c.method...)
	return taken
}

// right is what a tunnel was made with: while its user has that level, it lives.
type right struct {
	path, method string
	level        rpc.Access
	unknown      bool // the names were too long to be kept
}

func (k *kept) right() right {
	if len(k.text) == 0 {
		return right{unknown: true}
	}
	return right{path: string(k.text[:k.method]), method: string(k.text[k.method:]), level: k.level}
}

// heldBy tells whether a user has the right still.
func (r right) heldBy(u *auth.User) bool {
	return !r.unknown && u != nil && u.Level([]byte(r.path), []byte(r.method)) >= r.level
}

// String names the right for people.
func (r right) String() string {
	if r.unknown {
		return "the right to make it"
	}
	return "the right to call " + r.method + " on " + strconv.Quote(r.path)
}

// asCaller is the peer as it opens ways.
func (s *session) asCaller() *caller {
	limit := maxWays
	if s.isBroker() {
		limit = maxWaysOfBroker
	}
	if s.caller == nil || s.caller.limit != limit {
		s.caller = &caller{limit: limit}
	}
	return s.caller
}

// open lets the link answer with the stack callers; asked is the request that
// goes to it, the zero one for a response. It fails when the session on top of
// the stack, by, has as many ways as it may. It is called by the read loop of that.
// In steady state it does not allocate.
func (w *ways) open(callers rpc.CallerIDs, asked call, by *caller) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.find(callers)
	if at == nil {
		w.sweep()
		n := w.opened[opener(callers)].ways
		if n >= by.limit || n > 0 && !by.another() {
			return false
		}
		at = w.add(callers)
	}
	at.caller = by
	if asked.id > 0 {
		w.ask(at, asked, by)
	}
	return true
}

// ask keeps a request that goes the way at; w.mu is held.
func (w *ways) ask(at *way, asked call, by *caller) {
	if len(at.asked) < maxAsked {
		at.asked = append(at.asked, kept{})
		at.next = len(at.asked) - 1
	}
	has := w.opened[at.by]
	if taken := at.asked[at.next].set(asked, maxKeptText*by.limit-has.text); taken > 0 {
		has.text += taken
		w.opened[at.by] = has
	}
	at.next = (at.next + 1) % maxAsked
}

// sweep forgets the ways of sessions that are gone, when there are many: who comes
// again and again leaves no more than that. w.mu is held.
func (w *ways) sweep() {
	if len(w.fresh)+len(w.old) < max(w.sweepAt, manyWays) {
		return
	}
	for _, generation := range []map[string]*way{w.old, w.fresh} {
		for key, at := range generation {
			if at.isOver() {
				delete(generation, key)
				delete(w.opened, at.by) // all of its ways go
			}
		}
	}
	w.sweepAt = 2 * (len(w.fresh) + len(w.old))
}

// isOver tells whether the way leads nowhere any more.
func (at *way) isOver() bool { return at.pins == 0 && at.caller != nil && at.caller.gone.Load() }

// has tells whether the link may answer with the stack callers. It does not
// allocate for a way in use.
func (w *ways) has(callers rpc.CallerIDs) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.find(callers) != nil
}

// wasAsked tells whether a request with this id and stack went to the link
// lately, and with what right.
func (w *ways) wasAsked(callers rpc.CallerIDs, id int64) (with right, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.find(callers)
	if at == nil || id <= 0 {
		return right{}, false
	}
	n := len(at.asked)
	for i := 1; i <= n; i++ { // the latest first
		if k := &at.asked[(at.next+2*n-i)%n]; k.id == id {
			return k.right(), true
		}
	}
	return right{}, false
}

// pin keeps a way, however quiet it is, until unpin was called as often.
func (w *ways) pin(callers rpc.CallerIDs) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.find(callers)
	if at == nil {
		at = w.add(callers)
	}
	at.pins++
}

func (w *ways) unpin(callers rpc.CallerIDs) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at := w.find(callers); at != nil && at.pins > 0 {
		at.pins--
	}
}

// inherit takes over the ways of a link whose mount point this link takes: an
// agent may answer a call after it reconnected.
func (w *ways) inherit(from *ways) {
	inherited := from.all()
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, at := range inherited {
		if w.fresh[key] == nil {
			at.pins = 0
			w.put(key, &at)
		}
	}
}

// all gives a copy.
func (w *ways) all() map[string]way {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renew()
	all := make(map[string]way, len(w.old)+len(w.fresh))
	for _, generation := range []map[string]*way{w.old, w.fresh} {
		for key, at := range generation {
			if at.isOver() {
				continue
			}
			copied := *at
			copied.asked = slices.Clone(at.asked)
			for i := range copied.asked {
				copied.asked[i].text = slices.Clone(copied.asked[i].text)
			}
			all[key] = copied
		}
	}
	return all
}

// opener is the session on top of a stack.
func opener(callers rpc.CallerIDs) int64 {
	_, id, _ := callers.Pop()
	return id
}

// find gives the way of a stack, which counts as a use of it; nil when there is
// none. w.mu is held.
func (w *ways) find(callers rpc.CallerIDs) *way {
	w.renew()
	var buf [64]byte
	key := callers.AppendKey(buf[:0])
	if at := w.fresh[string(key)]; at != nil {
		return at
	}
	at := w.old[string(key)]
	if at != nil {
		w.put(string(key), at)
	}
	return at
}

func (w *ways) add(callers rpc.CallerIDs) *way {
	at := &way{by: opener(callers)}
	w.put(string(callers.AppendKey(nil)), at)
	return at
}

func (w *ways) put(key string, at *way) {
	if w.fresh == nil {
		w.begin(time.Now())
	}
	w.fresh[key] = at
	has := w.opened[at.by]
	has.ways++
	for i := range at.asked {
		has.text += cap(at.asked[i].text)
	}
	w.opened[at.by] = has
}

func (w *ways) begin(now time.Time) {
	w.fresh, w.opened, w.swapped = make(map[string]*way), make(map[int64]opened), now
}

// renew begins a new generation when it is time; w.mu is held.
func (w *ways) renew() {
	if w.fresh == nil {
		return
	}
	now := time.Now()
	age := now.Sub(w.swapped)
	if age < wayGeneration {
		return
	}
	last := []map[string]*way{w.old, w.fresh}
	w.old = w.fresh
	if age >= 2*wayGeneration {
		w.old = nil
	}
	w.begin(now)
	for _, generation := range last {
		for key, at := range generation {
			if at.pins > 0 {
				w.put(key, at)
			}
		}
	}
}
