package sshargs

import (
	"errors"
	"strings"
)

// blanks is what ssh takes for white space.
const blanks = " \t\r\n\f"

// splitWords cuts the value of -o as ssh does: at blanks. Quotes hold a word together and
// vanish; a backslash makes a quote or a blank mean itself. Commas, and backslashes
// before other characters, stay.
func splitWords(value string) ([]string, error) {
	var words []string
	for {
		value = strings.TrimLeft(value, blanks)
		if value == "" {
			return words, nil
		}
		word, rest, err := cutWord(value)
		if err != nil {
			return nil, err
		}
		words, value = append(words, word), rest
	}
}

func cutWord(text string) (word, rest string, err error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && escapes(text[i+1], quote):
			i++
			b.WriteByte(text[i])
		case quote == 0 && strings.IndexByte(blanks, c) >= 0:
			return b.String(), text[i:], nil
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == quote:
			quote = 0
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", "", errors.New("a quote is not closed; write \\" + string(rune(quote)) + " for the character itself")
	}
	return b.String(), "", nil
}

// escapes reports whether a backslash acts on c.
func escapes(c, quote byte) bool {
	return c == '\'' || c == '"' || c == '\\' || quote == 0 && c == ' '
}
