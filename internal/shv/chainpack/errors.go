package chainpack

import (
	"fmt"
	"io"
)

// SyntaxError reports bytes that are not ChainPack. Offset, counted from the start of the input, is
// where the wrong or incomplete item begins: a schema byte, a number, a length or a key. If the
// input ends although something must follow, it is the length of the input. What says what was
// being read.
//
// Err is io.ErrUnexpectedEOF if the input was too short, which the reader of a stream may take as a
// request for more, and nil if no continuation could help.
type SyntaxError struct {
	Offset int
	What   string
	Err    error
}

// Error returns offset, item and cause.
func (e *SyntaxError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("chainpack: offset %d: %s: %v", e.Offset, e.What, e.Err)
	}
	return fmt.Sprintf("chainpack: offset %d: %s", e.Offset, e.What)
}

// Unwrap returns Err.
func (e *SyntaxError) Unwrap() error { return e.Err }

// LimitError reports input that exceeds one of the Limits. Offset is where the value begins that is
// one too many or too deep. What is "depth" or "items", or the text of the package that sets the
// limit.
type LimitError struct {
	Offset int
	What   string
	Limit  int
}

// Error returns offset and limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("chainpack: offset %d: %s limit of %d exceeded", e.Offset, e.What, e.Limit)
}

// Defaults of Limits.
const (
	defaultDepth = 100
	DefaultItems = 1 << 20
)

// maxDepth bounds the recursion, whatever a caller asks for.
const maxDepth = 10000

// Limits bounds what one call may read. A field that is zero or negative means its default.
type Limits struct {
	// Depth is how many containers, MetaMaps included, may be nested. Above 10000 it counts as
	// 10000.
	Depth int
	// Items is the number of values in one call: the outermost one, each item, and the value of
	// each entry. Together with the checked lengths it keeps memory proportional to the input.
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
