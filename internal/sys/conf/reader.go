package conf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Reader collects the faults and warnings of what it reads. It goes on after a fault,
// so that all of them are reported at once.
type Reader struct {
	// NullIsNone makes a key without a value, or with null, the same as no such key,
	// as in the Rust broker's files. Otherwise it is a fault.
	NullIsNone bool
	// Tags makes a value with a tag, such as !Plain x, a map of that one key.
	// Otherwise a tag is a fault.
	Tags bool
	// Reload says that what is read will replace what is in force. A file that seems to be cut
	// off is then a fault, and not a warning.
	Reload bool

	faults, warnings []note
}

// note is a fault or a warning about a node. Its key is asked for at the end, when
// the node has its place in the tree.
type note struct {
	node  *Node
	place Place
	err   error
}

// Fault is something wrong at a place of a configuration.
type Fault struct {
	Place Place
	Key   string // "": the whole
	Err   error
}

// Error returns `place: key: text`.
func (f *Fault) Error() string {
	parts := make([]string, 0, 3)
	for _, part := range []string{f.Place.String(), f.Key, f.Err.Error()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// FromCommandLine reports whether a flag or an environment variable is at fault, and not
// a file or a call.
func (f *Fault) FromCommandLine() bool { return f.Place.source != nil && !f.Place.source.file }

func (n note) fault() *Fault {
	f := &Fault{Place: n.place, Err: n.err}
	if n.node != nil {
		f.Key = n.node.Key()
	}
	return f
}

// Fail notes a fault of a value.
func (r *Reader) Fail(n *Node, format string, args ...any) {
	r.faults = append(r.faults, note{n, n.place, fmt.Errorf(format, args...)})
}

// FailKey notes a fault at the key of a node.
func (r *Reader) FailKey(n *Node, format string, args ...any) {
	r.faults = append(r.faults, note{n, n.KeyPlace(), fmt.Errorf(format, args...)})
}

// FailAt notes a fault that no node is about.
func (r *Reader) FailAt(at Place, format string, args ...any) {
	r.faults = append(r.faults, note{nil, at, fmt.Errorf(format, args...)})
}

// Warn notes a warning about a value: what it says has no effect, or may be wrong.
func (r *Reader) Warn(n *Node, format string, args ...any) {
	r.warnings = append(r.warnings, note{n, n.place, fmt.Errorf(format, args...)})
}

// WarnKey notes a warning at the key of a node.
func (r *Reader) WarnKey(n *Node, format string, args ...any) {
	r.warnings = append(r.warnings, note{n, n.KeyPlace(), fmt.Errorf(format, args...)})
}

// Err returns all faults in the order of the files, one in a line, as errors.Join has
// them; each is a *Fault. It returns nil where there are none.
func (r *Reader) Err() error {
	var errs []error
	for _, n := range inOrder(r.faults) {
		errs = append(errs, n.fault())
	}
	return errors.Join(errs...)
}

// Warnings returns all warnings in the order of the files, in the form of faults.
func (r *Reader) Warnings() []string {
	var texts []string
	for _, n := range inOrder(r.warnings) {
		texts = append(texts, n.fault().Error())
	}
	return texts
}

// inOrder sorts notes by their place; files are in the order in which they were read.
func inOrder(notes []note) []note {
	var sources []*source
	for _, n := range notes {
		if !slices.Contains(sources, n.place.source) {
			sources = append(sources, n.place.source)
		}
	}
	sorted := slices.Clone(notes)
	slices.SortStableFunc(sorted, func(a, b note) int {
		return cmp.Or(
			cmp.Compare(slices.Index(sources, a.place.source), slices.Index(sources, b.place.source)),
			cmp.Compare(a.place.line, b.place.line), cmp.Compare(a.place.col, b.place.col))
	})
	return sorted
}

var kindNames = [...]string{Scalar: "a single value", List: "a list", Map: "a map"}

// Is tells whether n has a kind, and notes a fault where it has another. want shows
// what is expected.
func (r *Reader) Is(n *Node, kind Kind, want string) bool {
	switch n.kind {
	case kind:
		return true
	case Faulty:
	case Null:
		r.failNull(n, want)
	default:
		r.Fail(n, "not %s (want %s)", kindNames[kind], want)
	}
	return false
}

func (r *Reader) failNull(n *Node, want string) {
	if n.text == "" {
		r.FailKey(n, "no value (want %s)", want)
		return
	}
	r.Fail(n, "no value: %s means none unless it is quoted (want %s)", n.text, want)
}

// Field is a key of a map of which all keys are known, and what reads its value into a T.
type Field[T any] struct {
	Name   string
	Silent bool // not offered where a key is unknown: it has no effect, or is an old name
	Read   func(r *Reader, n *Node, into *T)
}

// ReadMap reads a map of known keys. Another key is a fault. A map that is null, or
// nil, is empty. It returns whether n could be read.
func ReadMap[T any](r *Reader, n *Node, into *T, fields []Field[T]) bool {
	if !r.isMap(n, func() string { return "{" + fieldNames(fields)[0] + ": …}" }) {
		return false
	}
	for _, child := range n.Items() {
		i := slices.IndexFunc(fields, func(f Field[T]) bool { return f.Name == child.name })
		switch {
		case child.name == "" && child.kind == Faulty: // the key itself is
		case i < 0:
			r.unknown(child, fieldNames(fields))
		case child.kind == Faulty, child.kind == Null && r.NullIsNone:
		default:
			fields[i].Read(r, child, into)
		}
	}
	return true
}

func (r *Reader) unknown(n *Node, known []string) {
	r.FailKey(n, "unknown key (want %s)", alternatives(known))
}

// alternatives lists names as "a, b or c".
func alternatives(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func (r *Reader) isMap(n *Node, want func() string) bool {
	if n.Kind() == Map || n.Kind() == Null && (n == nil || n.number == 0) {
		return true
	}
	return r.Is(n, Map, want())
}

func fieldNames[T any](fields []Field[T]) []string {
	var names []string
	for _, f := range fields {
		if !f.Silent {
			names = append(names, f.Name)
		}
	}
	return names
}

// Each calls do for each entry of a map whose keys are names that users choose, null
// values included. A map that is null, or nil, is empty.
func (r *Reader) Each(n *Node, want string, do func(entry *Node)) {
	if !r.isMap(n, func() string { return want }) {
		return
	}
	for _, child := range n.Items() {
		child.free = true
		if child.kind != Faulty {
			do(child)
		}
	}
}

// EachItem calls do for each item of a list.
func (r *Reader) EachItem(n *Node, want string, do func(item *Node)) {
	if !r.Is(n, List, want) {
		return
	}
	for _, item := range n.items {
		if item.kind != Faulty {
			do(item)
		}
	}
}
