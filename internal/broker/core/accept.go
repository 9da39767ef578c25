package core

import (
	"errors"
	"net"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/internal/door"
	"shvtools/internal/broker/internal/peerlog"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// start gives a new connection a session and runs it, or closes it at once. It waits
// for 10 ms at most.
func (b *Broker) start(conn net.Conn, e *listenerCounts) {
	from := transport.PeerOf(conn)
	e.accepted.Add(1)
	slot, cause := b.connections.Enter(from.Source())
	if cause != link.Open {
		b.stats.ended[cause].Add(1)
		line := peerlog.Line{Message: "connection refused", Field: "cause", Reason: cause.String(), Peer: from}
		if e := b.peerLog.Refused(line); e != nil {
			e.Stringer("peer", from)
			b.aside(func() { e.Msg(line.Message) }) // others want to connect
		}
		door.RefuseConnection(conn, cause)
		return
	}
	l := link.New(conn, link.Options{MaxFrame: b.limits.LoginFrame, QueueBytes: b.limits.QueueBytes})
	s := b.newSession(l, from, transport.SecureOf(conn), slot, nil)
	if s == nil {
		b.connections.LoggedIn(slot)
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
		b.stats.ended[cause].Add(1)
	}()
}

// run serves the connection of s, from its handshake to its end.
func (s *session) run(p *peer, conn net.Conn) link.Cause {
	if h, ok := conn.(transport.Handshaker); ok {
		if err := h.Handshake(s.broker.handshakes); err != nil {
			s.link.Close(link.HandshakeFailed)
			var refused *transport.CertificateError
			if errors.As(err, &refused) {
				line := peerlog.Line{Message: "client certificate refused", Error: err.Error()}
				s.log.refused(line, func(e *zerolog.Event) { e.Err(err) })
			} else {
				s.log.Debug().Err(err).Msg("handshake failed")
			}
		}
	}
	return s.link.Run(p)
}
