package link

import (
	"golang.org/x/sys/unix"
)

const (
	// sliceBytes is how much a shared link writes before fresh streams get their next turn, and
	// quantum how much of it one stream may use.
	sliceBytes = 32 << 10
	quantum    = 16 << 10
	// unsent is how many bytes of a shared link the system may hold without having sent them:
	// there, no stream overtakes another.
	unsent = 64 << 10
	// sharing is how many times the queue space of one stream a shared link has in all.
	sharing = 16
)

// Flow is one of the streams that share a link, in one direction. Its frames keep their order, and
// frames of other streams may overtake them. It belongs to one link and must not be used with
// another. The zero value is ready.
type Flow struct {
	// Guarded by the lock of the link's queue.
	frames []*Frame
	bytes  int
}

// fair holds what waits for a shared link, by stream, in the order of their turns. The lock of the
// link's queue guards it.
type fair struct {
	limit int     // bytes that one stream may have waiting
	fresh []*Flow // streams that had nothing waiting before, and so go first
	ring  []*Flow // streams that have had a turn and still have frames

	// passed is how many bytes of fresh streams went out since the ring last had a turn. Many small
	// streams together must not hold up a large one for ever.
	passed int
}

func (r *fair) empty() bool { return len(r.fresh) == 0 && len(r.ring) == 0 }

// Share makes the link one that many streams share, each with queue space for so many bytes. Call
// it before a Flow is used with the link. Later calls change nothing.
func (l *Link) Share(bytes int) {
	q := &l.out
	q.mu.Lock()
	if q.fair == nil {
		q.fair = &fair{limit: bytes}
		q.limit = sharing * bytes
	}
	q.mu.Unlock()
	if l.try.raw == nil {
		return
	}
	// This fails on sockets other than TCP, which do not need it.
	_ = l.try.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
}

// has reports whether the stream may have size more bytes waiting.
func (r *fair) has(flow *Flow, size int) bool { return flow.bytes == 0 || flow.bytes+size <= r.limit }

// push appends f to its stream.
func (r *fair) push(f *Frame, flow *Flow) {
	if flow.bytes == 0 {
		r.fresh = append(r.fresh, flow)
	}
	flow.bytes += f.Size()
	flow.frames = appendFrame(flow.frames, f)
}

// take appends the frames that go next to frames, about size bytes.
func (r *fair) take(frames []*Frame, size int) []*Frame {
	for size > 0 && !r.empty() {
		list := &r.ring
		if len(r.ring) == 0 || len(r.fresh) > 0 && r.passed < sliceBytes {
			list = &r.fresh
		}
		flow := (*list)[0]
		copy(*list, (*list)[1:]) // cheap: there are few streams
		(*list)[len(*list)-1] = nil
		*list = (*list)[:len(*list)-1]

		n, bytes := 0, 0
		for n < len(flow.frames) && bytes < quantum {
			bytes += flow.frames[n].Size()
			n++
		}
		frames = append(frames, flow.frames[:n]...)
		size -= bytes
		if list == &r.fresh && len(r.ring) > 0 {
			r.passed += bytes
		} else {
			r.passed = 0
		}
		flow.bytes -= bytes
		left := copy(flow.frames, flow.frames[n:])
		clear(flow.frames[left:])
		flow.frames = flow.frames[:left]
		if left > 0 {
			r.ring = append(r.ring, flow)
		}
	}
	return frames
}

// QueuedIn returns how many bytes of a stream wait for the peer.
func (l *Link) QueuedIn(flow *Flow) int {
	l.out.mu.Lock()
	defer l.out.mu.Unlock()
	return flow.bytes
}
