package chainpack

import (
	"fmt"
	"io"
)

// SyntaxError reports bytes that are not ChainPack. Offset is the place of the
// first byte of what is wrong or incomplete (a schema byte, a number, a length,
// a key), counted from the start of the input; where the input ends although
// something must follow it is the input's length. What says what was being read.
//
// Err is io.ErrUnexpectedEOF where the input was too short, which a reader of a
// stream may take as a request for more, and nil where no continuation could help.
type SyntaxError struct {
	Offset int
	What   string
	Err    error
}

func (e *SyntaxError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("chainpack: offset %d: %s: %v", e.Offset, e.What, e.Err)
	}
	return fmt.Sprintf("chainpack: offset %d: %s", e.Offset, e.What)
}

// Unwrap returns Err.
func (e *SyntaxError) Unwrap() error { return e.Err }

// LimitError reports input that exceeds one of the Limits. Offset is where the
// value that is one too much or one too deep begins; What is "depth" or "items".
type LimitError struct {
	Offset int
	What   string
	Limit  int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("chainpack: offset %d: %s limit of %d exceeded", e.Offset, e.What, e.Limit)
}

// Default limits.
const (
	defaultDepth = 100
	DefaultItems = 1 << 20
)

// maxDepth bounds the recursion, whatever a caller asks for.
const maxDepth = 10000

// Limits bounds what one call may read. A field that is zero or negative stands
// for its default.
type Limits struct {
	// Depth is how many containers, MetaMaps included, may lie within each
	// other. Above 10000 it counts as 10000.
	Depth int
	// Items is the number of values in one call: the outermost one, each item
	// and the value of each entry. With the checked lengths it keeps memory
	// within a constant of what the input has paid for.
	Items int
}

// Effective returns the limits with defaults filled in.
func (l Limits) Effective() Limits {
	if l.Depth <= 0 {
		l.Depth = defaultDepth
	}
	l.Depth = min(l.Depth, maxDepth)
	if l.Items <= 0 {
		l.Items = DefaultItems
	}
	return l
}

func tooShort(offset int, what string) error {
	return &SyntaxError{Offset: offset, What: what, Err: io.ErrUnexpectedEOF}
}
