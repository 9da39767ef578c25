package visible_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"shvtools/internal/sys/visible"
)

func TestNothingThatATerminalObeysIsLeft(t *testing.T) {
	for text, want := range map[string]string{
		"":                     "",
		"plain text, ěšč 漢 🚃":  "plain text, ěšč 漢 🚃",
		"a\x1b]0;owned\x07b":   `a\x1b]0;owned\ab`,
		"a\nb\r\tc\x00\x7f":    `a\nb\r\tc\x00\x7f`,
		"a\u0085\u009b31mb":    `a\u0085\u009b31mb`,
		"a\x9b31m\x85":         `a\x9b31m\x85`, // C1 of a terminal with 8 bits
		"a\u202e\u2066\u200bb": `a\u202e\u2066\u200bb`,
		"\xe2\x28":             `\xe2(`,
		"a\u00a0b\u2028c":      `a\u00a0b\u2028c`,
	} {
		if got := visible.String(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestTextIsCutWhereItsBoundIs(t *testing.T) {
	for _, test := range []struct {
		text string
		size int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "abc…"}, {"ěěě", 3, "ě…"}, {"\x1b\x1b", 6, `\x1b…`}, {"", 0, ""}, {"a", 0, "…"},
	} {
		if got := visible.Within(test.text, test.size); got != test.want {
			t.Errorf("%q within %d: got %q, want %q", test.text, test.size, got, test.want)
		}
	}
}

func FuzzString(f *testing.F) {
	for i := range 256 {
		f.Add(string([]byte{'a', byte(i), 'b'}))
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := visible.String(text)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q becomes %q", text, got)
		}
		if visible.String(got) != got {
			t.Errorf("%q is shown as %q", got, visible.String(got))
		}
		if short := visible.Within(text, 10); len(short) > 10+len("…") || !utf8.ValidString(short) {
			t.Errorf("%q within 10 becomes %q", text, short)
		}
	})
}
