package link

import (
	"context"
	"sync"
)

const (
	// batchBuffer is how much of small frames goes out in one write.
	batchBuffer = 32 << 10
	// direct is from what size on a frame is written without being copied.
	direct = 8 << 10
)

// queue holds the frames for the peer and says who writes: the write loop, or
// a sender that found nobody writing (SendNow).
type queue struct {
	mu      sync.Mutex
	limit   int
	frames  []*Frame // waiting
	spare   []*Frame // the slice that was written last, to be filled next
	bytes   int      // of frames waiting and being written
	busy    bool     // somebody writes
	closed  bool
	changed chan struct{} // closed and replaced when bytes went out; nil: nobody waits

	wake chan struct{} // capacity 1, never closed
}

func (q *queue) init(limit int) {
	q.limit = limit
	q.wake = make(chan struct{}, 1)
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// close lets all senders and the write loop find out.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.announce()
	q.mu.Unlock()
	q.signal()
}

// announce wakes those who wait for room; q.mu is held.
func (q *queue) announce() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

// waitChanged gives a channel that is closed at the next change; q.mu is held.
func (q *queue) waitChanged() <-chan struct{} {
	if q.changed == nil {
		q.changed = make(chan struct{})
	}
	return q.changed
}

// fits tells whether size more bytes may wait; q.mu is held. A frame above the
// limit passes when it is alone.
func (q *queue) fits(size int) bool { return q.bytes == 0 || q.bytes+size <= q.limit }

// push appends f; q.mu is held.
func (q *queue) push(f *Frame) {
	f.Retain()
	q.frames = append(q.frames, f)
	q.bytes += f.Size()
}

// Send queues f for the peer. It never waits and does not take the caller's
// hold of f. ErrQueueFull leaves the link as it is: what follows is the
// caller's decision.
func (l *Link) Send(f *Frame) error {
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if !q.fits(f.Size()) {
		return ErrQueueFull
	}
	l.tx.Add(1)
	q.push(f)
	if !q.busy && len(q.frames) == 1 {
		q.signal()
	}
	return nil
}

// SendWait is Send that waits for room, until the link or the one that abandon
// belongs to has ended. Only a read loop whose link serves nothing but this
// receiver may call it.
func (l *Link) SendWait(f *Frame, from *Link) error {
	err := l.Send(f)
	if err != ErrQueueFull {
		return err
	}
	from.waiting.Store(true)
	defer from.waiting.Store(false)
	for {
		l.out.mu.Lock()
		changed := l.out.waitChanged()
		l.out.mu.Unlock()
		if err := l.Send(f); err != ErrQueueFull {
			return err
		}
		select {
		case <-changed:
		case <-from.done:
			return ErrClosed
		}
	}
}

// SendNow is Send that writes in the caller's goroutine when nobody else is
// writing, which saves a switch of goroutines. It may wait for the connection,
// and it waits for room in the queue, so a read loop must not call it.
func (l *Link) SendNow(f *Frame) error {
	q := &l.out
	q.mu.Lock()
	for {
		if q.closed {
			q.mu.Unlock()
			return ErrClosed
		}
		if q.fits(f.Size()) {
			break
		}
		changed := q.waitChanged()
		q.mu.Unlock()
		<-changed
		q.mu.Lock()
	}
	l.tx.Add(1)
	if q.busy || len(q.frames) > 0 {
		q.push(f)
		q.mu.Unlock()
		return nil
	}
	q.busy = true
	q.bytes += f.Size()
	q.mu.Unlock()

	_, err := l.conn.Write(f.bytes())

	q.mu.Lock()
	q.busy = false
	q.bytes -= f.Size()
	q.announce()
	if len(q.frames) > 0 {
		q.signal()
	}
	q.mu.Unlock()
	if err != nil {
		l.end(WriteError, err)
		return ErrClosed
	}
	return nil
}

// Queued is how many bytes wait for the peer.
func (l *Link) Queued() int {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return l.out.bytes
}

// Finish ends the link in good order: what is queued is written, the peer is
// told that no more comes, and what it still sends is read and dropped until it
// closes too, for a close before that could cost it our last frames. It waits
// for ctx at the most. The read loop must be running.
func (l *Link) Finish(ctx context.Context, cause Cause) {
	defer l.Close(cause)
	for l.Queued() > 0 {
		l.out.mu.Lock()
		changed := l.out.waitChanged()
		empty := l.out.bytes == 0
		l.out.mu.Unlock()
		if empty {
			break
		}
		select {
		case <-changed:
		case <-l.done:
			return
		case <-ctx.Done():
			return
		}
	}
	half, ok := l.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	select {
	case <-l.done:
	case <-ctx.Done():
	}
}

// batches keeps the buffers in which small frames are put together: an idle
// link holds none.
var batches = sync.Pool{New: func() any { return &batch{make([]byte, 0, batchBuffer)} }}

type batch struct{ b []byte }

// writeLoop writes what is queued until the link ends.
func (l *Link) writeLoop() {
	defer l.dropQueued()
	wrote := false
	for {
		frames, ok := l.take(wrote)
		if !ok {
			return
		}
		if wrote = frames != nil; !wrote {
			<-l.out.wake
			continue
		}
		if err := l.writeAll(frames); err != nil {
			l.end(WriteError, err)
		}
		for i, f := range frames {
			f.Release()
			frames[i] = nil
		}
	}
}

// take gives the frames that wait, nil when there are none or another goroutine
// writes; ok is false at the end of the link. wrote says that the caller is
// done with what it took before.
func (l *Link) take(wrote bool) (frames []*Frame, ok bool) {
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if wrote {
		q.busy = false
	}
	if q.closed {
		return nil, false
	}
	if len(q.frames) == 0 || q.busy {
		return nil, true
	}
	q.busy = true
	frames, q.frames, q.spare = q.frames, q.spare[:0], q.frames
	return frames, true
}

// writeAll writes the frames in order, small ones together.
func (l *Link) writeAll(frames []*Frame) error {
	if len(frames) == 1 {
		return l.write(frames[0].bytes())
	}
	pooled := batches.Get().(*batch)
	defer batches.Put(pooled)
	b := pooled.b[:0]
	for _, f := range frames {
		wire := f.bytes()
		if len(b) > 0 && (len(b)+len(wire) > cap(b) || len(wire) >= direct) {
			if err := l.write(b); err != nil {
				return err
			}
			b = b[:0]
		}
		if len(wire) < direct {
			b = append(b, wire...)
		} else if err := l.write(wire); err != nil {
			return err
		}
	}
	if len(b) == 0 {
		return nil
	}
	return l.write(b)
}

// write writes b and takes it off the account.
func (l *Link) write(b []byte) error {
	_, err := l.conn.Write(b)
	q := &l.out
	q.mu.Lock()
	q.bytes -= len(b)
	q.announce()
	q.mu.Unlock()
	return err
}

// dropQueued gives back what was never written.
func (l *Link) dropQueued() {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	for _, f := range l.out.frames {
		f.Release()
	}
	l.out.frames = nil
}
