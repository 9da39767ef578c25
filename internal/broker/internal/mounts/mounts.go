// Package mounts keeps which session is mounted where in the tree of a broker
// (spec.md 7.2), which mount points are offline and whose they were, and the changes
// that nobody has been told of yet. It decides to which of two users a place belongs.
//
// A Table has no lock and sends nothing: the broker guards it with its own lock. What
// a user may do is a matter of package auth.
package mounts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/shvpath"
)

const (
	// MaxLength and MaxDepth bound a mount point, since mount points are remembered:
	// in bytes, and in names.
	MaxLength = 512
	MaxDepth  = 32
	// MaxSessions caps the sessions per mount point. A reconnecting device leaves
	// stale sessions until their death is noticed; each new session inherits its
	// predecessor's reply routes.
	MaxSessions = 16
)

var (
	errReserved = errors.New("it is the broker's own")
	errTooLong  = fmt.Errorf("it has more than %d bytes or %d names", MaxLength, MaxDepth)
)

// Check returns why nothing can be mounted at a clean path, whatever the rights say: it
// is too long, it belongs to the broker itself, or one of its names is not a name.
func Check(path string) error {
	if len(path) > MaxLength || strings.Count(path, "/") >= MaxDepth {
		return errTooLong
	}
	if first, _, _ := strings.Cut(path, "/"); first == ".broker" || first == ".app" || first == ".local" {
		return errReserved
	}
	return shvpath.CheckNames(path)
}

// Reason says in the log why a device is not mounted: err is that of Check; nil: its user
// may not mount there.
func Reason(err error) string {
	switch err {
	case nil, errReserved:
		return "its user may not mount there"
	case errTooLong:
		return "its mount point is too long"
	}
	return "its mount point is not valid: " + err.Error()
}

// Change is a mount point that was taken, or given up by its last session.
type Change struct {
	Path    string
	Mounted bool
	// Parent and Name are the node that came or went with it, the uppermost one, by
	// the path of its parent; Name is "" if no node did.
	Parent, Name string
}

// Table holds the mount points of sessions. Its owner locks it: for Mount, Unmount
// and TakeChanges against everything else, while all other methods may be called
// concurrently. Paths are clean. The zero value is empty.
type Table[S comparable] struct {
	points  shvpath.Tree[*point[S]]
	offline absences
	changes []Change
	taken   uint64 // mount points so far
}

// point is a mount point. Its newest session, which is the last one, is the one that
// is called; when it goes, the one before it is called again. All are of one user.
type point[S comparable] struct {
	sessions []mounted[S]
	order    uint64 // a mount point that was taken later has a higher one
}

// mounted is a session at a mount point, and the claim with which it got there.
type mounted[S comparable] struct {
	session S
	claim   *auth.Claim
}

func (p *point[S]) newest() mounted[S] { return p.sessions[len(p.sessions)-1] }

// Newest returns the session that is called at a mount point.
func (t *Table[S]) Newest(path string) (s S, ok bool) {
	at, ok := t.points.Get(path)
	if !ok {
		return s, false
	}
	return at.newest().session, true
}

// Outcome is what came of Mount.
type Outcome[S comparable] struct {
	// Holder is the claim of another user's device to which the place belongs, or one
	// above or below it; nil: the session is mounted.
	Holder *auth.Claim
	// Before was the newest session at the mount point until now, if it was Taken over.
	Before S
	Taken  bool
	// Stale are the oldest sessions, of those there that are more than MaxSessions: their
	// links are to be closed, and they stay mounted until Unmount.
	Stale []S
	// Lost are sessions of other users that were mounted there, above or below, and are
	// not any more: the place belongs to the user of the claim.
	Lost []S
}

// Mount makes s the newest session at the mount point of its claim, unless the place
// belongs to another user by the rights of d, which let the claim be. welcome is called
// before that.
func (t *Table[S]) Mount(s S, c *auth.Claim, d *auth.Directory, welcome func()) (o Outcome[S]) {
	rivals, past, holder := t.rivals(c, d)
	if holder != nil {
		o.Holder = holder
		return o
	}
	welcome()
	for _, p := range rivals {
		o.Lost = append(o.Lost, t.evict(p)...)
	}
	for _, each := range past {
		t.offline.forget(each.claim.Path)
	}
	at, taken := t.points.Get(c.Path)
	if taken {
		o.Before, o.Taken = at.newest().session, true
	} else {
		t.taken++
		at = &point[S]{order: t.taken}
		t.note(c.Path, true)
	}
	at.sessions = append(at.sessions, mounted[S]{s, c})
	t.points.Set(c.Path, at)
	t.offline.forget(c.Path)
	for _, m := range at.sessions[:max(0, len(at.sessions)-MaxSessions)] {
		o.Stale = append(o.Stale, m.session)
	}
	return o
}

// Unmount takes s from its mount point, which is offline from now on if s was the
// last one there, and stays its user's. If s was the newest, and another one is called
// again, that is back. A quiet broker, one that stops, tells nobody.
func (t *Table[S]) Unmount(s S, path string, now time.Time, quiet bool) (back S, again bool) {
	at, ok := t.points.Get(path)
	if !ok {
		return back, false
	}
	i := slices.IndexFunc(at.sessions, func(m mounted[S]) bool { return m.session == s })
	if i < 0 {
		return back, false
	}
	c := at.sessions[i].claim
	at.sessions = slices.Delete(at.sessions, i, i+1)
	if n := len(at.sessions); n > 0 {
		return at.newest().session, i == n
	}
	t.points.Delete(path)
	if !quiet {
		t.note(path, false)
	}
	t.offline.add(c, now)
	return back, false
}

// Lookup returns the session that a path belongs to, and the rest of the path below
// its mount point. It does not allocate.
func (t *Table[S]) Lookup(path []byte) (s S, rest []byte, ok bool) {
	at, rest, ok := t.points.Lookup(path)
	if !ok {
		return s, nil, false
	}
	return at.newest().session, rest, true
}

// Has reports whether a path belongs to the mount point of s, be it the newest there
// or not: another device may be mounted inside it, and speaks for itself.
func (t *Table[S]) Has(s S, path []byte) bool {
	at, _, ok := t.points.Lookup(path)
	if !ok {
		return false
	}
	for i := range at.sessions {
		if at.sessions[i].session == s {
			return true
		}
	}
	return false
}

// Children returns the names on the way to mount points below a path; false if it
// leads to none.
func (t *Table[S]) Children(path string) (names []string, ok bool) { return t.points.Children(path) }

// Leads reports whether a path is a mount point or leads to one.
func (t *Table[S]) Leads(path string) bool { return t.points.Leads(path) }

// OfflineSince returns when the last session left the mount point that a path is at or
// below. It returns false if that is not known, or the path leads to a mounted device.
func (t *Table[S]) OfflineSince(path []byte) (since time.Time, ok bool) {
	past, _, ok := t.offline.tree.Lookup(path)
	if !ok || t.points.Leads(string(path)) {
		return time.Time{}, false
	}
	return past.since, true
}

// Len returns how many mount points are taken.
func (t *Table[S]) Len() int { return t.points.Len() }

// TakeChanges returns the changes since the last call, in their order.
func (t *Table[S]) TakeChanges() []Change {
	changes := t.changes
	t.changes = nil
	return changes
}

// note adds a change. The mount point is not in the tree: not yet, or not any more.
func (t *Table[S]) note(path string, mounted bool) {
	c := Change{Path: path, Mounted: mounted}
	for end := 0; end < len(path); {
		next := shvpath.NameEnd(path, end)
		if !t.points.Leads(path[:next]) {
			c.Parent, c.Name = path[:end], path[end+min(end, 1):next]
			break
		}
		end = next
	}
	t.changes = append(t.changes, c)
}
