package link

import (
	"sync"
	"sync/atomic"

	"shvtools/internal/shv/chainpack"
)

const (
	// headroom is kept free before a received payload, for a new head that is
	// longer than the one that came: a caller id, an access level, a user id
	// and a mount point more.
	headroom = 256
	// tailroom is kept free behind the data of a frame that is built in place.
	tailroom = 16
	// maxPrefix is the longest length prefix (spec.md 4.1).
	maxPrefix = 9

	protocolReset     = 0
	protocolChainPack = 1
)

// Frame is one message in a buffer with room around it, so that its head can
// be rewritten before its body without moving the body.
//
// Frames come from pools and are counted: whoever holds one beyond a call
// retains it and releases it once. Its bytes do not change after it was first
// sent.
type Frame struct {
	refs  atomic.Int32
	class int // index into classes, -1: not pooled
	buf   []byte
	start int // of the payload, which begins with the protocol byte
	end   int
	wire  int // of the length prefix; 0: not ready to be sent
	// gathers: made by a queue of the bytes of many small frames, which may go on
	// as long as it waits there.
	gathers bool
}

// classes are the capacities that are pooled. A frame takes no more than about
// twice its size, since what waits in a queue is counted by its size; 33 KiB is
// one data frame of a tunnel.
var classes = [...]int{512, 1 << 10, 2 << 10, 5 << 10, 10 << 10, 18 << 10, 33 << 10, 66 << 10, 132 << 10, 264 << 10}

var pools [len(classes)]sync.Pool

// NewFrame gives a frame with room for capacity bytes of payload. The caller
// holds it.
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
		f.start, f.end, f.wire, f.gathers = headroom, headroom, 0, false
		return f
	}
	f := &Frame{class: -1, buf: make([]byte, headroom+capacity+tailroom), start: headroom, end: headroom}
	f.refs.Store(1)
	return f
}

// Retain counts one holder more.
func (f *Frame) Retain() { f.refs.Add(1) }

// Release counts one holder less; the last one gives the buffer back.
func (f *Frame) Release() {
	if f.refs.Add(-1) == 0 && f.class >= 0 {
		pools[f.class].Put(f)
	}
}

// NewMessage gives a frame, ready to be sent, that holds message (without its
// protocol byte). The bytes are copied.
func NewMessage(message []byte) *Frame {
	f := NewFrame(len(message) + 1)
	f.end = f.start + copy(f.buf[f.start:], message)
	f.seal(f.start)
	return f
}

// Room is where the data of a frame that is built in place goes, n bytes of it;
// n must not exceed the capacity asked for.
func (f *Frame) Room(n int) []byte { return f.buf[headroom : headroom+n] }

// Wrap makes a frame of the first n bytes of Room: head goes before and tail
// behind them. Together they are one message; tail has at most 16 bytes, head
// at most 240.
func (f *Frame) Wrap(head []byte, n int, tail []byte) {
	f.end = headroom + n
	f.end += copy(f.buf[f.end:], tail)
	f.seal(headroom - copy(f.buf[headroom-len(head):], head))
}

// ReplaceHead puts head in the place of everything before the last bodyLen
// bytes and makes the frame ready to be sent. It must be the frame's only
// holder who calls it.
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

// regrow moves the body to a new buffer, for a head that the room does not
// hold.
func (f *Frame) regrow(head []byte, bodyLen int) {
	buf := make([]byte, headroom+len(head)+bodyLen+tailroom)
	n := headroom + copy(buf[headroom:], head)
	end := n + copy(buf[n:], f.buf[f.end-bodyLen:f.end])
	f.buf, f.end, f.class = buf, end, -1
	f.seal(headroom)
}

// seal puts the protocol byte and the length prefix before the message that
// begins at message.
func (f *Frame) seal(message int) {
	f.start = message - 1
	f.buf[f.start] = protocolChainPack
	length := uint64(f.end - f.start)
	f.wire = f.start - chainpack.UIntDataLen(length)
	chainpack.AppendUIntData(f.buf[f.wire:f.wire], length)
}

// Payload is the protocol byte and the message.
func (f *Frame) Payload() []byte { return f.buf[f.start:f.end] }

// Message is the payload without its protocol byte.
func (f *Frame) Message() []byte { return f.buf[f.start+1 : f.end] }

// wireBytes is what goes over the wire, of a frame that is ready to be sent.
func (f *Frame) wireBytes() []byte { return f.buf[f.wire:f.end] }

// Size is the count of bytes that the frame takes on the wire.
func (f *Frame) Size() int { return f.end - f.wire }
