package visible

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// AppendJSON appends JSON with everything escaped that a terminal or an editor could obey or
// hide: JSON itself allows C1 controls, DEL, and marks that turn the direction of writing. It stays
// JSON of the same value.
func AppendJSON(dst, text []byte) []byte {
	for len(text) > 0 {
		c, n := utf8.DecodeRune(text)
		switch {
		case c == '\n' || c >= ' ' && c < 0x7f:
			dst = append(dst, byte(c))
		case unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp):
			if c > 0xffff { // a pair of surrogates
				c -= 0x10000
				dst = fmt.Appendf(dst, `\u%04x\u%04x`, 0xd800+c>>10, 0xdc00+c&0x3ff)
			} else {
				dst = fmt.Appendf(dst, `\u%04x`, c)
			}
		default:
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
