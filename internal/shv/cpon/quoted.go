package cpon

import (
	"bytes"

	"shvtools/internal/shv/chainpack"
)

// stringEscapes are the escapes of a String. After a backslash, any other byte means itself.
var stringEscapes = [256]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// str reads a String. Bytes except quote and backslash mean themselves.
func (p *parser) str() (string, error) {
	start := p.off
	p.off++
	rest := p.text[p.off:]
	if n := bytes.IndexAny(rest, "\"\\"); n >= 0 && rest[n] == '"' {
		p.off += n + 1
		return string(rest[:n]), nil
	}
	var out []byte
	for p.off < len(p.text) {
		c := p.text[p.off]
		p.off++
		switch {
		case c == '"':
			return string(out), nil
		case c == '\\' && p.off < len(p.text):
			c = p.text[p.off]
			p.off++
			if c == '0' {
				c = 0
			} else if e := stringEscapes[c]; e != 0 {
				c = e
			}
		}
		out = append(out, c)
	}
	return "", p.errorAt(start, "unterminated String")
}

// blob reads b"…", where a backslash precedes two hex digits. It refuses bytes from 80 hex on, as
// the C library does.
func (p *parser) blob() (v chainpack.Value, err error) {
	start := p.off
	p.off += 2
	var out []byte
	for p.off < len(p.text) {
		at := p.off
		c := p.text[at]
		p.off++
		switch {
		case c == '"':
			return chainpack.Blob(out), nil
		case c >= 0x80:
			return v, p.errorAt(at, "byte of 80 hex or above in a Blob")
		case c == '\\':
			if c, err = p.blobEscape(at); err != nil {
				return v, err
			}
		}
		out = append(out, c)
	}
	return v, p.errorAt(start, "unterminated Blob")
}

func (p *parser) blobEscape(at int) (byte, error) {
	c := p.peek(0)
	p.off++
	switch c {
	case '\\', '"':
		return c, nil
	case 't', 'r', 'n':
		return stringEscapes[c], nil
	}
	if hi, lo := hexDigit(c), hexDigit(p.peek(0)); hi >= 0 && lo >= 0 {
		p.off++
		return byte(hi<<4 | lo), nil
	}
	return 0, p.errorAt(at, "unknown escape in a Blob")
}

// hexBlob reads x"…". It refuses blanks between digits, as pyshv does.
func (p *parser) hexBlob() (v chainpack.Value, err error) {
	start := p.off
	p.off += 2
	var out []byte
	for p.off < len(p.text) && p.text[p.off] != '"' {
		hi, lo := hexDigit(p.text[p.off]), hexDigit(p.peek(1))
		if hi < 0 || lo < 0 {
			return v, p.errorAt(p.off, "not a pair of hex digits in a Blob")
		}
		out = append(out, byte(hi<<4|lo))
		p.off += 2
	}
	if p.off >= len(p.text) {
		return v, p.errorAt(start, "unterminated Blob")
	}
	p.off++
	return chainpack.Blob(out), nil
}

// hexDigit returns the value of a hex digit, −1 for anything else.
func hexDigit(c byte) int {
	switch {
	case isDigit(c):
		return int(c - '0')
	case isHex(c):
		return int(c|0x20-'a') + 10
	default:
		return -1
	}
}
