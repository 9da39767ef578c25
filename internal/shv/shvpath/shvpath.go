// Package shvpath handles SHV paths (spec.md 3.10), patterns of paths, and resource identifiers
// (spec.md 7.6). A path is names joined by slashes, without a slash at either end; the root is
// empty. The package knows neither what is mounted at a path nor file systems: "." and ".." are
// ordinary names of a path, though CheckName refuses them where something is mounted.
package shvpath

import "bytes"

// Clean drops empty names: "/a//b/" becomes "a/b". It returns a clean path as it is, and otherwise
// a new slice.
func Clean(path []byte) []byte {
	if isClean(path) {
		return path
	}
	clean := make([]byte, 0, len(path))
	for part := range bytes.SplitSeq(path, []byte("/")) {
		if len(part) == 0 {
			continue
		}
		if len(clean) > 0 {
			clean = append(clean, '/')
		}
		clean = append(clean, part...)
	}
	return clean
}

func isClean(path []byte) bool {
	previous := byte('/')
	for _, c := range path {
		if c == '/' && previous == '/' {
			return false
		}
		previous = c
	}
	return len(path) == 0 || previous != '/'
}

// Join joins two clean paths.
func Join(base, path string) string {
	switch {
	case base == "":
		return path
	case path == "":
		return base
	}
	return base + "/" + path
}

// cut splits the first name off a clean path.
func cut(path []byte) (name, rest []byte) {
	if i := bytes.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return path, nil
}
