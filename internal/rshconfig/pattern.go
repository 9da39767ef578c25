package rshconfig

import (
	"path"
	"strings"
)

// pattern is a clean path whose names are patterns of package path, and where **
// is any count of names, none included, as in shvpath.
type pattern []string

func isPattern(name string) bool { return strings.ContainsAny(name, `*?[\`) }

func parsePattern(name string) (pattern, error) {
	parts := strings.Split(name, "/")
	for _, part := range parts {
		if _, err := path.Match(part, ""); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// match goes back to the last ** only, which is enough, and never slow.
func (p pattern) match(name string) bool {
	names := strings.Split(name, "/")
	i, n := 0, 0
	stars, resume := -1, 0
	for n < len(names) {
		switch {
		case i < len(p) && p[i] == "**":
			stars, resume = i, n
			i++
		case i < len(p) && matchPart(p[i], names[n]):
			i, n = i+1, n+1
		case stars >= 0:
			resume++
			i, n = stars+1, resume
		default:
			return false
		}
	}
	for i < len(p) && p[i] == "**" {
		i++
	}
	return i == len(p)
}

func matchPart(part, name string) bool {
	ok, err := path.Match(part, name)
	return ok && err == nil
}
