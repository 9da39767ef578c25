package mounts

import (
	"iter"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/shvpath"
)

// near returns the values at a path, and at all mount points above and below it.
func near[T any](t *shvpath.Tree[T], path string) iter.Seq[T] {
	return func(yield func(T) bool) {
		for v := range t.Above(path) {
			if !yield(v) {
				return
			}
		}
		t.Below(path)(yield)
	}
}

// rivals returns who else is mounted, or was last, at the place of a claim, above or
// below it, and must give way. holder is not nil if one of them need not: the place is
// that one's. A device inside another one would speak for it, and one above it would
// be called while it is away.
func (t *Table[S]) rivals(c *auth.Claim, d *auth.Directory) (live []*point[S], past []*absence, holder *auth.Claim) {
	mine := d.Standing(c)
	for p := range near(&t.points, c.Path) {
		switch other := p.newest().claim; decide(c, mine, other, d) {
		case givesWay:
			live = append(live, p)
		case keeps:
			return nil, nil, other
		}
	}
	for p := range near(&t.offline.tree, c.Path) {
		switch decide(c, mine, p.claim, d) {
		case givesWay:
			past = append(past, p)
		case keeps:
			return nil, nil, p.claim
		}
	}
	return live, past, nil
}

// verdict is what a claim means for the holder of a place.
type verdict int

const (
	noRival  verdict = iota // both may be there
	givesWay                // the place belongs to the user of the claim
	keeps                   // it belongs to its holder
)

// decide compares a claim with that of the last known holder of the place, or of one
// above or below it. A place belongs to the user whose pattern names it, otherwise to the
// holder, while that still has the right to it. Devices of one user do not compete.
func decide(c *auth.Claim, mine auth.Standing, holder *auth.Claim, d *auth.Directory) verdict {
	if c.User == holder.User {
		return noRival
	}
	theirs := d.Standing(holder)
	switch inner := len(c.Path) - len(holder.Path); {
	case !theirs.May:
		return givesWay
	case inner > 0 && mine.Inside, inner < 0 && theirs.Inside:
		return noRival
	case mine.Named && !theirs.Named:
		return givesWay
	}
	return keeps
}

// Evict unmounts the sessions that are mounted inside or above a device of another user to
// whom the place belongs by the rights of d, which have changed, and returns them.
func (t *Table[S]) Evict(d *auth.Directory) (sessions []S) {
	lost := make(map[*point[S]]bool)
	for inner := range t.points.Below("") {
		path := inner.newest().claim.Path
		for outer := range t.points.Above(path) {
			later, holder := inner, outer
			if inner.order < outer.order {
				later, holder = outer, inner
			}
			c, other := later.newest().claim, holder.newest().claim
			if c.User == other.User {
				continue
			}
			switch decide(c, d.Standing(c), other, d) {
			case givesWay:
				lost[holder] = true
			case keeps:
				lost[later] = true
			}
		}
	}
	for p := range lost {
		sessions = append(sessions, t.evict(p)...)
	}
	return sessions
}

// evict unmounts all sessions of a mount point, and does not remember them there.
func (t *Table[S]) evict(p *point[S]) (sessions []S) {
	path := p.newest().claim.Path
	t.points.Delete(path)
	t.note(path, false)
	for _, m := range p.sessions {
		sessions = append(sessions, m.session)
	}
	return sessions
}
