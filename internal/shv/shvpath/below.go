package shvpath

import (
	"slices"
	"strings"
)

// Below returns the identifiers that, relative to a clean path, mean what r means at and below that
// path. It returns none if r means nothing there, and several if ** may end before the path, in it
// or after it.
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

// below returns what is left of a pattern after the names of a clean path.
func (p Pattern) below(path string) []Pattern {
	if p.text == "" && path != "" {
		return nil
	}
	var names []string
	if p.text != "" {
		names = strings.Split(p.text, "/")
	}
	// Where in names the match may go on, ascending. Each place occurs once, however many ** there are.
	at := []int{0}
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		at = nextPlaces(names, at, name)
	}
	var all []Pattern
	for _, i := range at {
		text := strings.Join(names[i:], "/")
		if p, err := ParsePattern(text); err == nil { // never an error: p's names were checked
			all = append(all, p)
		}
	}
	return withoutCovered(all)
}

// nextPlaces returns the places in a pattern's names that a match may have reached after one more
// name of a path, given those before it.
func nextPlaces(names []string, at []int, name string) (next []int) {
	add := func(i int) {
		if n := len(next); n == 0 || next[n-1] < i {
			next = append(next, i)
		}
	}
	seen := 0 // places before it were looked at
	for _, i := range at {
		for ; i >= seen && i < len(names); i++ {
			seen = i + 1
			if names[i] == anyNames {
				add(i) // ** takes the name, or none
				continue
			}
			if glob(names[i]).match([]byte(name), boundless()) {
				add(i + 1)
			}
			break
		}
	}
	return next
}

// withoutCovered keeps only ** if that is among the patterns.
func withoutCovered(all []Pattern) []Pattern {
	if i := slices.IndexFunc(all, func(p Pattern) bool { return p.text == anyNames }); i >= 0 {
		return all[i : i+1]
	}
	return all
}

// Under returns the identifier that, relative to the root, means what r means relative to a clean
// path.
func (r RI) Under(path string) (RI, error) {
	if path == "" {
		return r, nil
	}
	var err error
	r.path, err = ParsePattern(strings.TrimSuffix(Escape(path)+"/"+r.path.text, "/"))
	return r, err
}

// Escape returns the pattern that matches exactly one path or name.
func Escape(text string) string { return escaper.Replace(text) }

var escaper = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)
