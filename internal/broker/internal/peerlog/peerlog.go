// Package peerlog writes the log lines of a broker that peers can provoke: refusals, and
// logins and logouts. Each kind is limited by peer and user, so that nobody fills the log or
// hides what others do; a summary a minute counts the rest. At debug level all are written.
//
// It is not the record of who did what, which is never limited. It belongs to no section of
// the protocol.
package peerlog

import (
	"strings"

	"github.com/rs/zerolog"

	"shvtools/internal/sys/lograte"
	"shvtools/internal/wire/transport"
)

// refusals limits lines by the network that they come from: before a login anybody can
// choose any name. visits limits the lines of a user: a fleet may have one account, with a
// place for each device.
var (
	refusals = lograte.Limits{Each: 5, Group: 20, All: 200}
	visits   = lograte.Limits{Each: 20, Group: 1000, All: 10_000, ByUser: true}
)

// MaxText bounds the names and texts of peers that a line holds, in bytes.
const MaxText = 300

// Log writes the lines. All methods may be called concurrently.
type Log struct {
	to       *zerolog.Logger
	refusals *lograte.Lines
	visits   *lograte.Lines
}

// Line is a line that peers can provoke. Message, Field and Reason are what the broker says,
// not what a peer can choose.
type Line struct {
	Message       string
	Field, Reason string // a field with one of the reasons that the broker gives; "": none
	Peer          transport.Peer
	User          string
	Place         string // the mount point of a device
	Error         string // for the summary; the caller writes it into the line
}

// New returns a Log that writes to another one.
func New(to *zerolog.Logger) *Log {
	l := &Log{to: to}
	l.refusals = lograte.New(refusals, func(s lograte.Summary) { sum(to.Warn(), s) })
	l.visits = lograte.New(visits, func(s lograte.Summary) { sum(to.Info(), s) })
	return l
}

// Refused begins a line at level warn. It returns nil, and counts, if there were many of its
// reason and peer lately.
func (l *Log) Refused(line Line) *zerolog.Event { return l.begin(l.refusals, l.to.Warn(), line) }

// Visit begins a line at level info about a login or the end of one. It returns nil, and
// counts, if there were many of its user and place lately.
func (l *Log) Visit(line Line) *zerolog.Event { return l.begin(l.visits, l.to.Info(), line) }

func (l *Log) begin(limited *lograte.Lines, e *zerolog.Event, line Line) *zerolog.Event {
	if l.to.GetLevel() > zerolog.DebugLevel && (e == nil || !limited.Pass(line.limited())) {
		return nil
	}
	if line.Reason != "" {
		e = e.Str(line.Field, line.Reason)
	}
	return e
}

// limited returns the line as its limit sees it.
func (l Line) limited() lograte.Line {
	latest, user := l.Peer.String(), Short(l.User)
	if user != "" {
		latest = user + " at " + latest
	}
	return lograte.Line{
		Cause:  l.Message + "\x00" + l.Field + "\x00" + l.Reason,
		Key:    lograte.Key{Peer: l.Peer.Source(), User: user, Place: Short(l.Place)},
		Latest: latest, Error: Short(l.Error),
	}
}

// sum writes a summary.
func sum(e *zerolog.Event, s lograte.Summary) {
	message, reason, _ := strings.Cut(s.Cause, "\x00")
	if field, text, _ := strings.Cut(reason, "\x00"); text != "" {
		e = e.Str(field, text)
	}
	e = e.Int("times", s.Times).Int("peers", s.Peers).Int("users", s.Users).Str("latest", s.Latest)
	if s.Error != "" {
		e = e.Str(zerolog.ErrorFieldName, s.Error)
	}
	e.Msg(message + ", again and again")
}

// Short returns as much of a text of a peer as a line holds.
func Short(text string) string { return text[:min(len(text), MaxText)] }

// Close writes what was counted. Nothing is counted from then on.
func (l *Log) Close() {
	l.refusals.Close()
	l.visits.Close()
}
