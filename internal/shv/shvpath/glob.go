package shvpath

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// glob is a POSIX pattern of one name, which may hold any bytes: * is any characters, ? any one,
// [a-z] one of a set, [!a-z] or [^a-z] one outside of it, and \ makes the next character mean
// itself. checkGlob has accepted it.
type glob string

var (
	errBracket   = errors.New("[ without ]")
	errClass     = errors.New("classes such as [:alpha:] are not supported")
	errRange     = errors.New("range in [] runs backwards or has no end")
	errBackslash = errors.New(`\ at the end`)
)

// checkGlob returns what is wrong with a pattern of one name, nil if it is valid.
func checkGlob(text string) error {
	for rest := text; rest != ""; {
		switch rest[0] {
		case '\\':
			if len(rest) == 1 {
				return errBackslash
			}
			rest = rest[2:]
		case '[':
			size, err := checkSet(rest)
			if err != nil {
				return err
			}
			rest = rest[size:]
		default:
			rest = rest[1:]
		}
	}
	return nil
}

// checkSet returns the length of the set that text begins with.
func checkSet(text string) (size int, err error) {
	at := beginSet(text)
	for first := true; ; first = false {
		switch {
		case at >= len(text):
			return 0, errBracket
		case text[at] == ']' && !first:
			return at + 1, nil
		case strings.HasPrefix(text[at:], "[:"):
			return 0, errClass
		}
		low, size := setRune(text[at:])
		if size == 0 {
			return 0, errBracket
		}
		at += size
		if !isRange(text[at:]) {
			continue
		}
		high, size := setRune(text[at+1:])
		if size == 0 {
			return 0, errBracket
		}
		if high < low {
			return 0, errRange
		}
		at += 1 + size
	}
}

// beginSet returns where the members of a set begin.
func beginSet(text string) int {
	if len(text) > 1 && (text[1] == '!' || text[1] == '^') {
		return 2
	}
	return 1
}

// setRune returns the next member of a set; size is 0 if there is none.
func setRune(text string) (r rune, size int) {
	if strings.HasPrefix(text, `\`) {
		r, size = decode(text[1:])
		if size == 0 {
			return 0, 0
		}
		return r, size + 1
	}
	return decode(text)
}

// isRange reports whether text begins with a - between two members.
func isRange(text string) bool {
	return len(text) > 1 && text[0] == '-' && text[1] != ']'
}

// invalid is added to a byte that is not UTF-8, so that it equals no character.
const invalid = utf8.MaxRune + 1

// decode reads a character; size is 0 at the end.
func decode[T ~string | ~[]byte](text T) (r rune, size int) {
	switch {
	case len(text) == 0:
		return 0, 0
	case text[0] < utf8.RuneSelf:
		return rune(text[0]), 1
	}
	var head [utf8.UTFMax]byte
	r, size = utf8.DecodeRune(head[:copy(head[:], text)])
	if r == utf8.RuneError && size == 1 {
		return invalid + rune(text[0]), 1
	}
	return r, size
}

// match reports whether the glob matches a name. It goes back to the last * only, which is enough:
// it takes at most the length of the pattern times that of the name. It does not allocate.
func (g glob) match(name []byte, left *Steps) bool {
	p, n := 0, 0
	star, resume := -1, 0
	for n < len(name) {
		if !left.take(1) {
			return false
		}
		if p < len(g) && g[p] == '*' {
			star, resume = p, n
			p++
			continue
		}
		used, size, ok := g[p:].one(name[n:])
		left.take(used)
		if ok {
			p, n = p+used, n+size
			continue
		}
		if star < 0 {
			return false
		}
		_, size = decode(name[resume:])
		resume += size
		p, n = star+1, resume
	}
	for p < len(g) && g[p] == '*' {
		p++
	}
	return p == len(g)
}

// one matches the first character of a name with the beginning of the pattern and returns how many
// bytes of both it used. The name is not empty, and the pattern does not begin with *.
func (g glob) one(name []byte) (used, size int, ok bool) {
	if len(g) == 0 {
		return 0, 0, false
	}
	switch g[0] {
	case '?':
		_, size := decode(name)
		return 1, size, true
	case '[':
		r, size := decode(name)
		used, ok := g.set(r)
		return used, size, ok
	}
	escaped := 0
	if g[0] == '\\' {
		escaped = 1
	}
	want, used := decode(string(g[escaped:]))
	r, size := decode(name)
	return escaped + used, size, r == want
}

// set reports whether r is in the set that the pattern begins with, and returns the length of the
// set.
func (g glob) set(r rune) (used int, ok bool) {
	text := string(g)
	at := beginSet(text)
	negated := at == 2
	found := false
	for first := true; at < len(text) && (text[at] != ']' || first); first = false {
		low, size := rune(text[at]), 1
		if low >= utf8.RuneSelf || low == '\\' {
			low, size = setRune(text[at:])
		}
		at += size
		high := low
		if isRange(text[at:]) {
			high, size = setRune(text[at+1:])
			at += 1 + size
		}
		found = found || low <= r && r <= high
	}
	return at + 1, found != negated
}
