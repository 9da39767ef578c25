package core

import (
	"errors"
	"net"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// hintWait is how long telling a refused peer why may take. It never does on a
// new connection of the system's, whose buffer is empty.
const hintWait = 10 * time.Millisecond

// start gives a new connection its session and runs it, or closes it at once. It
// does not wait.
func (b *Broker) start(conn net.Conn, e *entrance) {
	from := transport.PeerOf(conn)
	e.accepted.Add(1)
	slot, cause := b.connections.Enter(from.Source())
	if cause != link.Open {
		b.stats.ended[cause].Add(1)
		message := "connection refused: " + cause.String()
		if e := b.provoked(message, from, ""); e != nil {
			b.aside(func() { e.Stringer("peer", from).Msg(message) }) // others want to connect
		}
		refuseConnection(conn, cause)
		return
	}
	l := link.New(conn, link.Options{MaxFrame: b.limits.LoginFrame, QueueBytes: b.limits.QueueBytes, Gauge: &b.queued})
	s := b.newSession(l, from, transport.SecureOf(conn), slot, nil)
	if s == nil {
		b.connections.LoggedIn(slot)
		b.connections.Leave()
		l.Close(link.Shutdown)
		return
	}
	if !b.connections.Assign(slot, l) {
		l.Close(link.TooManyLogins)
	}
	e.open.Add(1)
	go func() {
		defer b.running.Done()
		defer e.open.Add(-1)
		p := &peer{session: s}
		cause := s.run(p, conn)
		p.session.end(cause)
		b.connections.Leave()
		b.stats.ended[cause].Add(1)
	}()
}

// run is the life of the connection of s, from its handshake on.
func (s *session) run(p *peer, conn net.Conn) link.Cause {
	if h, ok := conn.(transport.Handshaker); ok {
		if err := h.Handshake(s.broker.handshakes); err != nil {
			s.link.Close(link.HandshakeFailed)
			var refused *transport.CertificateError
			if errors.As(err, &refused) {
				s.log.Provoked("client certificate refused", func(e *zerolog.Event) { e.Err(err) })
			} else {
				s.log.Debug().Err(err).Msg("no handshake")
			}
		}
	}
	return s.link.Run(p)
}

// refuseConnection closes a connection, after a word to a peer that can read it: the answer
// to the first request of most.
func refuseConnection(conn net.Conn, cause link.Cause) {
	if _, ok := conn.(transport.Handshaker); ok {
		_ = conn.Close()
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(hintWait))
	l := link.New(conn, link.Options{}) // for its framing
	defer l.Close(cause)
	f := link.NewMessage(rpc.AppendError(nil, rpc.Address{ID: 1}, rpc.Errorf(rpc.CodeTryAgainLater, "%s", cause)))
	defer f.Release()
	_ = l.SendNow(f)
}
