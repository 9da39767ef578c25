package shvpath

import "strings"

// Pattern is a set of paths: "a/b" is that path alone, "a/**" is a and all
// below, "**" is every path.
type Pattern struct {
	prefix string
	below  bool
}

// ParsePattern reads a pattern.
func ParsePattern(text string) Pattern {
	clean := string(Clean([]byte(text)))
	if clean == "**" {
		return Pattern{below: true}
	}
	if prefix, ok := strings.CutSuffix(clean, "/**"); ok {
		return Pattern{prefix: prefix, below: true}
	}
	return Pattern{prefix: clean}
}

// Match tells whether a clean path belongs to the set.
func (p Pattern) Match(path []byte) bool {
	if !p.below {
		return string(path) == p.prefix
	}
	if p.prefix == "" {
		return true
	}
	if len(path) < len(p.prefix) || string(path[:len(p.prefix)]) != p.prefix {
		return false
	}
	return len(path) == len(p.prefix) || path[len(p.prefix)] == '/'
}
