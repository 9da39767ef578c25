package cpon

import (
	"bytes"

	"shvtools/internal/shv/chainpack"
)

// Parse reads exactly one value with its meta data, which separators and comments may surround. An
// error is a *SyntaxError or *LimitError. The value does not alias text.
func Parse(text []byte, lim chainpack.Limits) (chainpack.Value, error) {
	p := parser{text: text, lim: lim.Effective()}
	v, err := p.value()
	if err != nil {
		return chainpack.Value{}, err
	}
	if err := p.space(); err != nil {
		return chainpack.Value{}, err
	}
	if p.off < len(text) {
		return chainpack.Value{}, p.errorAt(p.off, "text after the value")
	}
	return v, nil
}

// parser keeps the contents of open containers on two stacks, of which the constructors of package
// chainpack take copies.
type parser struct {
	text    []byte
	off     int
	depth   int
	count   int
	lim     chainpack.Limits
	items   []chainpack.Value
	entries []chainpack.Entry
}

// peek returns the byte n places ahead, 0 after the end.
func (p *parser) peek(n int) byte {
	if p.off+n < len(p.text) {
		return p.text[p.off+n]
	}
	return 0
}

// space skips separators and comments. It stops at bytes from 80 hex on, which the C library skips.
func (p *parser) space() error {
	for p.off < len(p.text) {
		switch c := p.text[p.off]; {
		case c <= ' ' || c == ',' || c == ':':
			p.off++
		case c == '/' && p.peek(1) == '/':
			n := bytes.IndexByte(p.text[p.off:], '\n')
			if n < 0 {
				return p.errorAt(p.off, "unterminated comment (want a newline at its end)")
			}
			p.off += n + 1
		case c == '/' && p.peek(1) == '*':
			n := bytes.Index(p.text[p.off+2:], []byte("*/"))
			if n < 0 {
				return p.errorAt(p.off, "unterminated comment (want */)")
			}
			p.off += n + 4
		default:
			return nil
		}
	}
	return nil
}

// value reads a value with the meta data in front of it.
func (p *parser) value() (chainpack.Value, error) {
	if err := p.space(); err != nil {
		return chainpack.Value{}, err
	}
	if p.count >= p.lim.Items {
		return chainpack.Value{}, p.limitAt(p.off, "items", p.lim.Items)
	}
	p.count++
	base := len(p.entries)
	for p.peek(0) == '<' {
		if err := p.readEntries('>', true); err != nil {
			return chainpack.Value{}, err
		}
		if err := p.space(); err != nil {
			return chainpack.Value{}, err
		}
	}
	meta := p.entries[base:]
	v, err := p.bare()
	if err == nil && len(meta) > 0 {
		v = v.WithMeta(meta...)
	}
	p.entries = p.entries[:base]
	return v, err
}

// bare reads a value without meta data.
func (p *parser) bare() (chainpack.Value, error) {
	c, quoted := p.peek(0), p.peek(1) == '"'
	switch {
	case p.off >= len(p.text):
		return chainpack.Value{}, p.errorAt(p.off, "value missing at the end of the text")
	case c == '"':
		s, err := p.str()
		return chainpack.String(s), err
	case c == 'b' && quoted:
		return p.blob()
	case c == 'x' && quoted:
		return p.hexBlob()
	case c == 'd' && quoted:
		return p.dateTime()
	case c == '[':
		return p.list()
	case c == '{':
		return p.mapValue(chainpack.Map)
	case c == 'i' && p.peek(1) == '{':
		p.off++
		return p.mapValue(chainpack.IMap)
	case c == '+' || c == '-' || isDigit(c):
		return p.number()
	case isLetter(c):
		return p.word()
	case c == ']' || c == '}' || c == '>':
		return chainpack.Value{}, p.errorAt(p.off, "%q instead of a value", c)
	default:
		return chainpack.Value{}, p.errorAt(p.off, "invalid character %q", c)
	}
}

func (p *parser) word() (chainpack.Value, error) {
	start := p.off
	end := start
	for end < len(p.text) && isWord(p.text[end]) {
		end++
	}
	p.off = end
	switch string(p.text[start:end]) {
	case "null":
		return chainpack.Null(), nil
	case "true":
		return chainpack.Bool(true), nil
	case "false":
		return chainpack.Bool(false), nil
	}
	return chainpack.Value{}, p.errorAt(start, "unknown word")
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// isWord reports whether c must not follow a word or number directly, so that a typing error does
// not become two values.
func isWord(c byte) bool {
	return isDigit(c) || isLetter(c) || c == '_' || c == '.' || c == '+' || c == '-'
}
