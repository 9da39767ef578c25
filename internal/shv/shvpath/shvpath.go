// Package shvpath knows SHV paths (spec.md 3.10): names joined by slashes,
// without a slash at either end, the root being empty. It is not about what
// stands at a path, nor about file systems: "." and ".." are names like others.
package shvpath

import "bytes"

// Clean drops empty parts: "/a//b/" becomes "a/b". A clean path is returned as
// it is, otherwise the result is new.
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

// Join puts two clean paths together.
func Join(base, path string) string {
	switch {
	case base == "":
		return path
	case path == "":
		return base
	}
	return base + "/" + path
}

// cut splits the first part off a clean path.
func cut(path []byte) (name, rest []byte) {
	if i := bytes.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return path, nil
}
