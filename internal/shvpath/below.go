package shvpath

import (
	"cmp"
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
	rests := [][]string{names}
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		var next [][]string
		for _, rest := range rests {
			next = appendBehind(next, rest, name)
		}
		rests = distinct(next)
	}
	var all []Pattern
	for _, rest := range rests {
		text := strings.Join(rest, "/")
		if p, err := ParsePattern(text); err == nil { // it always is one: its names were
			all = append(all, p)
		}
	}
	return withoutCovered(all)
}

// appendBehind appends what is left of a pattern's names behind one name of a path.
func appendBehind(to [][]string, names []string, name string) [][]string {
	switch {
	case len(names) == 0:
		return to
	case names[0] == anyNames:
		to = append(to, names)
		return appendBehind(to, names[1:], name)
	case glob(names[0]).match([]byte(name)):
		return append(to, names[1:])
	}
	return to
}

// distinct leaves one of each: all are ends of the same names, so that their count
// tells them apart. Else they would double with each name and **.
func distinct(rests [][]string) [][]string {
	slices.SortFunc(rests, func(a, b []string) int { return cmp.Compare(len(b), len(a)) })
	return slices.CompactFunc(rests, func(a, b []string) bool { return len(a) == len(b) })
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
