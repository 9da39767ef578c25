// Package visible writes text that may come from a stranger so that a terminal, a log and
// a journal show it and do nothing else: no control sequence, no line that looks like one
// of the program's own, no text that runs backwards.
//
// It does not quote: where the text ends must be clear without it.
package visible

import (
	"strconv"
	"unicode"
	"unicode/utf8"
)

// cut follows a text that was longer than its bound.
const cut = "…"

// Append appends text to dst, with Go escapes instead of characters that are not
// printable: C0 and C1 control characters, line ends, bidirectional controls, blanks of no
// width, and bytes that are not UTF-8.
func Append(dst, text []byte) []byte {
	for len(text) > 0 {
		var n int
		dst, n = appendFirst(dst, text)
		text = text[n:]
	}
	return dst
}

// appendFirst appends the first character of text, which has n bytes.
func appendFirst(dst, text []byte) (all []byte, n int) {
	if c := text[0]; c >= ' ' && c < 0x7f { // most of it
		return append(dst, c), 1
	}
	r, n := utf8.DecodeRune(text)
	switch {
	case r == utf8.RuneError && n == 1:
		return append(dst, '\\', 'x', hex[text[0]>>4], hex[text[0]&15]), n
	case unicode.IsPrint(r):
		return append(dst, text[:n]...), n
	}
	quoted := strconv.AppendQuoteRune(nil, r)
	return append(dst, quoted[1:len(quoted)-1]...), n
}

const hex = "0123456789abcdef"

// String returns text as Append writes it.
func String(text string) string { return string(Append(nil, []byte(text))) }

// Within returns text as Append writes it, cut to at most size bytes and a mark that says
// so.
func Within(text string, size int) string {
	var shown []byte
	for left := []byte(text[:min(len(text), size+utf8.UTFMax)]); len(left) > 0; {
		longer, n := appendFirst(shown, left)
		if len(longer) > size {
			return string(shown) + cut
		}
		shown, left = longer, left[n:]
	}
	return string(shown)
}
