package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"shvtools/internal/shv/rpc"
)

// Errors of the sending methods.
var (
	// ErrClosed reports that the link has ended; Cause gives the reason.
	ErrClosed = errors.New("link: closed")
	// ErrQueueFull reports that the queue has no space for the frame, since the peer is slow.
	ErrQueueFull = errors.New("link: queue full")
)

// Defaults of Options, and the limit for frames before a login, in bytes.
const (
	DefaultMaxFrame   = 16 << 20
	LoginMaxFrame     = 64 << 10
	DefaultQueueBytes = 4 << 20
)

// Handler takes what a link reads. The read loop calls its methods, one at a time.
type Handler interface {
	// Message takes one message. Both arguments belong to the link and are valid during the call; a
	// handler that keeps f beyond it calls f.Retain.
	Message(m *rpc.Message, f *Frame)
	// Reset takes the peer's request to start over, as before a login (spec.md 4.1).
	Reset()
}

// Options are the limits of a link. A zero field means its default.
type Options struct {
	MaxFrame   int // bytes of a payload that is accepted; 0: DefaultMaxFrame
	QueueBytes int // bytes that may wait for the peer; 0: DefaultQueueBytes
}

// Link is one connection. Run is called once; all other methods may be called concurrently.
type Link struct {
	conn    net.Conn
	framing framing // nil: block

	maxFrame atomic.Int64
	rx, tx   atomic.Uint64 // frames read and queued
	txBytes  atomic.Uint64 // bytes of the queued frames
	waiting  atomic.Bool   // the read loop waits in SendWait
	done     chan struct{} // closed when the link has ended

	endOnce sync.Once
	cause   Cause // set before done is closed
	// finishing is the cause with which Finish ends the link; Open before.
	finishing atomic.Int32
	detail    error

	idle  idleWatch
	pulse pulse
	out   queue
	try   tryWriter // belongs to the goroutine that took the queue

	// writer counts the write loop while it runs. It starts under out.mu and before out.closed is
	// set.
	writer sync.WaitGroup
	write  func() // the write loop; nil until it is first needed

	// Owned by the read loop.
	in      input
	reading reading
	relayed []*Link       // the links that it relayed to and has not flushed yet
	space   chan struct{} // capacity 1, gets a token for queue space; nil until it first waits
}

// maxRelayed is how many links a read loop relays to before it flushes them.
const maxRelayed = 16

// New makes a link of conn and takes it over: the link closes conn when it ends. Nothing is read
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
	l.out.limit = o.QueueBytes
	return l
}

// Run reads until the link ends and returns the cause. It returns after the write loop has ended,
// too. A panic of either loop ends only this link, with the cause Bug.
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

// PanicError is a recovered panic of a loop or the Handler, with the stack for a bug report.
type PanicError struct {
	Value any
	Stack []byte
}

// AsPanic makes an error of a recovered value, with the stack of the caller. A *PanicError, which
// another goroutine recovered, is returned as it is.
func AsPanic(recovered any) *PanicError {
	if p, ok := recovered.(*PanicError); ok {
		return p
	}
	return &PanicError{Value: recovered, Stack: debug.Stack()}
}

// Error returns the panic without its stack.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Close ends the link with the given cause, unless it has ended already. Frames that are not
// written yet are lost; Finish writes them first.
func (l *Link) Close(cause Cause) { l.end(cause, nil) }

func (l *Link) end(cause Cause, err error) {
	l.endOnce.Do(func() {
		if ours := Cause(l.finishing.Load()); ours != Open && cause == PeerClosed {
			cause, err = ours, nil
		}
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

// Done returns a channel that is closed when the link has ended.
func (l *Link) Done() <-chan struct{} { return l.done }

// Cause returns why the link ended, Open before that.
func (l *Link) Cause() Cause {
	select {
	case <-l.done:
		return l.cause
	default:
		return Open
	}
}

// Err describes the end of the link for people, as an *EndError. It is nil before the end.
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
	Err   error // what the system or the parser reported; nil: the cause says it all
}

// Error returns the cause in words, and then Err.
func (e *EndError) Error() string {
	if e.Err == nil {
		return e.Cause.String()
	}
	return e.Cause.String() + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *EndError) Unwrap() error { return e.Err }

// PeerGone reports whether the peer has closed the connection, even if the read loop has not read
// that far. It is false if the connection cannot tell, which only blocking ones can.
func (l *Link) PeerGone() bool {
	c, ok := l.conn.(interface{ PeerClosed() bool })
	return ok && c.PeerClosed()
}

// HungUp is PeerGone for connections of Go's poller, also below TLS and WebSockets. It is false for
// others.
func (l *Link) HungUp() bool {
	below := l.conn
	for {
		c, ok := below.(interface{ NetConn() net.Conn })
		if !ok {
			return hungUp(rawOf(below))
		}
		below = c.NetConn()
	}
}

// hungUp reports whether the peer of a socket has closed it; false for nil.
func hungUp(raw syscall.RawConn) (gone bool) {
	if raw == nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(fds, 0)
		gone = err == nil && n > 0
	})
	return gone
}

// AckNow makes the system acknowledge what was read at once, if the connection supports that. A
// peer with Nagle's algorithm holds small segments back until then.
func (l *Link) AckNow() {
	if c, ok := l.conn.(interface{ AckNow() }); ok {
		c.AckNow()
	}
}

// SetMaxFrame changes the limit for frames that are read from now on, in bytes of payload.
func (l *Link) SetMaxFrame(n int) { l.maxFrame.Store(int64(n)) }

// LocalAddr returns our address of the connection.
func (l *Link) LocalAddr() net.Addr { return l.conn.LocalAddr() }

// RemoteAddr returns the peer's address of the connection.
func (l *Link) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }

// Traffic counts what passed a link, or several: frames and bytes that were read, and those that
// were queued for the peer.
type Traffic struct{ FramesIn, FramesOut, BytesIn, BytesOut uint64 }

// Traffic returns the counts so far. It does not wait.
func (l *Link) Traffic() Traffic {
	return Traffic{l.rx.Load(), l.tx.Load(), l.pulse.received.Load(), l.txBytes.Load()}
}

// Plus returns the sum of t and o.
func (t Traffic) Plus(o Traffic) Traffic {
	return Traffic{t.FramesIn + o.FramesIn, t.FramesOut + o.FramesOut, t.BytesIn + o.BytesIn, t.BytesOut + o.BytesOut}
}

// Minus returns what was counted after o, an earlier count of the same link.
func (t Traffic) Minus(o Traffic) Traffic {
	return Traffic{t.FramesIn - o.FramesIn, t.FramesOut - o.FramesOut, t.BytesIn - o.BytesIn, t.BytesOut - o.BytesOut}
}

// sent counts a frame that was queued.
func (l *Link) sent(f *Frame) {
	l.tx.Add(1)
	l.txBytes.Add(uint64(f.Size()))
}
