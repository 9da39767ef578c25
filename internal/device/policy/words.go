package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// rest matches any number of further words.
const rest = "**"

// Command is a pattern of commands. Each word matches itself; * matches any one word, and
// ** at the end any number of them.
type Command []string

// ParseCommand reads a pattern as Words reads a line.
func ParseCommand(text string) (Command, error) {
	words, err := Words(text)
	switch {
	case err != nil && !errors.Is(err, errNeedsShell):
		return nil, err
	case err != nil: // such as the word *
		if strings.ContainsAny(text, "'\"\\") {
			return nil, errors.New("it has both quotes and shell metacharacters; write it as a list of words")
		}
		words = strings.Fields(text)
	}
	return NewCommand(words)
}

// NewCommand returns the pattern of these words.
func NewCommand(words []string) (Command, error) {
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("it names no program")
	}
	if words[0] == "*" || words[0] == rest {
		return nil, errors.New("it matches any program; leave the list out to allow that")
	}
	if i := slices.Index(words, rest); i >= 0 && i < len(words)-1 {
		return nil, fmt.Errorf("%s may only be the last word", rest)
	}
	return Command(words), nil
}

// String returns the words with blanks between them.
func (c Command) String() string { return strings.Join(c, " ") }

func (c Command) fits(argv []string) bool {
	for i, word := range c {
		switch {
		case word == rest:
			return true
		case i >= len(argv), word != "*" && word != argv[i]:
			return false
		}
	}
	return len(argv) == len(c)
}

var (
	errNeedsShell = errors.New("it needs a shell, and commands of a list run without one")
	errOpenQuote  = errors.New("a quote in it is not closed")
)

// special are the bytes that mean something to a shell outside quotes.
const special = "|&;<>()$`*?[]{}#~!\n\r"

// Words cuts a line into words as a shell does. A line that only a shell could carry
// out is an error: an allowed command must not lead to others.
func Words(line string) ([]string, error) {
	if strings.IndexByte(line, 0) >= 0 {
		return nil, errors.New("it has a zero byte")
	}
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		word, rest, err := cutWord(line)
		if err != nil {
			return nil, err
		}
		words, line = append(words, word), rest
	}
}

// cutWord cuts the first word off a line that begins with one.
func cutWord(line string) (word, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); {
		c := line[i]
		n := 1 // bytes of the line that part of the word takes
		switch {
		case c == ' ' || c == '\t':
			return b.String(), line[i:], nil
		case c == '\'':
			n, err = cutSingleQuoted(&b, line[i:])
		case c == '"':
			n, err = cutDoubleQuoted(&b, line[i:])
		case c == '\\':
			n, err = cutEscaped(&b, line[i:], "")
		case strings.IndexByte(special, c) >= 0:
			err = errNeedsShell
		default:
			b.WriteByte(c)
		}
		if err != nil {
			return "", "", err
		}
		i += n
	}
	return b.String(), "", nil
}

// cutSingleQuoted takes a part in single quotes, where every byte means itself.
func cutSingleQuoted(b *strings.Builder, text string) (n int, err error) {
	end := strings.IndexByte(text[1:], '\'')
	if end < 0 {
		return 0, errOpenQuote
	}
	b.WriteString(text[1 : 1+end])
	return end + 2, nil
}

// cutDoubleQuoted takes a part in double quotes. Substitutions in it need a shell.
func cutDoubleQuoted(b *strings.Builder, text string) (n int, err error) {
	for n = 1; n < len(text); {
		switch c := text[n]; c {
		case '"':
			return n + 1, nil
		case '$', '`':
			return 0, errNeedsShell
		case '\\':
			taken, err := cutEscaped(b, text[n:], "\"\\$`")
			if err != nil {
				return 0, err
			}
			n += taken
		default:
			b.WriteByte(c)
			n++
		}
	}
	return 0, errOpenQuote
}

// cutEscaped takes a backslash and the byte behind it, which then means itself. With
// escapable, the backslash stays before any other byte. A line that goes on behind its
// end needs a shell.
func cutEscaped(b *strings.Builder, text, escapable string) (n int, err error) {
	if len(text) == 1 || text[1] == '\n' {
		return 0, errNeedsShell
	}
	if escapable != "" && strings.IndexByte(escapable, text[1]) < 0 {
		b.WriteByte('\\')
	}
	b.WriteByte(text[1])
	return 2, nil
}

// shells are the names of programs that are shells.
var shells = []string{"sh", "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "tcsh", "zsh"}

// IsShell reports whether a program is one of the system's shells, by its name and
// directory. Any other program that a caller asks for as a shell is a command.
func IsShell(program string) bool {
	switch dir, name := path.Split(program); dir {
	case "", "/bin/", "/usr/bin/", "/usr/local/bin/":
		return slices.Contains(shells, name)
	}
	return false
}
