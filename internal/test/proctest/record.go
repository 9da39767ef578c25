package proctest

import (
	"slices"
	"sync"
	"time"
)

// Record collects what a program writes, and lets a test wait for it. It may be used
// from several goroutines.
type Record struct {
	mu      sync.Mutex
	data    []byte
	changed chan struct{} // closed and replaced at each write
}

// NewRecord returns an empty record.
func NewRecord() *Record { return &Record{changed: make(chan struct{})} }

// Write implements [io.Writer]. It never fails.
func (r *Record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data = append(r.data, b...)
	close(r.changed)
	r.changed = make(chan struct{})
	return len(b), nil
}

// look returns a copy of what was written so far, and a channel that is closed at the
// next write.
func (r *Record) look() ([]byte, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.data), r.changed
}

// Bytes returns a copy of what was written so far.
func (r *Record) Bytes() []byte {
	data, _ := r.look()
	return data
}

// String returns what was written so far.
func (r *Record) String() string { return string(r.Bytes()) }

// lastWords is how long the last output of a program may arrive after its end: a
// terminal may still hold it.
const lastWords = 5 * time.Second

// Await waits until enough accepts what was written, and reports whether that was so
// within Patience. It gives up earlier if the writer, whose end closes ended, wrote
// nothing more that was enough.
func (r *Record) Await(enough func([]byte) bool, ended <-chan struct{}) bool {
	late := time.NewTimer(Patience)
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
			late.Reset(lastWords)
		case <-late.C:
			return false
		}
	}
}
