package core

import (
	"cmp"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/internal/peerlog"
)

// sessionLog logs what happens to a session, with the fields that identify it. A logger
// with these fields would take more memory than everything else of a quiet session.
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

// Provoked writes a line that the peer can provoke; about adds fields. Of many with the
// same message and reason ("": there is but one), only the first few are written.
func (l sessionLog) Provoked(message, reason string, about func(*zerolog.Event)) {
	l.refused(peerlog.Line{Message: message, Field: "reason", Reason: reason}, about)
}

// refused writes a line that the peer can provoke; about adds fields.
func (l sessionLog) refused(line peerlog.Line, about func(*zerolog.Event)) {
	line.Peer, line.User = l.session.from, l.user
	if e := l.with(l.session.broker.peerLog.Refused(line)); e != nil {
		about(e)
		e.Msg(line.Message)
	}
}

// Visit begins a line about a login, or the end of one, of a device mounted at place, ""
// for others. Of many of one user and place only some are written.
func (l sessionLog) Visit(message, place string) *zerolog.Event {
	s := l.session
	user := cmp.Or(l.user, s.owner.Load().Name().User)
	return l.with(s.broker.peerLog.Visit(peerlog.Line{Message: message, Peer: s.from, User: user, Place: place}))
}

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
