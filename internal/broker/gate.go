package broker

import (
	"sync"

	"shvtools/internal/link"
)

// gate counts connections, and those of them that have not logged in by where
// they come from. All methods may be called concurrently.
type gate struct {
	limits Limits

	mu      sync.Mutex
	all     int
	waiting int            // without a login
	sources map[string]int // of waiting
}

func newGate(l Limits) *gate { return &gate{limits: l, sources: make(map[string]int)} }

// enter lets a new connection in; any other cause than link.Open refuses it.
func (g *gate) enter(source string) link.Cause {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= g.limits.Connections {
		return link.TooManyConnections
	}
	if cause := g.wait(source); cause != link.Open {
		return cause
	}
	g.all++
	return link.Open
}

// wait counts a connection that has no login; g.mu is held.
func (g *gate) wait(source string) link.Cause {
	switch {
	case g.sources[source] >= g.limits.UnauthenticatedPerSource:
		return link.TooManyFromSource
	case g.waiting >= g.limits.Unauthenticated:
		return link.TooManyLogins
	}
	g.waiting++
	g.sources[source]++
	return link.Open
}

// loggedIn takes a connection from those without a login.
func (g *gate) loggedIn(source string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if g.sources[source]--; g.sources[source] == 0 {
		delete(g.sources, source)
	}
}

// loggedOut puts a connection back among those without a login, as a reset does.
func (g *gate) loggedOut(source string) link.Cause {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wait(source)
}

// leave ends a connection that was let in; one that waits for its login calls
// loggedIn before.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
}

// count gives how many wait for their login.
func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}
