// Package mounts keeps which session is mounted where in the tree of a broker
// (spec.md 7.2), which mount points are offline, and the changes that nobody has
// been told of yet.
//
// It has no lock and sends nothing: the broker guards a Table with its own lock,
// which also decides who may be mounted where.
package mounts

import (
	"slices"
	"strings"
	"time"

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
	// MaxOffline bounds the mount points that are remembered as offline.
	MaxOffline = 10_000
)

// TooLong reports whether a clean path is too long, or too deep, for a mount point.
func TooLong(path string) bool {
	return len(path) > MaxLength || strings.Count(path, "/") >= MaxDepth
}

// Reserved reports whether a clean path belongs to the broker itself, so that no
// device may be mounted there.
func Reserved(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first == ".broker" || first == ".app" || first == ".local"
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
	offline shvpath.Tree[time.Time] // since when, below which mount point
	changes []Change
}

// point is a mount point. Its newest session, which is the last one, is the one that
// is called; when it goes, the one before it is called again.
type point[S comparable] struct{ sessions []S }

// Newest returns the session that is called at a mount point.
func (t *Table[S]) Newest(path string) (s S, ok bool) {
	at, ok := t.points.Get(path)
	if !ok {
		return s, false
	}
	return at.sessions[len(at.sessions)-1], true
}

// Mount makes s the newest session at a mount point. stale are the oldest ones, of
// those there that are more than MaxSessions: their links are to be closed, and they
// stay mounted until Unmount.
func (t *Table[S]) Mount(s S, path string) (stale []S) {
	at, taken := t.points.Get(path)
	if !taken {
		at = new(point[S])
		t.note(path, true)
	}
	at.sessions = append(at.sessions, s)
	t.points.Set(path, at)
	t.offline.Delete(path)
	return slices.Clone(at.sessions[:max(0, len(at.sessions)-MaxSessions)])
}

// Unmount takes s from its mount point, which is offline from now on if s was the
// last one there. A quiet broker, one that stops, tells nobody.
func (t *Table[S]) Unmount(s S, path string, now time.Time, quiet bool) {
	at, ok := t.points.Get(path)
	if !ok {
		return
	}
	if i := slices.Index(at.sessions, s); i >= 0 {
		at.sessions = slices.Delete(at.sessions, i, i+1)
	}
	if len(at.sessions) > 0 {
		return
	}
	t.points.Delete(path)
	if !quiet {
		t.note(path, false)
	}
	if _, known := t.offline.Get(path); known || t.offline.Len() < MaxOffline {
		t.offline.Set(path, now)
	}
}

// Lookup returns the session that a path belongs to, and the rest of the path below
// its mount point. It does not allocate.
func (t *Table[S]) Lookup(path []byte) (s S, rest []byte, ok bool) {
	at, rest, ok := t.points.Lookup(path)
	if !ok {
		return s, nil, false
	}
	return at.sessions[len(at.sessions)-1], rest, true
}

// Has reports whether a path belongs to the mount point of s, be it the newest there
// or not: another device may be mounted inside it, and speaks for itself.
func (t *Table[S]) Has(s S, path []byte) bool {
	at, _, ok := t.points.Lookup(path)
	return ok && slices.Contains(at.sessions, s)
}

// Children returns the names on the way to mount points below a path; false if it
// leads to none.
func (t *Table[S]) Children(path string) (names []string, ok bool) { return t.points.Children(path) }

// Leads reports whether a path is a mount point or leads to one.
func (t *Table[S]) Leads(path string) bool { return t.points.Leads(path) }

// OfflineSince returns when the last session left the mount point that a path is at
// or below; false if it is not known as offline.
func (t *Table[S]) OfflineSince(path []byte) (since time.Time, ok bool) {
	since, _, ok = t.offline.Lookup(path)
	return since, ok
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
