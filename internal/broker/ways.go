package broker

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"shvtools/internal/auth"
	"shvtools/internal/rpc"
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
	fresh   map[string]*way // used in this generation
	old     map[string]*way // used in the one before
	opened  map[int64]int   // how many of fresh, by the session that opened them
	swapped time.Time       // when fresh began
}

// way is guarded by the lock of its ways.
type way struct {
	asked [maxAsked]kept // the latest requests, in a ring
	next  int            // place of the next one
	pins  int            // live tunnels that use it: it is not forgotten
	by    int64          // the session that opened it, on top of the stack
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

func (k *kept) set(c call) {
	k.id, k.level, k.method, k.text = c.id, c.level, len(c.path), k.text[:0]
	if len(c.path)+len(c.method) <= maxKeptCall {
		k.text = append(append(k.text, c.path...), c.method...)
	}
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

// maxWays is how many ways onto one link the peer may open.
func (s *session) maxWays() int {
	if s.isBroker() {
		return maxWaysOfBroker
	}
	return maxWays
}

// open lets the link answer with the stack callers; asked is the request that
// goes to it, the zero one for a response. It fails when the session on top of
// the stack has limit ways onto this link. In steady state it does not allocate.
func (w *ways) open(callers rpc.CallerIDs, asked call, limit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.find(callers)
	if at == nil {
		if w.opened[opener(callers)] >= limit {
			return false
		}
		at = w.add(callers)
	}
	if asked.id > 0 {
		at.asked[at.next].set(asked)
		at.next = (at.next + 1) % maxAsked
	}
	return true
}

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
	for i := 1; i <= maxAsked; i++ { // the latest first
		if k := &at.asked[(at.next+maxAsked-i)%maxAsked]; k.id == id {
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
			copied := *at
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
	w.opened[at.by]++
}

func (w *ways) begin(now time.Time) {
	w.fresh, w.opened, w.swapped = make(map[string]*way), make(map[int64]int), now
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
