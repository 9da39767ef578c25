package broker

import "github.com/rs/zerolog"

// sessionLog logs what happens to a session, with what tells it from others. A
// logger that has these fields would take more memory than all else that a quiet
// session has.
type sessionLog struct {
	to       *zerolog.Logger
	session  *session
	user     string // set at login
	tunnelOf int64  // the caller of a helper's tunnel
}

// Debug begins a line.
func (l sessionLog) Debug() *zerolog.Event { return l.with(l.to.Debug()) }

// Info begins a line.
func (l sessionLog) Info() *zerolog.Event { return l.with(l.to.Info()) }

// Warn begins a line.
func (l sessionLog) Warn() *zerolog.Event { return l.with(l.to.Warn()) }

// Error begins a line.
func (l sessionLog) Error() *zerolog.Event { return l.with(l.to.Error()) }

func (l sessionLog) with(e *zerolog.Event) *zerolog.Event {
	if e == nil {
		return nil // the level is off
	}
	e = e.Int64("client", l.session.id).Stringer("peer", l.session.from)
	if l.user != "" {
		e = e.Str("user", l.user)
	}
	if l.tunnelOf != 0 {
		e = e.Int64("tunnelOf", l.tunnelOf)
	}
	return e
}
