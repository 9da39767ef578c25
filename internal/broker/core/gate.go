package core

import (
	"sync"

	"shvtools/internal/wire/link"
)

// gate counts connections, and those of them that have not logged in by where
// they come from. All methods may be called concurrently.
type gate struct {
	limits Limits

	mu      sync.Mutex
	all     int
	waiting int                           // without a login
	sources map[string]map[*seat]struct{} // of waiting
}

// seat is the place of a connection without a login.
type seat struct {
	source string
	// Guarded by gate.mu.
	taken bool       // for somebody else, or given back
	link  *link.Link // nil: not yet known
}

func newGate(l Limits) *gate {
	return &gate{limits: l, sources: make(map[string]map[*seat]struct{})}
}

// enter lets a new connection in; any other cause than link.Open refuses it.
func (g *gate) enter(source string) (*seat, link.Cause) {
	g.mu.Lock()
	if g.all >= g.limits.Connections {
		g.mu.Unlock()
		return nil, link.TooManyConnections
	}
	p, crowded, cause := g.wait(source, nil)
	if cause == link.Open {
		g.all++
	}
	g.mu.Unlock()
	if crowded != nil {
		crowded.Close(link.TooManyLogins)
	}
	return p, cause
}

// wait counts a connection that has no login. Where there are too many in all, one
// of the source that has most gives its place, so that a few sources cannot shut
// the door for all others; its link is to be closed. g.mu is held.
func (g *gate) wait(source string, l *link.Link) (p *seat, crowded *link.Link, cause link.Cause) {
	own := len(g.sources[source])
	if own >= g.limits.UnauthenticatedPerSource {
		return nil, nil, link.TooManyFromSource
	}
	if g.waiting >= g.limits.Unauthenticated {
		victim := g.largest(own)
		if victim == nil {
			return nil, nil, link.TooManyLogins
		}
		g.remove(victim)
		crowded = victim.link
	}
	g.waiting++
	if own == 0 {
		g.sources[source] = make(map[*seat]struct{})
	}
	p = &seat{source: source, link: l}
	g.sources[source][p] = struct{}{}
	return p, crowded, link.Open
}

// largest gives any place of the source that has most, nil where none has more
// than own. g.mu is held.
func (g *gate) largest(own int) (found *seat) {
	var places map[*seat]struct{}
	for _, of := range g.sources {
		if len(of) > max(own, len(places)) {
			places = of
		}
	}
	for p := range places {
		return p
	}
	return nil
}

// remove takes a place away, once. g.mu is held.
func (g *gate) remove(p *seat) {
	if p.taken {
		return
	}
	p.taken = true
	g.waiting--
	of := g.sources[p.source]
	if delete(of, p); len(of) == 0 {
		delete(g.sources, p.source)
	}
}

// sit tells which link has a place; false when that is somebody else's already.
func (g *gate) sit(p *seat, l *link.Link) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.link = l
	return !p.taken
}

// loggedIn takes a connection from those without a login.
func (g *gate) loggedIn(p *seat) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(p)
}

// loggedOut puts a connection back among those without a login, as a reset does.
func (g *gate) loggedOut(source string, l *link.Link) (*seat, link.Cause) {
	g.mu.Lock()
	p, crowded, cause := g.wait(source, l)
	g.mu.Unlock()
	if crowded != nil {
		crowded.Close(link.TooManyLogins)
	}
	return p, cause
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
