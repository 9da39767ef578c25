package core

import (
	"strings"

	"github.com/rs/zerolog"

	"shvtools/internal/sys/lograte"
	"shvtools/internal/wire/transport"
)

// provocation is a line that peers can provoke: its message and one of the reasons that
// the broker gives for it, which is "" or the value of a field. The lines of each reason
// are limited by themselves: what everybody can provoke must not hide the rest.
type provocation struct{ message, field, reason string }

func (p provocation) key() string { return p.message + "\x00" + p.field + "\x00" + p.reason }

// provocable limits the lines that peers can provoke.
func provocable(log *zerolog.Logger) *lograte.Lines {
	return lograte.New(func(key string, times int, latest string) {
		message, reason, _ := strings.Cut(key, "\x00")
		e := log.Warn()
		if field, text, _ := strings.Cut(reason, "\x00"); text != "" {
			e = e.Str(field, text)
		}
		e.Int("times", times).Str("latest", latest).Msg(message + ", again and again")
	})
}

// provoked begins a line that a peer at from can provoke; user is its name or "". It
// returns nil, and counts, if there were many of that reason lately. At debug level all
// are written.
func (b *Broker) provoked(p provocation, from transport.Peer, user string) *zerolog.Event {
	if b.opts.Log.GetLevel() <= zerolog.DebugLevel {
		return p.begin(b.opts.Log.Warn())
	}
	latest := from.String()
	if user != "" {
		latest = user + " at " + latest
	}
	if !b.often.Pass(p.key(), latest) {
		return nil
	}
	return p.begin(b.opts.Log.Warn())
}

func (p provocation) begin(e *zerolog.Event) *zerolog.Event {
	if p.reason == "" {
		return e
	}
	return e.Str(p.field, p.reason)
}

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
	p := provocation{message, "reason", reason}
	if e := l.with(l.session.broker.provoked(p, l.session.from, l.user)); e != nil {
		about(e)
		e.Msg(message)
	}
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
