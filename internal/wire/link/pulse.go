package link

import (
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxWrite is how many bytes are written at once: a larger write would hide that a slow peer takes
// them bit by bit.
const maxWrite = 64 << 10

// pulse counts what moves on a link, for those that watch for a stall.
type pulse struct {
	received, sent atomic.Uint64 // bytes; sent counts some of them twice
	within         atomic.Bool   // the read loop waits for the rest of a frame
}

func (p *pulse) entered() { p.within.Store(true) }

func (p *pulse) left() {
	if p.within.Load() {
		p.within.Store(false)
	}
}

// Pulse is a snapshot of the movement on a link. Two equal snapshots mean that nothing moved
// between them.
type Pulse struct {
	Received uint64 // bytes that were read
	Within   bool   // the rest of a frame is missing
	Queued   int    // bytes that wait for the peer
	Sent     uint64 // grows with what is written; not a count of bytes
	Unacked  int    // bytes that the peer's system has not acknowledged; 0 if none are queued
}

// Pulse returns a snapshot. It does not wait.
func (l *Link) Pulse() Pulse {
	p := Pulse{
		Received: l.pulse.received.Load(),
		Within:   l.pulse.within.Load(),
		Queued:   l.Queued(),
		Sent:     l.pulse.sent.Load(),
	}
	if m, ok := l.framing.(webSocket); ok {
		p.Sent += m.conn.Written()
	}
	if p.Queued > 0 {
		// The system accepts writes again only when much of its buffer is free,
		// which takes minutes over a slow line. Unacknowledged bytes shrink sooner.
		p.Unacked = unacked(l.conn)
	}
	return p
}

// unacked asks the system how many written bytes the peer has not acknowledged. It returns 0 if the
// connection cannot tell.
func unacked(conn net.Conn) (n int) {
	for {
		inner, ok := conn.(interface{ NetConn() net.Conn }) // TLS
		if !ok {
			break
		}
		conn = inner.NetConn()
	}
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	return n
}

// writePieces is conn.Write that counts its progress.
func (l *Link) writePieces(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = l.conn.Write(b[n:min(len(b), n+maxWrite)])
		n += more
		l.pulse.sent.Add(uint64(more))
	}
	return n, err
}
