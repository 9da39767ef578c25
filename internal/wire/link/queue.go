package link

import "sync"

const (
	// copyBelow is up to what size a frame that has to wait is copied together with
	// its neighbours: a buffer for each would cost many times what it holds.
	copyBelow = 1 << 10
	// coalesceAbove is how many frames wait before that begins.
	coalesceAbove = 16
)

// queue holds the frames for the peer and says who writes: the write loop, or
// a sender that found nobody writing (SendNow).
type queue struct {
	mu      sync.Mutex
	limit   int
	frames  []*Frame // waiting
	spare   []*Frame // the slice that was written last, to be filled next
	skip    int      // bytes of the first frame that are out already
	bytes   int      // of frames waiting and being written; changed by add
	own     int      // of those in frames; on a shared link they are of no stream
	gauge   *Gauge   // of many queues; nil: none, or not any more
	busy    bool     // somebody writes
	closed  bool
	last    bool              // no more is taken: the link ends when this is out
	waiting []chan<- struct{} // each has room for a token, given when bytes went out

	fair *fair // of a link that many streams share; nil for others

	begun   bool // Run was called
	looping bool // the write loop runs
}

// close lets all senders and the write loop find out.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.announce()
	q.mu.Unlock()
}

// finish lets all senders find out that no more is taken.
func (q *queue) finish() {
	q.mu.Lock()
	q.last = true
	q.announce()
	q.mu.Unlock()
}

// announce wakes those who wait for room; q.mu is held.
func (q *queue) announce() {
	for i, waiter := range q.waiting {
		select {
		case waiter <- struct{}{}:
		default:
		}
		q.waiting[i] = nil
	}
	q.waiting = q.waiting[:0]
}

// await lets the next change, or the end, put a token into waiter.
func (q *queue) await(waiter chan<- struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, waiter)
	if q.closed {
		q.announce()
	}
}

// fits tells whether size more bytes may wait; q.mu is held. A frame above the
// limit passes when it is alone.
func (q *queue) fits(size int) bool { return q.bytes == 0 || q.bytes+size <= q.limit }

// fitsAlone is fits for what is of no stream. Full streams leave it the room of one:
// it is what keeps the link itself alive.
func (q *queue) fitsAlone(size int) bool {
	return q.fits(size) || q.fair != nil && (q.own == 0 || q.own+size <= q.fair.limit)
}

// empty tells whether nothing waits; q.mu is held.
func (q *queue) empty() bool { return len(q.frames) == 0 && (q.fair == nil || q.fair.empty()) }

// accept queues f, unless the link has ended or there is no room; first tells
// whether nothing waited before. flow is the stream that f belongs to; nil: none.
// q.mu is held.
func (q *queue) accept(flow *Flow, f *Frame) (first bool, err error) {
	shared := q.fair != nil && flow != nil
	room := q.fitsAlone(f.Size())
	if shared {
		room = q.fits(f.Size())
		// Full streams leave one more of room to keys of those that have nothing waiting.
		key := flow.bytes == 0 && f.Size() <= copyBelow
		room = q.fair.has(flow, f.Size()) && (room || key && q.fits(f.Size()-q.fair.limit))
	}
	switch {
	case q.closed || q.last:
		return false, ErrClosed
	case !room:
		return false, ErrQueueFull
	}
	first = q.empty()
	if !shared {
		q.push(f)
		return first, nil
	}
	q.add(f.Size())
	q.fair.push(f, flow)
	return first, nil
}

// push appends f; q.mu is held.
func (q *queue) push(f *Frame) {
	q.add(f.Size())
	q.own += f.Size()
	q.frames = appendFrame(q.frames, f)
}

// appendFrame appends f, or a copy of a small one to the last of many.
func appendFrame(frames []*Frame, f *Frame) []*Frame {
	if len(frames) < coalesceAbove || f.Size() > copyBelow {
		f.Retain()
		return append(frames, f)
	}
	last := frames[len(frames)-1]
	if !last.gathers || len(last.buf)-last.end < f.Size() {
		last = NewFrame(4 * copyBelow)
		last.gathers, last.wire = true, last.start
		frames = append(frames, last)
	}
	last.end += copy(last.buf[last.end:], f.wireBytes())
	return frames
}

// take gives the frames that wait and makes the caller the one who writes; nil
// when there are none, another goroutine writes, or the link has ended. Of the
// first frame, skip bytes are out already. q.mu is held.
func (q *queue) take() (frames []*Frame, skip int) {
	if q.closed || q.busy || q.empty() {
		return nil, 0
	}
	q.busy = true
	frames, q.frames, q.own = q.frames, q.spare[:0], 0
	if q.fair != nil {
		frames = q.fair.take(frames, sliceBytes)
	}
	q.spare = frames
	skip, q.skip = q.skip, 0
	return frames, skip
}
