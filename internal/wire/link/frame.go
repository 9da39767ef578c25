package link

import (
	"sync"
	"sync/atomic"

	"shvtools/internal/shv/chainpack"
)

const (
	// headroom is kept free before a received payload, in bytes, so that its head can grow in place
	// by a caller id, an access level, a user id and a mount point.
	headroom = 256
	// tailroom is kept free after the data of a frame that is built in place, in bytes.
	tailroom = 16
	// maxPrefix is the size of the longest length prefix that is written, in bytes (spec.md 4.1).
	maxPrefix = 9

	protocolReset     = 0
	protocolChainPack = 1
)

// Frame is one message in a buffer with space around it, so that its head can be replaced without
// moving its body.
//
// Frames are pooled and reference-counted: a holder that keeps one beyond a call calls Retain, and
// Release once. The bytes of a frame do not change after it was first sent.
type Frame struct {
	refs  atomic.Int32
	class int // index into classes; -1: not pooled
	buf   []byte
	start int // of the payload, which begins with the protocol byte
	end   int
	wire  int     // of the length prefix; 0: the frame is not ready to be sent
	payer Account // while it waits; nil: that of the link
	// gathers says that a queue made this frame of the bytes of small frames and may append more
	// while it waits.
	gathers bool
}

// classes are the payload sizes that are pooled, in bytes. A frame has at most about twice the
// memory of its payload, because queue limits count payload bytes. 33 KiB holds one data frame of a
// tunnel.
var classes = [...]int{512, 1 << 10, 2 << 10, 5 << 10, 10 << 10, 18 << 10, 33 << 10, 66 << 10, 132 << 10, 264 << 10}

var pools [len(classes)]sync.Pool

// NewFrame returns a frame with space for capacity bytes of payload. The caller holds it.
func NewFrame(capacity int) *Frame {
	for i, size := range classes {
		if capacity > size {
			continue
		}
		f, _ := pools[i].Get().(*Frame)
		if f == nil {
			f = &Frame{class: i, buf: make([]byte, headroom+size+tailroom)}
		}
		f.refs.Store(1)
		f.start, f.end, f.wire, f.payer, f.gathers = headroom, headroom, 0, nil, false
		return f
	}
	f := &Frame{class: -1, buf: make([]byte, headroom+capacity+tailroom), start: headroom, end: headroom}
	f.refs.Store(1)
	return f
}

// Retain adds a holder.
func (f *Frame) Retain() { f.refs.Add(1) }

// Release removes a holder. The last one gives the buffer back to its pool.
func (f *Frame) Release() {
	if f.refs.Add(-1) == 0 && f.class >= 0 {
		pools[f.class].Put(f)
	}
}

// NewMessage returns a frame, ready to be sent, with a copy of message, which has no protocol byte.
// The caller holds it.
func NewMessage(message []byte) *Frame {
	f := NewFrame(len(message) + 1)
	f.end = f.start + copy(f.buf[f.start:], message)
	f.seal(f.start)
	return f
}

// Room returns the space for the data of a frame that is built in place, n bytes of it. n must not
// exceed the capacity that the frame was made with.
func (f *Frame) Room(n int) []byte { return f.buf[headroom : headroom+n] }

// Wrap makes a frame of the first n bytes of Room, with head before and tail after them. Together
// they are one message, which has no protocol byte. head has at most 240 bytes, tail at most 16.
func (f *Frame) Wrap(head []byte, n int, tail []byte) {
	f.end = headroom + n
	f.end += copy(f.buf[f.end:], tail)
	f.seal(headroom - copy(f.buf[headroom-len(head):], head))
}

// ReplaceHead replaces everything before the last bodyLen bytes of the payload by head and makes
// the frame ready to be sent. The caller must be the only holder.
func (f *Frame) ReplaceHead(head []byte, bodyLen int) {
	body := f.end - bodyLen
	start := body - len(head)
	if start < maxPrefix+1 {
		f.regrow(head, bodyLen)
		return
	}
	copy(f.buf[start:], head)
	f.seal(start)
}

// regrow moves the body to a new buffer, for a head that does not fit before it.
func (f *Frame) regrow(head []byte, bodyLen int) {
	buf := make([]byte, headroom+len(head)+bodyLen+tailroom)
	n := headroom + copy(buf[headroom:], head)
	end := n + copy(buf[n:], f.buf[f.end-bodyLen:f.end])
	f.buf, f.end, f.class = buf, end, -1
	f.seal(headroom)
}

// seal writes the protocol byte and the length prefix before the message, which begins at message.
func (f *Frame) seal(message int) {
	f.start = message - 1
	f.buf[f.start] = protocolChainPack
	length := uint64(f.end - f.start)
	f.wire = f.start - chainpack.UIntDataLen(length)
	chainpack.AppendUIntData(f.buf[f.wire:f.wire], length)
}

// Payload returns the protocol byte and the message. It aliases the frame.
func (f *Frame) Payload() []byte { return f.buf[f.start:f.end] }

// Message returns the payload without its protocol byte. It aliases the frame.
func (f *Frame) Message() []byte { return f.buf[f.start+1 : f.end] }

// wireBytes returns the frame in the block framing. The frame must be ready to be sent.
func (f *Frame) wireBytes() []byte { return f.buf[f.wire:f.end] }

// Size returns the size of the frame in the block framing, in bytes. Queues count it.
func (f *Frame) Size() int { return f.end - f.wire }
