package shvpath

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
