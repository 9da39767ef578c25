package shvpath

import "bytes"

// NameEnd returns where the name ends that follows the beginning path[:end] of a
// clean path: end is 0, or where a name ends that is not the last.
func NameEnd[P string | []byte](path P, end int) int {
	if end > 0 {
		end++ // the slash
	}
	for end < len(path) && path[end] != '/' {
		end++
	}
	return end
}

// CutPrefix returns the rest of a clean path at or below another one.
func CutPrefix(path []byte, prefix string) (rest []byte, ok bool) {
	if !isBelow(path, prefix) || prefix == "" {
		return path, prefix == ""
	}
	return bytes.TrimPrefix(path[len(prefix):], []byte("/")), true
}
