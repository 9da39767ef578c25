package shvpath

import (
	"fmt"
	"strings"
)

// MaxPattern is the limit for a pattern in bytes. A match may take its length times that of the
// path.
const MaxPattern = 1024

// Pattern is a set of paths: a path whose names are POSIX globs (*, ?, [a-z], [!a-z], and \ before
// a character that means itself), and where ** is any number of names, also none. So "a/b" is that
// path alone, "a/**" is a and everything below, and "**" is every path. The zero Pattern is the
// root alone.
type Pattern struct {
	text   string // clean
	kind   kind
	prefix string // the path, or what it begins with, for the kinds that need no globs
	names  []glob
}

// kind is how to match a pattern.
type kind uint8

const (
	exact   kind = iota // the path is prefix
	subtree             // the path is prefix or below it
	globs               // name by name
)

const anyNames = "**"

// ParsePattern parses a pattern. Like a path, it may have needless slashes.
func ParsePattern(text string) (Pattern, error) {
	if len(text) > MaxPattern {
		return Pattern{}, fmt.Errorf("pattern of %d bytes (want at most %d)", len(text), MaxPattern)
	}
	clean := string(Clean([]byte(text)))
	if !isGlob(clean) {
		return Pattern{text: clean, prefix: clean}, nil
	}
	if clean == anyNames {
		return Pattern{text: clean, kind: subtree}, nil
	}
	if prefix, ok := strings.CutSuffix(clean, "/"+anyNames); ok && !isGlob(prefix) {
		return Pattern{text: clean, kind: subtree, prefix: prefix}, nil
	}
	p := Pattern{text: clean, kind: globs}
	for name := range strings.SplitSeq(clean, "/") {
		if err := checkGlob(name); err != nil {
			return Pattern{}, fmt.Errorf("invalid pattern %q: %w", text, err)
		}
		p.names = append(p.names, glob(name))
	}
	return p, nil
}

// MustPattern is ParsePattern for constant patterns. It panics on an invalid one.
func MustPattern(text string) Pattern {
	p, err := ParsePattern(text)
	if err != nil {
		panic("shvpath: " + err.Error())
	}
	return p
}

func isGlob(text string) bool { return strings.ContainsAny(text, `*?[\`) }

// String returns the pattern without needless slashes.
func (p Pattern) String() string { return p.text }

// Stem returns what every path of the set begins with: the names before the first glob, at most n
// of them.
func (p Pattern) Stem(n int) string {
	stem := p.prefix
	if p.kind == globs {
		stem = p.text
	}
	end := 0
	for ; n > 0 && end < len(stem); n-- {
		name, _, _ := strings.Cut(strings.TrimPrefix(stem[end:], "/"), "/")
		if p.kind == globs && isGlob(name) {
			break
		}
		end += len(name) + min(end, 1)
	}
	return stem[:end]
}

// Match reports whether a clean path belongs to the set. It does not allocate, and takes at most
// the length of the path times that of the pattern.
func (p Pattern) Match(path []byte) bool { return p.match(path, boundless()) }

func (p Pattern) match(path []byte, left *Steps) bool {
	switch p.kind {
	case exact:
		return string(path) == p.prefix
	case subtree:
		return isBelow(path, p.prefix)
	}
	return matchNames(p.names, path, left)
}

// isBelow reports whether a clean path is at or below prefix, which is clean, too.
func isBelow(path []byte, prefix string) bool {
	if prefix == "" {
		return true
	}
	if len(path) < len(prefix) || string(path[:len(prefix)]) != prefix {
		return false
	}
	return len(path) == len(prefix) || path[len(prefix)] == '/'
}

// matchNames goes back to the last ** only, which is enough. names is not empty.
func matchNames(names []glob, path []byte, left *Steps) bool {
	var resume []byte // the path after the names that the last ** took
	p, stars := 0, -1
	for len(path) > 0 {
		if !left.take(1) {
			return false
		}
		if p < len(names) && names[p] == anyNames {
			stars, resume = p, path
			p++
			continue
		}
		name, rest := cut(path)
		if p < len(names) && names[p].match(name, left) {
			p, path = p+1, rest
			continue
		}
		if stars < 0 {
			return false
		}
		_, resume = cut(resume)
		p, path = stars+1, resume
	}
	for p < len(names) && names[p] == anyNames {
		p++
	}
	return p == len(names)
}
