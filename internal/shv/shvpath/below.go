package shvpath

import (
	"slices"
	"strings"
)

// Below gives the identifiers that, read from a clean path on, mean what r means at
// and below that path: none where r means nothing there, more than one where ** may
// end before the path, in it or behind it.
func (r RI) Below(path string) []RI {
	patterns := r.path.below(path)
	all := make([]RI, 0, len(patterns))
	for _, p := range patterns {
		below := r
		below.path = p
		all = append(all, below)
	}
	return all
}

// below gives what is left of a pattern behind the names of a clean path.
func (p Pattern) below(path string) []Pattern {
	if p.text == "" && path != "" {
		return nil
	}
	var names []string
	if p.text != "" {
		names = strings.Split(p.text, "/")
	}
	// Where in names it may go on, in order: each place once, however many ** there are.
	at := []int{0}
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		at = nextPlaces(names, at, name)
	}
	var all []Pattern
	for _, i := range at {
		text := strings.Join(names[i:], "/")
		if p, err := ParsePattern(text); err == nil { // it always is one: its names were
			all = append(all, p)
		}
	}
	return withoutCovered(all)
}

// nextPlaces gives the places in a pattern's names that may come behind one name of a
// path, where at may come before it.
func nextPlaces(names []string, at []int, name string) (next []int) {
	add := func(i int) {
		if n := len(next); n == 0 || next[n-1] < i {
			next = append(next, i)
		}
	}
	seen := 0 // all places before it were looked at that may come here
	for _, i := range at {
		for ; i >= seen && i < len(names); i++ {
			seen = i + 1
			if names[i] == anyNames {
				add(i) // it takes the name, or none
				continue
			}
			if glob(names[i]).match([]byte(name)) {
				add(i + 1)
			}
			break
		}
	}
	return next
}

// withoutCovered leaves everything but ** out, where ** is there.
func withoutCovered(all []Pattern) []Pattern {
	if i := slices.IndexFunc(all, func(p Pattern) bool { return p.text == anyNames }); i >= 0 {
		return all[i : i+1]
	}
	return all
}

// Under gives the identifier that, read from the root, means what r means when it
// is read from a clean path on.
func (r RI) Under(path string) (RI, error) {
	if path == "" {
		return r, nil
	}
	var err error
	r.path, err = ParsePattern(strings.TrimSuffix(Escape(path)+"/"+r.path.text, "/"))
	return r, err
}

// Escape gives the pattern of exactly one path or name.
func Escape(text string) string { return escaper.Replace(text) }

var escaper = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)
