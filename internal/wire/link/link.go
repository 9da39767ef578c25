package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"shvtools/internal/shv/rpc"
)

// Errors of the sending methods.
var (
	// ErrClosed: the link has ended; Cause tells why.
	ErrClosed = errors.New("link: closed")
	// ErrQueueFull: the peer has not taken what is queued for it.
	ErrQueueFull = errors.New("link: queue full")
)

// Defaults of Options.
const (
	DefaultMaxFrame   = 16 << 20
	LoginMaxFrame     = 64 << 10
	DefaultQueueBytes = 4 << 20
)

// Handler takes what a link reads. Its methods are called by the read loop, one
// at a time.
type Handler interface {
	// Message takes one message. Both arguments are the link's and valid during
	// the call; f is retained by whoever keeps it.
	Message(m *rpc.Message, f *Frame)
	// Reset takes the peer's wish to begin anew, as before a login.
	Reset()
}

// Options of a link; zero fields have defaults.
type Options struct {
	MaxFrame   int    // bytes of a payload that is accepted
	QueueBytes int    // bytes that may wait for the peer
	Gauge      *Gauge // also counts what waits for the peer; nil: none
}

// Link is one connection. All methods may be called concurrently, Run once.
type Link struct {
	conn    net.Conn
	framing framing // nil: block

	maxFrame atomic.Int64
	rx, tx   atomic.Uint64 // frames read and queued
	txBytes  atomic.Uint64 // of those that were queued
	waiting  atomic.Bool   // the read loop waits in SendWait
	done     chan struct{} // closed when the link has ended

	endOnce sync.Once
	cause   Cause // set before done is closed
	detail  error

	idle  idleWatch
	pulse pulse
	out   queue
	try   tryWriter // of whoever took the queue

	// writer is the write loop, while there is one. It begins under out.mu and
	// before out.closed is set.
	writer sync.WaitGroup
	write  func() // the write loop, once it was needed

	// Of the read loop.
	in      input
	relayed []*Link       // the links that it relayed to and has not flushed
	space   chan struct{} // capacity 1: what it waits for has queue space; nil: it has never waited
}

// maxRelayed is how many links a read loop flushes at once.
const maxRelayed = 16

// New makes a link of conn, which it closes when it ends. Nothing is read
// before Run.
func New(conn net.Conn, o Options) *Link {
	if o.MaxFrame <= 0 {
		o.MaxFrame = DefaultMaxFrame
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = DefaultQueueBytes
	}
	l := &Link{done: make(chan struct{})}
	l.framing, l.conn = framingOf(conn)
	raw := rawOf(l.conn)
	l.try.init(raw)
	l.in.init(l, raw)
	l.maxFrame.Store(int64(o.MaxFrame))
	l.out.gauge, l.out.limit = o.Gauge, o.QueueBytes
	return l
}

// Run reads until the link ends and returns the cause. It returns only after
// the write loop has ended too. A panic of either loop ends this link alone.
func (l *Link) Run(h Handler) Cause {
	l.beginWriting()
	l.end(l.readGuarded(h))
	l.writer.Wait()
	l.dropQueued()
	return l.cause
}

func (l *Link) readGuarded(h Handler) (cause Cause, err error) {
	defer func() {
		if p := recover(); p != nil {
			cause, err = Bug, AsPanic(p)
		}
	}()
	return l.readLoop(h)
}

// PanicError is a panic of a loop or the Handler, with the stack for a bug report.
type PanicError struct {
	Value any
	Stack []byte
}

// AsPanic makes an error of what was recovered, with the stack of the caller, unless
// it is one from another goroutine already.
func AsPanic(recovered any) *PanicError {
	if p, ok := recovered.(*PanicError); ok {
		return p
	}
	return &PanicError{Value: recovered, Stack: debug.Stack()}
}

// Error is the panic without its stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Close ends the link for the given cause. Frames that are not written yet are
// lost; Finish writes them first.
func (l *Link) Close(cause Cause) { l.end(cause, nil) }

func (l *Link) end(cause Cause, err error) {
	l.endOnce.Do(func() {
		l.cause, l.detail = cause, err
		close(l.done)
		l.idle.stop()
		l.out.close()
		if m, ok := l.framing.(webSocket); ok {
			_ = m.conn.CloseFor(cause.status(), l.Err().Error())
			return
		}
		_ = l.conn.Close()
	})
}

// Done is closed when the link has ended.
func (l *Link) Done() <-chan struct{} { return l.done }

// Cause tells why the link ended; Open before that.
func (l *Link) Cause() Cause {
	select {
	case <-l.done:
		return l.cause
	default:
		return Open
	}
}

// Err describes the end of the link for people, nil before it.
func (l *Link) Err() error {
	switch cause := l.Cause(); {
	case cause == Open:
		return nil
	case l.detail != nil && l.detail != io.EOF:
		return &EndError{Cause: cause, Err: l.detail}
	default:
		return &EndError{Cause: cause}
	}
}

// EndError is the end of a link as an error.
type EndError struct {
	Cause Cause
	Err   error // nil where the cause says it all
}

// Error is the cause in words, with what the system said.
func (e *EndError) Error() string {
	if e.Err == nil {
		return e.Cause.String()
	}
	return e.Cause.String() + ": " + e.Err.Error()
}

// Unwrap gives what the system said.
func (e *EndError) Unwrap() error { return e.Err }

// PeerGone tells whether the peer has closed the connection although the read loop
// has not come that far. False where the connection cannot tell.
func (l *Link) PeerGone() bool {
	c, ok := l.conn.(interface{ PeerClosed() bool })
	return ok && c.PeerClosed()
}

// AckNow lets the system acknowledge what was read at once, where the connection
// can do that: a peer that holds small segments back until then (Nagle) goes on.
func (l *Link) AckNow() {
	if c, ok := l.conn.(interface{ AckNow() }); ok {
		c.AckNow()
	}
}

// SetMaxFrame changes the limit for frames from now on, in bytes of payload.
func (l *Link) SetMaxFrame(n int) { l.maxFrame.Store(int64(n)) }

// LocalAddr is our address of the connection.
func (l *Link) LocalAddr() net.Addr { return l.conn.LocalAddr() }

// RemoteAddr is the peer's address of the connection.
func (l *Link) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }

// Traffic is what has passed a link, or several: what was read, and what was queued
// for the peer.
type Traffic struct{ FramesIn, FramesOut, BytesIn, BytesOut uint64 }

// Traffic gives what has passed so far. It does not wait.
func (l *Link) Traffic() Traffic {
	return Traffic{l.rx.Load(), l.tx.Load(), l.pulse.received.Load(), l.txBytes.Load()}
}

// Plus is the sum of both.
func (t Traffic) Plus(o Traffic) Traffic {
	return Traffic{t.FramesIn + o.FramesIn, t.FramesOut + o.FramesOut, t.BytesIn + o.BytesIn, t.BytesOut + o.BytesOut}
}

// Minus is what came after o.
func (t Traffic) Minus(o Traffic) Traffic {
	return Traffic{t.FramesIn - o.FramesIn, t.FramesOut - o.FramesOut, t.BytesIn - o.BytesIn, t.BytesOut - o.BytesOut}
}

// sent counts a frame that was queued.
func (l *Link) sent(f *Frame) {
	l.tx.Add(1)
	l.txBytes.Add(uint64(f.Size()))
}
