package link

import "sync"

const (
	// copyBelow is the size in bytes up to which a waiting frame is copied together with its
	// neighbours: a buffer for each would cost many times what it holds.
	copyBelow = 1 << 10
	// coalesceAbove is how many frames wait before that begins.
	coalesceAbove = 16
)

// queue holds the frames for the peer and says who writes them: the write loop, or a sender that
// found nobody writing (SendNow, Relay).
type queue struct {
	mu      sync.Mutex
	limit   int
	frames  []*Frame // waiting
	spare   []*Frame // the slice that was written last, to be filled next
	skip    int      // bytes of the first frame that are written already
	bytes   int      // of frames waiting and being written
	own     int      // of the frames in frames, which on a shared link belong to no stream
	account Account  // pays for frames without a payer; nil: nobody
	charged int      // bytes of those, until they are written as a whole
	busy    bool     // somebody writes
	closed  bool
	dropped bool              // what waited is dropped
	last    bool              // no more is taken: the link ends when the rest is written
	waiting []chan<- struct{} // each has capacity for a token, which it gets when bytes were written

	fair *fair // the streams of a shared link; nil for others

	begun   bool // Run was called
	looping bool // the write loop runs
}

// close wakes all senders and the write loop, which then find the link ended.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.announceLocked()
	q.mu.Unlock()
}

// finish wakes all senders, which then find that no more is taken.
func (q *queue) finish() {
	q.mu.Lock()
	q.last = true
	q.announceLocked()
	q.mu.Unlock()
}

// announceLocked wakes those that wait for queue space.
func (q *queue) announceLocked() {
	for i, waiter := range q.waiting {
		select {
		case waiter <- struct{}{}:
		default:
		}
		q.waiting[i] = nil
	}
	q.waiting = q.waiting[:0]
}

// await registers waiter for one token at the next change or the end.
func (q *queue) await(waiter chan<- struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, waiter)
	if q.closed {
		q.announceLocked()
	}
}

// fitsLocked reports whether size more bytes may wait. A frame above the limit fits if it is alone.
func (q *queue) fitsLocked(size int) bool { return q.bytes == 0 || q.bytes+size <= q.limit }

// fitsAloneLocked is fitsLocked for a frame of no stream. Full streams leave it the space of one
// more: such frames keep the link itself alive.
func (q *queue) fitsAloneLocked(size int) bool {
	return q.fitsLocked(size) || q.fair != nil && (q.own == 0 || q.own+size <= q.fair.limit)
}

// emptyLocked reports whether nothing waits.
func (q *queue) emptyLocked() bool { return len(q.frames) == 0 && (q.fair == nil || q.fair.empty()) }

// acceptLocked queues f, unless the link has ended or there is no queue space; first reports
// whether nothing waited before. flow is the stream of f, nil for none.
func (q *queue) acceptLocked(flow *Flow, f *Frame) (first bool, err error) {
	shared := q.fair != nil && flow != nil
	fits := q.fitsAloneLocked(f.Size())
	if shared {
		fits = q.fitsLocked(f.Size())
		// Full streams leave the space of one more to keystrokes of streams with nothing waiting.
		key := flow.bytes == 0 && f.Size() <= copyBelow
		fits = q.fair.has(flow, f.Size()) && (fits || key && q.fitsLocked(f.Size()-q.fair.limit))
	}
	switch {
	case q.closed || q.last:
		return false, ErrClosed
	case !fits:
		return false, ErrQueueFull
	}
	first = q.emptyLocked()
	if !shared {
		q.pushLocked(f)
		return first, nil
	}
	q.bytes += f.Size()
	q.chargeLocked(f)
	q.fair.push(f, flow)
	return first, nil
}

// pushLocked appends f.
func (q *queue) pushLocked(f *Frame) {
	q.bytes += f.Size()
	q.chargeLocked(f)
	q.own += f.Size()
	q.frames = appendFrame(q.frames, f)
}

// appendFrame appends f. If many frames wait, it copies a small one into the last of them instead.
func appendFrame(frames []*Frame, f *Frame) []*Frame {
	if len(frames) < coalesceAbove || f.Size() > copyBelow {
		f.Retain()
		return append(frames, f)
	}
	last := frames[len(frames)-1]
	if !last.gathers || last.payer != f.payer || len(last.buf)-last.end < f.Size() {
		last = NewFrame(4 * copyBelow)
		last.gathers, last.wire, last.payer = true, last.start, f.payer
		frames = append(frames, last)
	}
	last.end += copy(last.buf[last.end:], f.wireBytes())
	return frames
}

// takeLocked returns the frames that wait and makes the caller the one that writes. It returns nil
// if there are none, another goroutine writes, or the link has ended. The first skip bytes of the
// first frame are written already.
func (q *queue) takeLocked() (frames []*Frame, skip int) {
	if q.closed || q.busy || q.emptyLocked() {
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
