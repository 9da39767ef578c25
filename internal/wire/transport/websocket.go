package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"shvtools/internal/shv/chainpack"
)

const (
	// subprotocol is the standard's: each message is one frame. Without it, the messages together
	// are a stream of block frames (spec.md 4.3).
	subprotocol = "shv3"
	// maxPings is how many pings and pongs a peer may send per second.
	maxPings = 100
	// maxOverhead is how many bytes of a message may come without payload. Fragments may be empty,
	// and a peer can send them without end.
	maxOverhead = 64 << 10
	// readSize is how many bytes are read at once: coder/websocket waits for all that it is asked
	// for, which would hide that a slow peer sends them bit by bit.
	readSize = 16 << 10
	// closeFrameWait is how long a write of the close frame may take when the connection ends. It
	// takes that long only if the peer does not read.
	closeFrameWait = 10 * time.Millisecond
)

var (
	errText     = &violation{"text message (want binary)"}
	errPings    = &violation{fmt.Sprintf("more than %d pings and pongs per second", maxPings)}
	errOverhead = &violation{"message of empty fragments"}
)

// violation is the error of a peer that breaks the rules of its framing.
type violation struct{ text string }

// Error says which rule.
func (v *violation) Error() string { return v.text }

// Violation tells it from a lost connection. Package link looks for this method.
func (v *violation) Violation() {}

// WSConn is a connection of the scheme ws or wss. Frames go through NextFrame and WriteFrame; do
// not use Read and Write, which bypass the framing. On an accepted connection nothing is read or
// written before Handshake. NextFrame and the reader that it returns belong to one goroutine,
// WriteFrame to one, too; all other methods may be called concurrently.
type WSConn struct {
	*rawConn
	secure  *TLSConn // of an accepted connection; nil: none
	origins []string // of an accepted connection

	ws     atomic.Pointer[websocket.Conn] // nil before the handshake
	blocks bool                           // messages are a stream of block frames; set before ws
	stream stream                         // that stream

	writing     sync.Mutex             // held while a frame is written
	pendingPing atomic.Pointer[[]byte] // the payload of the latest unanswered ping

	pings  int // in the second since pinged; owned by the reader
	pinged time.Time
	cause  atomic.Pointer[violation] // why this end closed the connection; nil: it did not
}

// NextFrame waits for the next frame and returns its payload, which ends with io.EOF. The payload
// before must have been read to its end. A clean end of the connection is io.EOF.
func (c *WSConn) NextFrame() (io.Reader, error) {
	if c.blocks {
		return c.stream.nextBlock()
	}
	return c.nextMessage()
}

// nextMessage waits for the next message.
func (c *WSConn) nextMessage() (io.Reader, error) {
	kind, r, err := c.ws.Load().Reader(context.Background())
	switch {
	case err != nil:
		return nil, c.readError(err)
	case kind != websocket.MessageBinary:
		return nil, errText
	}
	c.overhead, c.within = 0, true
	return message{c, r}, nil
}

// message reads one message.
type message struct {
	conn *WSConn
	r    io.Reader
}

func (m message) Read(b []byte) (int, error) {
	n, err := m.r.Read(b[:min(len(b), readSize)])
	m.conn.overhead, m.conn.within = 0, err == nil
	if err != nil && err != io.EOF {
		if err = m.conn.readError(err); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}

// readError distinguishes a clean close (io.EOF), a lost connection and a protocol violation.
func (c *WSConn) readError(err error) error {
	if v := c.cause.Load(); v != nil {
		return v
	}
	var closed websocket.CloseError
	var overhead *violation
	switch {
	case errors.As(err, &overhead):
		return overhead
	case errors.As(err, &closed):
		switch closed.Code {
		case websocket.StatusNormalClosure, websocket.StatusGoingAway, websocket.StatusNoStatusRcvd:
			return io.EOF
		}
		return &closeReason{closed}
	case errors.Is(err, errEnd):
		return io.EOF
	case c.failed.Load(), errors.Is(err, net.ErrClosed):
		return err
	}
	return &violation{err.Error()}
}

// closeReason is a clean end of the connection (io.EOF) with the peer's reason.
type closeReason struct{ why websocket.CloseError }

func (g *closeReason) Error() string {
	if g.why.Reason == "" {
		return fmt.Sprintf("status %d", int(g.why.Code))
	}
	return g.why.Reason
}

func (g *closeReason) Is(target error) bool { return target == io.EOF }

// stream is the older form: block frames that are cut into messages anywhere.
type stream struct {
	conn    *WSConn
	message io.Reader // the message that is being read; nil: none
	left    uint64    // unread bytes of the current block frame
}

// nextBlock reads the length of the next frame.
func (s *stream) nextBlock() (io.Reader, error) {
	var b [18]byte // the longest form (spec.md 1.3)
	for n := range b {
		if _, err := s.read(b[n : n+1]); err != nil {
			if err == io.EOF && n > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		length, _, err := chainpack.UIntData(b[:n+1])
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			s.left = length
			return s, err
		}
	}
	return nil, &violation{"malformed frame length"}
}

// Read reads the current block frame.
func (s *stream) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.read(b[:min(uint64(len(b)), s.left)])
	s.left -= uint64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// read reads the messages as one stream. The end of the connection is io.EOF.
func (s *stream) read(b []byte) (int, error) {
	for {
		if s.message == nil {
			m, err := s.conn.nextMessage()
			if err != nil {
				return 0, err
			}
			s.message = m
		}
		n, err := s.message.Read(b)
		if err == io.EOF {
			s.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// WriteFrame writes a frame as one unfragmented message. wire is the frame in the block framing,
// with its payload from wire[payload] on.
func (c *WSConn) WriteFrame(wire []byte, payload int) error {
	if c.blocks {
		payload = 0
	}
	c.writing.Lock()
	err := c.ws.Load().Write(context.Background(), websocket.MessageBinary, wire[payload:])
	c.writing.Unlock()
	c.answerPing()
	return err
}

// ping is called for each ping. It answers by itself, because coder/websocket would wait for a
// frame that is being written, and drop a slow peer if that takes long.
func (c *WSConn) ping(ctx context.Context, payload []byte) bool {
	if c.pong(ctx, payload); c.cause.Load() == nil {
		payload = append([]byte(nil), payload...)
		c.pendingPing.Store(&payload)
		c.answerPing()
	}
	return false
}

// pong is called for each pong, which nobody has asked for.
func (c *WSConn) pong(context.Context, []byte) {
	if now := time.Now(); now.Sub(c.pinged) > time.Second {
		c.pings, c.pinged = 0, now
	}
	if c.pings++; c.pings <= maxPings {
		return
	}
	c.cause.Store(errPings)
	c.sayClose(websocket.StatusPolicyViolation, errPings.text, closeFrameWait)
	_ = c.rawConn.Close()
}

// answerPing sends the pong for the pending ping, now or after the frame that is being written.
func (c *WSConn) answerPing() {
	for c.pendingPing.Load() != nil && c.writing.TryLock() {
		if payload := c.pendingPing.Swap(nil); payload != nil {
			_, _ = c.rawConn.Write(c.control(websocketPong, *payload)) // later writes report an error
		}
		c.writing.Unlock()
	}
}

// Opcodes of control frames with the FIN bit (RFC 6455 section 5.2).
const (
	websocketClose = 0x88
	websocketPong  = 0x8a
)

// control returns a control frame.
func (c *WSConn) control(opcode byte, payload []byte) []byte {
	b := []byte{opcode, byte(len(payload))}
	if c.client {
		b[1] |= 0x80
		b = append(b, 0, 0, 0, 0) // clients must mask; this mask changes nothing
	}
	return append(b, payload...)
}

// CloseWrite tells the peer that no more comes. It waits for the system at most a second.
func (c *WSConn) CloseWrite() error {
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }()
	if !c.sayClose(websocket.StatusNormalClosure, "", time.Second) {
		return net.ErrClosed
	}
	return nil
}

// CloseFor is Close that sends the peer a status (RFC 6455 section 7.4) and a reason, if that is
// possible without a wait.
func (c *WSConn) CloseFor(status int, reason string) error {
	c.sayClose(websocket.StatusCode(status), reason, closeFrameWait)
	return c.Close()
}

// sayClose sends a close frame, after which nothing is sent. It is written by hand because
// coder/websocket would wait for the peer's close frame. It does not cut a frame that is being
// written.
func (c *WSConn) sayClose(status websocket.StatusCode, reason string, wait time.Duration) bool {
	const maxReason = 123 // bytes in a control frame after the status
	if c.ws.Load() == nil || c.failed.Load() || !c.writing.TryLock() {
		return false
	}
	defer c.writing.Unlock()
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	b := c.control(websocketClose, append([]byte{byte(status >> 8), byte(status)}, reason...))
	_ = c.SetWriteDeadline(time.Now().Add(wait))
	_, err := c.rawConn.Write(b)
	return err == nil
}

// Close ends the connection and everything that waits on it.
func (c *WSConn) Close() error {
	err := c.rawConn.Close() // first, since CloseNow waits for reads and writes
	if ws := c.ws.Load(); ws != nil {
		_ = ws.CloseNow()
	}
	return err
}

// errEnd is the end of the raw connection. coder/websocket would take io.EOF for the end of a
// message.
var errEnd = errors.New("connection closed without a close frame")

// rawConn is the connection under a WebSocket.
type rawConn struct {
	net.Conn
	client  bool // this end dialled it
	written atomic.Uint64
	failed  atomic.Bool

	// Owned by the reader.
	within   bool // within a message
	overhead int  // bytes since the last payload of the message
}

func (b *rawConn) Read(p []byte) (int, error) {
	if b.within && b.overhead > maxOverhead {
		return 0, errOverhead
	}
	n, err := b.Conn.Read(p)
	b.overhead += n
	if err != nil {
		b.failed.Store(true)
		if err == io.EOF {
			err = errEnd
		}
	}
	return n, err
}

// Write writes in parts, so that Written shows the progress of a slow peer.
func (b *rawConn) Write(p []byte) (n int, err error) {
	const maxWrite = 64 << 10
	for n < len(p) && err == nil {
		var more int
		more, err = b.Conn.Write(p[n:min(len(p), n+maxWrite)])
		n += more
		b.written.Add(uint64(more))
	}
	if err != nil {
		b.failed.Store(true)
	}
	return n, err
}

// Written grows with the bytes that are written.
func (b *rawConn) Written() uint64 { return b.written.Load() }

// NetConn returns the connection under the WebSocket.
func (b *rawConn) NetConn() net.Conn { return b.Conn }
