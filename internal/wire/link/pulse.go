package link

import (
	"net"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxWrite is how much is written at once: more would hide that a slow peer takes
// it bit by bit.
const maxWrite = 64 << 10

// pulse counts what moves, for whoever watches that something does.
type pulse struct {
	received, sent atomic.Uint64 // bytes; of sent, some are counted twice
	within         atomic.Bool   // a frame has begun that the read loop waits for
}

func (p *pulse) entered() { p.within.Store(true) }

func (p *pulse) left() {
	if p.within.Load() {
		p.within.Store(false)
	}
}

// Pulse is where a link stands. Two that are equal, some time apart, say that
// nothing has moved.
type Pulse struct {
	Received uint64 // bytes that came
	Within   bool   // a frame has begun, and the rest of it is missing
	Queued   int    // bytes that wait for the peer
	Sent     uint64 // grows with what goes out; no count of bytes
	Unacked  int    // bytes that the system has not brought to the peer, if any are queued
}

// Pulse tells where the link stands. It does not wait.
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
		// The system lets us write again only when much of its buffer is free,
		// which over a slow line may take minutes.
		p.Unacked = unacked(l.conn)
	}
	return p
}

// unacked asks the system how much of what was written has not arrived; 0 where
// it cannot tell.
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

// writePieces is conn.Write that shows what it has done so far.
func (l *Link) writePieces(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = l.conn.Write(b[n:min(len(b), n+maxWrite)])
		n += more
		l.pulse.sent.Add(uint64(more))
	}
	return n, err
}

// Gauge counts the bytes that wait in the queues of many links.
type Gauge struct{ bytes atomic.Int64 }

// Bytes is how many there are now.
func (g *Gauge) Bytes() int64 { return g.bytes.Load() }

// add changes how much waits; q.mu is held.
func (q *queue) add(n int) {
	q.bytes += n
	if q.gauge != nil {
		q.gauge.bytes.Add(int64(n))
	}
}

// leaveGauge takes what the queue of an ended link still counts out of its gauge;
// q.mu is held.
func (q *queue) leaveGauge() {
	if q.gauge != nil {
		q.gauge.bytes.Add(int64(-q.bytes))
		q.gauge = nil
	}
}
