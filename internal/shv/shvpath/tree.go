package shvpath

import (
	"iter"
	"slices"
)

// Tree holds values at paths. The zero Tree is empty and ready. It has no lock: it must not be
// changed while it is used concurrently.
type Tree[T any] struct {
	root branch[T]
	size int
}

type branch[T any] struct {
	children map[string]*branch[T]
	value    T
	set      bool
}

// Set stores value at a clean path and replaces what was there.
func (t *Tree[T]) Set(path string, value T) {
	at := &t.root
	for name, rest := cut([]byte(path)); len(name) > 0; name, rest = cut(rest) {
		next := at.children[string(name)]
		if next == nil {
			next = new(branch[T])
			if at.children == nil {
				at.children = make(map[string]*branch[T])
			}
			at.children[string(name)] = next
		}
		at = next
	}
	if !at.set {
		t.size++
	}
	at.value, at.set = value, true
}

// Delete removes the value at a clean path, and the branches that held nothing else.
func (t *Tree[T]) Delete(path string) {
	if t.root.delete([]byte(path)) {
		t.size--
	}
}

func (b *branch[T]) delete(path []byte) (deleted bool) {
	if len(path) == 0 {
		deleted = b.set
		var none T
		b.value, b.set = none, false
		return deleted
	}
	name, rest := cut(path)
	next := b.children[string(name)]
	if next == nil {
		return false
	}
	deleted = next.delete(rest)
	if !next.set && len(next.children) == 0 {
		delete(b.children, string(name))
	}
	return deleted
}

// Get returns the value at exactly a clean path.
func (t *Tree[T]) Get(path string) (value T, ok bool) {
	if b := t.find([]byte(path)); b != nil && b.set {
		return b.value, true
	}
	return value, false
}

// Lookup returns the value at the longest prefix of a clean path that has one, and the rest of the
// path. It does not allocate.
func (t *Tree[T]) Lookup(path []byte) (value T, rest []byte, ok bool) {
	at := &t.root
	if at.set {
		value, rest, ok = at.value, path, true
	}
	for remaining := path; len(remaining) > 0 && len(at.children) > 0; {
		var name []byte
		name, remaining = cut(remaining)
		at = at.children[string(name)]
		if at == nil {
			break
		}
		if at.set {
			value, rest, ok = at.value, remaining, true
		}
	}
	return value, rest, ok
}

// Children returns the sorted names directly below a clean path; ok is false if no branch leads
// there.
func (t *Tree[T]) Children(path string) (names []string, ok bool) {
	b := t.find([]byte(path))
	if b == nil {
		return nil, false
	}
	names = make([]string, 0, len(b.children))
	for name := range b.children {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, true
}

// Leads reports whether a clean path has a value or leads to one.
func (t *Tree[T]) Leads(path string) bool { return path == "" || t.find([]byte(path)) != nil }

// Above returns the values at the beginnings of a clean path, without the one at the path itself.
func (t *Tree[T]) Above(path string) iter.Seq[T] {
	return func(yield func(T) bool) {
		at := &t.root
		for name, rest := cut([]byte(path)); len(name) > 0; name, rest = cut(rest) {
			if at.set && !yield(at.value) {
				return
			}
			if at = at.children[string(name)]; at == nil {
				return
			}
		}
	}
}

// Below returns the values at a clean path and below it, in no order.
func (t *Tree[T]) Below(path string) iter.Seq[T] {
	return func(yield func(T) bool) {
		if at := t.find([]byte(path)); at != nil {
			at.each(yield)
		}
	}
}

func (b *branch[T]) each(yield func(T) bool) bool {
	if b.set && !yield(b.value) {
		return false
	}
	for _, next := range b.children {
		if !next.each(yield) {
			return false
		}
	}
	return true
}

// Len returns the number of values.
func (t *Tree[T]) Len() int { return t.size }

func (t *Tree[T]) find(path []byte) *branch[T] {
	at := &t.root
	for name, rest := cut(path); at != nil && len(name) > 0; name, rest = cut(rest) {
		at = at.children[string(name)]
	}
	return at
}
