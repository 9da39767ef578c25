package tunnel

import (
	"fmt"
	"sync"
	"time"

	"shvtools/internal/wire/link"
)

// copyBelow is the size in bytes up to which data is copied together with its neighbours. For
// larger data the inbox keeps the frame, unless most of that is something else. A peer that sends
// little at a time must not cost a frame for each.
const copyBelow = 2 << 10

// chunk is a part of the received data.
type chunk struct {
	data  []byte
	frame *link.Frame // holds data; nil: the inbox owns data
}

// inbox holds what arrived on one channel until its consumer has taken it.
type inbox struct {
	window   int64         // bytes promised to the peer, or held for a peer that knows no window
	enforced bool          // the peer knows the window and must keep to it
	patience time.Duration // how long the consumer may take nothing; 0: for ever

	mu       sync.Mutex
	changed  sync.Cond
	chunks   []chunk
	received int64 // since the tunnel began
	consumed int64
	acked    int64 // consumed bytes that the peer knows of
	busy     bool  // the consumer is using a chunk
	ended    bool  // no more comes
	dropping bool  // the consumer is gone: data is dropped as it comes
}

func (b *inbox) init(window int64, enforced bool, patience time.Duration) {
	b.window, b.enforced, b.patience = window, enforced, patience
	b.changed.L = &b.mu
}

// put takes data that came in f. overrun reports that the peer sent too much, or that the consumer
// took nothing for too long. Without an enforced window, put waits for the consumer.
func (b *inbox) put(data []byte, f *link.Frame) (overrun bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return false
	}
	b.received += int64(len(data))
	if b.enforced && b.received-b.consumed > b.window {
		return true
	}
	for !b.enforced && !b.ended && !b.dropping && b.received-b.consumed > b.window && len(b.chunks) > 0 {
		if !b.awaitProgressLocked() {
			return true
		}
	}
	if last := len(b.chunks) - 1; len(data) > copyBelow && f.Size() <= 2*len(data) {
		f.Retain()
		b.chunks = append(b.chunks, chunk{data, f})
	} else if last >= 0 && b.chunks[last].frame == nil && cap(b.chunks[last].data)-len(b.chunks[last].data) >= len(data) {
		b.chunks[last].data = append(b.chunks[last].data, data...)
	} else {
		size := max(len(data), 64)
		if last >= 0 {
			size = max(len(data), copyBelow) // the consumer is behind, so more comes before it looks
		}
		b.chunks = append(b.chunks, chunk{data: append(make([]byte, 0, size), data...)})
	}
	b.changed.Broadcast()
	return false
}

// awaitProgressLocked waits until the consumer has taken something, or the wait is pointless. It
// returns false if the patience ends first.
func (b *inbox) awaitProgressLocked() bool {
	if b.patience == 0 {
		b.changed.Wait()
		return true
	}
	consumed, late := b.consumed, false
	timer := time.AfterFunc(b.patience, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		late = true
		b.changed.Broadcast()
	})
	defer timer.Stop()
	for b.consumed == consumed && !b.ended && !b.dropping && !late {
		b.changed.Wait()
	}
	return b.consumed != consumed || b.ended || b.dropping
}

// overrunError explains an overrun.
func (b *inbox) overrunError(channel int) error {
	if b.enforced {
		return fmt.Errorf("the other end sent more than its window of %d bytes on channel %d", b.window, channel)
	}
	return fmt.Errorf("the program has not read its input for %v", b.patience)
}

// direct passes data straight to write if the consumer has nothing left to do and no ack is due. It
// returns how much was taken.
func (b *inbox) direct(data []byte, write func([]byte) int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy || b.ended || b.dropping || len(b.chunks) > 0 || b.consumed+int64(len(data))-b.acked >= b.window/2 {
		return 0
	}
	n := write(data)
	b.received += int64(n)
	b.consumed += int64(n)
	return n
}

// next waits for data; ok is false when no more comes. The consumer returns the chunk by done.
func (b *inbox) next() (c chunk, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.chunks) == 0 {
		if b.ended {
			return chunk{}, false
		}
		b.changed.Wait()
	}
	c = b.chunks[0]
	b.chunks = append(b.chunks[:0], b.chunks[1:]...)
	b.busy = true
	return c, true
}

// done notes that a chunk was consumed. due is the total to acknowledge, 0 if no ack is due.
func (b *inbox) done(c chunk) (due int64) {
	if c.frame != nil {
		c.frame.Release()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = false
	b.consumed += int64(len(c.data))
	b.changed.Broadcast()
	if b.consumed-b.acked < b.window/2 {
		return 0
	}
	b.acked = b.consumed
	return b.acked
}

// end notes that no more comes.
func (b *inbox) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.changed.Broadcast()
}

// drop makes the inbox drop what still comes.
func (b *inbox) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dropping = true
	b.changed.Broadcast()
}

// total returns how many bytes arrived.
func (b *inbox) total() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received
}
