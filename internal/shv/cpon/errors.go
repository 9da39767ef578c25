package cpon

import (
	"bytes"
	"fmt"
)

// SyntaxError reports text that is not CPON. Line and Col are its place, counted from 1, Col in
// bytes.
type SyntaxError struct {
	Line, Col int
	What      string
}

// Error returns place and fault.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("cpon: line %d, column %d: %s", e.Line, e.Col, e.What)
}

// LimitError reports text that exceeds the limit "depth" or "items" (What) of chainpack.Limits.
type LimitError struct {
	Line, Col int
	What      string
	Limit     int
}

// Error returns place and limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("cpon: line %d, column %d: %s limit of %d exceeded", e.Line, e.Col, e.What, e.Limit)
}

// place returns line and column of an offset.
func place(text []byte, off int) (line, col int) {
	before := text[:off]
	return 1 + bytes.Count(before, []byte{'\n'}), off - bytes.LastIndexByte(before, '\n')
}

func (p *parser) errorAt(off int, format string, args ...any) error {
	line, col := place(p.text, off)
	return &SyntaxError{Line: line, Col: col, What: fmt.Sprintf(format, args...)}
}

func (p *parser) limitAt(off int, what string, limit int) error {
	line, col := place(p.text, off)
	return &LimitError{Line: line, Col: col, What: what, Limit: limit}
}
