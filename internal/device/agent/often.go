package agent

import (
	"cmp"

	"shvtools/internal/sys/lograte"
)

// loggedLines limits the lines that callers can provoke, so that none hides those of others.
var loggedLines = lograte.Limits{Each: 5, Group: 20, All: 200, ByUser: true}

// maxNamed bounds what is kept of the name of a user, which callers choose, in bytes.
const maxNamed = 128

// provoked is a line that a caller provoked; user is the caller's name, "" if unknown.
func provoked(message, user string, err error) lograte.Line {
	text := err.Error()
	return lograte.Line{
		Cause: message, Key: lograte.Key{User: user[:min(len(user), maxNamed)]},
		Latest: cmp.Or(user, text), Error: text[:min(len(text), 300)],
	}
}
