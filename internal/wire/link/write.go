package link

import (
	"context"
	"sync"
)

const (
	// batchBuffer is how many bytes of small frames go out in one write.
	batchBuffer = 32 << 10
	// directFrom is the size in bytes from which a frame is written without a copy.
	directFrom = 8 << 10
)

// The methods that send take a flow: the stream that f is part of, on a link that many streams share; nil: none.
// None of them releases f: the caller still holds it.

// Send queues f for the peer and never waits. ErrQueueFull leaves the link as it is: what follows
// is the caller's decision.
func (l *Link) Send(f *Frame, flow *Flow) error {
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	first, err := q.acceptLocked(flow, f)
	if err != nil {
		return err
	}
	l.sent(f)
	if first {
		l.wakeLocked()
	}
	return nil
}

// Relay is Send for the read loop of from, which writes what it relayed when it has nothing left to
// read. So many frames go out in one write, and a single one goes out without a switch of
// goroutines. Only that read loop may call it. The write loop takes over what cannot be written
// without waiting.
func (l *Link) Relay(f *Frame, flow *Flow, from *Link) error {
	if len(from.relayed) >= maxRelayed {
		from.flushRelayed()
	}
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	first, err := q.acceptLocked(flow, f)
	if err != nil {
		return err
	}
	l.sent(f)
	switch {
	case q.busy || !first:
		// The goroutine that writes, or the one that relayed first, takes this frame along.
	case f.Size() >= directFrom:
		l.wakeLocked()
	default:
		from.relayed = append(from.relayed, l)
	}
	return nil
}

// SendWait is Send that waits for queue space until the link has ended. A read loop passes its own
// link as from: then the frame is relayed (see Relay), from reads nothing during the wait, and the
// end of from ends the wait, too. So only a read loop that serves nothing but this receiver may
// call it. Other goroutines pass nil.
func (l *Link) SendWait(f *Frame, flow *Flow, from *Link) error {
	if from != nil {
		return l.relayWait(f, flow, from)
	}
	for space := make(chan struct{}, 1); ; {
		l.out.await(space) // before the next try, so that nothing is missed
		if err := l.Send(f, flow); err != ErrQueueFull {
			return err
		}
		<-space
	}
}

// relayWait is SendWait for the read loop of from.
func (l *Link) relayWait(f *Frame, flow *Flow, from *Link) error {
	err := l.Relay(f, flow, from)
	if err != ErrQueueFull {
		return err
	}
	from.flushRelayed()
	if from.space == nil {
		from.space = make(chan struct{}, 1)
	}
	from.waiting.Store(true)
	defer from.waiting.Store(false)
	for {
		l.out.await(from.space) // before the next try, so that nothing is missed
		if err := l.Relay(f, flow, from); err != ErrQueueFull {
			return err
		}
		select {
		case <-from.space:
		case <-from.done:
			return ErrClosed
		}
	}
}

// SendNow sends f, in the caller's goroutine if nobody else is writing, which saves a switch of
// goroutines. It may wait for the connection and waits for queue space, so a read loop must not
// call it.
func (l *Link) SendNow(f *Frame) error {
	q := &l.out
	q.mu.Lock()
	for !q.closed && !q.last && !q.fitsAloneLocked(f.Size()) {
		space := make(chan struct{}, 1)
		q.waiting = append(q.waiting, space)
		q.mu.Unlock()
		<-space
		q.mu.Lock()
	}
	if q.closed || q.last {
		q.mu.Unlock()
		return ErrClosed
	}
	l.sent(f)
	if q.busy || !q.emptyLocked() {
		q.pushLocked(f)
		q.mu.Unlock()
		return nil
	}
	q.busy = true
	q.bytes += f.Size()
	q.chargeLocked(f)
	q.mu.Unlock()

	err := l.writeAlone(f)
	l.account(f.Size(), []*Frame{f})
	l.wrote(nil, 0)
	if err != nil {
		l.end(WriteError, err)
		return ErrClosed
	}
	return nil
}

// writeAlone writes one frame that is not batched with others.
func (l *Link) writeAlone(f *Frame) error {
	if l.framing != nil {
		return l.writeWire(f.wireBytes(), false)
	}
	_, err := l.conn.Write(f.wireBytes())
	return err
}

// Queued returns how many bytes wait for the peer.
func (l *Link) Queued() int {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return l.out.bytes
}

// Finish ends the link in good order, within ctx: it takes no more frames, writes what is queued
// and tells the peer that no more comes. What the peer still sends goes to the Handler until the
// peer closes too, which is an answer: the cause is the given one. The read loop must be running.
//
// No frame is taken after the last one because its write would fail and could take the last one
// along. The link waits for the peer's close because a close before that could lose our last
// frames.
func (l *Link) Finish(ctx context.Context, cause Cause) {
	defer l.Close(cause)
	l.finishing.Store(int32(cause))
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

// Flush waits until everything queued is written. It returns false if the link or ctx ended first.
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

// beginWriting starts the write loop, if something is queued, and permits it from now on.
func (l *Link) beginWriting() {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	l.out.begun = true
	if !l.out.emptyLocked() {
		l.wakeLocked()
	}
}

// wakeLocked starts the write loop unless somebody writes already. The caller holds out.mu.
func (l *Link) wakeLocked() {
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

// writeLoop writes what is queued until nothing is left or the link ends. An idle link has none.
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
		var written int
		if l.framing != nil {
			written, err = l.writeFramed(frames)
		} else {
			written, skip, err = l.writeFrames(frames, skip, l.writePieces)
		}
		l.wrote(frames[written:], skip)
		if err != nil {
			l.end(WriteError, err)
		}
	}
}

// takeOrEnd is take for the write loop, which ends if it gets nothing. A sender that adds a frame
// after that, or a writer that stops and leaves some, starts a new one.
func (l *Link) takeOrEnd() (frames []*Frame, skip int) {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	frames, skip = l.out.takeLocked()
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

// flush writes what is queued, as far as that is possible without waiting.
func (l *Link) flush() {
	l.out.mu.Lock()
	if !l.try.usable() || l.framing != nil {
		if !l.out.emptyLocked() {
			l.wakeLocked()
		}
		l.out.mu.Unlock()
		return
	}
	frames, skip := l.out.takeLocked()
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

// wrote ends what take began. The frames in rest were not written, except for the first skip bytes.
func (l *Link) wrote(rest []*Frame, skip int) {
	q := &l.out
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = false
	switch {
	case len(rest) > 0 && q.dropped:
		q.dropLocked(rest)
		return
	case len(rest) > 0:
		// The peer's buffer is full, which is rare, so a new slice does no harm.
		q.frames = append(append(make([]*Frame, 0, len(rest)+len(q.frames)), rest...), q.frames...)
		for _, f := range rest {
			q.own += f.Size()
		}
		q.spare, q.skip = nil, skip
	}
	if !q.emptyLocked() {
		l.wakeLocked()
	}
}

// batches pools the buffers in which small frames are batched: an idle link holds none.
var batches = sync.Pool{New: func() any { return &batch{make([]byte, 0, batchBuffer)} }}

type batch struct{ b []byte }

// writeFrames writes frames in order, small ones together, and releases those that are written. If
// write takes less than it was given, writeFrames stops: written frames are out, and skipped bytes
// of the next one.
func (l *Link) writeFrames(
	frames []*Frame, skip int, write func([]byte) (int, error),
) (written, skipped int, err error) {
	pooled := batches.Get().(*batch)
	defer batches.Put(pooled)
	for written < len(frames) {
		b := frames[written].wireBytes()[skip:]
		if written+1 < len(frames) && len(b) < directFrom {
			b = gather(pooled.b[:0], frames[written:], skip)
		}
		n, err := write(b)
		short := n < len(b)
		first, taken := written, n
		for taken > 0 {
			left := frames[written].Size() - skip
			if taken < left {
				skip += taken
				break
			}
			taken -= left
			written, skip = written+1, 0
		}
		l.account(n, frames[first:written])
		for i := first; i < written; i++ {
			frames[i].Release()
			frames[i] = nil
		}
		if err != nil || short {
			return written, skip, err
		}
	}
	return written, 0, nil
}

// gather appends whole frames to b, as many as it has capacity for.
func gather(b []byte, frames []*Frame, skip int) []byte {
	for _, f := range frames {
		wire := f.wireBytes()[skip:]
		if len(wire) >= directFrom || len(b)+len(wire) > cap(b) {
			break
		}
		b = append(b, wire...)
		skip = 0
	}
	return b
}

// account takes n written bytes off the queue, which were the last of whole frames.
func (l *Link) account(n int, whole []*Frame) {
	q := &l.out
	l.pulse.sent.Add(uint64(n))
	q.mu.Lock()
	q.bytes -= n
	q.settleLocked(whole)
	q.announceLocked()
	q.mu.Unlock()
}

// dropQueued releases the frames that were never written.
func (l *Link) dropQueued() {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	l.out.dropAllLocked()
}

// dropAllLocked drops what waits, and what is given back later.
func (q *queue) dropAllLocked() {
	q.dropped = true
	q.dropLocked(q.frames)
	q.frames = nil
	if q.fair == nil {
		return
	}
	for _, list := range [][]*Flow{q.fair.fresh, q.fair.ring} {
		for _, flow := range list {
			q.dropLocked(flow.frames)
			flow.frames, flow.bytes = nil, 0
		}
	}
	q.fair.fresh, q.fair.ring = nil, nil
}

// dropLocked releases frames that were never written.
func (q *queue) dropLocked(frames []*Frame) {
	q.settleLocked(frames)
	for _, f := range frames {
		f.Release()
	}
}
