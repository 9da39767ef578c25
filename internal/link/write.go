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
	// small is up to what size a frame that has to wait is copied together with
	// its neighbours: a buffer for each would cost many times what it holds.
	small = 1 << 10
	// crowded is how many frames wait before that begins.
	crowded = 16
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
		key := flow.bytes == 0 && f.Size() <= small
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
	if len(frames) < crowded || f.Size() > small {
		f.Retain()
		return append(frames, f)
	}
	last := frames[len(frames)-1]
	if !last.gathers || len(last.buf)-last.end < f.Size() {
		last = NewFrame(4 * small)
		last.gathers, last.wire = true, last.start
		frames = append(frames, last)
	}
	last.end += copy(last.buf[last.end:], f.Wire())
	return frames
}

// Send queues f for the peer. It never waits and does not take the caller's
// hold of f. ErrQueueFull leaves the link as it is: what follows is the
// caller's decision.
func (l *Link) Send(f *Frame) error { return l.send(nil, f) }

func (l *Link) send(flow *Flow, f *Frame) error {
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	first, err := q.accept(flow, f)
	if err != nil {
		return err
	}
	l.sent(f)
	if first {
		l.awake()
	}
	return nil
}

// Relay is Send for the read loop of from, which writes what it relayed when it
// has nothing left to read: many frames go out in one write, and a single one
// goes out without a switch of goroutines. Nobody else may call it for that
// link. What cannot be written without waiting is left to the write loop.
func (l *Link) Relay(f *Frame, from *Link) error { return l.relay(nil, f, from) }

func (l *Link) relay(flow *Flow, f *Frame, from *Link) error {
	if len(from.relayed) >= maxRelayed {
		from.flushRelayed()
	}
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	first, err := q.accept(flow, f)
	if err != nil {
		return err
	}
	l.sent(f)
	switch {
	case q.busy || !first:
		// Whoever writes, or relayed first, has it in hand.
	case f.Size() >= direct:
		l.awake()
	default:
		from.relayed = append(from.relayed, l)
	}
	return nil
}

// SendWait is Relay that waits for room, until the link or from has ended. Only
// the read loop of a link that serves nothing but this receiver may call it.
func (l *Link) SendWait(f *Frame, from *Link) error { return l.sendWait(nil, f, from) }

func (l *Link) sendWait(flow *Flow, f *Frame, from *Link) error {
	err := l.relay(flow, f, from)
	if err != ErrQueueFull {
		return err
	}
	from.flushRelayed()
	if from.room == nil {
		from.room = make(chan struct{}, 1)
	}
	from.waiting.Store(true)
	defer from.waiting.Store(false)
	for {
		l.out.await(from.room) // before the next try, so that nothing is missed
		if err := l.relay(flow, f, from); err != ErrQueueFull {
			return err
		}
		select {
		case <-from.room:
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
	for !q.closed && !q.last && !q.fitsAlone(f.Size()) {
		room := make(chan struct{}, 1)
		q.waiting = append(q.waiting, room)
		q.mu.Unlock()
		<-room
		q.mu.Lock()
	}
	if q.closed || q.last {
		q.mu.Unlock()
		return ErrClosed
	}
	l.sent(f)
	if q.busy || !q.empty() {
		q.push(f)
		q.mu.Unlock()
		return nil
	}
	q.busy = true
	q.add(f.Size())
	q.mu.Unlock()

	err := l.writeAlone(f)
	l.account(f.Size())
	l.wrote(nil, 0)
	if err != nil {
		l.end(WriteError, err)
		return ErrClosed
	}
	return nil
}

// writeAlone writes a frame that no other one goes out with.
func (l *Link) writeAlone(f *Frame) error {
	if l.framing != nil {
		return l.writeWire(f.Wire(), false)
	}
	_, err := l.conn.Write(f.Wire())
	return err
}

// Queued is how many bytes wait for the peer.
func (l *Link) Queued() int {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return l.out.bytes
}

// Finish ends the link in good order: what is queued is written and no more is
// taken, for a write behind the last one would fail and take it along; the peer is
// told that no more comes, and what it still sends goes to the Handler until it
// closes too, for a close before that could cost it our last frames. The cause
// then is PeerClosed. It waits for ctx at the most. The read loop must be
// running.
func (l *Link) Finish(ctx context.Context, cause Cause) {
	defer l.Close(cause)
	l.out.finish()
	if !l.Flush(ctx) {
		return
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

// Flush waits until all that is queued was written; false when the link ended or
// ctx did before.
func (l *Link) Flush(ctx context.Context) bool {
	for written := make(chan struct{}, 1); ; {
		l.out.await(written)
		if l.Queued() == 0 {
			return true
		}
		select {
		case <-written:
		case <-l.done:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// beginWriting lets the write loop begin, now and whenever there is something to
// write for it.
func (l *Link) beginWriting() {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	l.out.begun = true
	if !l.out.empty() {
		l.awake()
	}
}

// awake lets the write loop write what waits, unless somebody writes already; out.mu
// is held.
func (l *Link) awake() {
	q := &l.out
	if q.busy || q.looping || q.closed || !q.begun {
		return
	}
	if l.write == nil {
		l.write = l.writeLoop // once: a closure for each start would be an allocation
	}
	q.looping = true
	l.writer.Add(1)
	go l.write()
}

// writeLoop writes what is queued until nothing is left or the link ends. An idle
// link has none.
func (l *Link) writeLoop() {
	defer l.writer.Done()
	defer func() {
		if p := recover(); p != nil {
			l.end(Bug, AsPanic(p))
		}
	}()
	for {
		frames, skip := l.takeOrEnd()
		if frames == nil {
			return
		}
		var err error
		if l.framing != nil {
			err = l.writeFramed(frames)
		} else {
			_, _, err = l.writeFrames(frames, skip, l.writePieces)
		}
		l.wrote(frames[:0], 0)
		if err != nil {
			l.end(WriteError, err)
		}
	}
}

// takeOrEnd is take for the write loop, which ends when it gets nothing: who adds
// more from then on, or ends to write and leaves something, begins it anew.
func (l *Link) takeOrEnd() (frames []*Frame, skip int) {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	frames, skip = l.out.take()
	l.out.looping = frames != nil
	return frames, skip
}

// flushRelayed writes what the read loop of this link has relayed.
func (l *Link) flushRelayed() {
	for i, to := range l.relayed {
		to.flush()
		l.relayed[i] = nil
	}
	l.relayed = l.relayed[:0]
}

// flush writes what waits, as far as that can be done without waiting.
func (l *Link) flush() {
	l.out.mu.Lock()
	if !l.try.usable() || l.framing != nil {
		if !l.out.empty() {
			l.awake()
		}
		l.out.mu.Unlock()
		return
	}
	frames, skip := l.out.take()
	l.out.mu.Unlock()
	if frames == nil {
		return
	}
	written, skip, err := l.writeFrames(frames, skip, l.try.write)
	l.wrote(frames[written:], skip)
	if err != nil {
		l.end(WriteError, err)
	}
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
		frames = q.fair.take(frames, slice)
	}
	q.spare = frames
	skip, q.skip = q.skip, 0
	return frames, skip
}

// wrote ends what take began: rest was not written, but for skip bytes.
func (l *Link) wrote(rest []*Frame, skip int) {
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = false
	if len(rest) > 0 {
		// Rare, so a new slice does no harm: the peer's buffer is full.
		q.frames = append(append(make([]*Frame, 0, len(rest)+len(q.frames)), rest...), q.frames...)
		for _, f := range rest {
			q.own += f.Size()
		}
		q.spare, q.skip = nil, skip
	}
	if !q.empty() {
		l.awake()
	}
}

// batches keeps the buffers in which small frames are put together: an idle
// link holds none.
var batches = sync.Pool{New: func() any { return &batch{make([]byte, 0, batchBuffer)} }}

type batch struct{ b []byte }

// writeFrames writes the frames in order, small ones together, and releases
// those that are out. When write takes less than it was given, the rest is left:
// written frames are out, and skip bytes of the next one.
func (l *Link) writeFrames(frames []*Frame, skip int, write func([]byte) (int, error)) (written, skipped int, err error) {
	pooled := batches.Get().(*batch)
	defer batches.Put(pooled)
	for written < len(frames) {
		b := frames[written].Wire()[skip:]
		if written+1 < len(frames) && len(b) < direct {
			b = gather(pooled.b[:0], frames[written:], skip)
		}
		n, err := write(b)
		l.account(n)
		short := n < len(b)
		for n > 0 {
			left := frames[written].Size() - skip
			if n < left {
				skip += n
				break
			}
			n -= left
			frames[written].Release()
			frames[written] = nil
			written, skip = written+1, 0
		}
		if err != nil || short {
			return written, skip, err
		}
	}
	return written, 0, nil
}

// gather puts as many whole frames into b as it holds.
func gather(b []byte, frames []*Frame, skip int) []byte {
	for _, f := range frames {
		wire := f.Wire()[skip:]
		if len(wire) >= direct || len(b)+len(wire) > cap(b) {
			break
		}
		b = append(b, wire...)
		skip = 0
	}
	return b
}

// account takes n written bytes off the queue.
func (l *Link) account(n int) {
	q := &l.out
	l.pulse.sent.Add(uint64(n))
	q.mu.Lock()
	q.add(-n)
	q.announce()
	q.mu.Unlock()
}

// dropQueued gives back what was never written.
func (l *Link) dropQueued() {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	for _, f := range l.out.frames {
		f.Release()
	}
	l.out.frames = nil
	if l.out.fair != nil {
		l.out.fair.drop()
	}
	l.out.leaveGauge()
}
