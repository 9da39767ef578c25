package shvpath

import (
	"math"
)

// Steps bounds the work of a match: a name, a character or a byte of a pattern that is looked at is
// one. It is what is left, and less than 0 if that was not enough.
type Steps int64

// take takes n steps, and reports whether there were as many.
func (s *Steps) take(n int) bool {
	*s -= Steps(n)
	return *s >= 0
}

// boundless returns more steps than any match takes.
func boundless() *Steps {
	s := Steps(math.MaxInt64)
	return &s
}

// MayMean reports whether r may mean something at or below a clean path. It is cheap, and true
// more often than that is so.
func (r RI) MayMean(path string) bool {
	stem := r.path.Stem(len(path) + 1)
	return isBelow([]byte(path), stem) || isBelow([]byte(stem), path)
}
