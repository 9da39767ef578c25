package broker

import (
	"sync"
	"time"

	"shvtools/internal/rpc"
)

// wayGeneration is how long a way that is not used lives at least; twice that
// at the most.
const wayGeneration = 30 * time.Minute

// ways are the stacks of caller ids with which one link may answer (design.md
// section 5). A way opens when a request, or a response that asks for reverse
// caller ids, goes to the link; it does not close by being used. The zero value
// has none.
type ways struct {
	mu      sync.Mutex
	fresh   map[string]struct{} // used in this generation
	old     map[string]struct{} // used in the one before
	swapped time.Time
	pinned  bool // nothing is forgotten: the link has a live tunnel
}

// open lets the link answer with the stack callers.
func (w *ways) open(callers rpc.CallerIDs) {
	var buf [32]byte
	key := callers.AppendKey(buf[:0])
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.fresh[string(key)]; ok {
		return
	}
	w.renew()
	if w.fresh == nil {
		w.fresh = make(map[string]struct{})
	}
	w.fresh[string(key)] = struct{}{}
}

// has tells whether the link may answer with the stack of key (CallerIDs.
// AppendKey). It does not allocate for a way in use.
func (w *ways) has(key []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.fresh[string(key)]; ok {
		return true
	}
	if _, ok := w.old[string(key)]; !ok {
		return false
	}
	w.fresh[string(key)] = struct{}{}
	return true
}

// renew begins a new generation when it is time; w.mu is held.
func (w *ways) renew() {
	now := time.Now()
	switch {
	case w.swapped.IsZero():
		w.swapped = now
	case now.Sub(w.swapped) >= wayGeneration && !w.pinned:
		w.old, w.fresh, w.swapped = w.fresh, make(map[string]struct{}), now
	}
}

// pin keeps all ways until it is undone: those of a live tunnel are not
// forgotten, however quiet it is.
func (w *ways) pin(pinned bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pinned = pinned
}

// inherit takes over the ways of a link whose mount point this link takes: an
// agent may answer a call after it reconnected.
func (w *ways) inherit(from *ways) {
	from.mu.Lock()
	inherited := make([]string, 0, len(from.fresh)+len(from.old))
	for key := range from.old {
		inherited = append(inherited, key)
	}
	for key := range from.fresh {
		inherited = append(inherited, key)
	}
	from.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fresh == nil {
		w.fresh = make(map[string]struct{})
	}
	for _, key := range inherited {
		w.fresh[key] = struct{}{}
	}
}
