package record

import (
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
	"shvtools/internal/wire/link"
)

// Session is a session in the record: it has a start and one end. Its methods may be called
// concurrently.
type Session struct {
	trail   *audit.Trail
	start   audit.Record
	in, out atomic.Int64 // bytes of bodies towards the device and from it

	mu    sync.Mutex
	since time.Time // zero: it has not begun
	over  bool
	how   How // how it ended, if it did before Begin returned
}

// How is how a session ended.
type How struct {
	Exit   *int   // exit status; nil: unknown
	Signal string // that ended the program
	Cause  string // "": the program ended by itself
}

// Name returns the name of the session.
func (s *Session) Name() string { return s.start.Session }

// Count counts bytes that were passed on, towards the device and from it.
func (s *Session) Count(in, out int64) {
	s.in.Store(in)
	s.out.Store(out)
}

// Begin records the start. An error says that the session must not begin. It may wait for
// the disk.
func (s *Session) Begin() error {
	began := time.Now()
	err := s.trail.Begin(s.start)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.over = true
		return err
	}
	s.since = began
	if s.over {
		s.write(s.how)
	}
	return nil
}

// End records the end, once. A session that does not begin has none.
func (s *Session) End(how How) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.over:
	case s.since.IsZero():
		s.over, s.how = true, how
	default:
		s.over = true
		s.write(how)
	}
}

// write records the end. It does not wait.
func (s *Session) write(how How) {
	r := s.start
	r.Event, r.Command, r.Cause = audit.SessionEnd, "", how.Cause
	r.End = &audit.End{
		Exit: how.Exit, Signal: how.Signal, BytesIn: s.in.Load(), BytesOut: s.out.Load(), Took: time.Since(s.since),
	}
	s.trail.Write(r)
}

// maxEndItems bounds the values in the end of a tunnel.
const maxEndItems = 64

// howOf reads a CloseTunnel (protocol.md 4).
func howOf(m *rpc.Message) (how How) {
	content, err := m.ContentWithin(maxEndItems)
	switch {
	case err != nil:
		return How{Cause: "the end of the tunnel is unreadable"}
	case content.Error != nil:
		return How{Cause: content.Error.Message}
	}
	if exit, ok := content.Value.Get("exit"); ok {
		if n, isInt := exit.AsInt(); isInt && n >= 0 && n <= 255 {
			code := int(n)
			how.Exit = &code
		}
	}
	signal, _ := content.Value.Get("signal")
	how.Signal, _ = signal.AsString()
	message, _ := content.Value.Get("message")
	how.Cause, _ = message.AsString()
	return how
}

// Closed returns how the end that sent a CloseTunnel ended a session.
func Closed(m *rpc.Message, byDevice bool) How {
	how := howOf(m)
	if !byDevice {
		how.Exit, how.Signal = nil, ""
		if how.Cause == "" {
			how.Cause = "closed by the user"
		} else { // whatever the user, or a broker on the way, likes
			how.Cause = "told by the user's end: " + how.Cause
		}
	}
	return how
}

// ClosedBy returns who ended a connection, for logs.
func ClosedBy(c link.Cause) string {
	switch c {
	case link.PeerClosed:
		return "peer"
	case link.ReadError, link.WriteError:
		return "network"
	}
	return "broker"
}
