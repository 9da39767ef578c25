package e2e_test

import (
	"slices"
	"sync"
	"time"
)

// record collects what a program writes and lets a test wait for it.
type record struct {
	mu      sync.Mutex
	data    []byte
	changed chan struct{} // closed and replaced at each write
}

func newRecord() *record { return &record{changed: make(chan struct{})} }

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, b...)
	close(r.changed)
	r.changed = make(chan struct{})
	return len(b), nil
}

// look returns a copy of what came so far, and what tells of more.
func (r *record) look() ([]byte, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.data), r.changed
}

func (r *record) bytes() []byte {
	data, _ := r.look()
	return data
}

func (r *record) String() string { return string(r.bytes()) }

// lastWords is how long what a program wrote may come after its end.
const lastWords = 5 * time.Second

// await waits until enough likes what came, for patience at the most. It gives
// up early when the writer has ended.
func (r *record) await(enough func([]byte) bool, ended <-chan struct{}) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		data, changed := r.look()
		if enough(data) {
			return true
		}
		select {
		case <-changed:
		case <-ended:
			ended = nil
			late.Reset(lastWords) // what it wrote last may still be in the terminal
		case <-late.C:
			return false
		}
	}
}
