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
	// subprotocol is that of the standard: a frame is a message of its own. Without
	// it, the messages together are a stream of block frames (spec.md 4.3).
	subprotocol = "shv3"
	// maxPings is how many pings and pongs a peer may send in a second.
	maxPings = 100
	// maxOverhead is how many bytes of a message may come that bring nothing of what
	// it holds: fragments may be empty, and there is no end to them.
	maxOverhead = 64 << 10
	// readSize is how much is read at once: the package waits for all that it is
	// asked for, which would hide that a slow peer sends it bit by bit.
	readSize = 16 << 10
	// closeFrameWait is how long telling a peer why its connection ends may take. It never
	// does where the peer reads.
	closeFrameWait = 10 * time.Millisecond
)

var (
	errText     = &violation{"a text message, where only binary ones are SHV"}
	errPings    = &violation{fmt.Sprintf("more than %d pings and pongs in a second", maxPings)}
	errOverhead = &violation{"a message of fragments with nothing in them"}
)

// violation is an error of a peer that does not keep to the rules of its framing.
type violation struct{ text string }

// Error says what was wrong.
func (v *violation) Error() string { return v.text }

// Violation tells it from a lost connection.
func (v *violation) Violation() {}

// WSConn is a connection of the scheme ws or wss. Frames go through NextFrame and
// WriteFrame; Read and Write are those of the connection below and not to be used.
// Nothing is read or written before Handshake of an accepted one. NextFrame and
// the reader that it gives belong to one goroutine, and so does WriteFrame; all other
// methods may be called concurrently.
type WSConn struct {
	*rawConn
	secure  *TLSConn // of an accepted connection; nil: none
	origins []string // of an accepted connection

	ws     atomic.Pointer[websocket.Conn] // nil before the handshake
	blocks bool                           // the older form; set before ws
	stream stream                         // of it

	writing     sync.Mutex             // a frame goes out, or the last one has
	pendingPing atomic.Pointer[[]byte] // the latest ping that is not answered

	pings  int // in the second since pinged; of the reader
	pinged time.Time
	cause  atomic.Pointer[violation] // why we closed it; nil: we did not
}

// NextFrame waits for the next frame and gives its payload, up to io.EOF; the
// last one must have been read that far. An end of the connection in good order is
// io.EOF.
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

// message is what a peer sends as one.
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

// readError tells an end in good order, a lost connection and a peer that breaks
// the rules apart.
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

// closeReason is the end of a connection in good order, with a reason: an io.EOF.
type closeReason struct{ why websocket.CloseError }

func (g *closeReason) Error() string {
	if g.why.Reason == "" {
		return fmt.Sprintf("status %d", int(g.why.Code))
	}
	return g.why.Reason
}

func (g *closeReason) Is(target error) bool { return target == io.EOF }

// stream is the older form: block frames, cut into messages anywhere.
type stream struct {
	conn    *WSConn
	message io.Reader // that is being read; nil: none
	left    uint64    // of the block frame that is being read
}

// nextBlock reads the length of the next frame.
func (s *stream) nextBlock() (io.Reader, error) {
	var b [18]byte // the longest form
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
	return nil, &violation{"a length of no form"}
}

// Read reads the block frame.
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

// read reads the messages as one stream; io.EOF is the end of the connection.
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

// WriteFrame writes a frame as a message of one piece. wire is the frame as in the
// block framing, and its payload begins at wire[payload].
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

// ping is called for each ping. It answers by itself: the package would wait for a
// frame that is on its way, and give a slow peer up that takes long for it.
func (c *WSConn) ping(ctx context.Context, payload []byte) bool {
	if c.pong(ctx, payload); c.cause.Load() == nil {
		payload = append([]byte(nil), payload...)
		c.pendingPing.Store(&payload)
		c.answerPing()
	}
	return false
}

// pong is called for each pong, and nobody has asked for one.
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

// answerPing sends the pong that is owed, now or behind the frame that is on its
// way.
func (c *WSConn) answerPing() {
	for c.pendingPing.Load() != nil && c.writing.TryLock() {
		if payload := c.pendingPing.Swap(nil); payload != nil {
			_, _ = c.rawConn.Write(c.control(websocketPong, *payload)) // an error shows in what follows
		}
		c.writing.Unlock()
	}
}

// Opcodes of control frames, with the bit of a last fragment.
const (
	websocketClose = 0x88
	websocketPong  = 0x8a
)

// control makes a control frame.
func (c *WSConn) control(opcode byte, payload []byte) []byte {
	b := []byte{opcode, byte(len(payload))}
	if c.client {
		b[1] |= 0x80
		b = append(b, 0, 0, 0, 0) // a mask that changes nothing
	}
	return append(b, payload...)
}

// CloseWrite tells the peer that no more comes.
func (c *WSConn) CloseWrite() error {
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }()
	if !c.sayClose(websocket.StatusNormalClosure, "", time.Second) {
		return net.ErrClosed
	}
	return nil
}

// CloseFor is Close that tells the peer why, where that needs no wait.
func (c *WSConn) CloseFor(status int, reason string) error {
	c.sayClose(websocket.StatusCode(status), reason, closeFrameWait)
	return c.Close()
}

// sayClose sends a close frame, and nothing follows it. It does so by hand: the
// package waits for the peer's. A frame that is on its way is not cut in two.
func (c *WSConn) sayClose(status websocket.StatusCode, reason string, wait time.Duration) bool {
	const maxReason = 123 // of a control frame, without the status
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

// Close ends the connection and what waits on it.
func (c *WSConn) Close() error {
	err := c.rawConn.Close() // before all else, which waits for reads and writes
	if ws := c.ws.Load(); ws != nil {
		_ = ws.CloseNow()
	}
	return err
}

// errEnd is the end of the connection below: io.EOF would be taken for that of a
// message.
var errEnd = errors.New("connection closed without a close frame")

// rawConn is the connection below a WebSocket.
type rawConn struct {
	net.Conn
	client  bool // we have dialled it
	written atomic.Uint64
	failed  atomic.Bool

	// Of the reader.
	within   bool // a message
	overhead int  // bytes that came since it had some of its payload
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

// Write writes in pieces, so that it shows when a peer takes them bit by bit.
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

// Written grows with what goes out.
func (b *rawConn) Written() uint64 { return b.written.Load() }

// NetConn is the connection below the WebSocket.
func (b *rawConn) NetConn() net.Conn { return b.Conn }
