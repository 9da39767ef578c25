package core

import (
	"bytes"

	"shvtools/internal/broker/internal/own"
)

// target finds the client that a request for a clean path goes to, and the rest
// of the path there: a device by its mount point, or any client by its id. It
// does not allocate.
func (b *Broker) target(path []byte) (to *session, rest []byte) {
	if to, rest = b.mountedAt(path); to != nil || len(path) == 0 || path[0] != '.' {
		return to, rest
	}
	if below, ok := bytes.CutPrefix(path, []byte(own.ClientNode+"/")); ok {
		return b.clientAt(below)
	}
	below, ok := bytes.CutPrefix(path, []byte(own.OldClientNode+"/"))
	if !ok {
		return nil, nil
	}
	to, rest = b.clientAt(below)
	app, rest, _ := bytes.Cut(rest, []byte("/"))
	if string(app) != own.OldApp {
		return nil, nil
	}
	return to, rest
}

// clientAt finds the client whose id a path begins with. Helpers are none: they
// serve their tunnel; and nobody below calls a broker above.
func (b *Broker) clientAt(path []byte) (to *session, rest []byte) {
	text, rest, _ := bytes.Cut(path, []byte("/"))
	if to = b.loggedIn(own.ParseID(text)); to == nil || !to.HasTree() {
		return nil, nil
	}
	return to, rest
}

// loggedIn gives the client or helper with an id, nil where there is none.
func (b *Broker) loggedIn(id int64) *session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if s := b.sessions[id]; s != nil && s.ready.Load() {
		return s
	}
	return nil
}

// userName is "" for a helper, which is no user.
func (s *session) userName() string {
	if user := s.user.Load(); user != nil {
		return user.Name
	}
	return ""
}
