package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// rest stands in the place of any number of further words.
const rest = "**"

// Command is a pattern of commands: words that must be there as they are, where *
// is any one word, and ** at the end any number of them.
type Command []string

// ParseCommand reads a pattern, words with blanks between them.
func ParseCommand(text string) (Command, error) {
	words, err := Words(text)
	switch {
	case err != nil && !errors.Is(err, errNeedsShell):
		return nil, err
	case err != nil: // * is a word of ours
		if strings.ContainsAny(text, "'\"\\") {
			return nil, errors.New("with both quotes and signs of the shell in it, write it as a list of words")
		}
		words = strings.Fields(text)
	}
	return NewCommand(words)
}

// NewCommand is a pattern of these words.
func NewCommand(words []string) (Command, error) {
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("it names no program")
	}
	if words[0] == "*" || words[0] == rest {
		return nil, errors.New("any program would fit; leave the list out if that is meant")
	}
	if i := slices.Index(words, rest); i >= 0 && i < len(words)-1 {
		return nil, fmt.Errorf("%s is for the end of a command", rest)
	}
	return Command(words), nil
}

// String is the pattern as it is written.
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

var errNeedsShell = errors.New("it needs a shell, and commands of a list run without one")

// special is what means something to a shell outside of quotes.
const special = "|&;<>()$`*?[]{}#~!\n\r"

// Words cuts a line into words as a shell does, and refuses all that only a shell
// could do: a line of a list is no way to other commands.
func Words(line string) ([]string, error) {
	if strings.IndexByte(line, 0) >= 0 {
		return nil, errors.New("it has a zero byte")
	}
	var words []string
	var b strings.Builder
	inWord := false
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case quote == '\'' && c != '\'':
			b.WriteByte(c)
		case quote != 0 && c == quote:
			quote = 0
		case quote == '"' && (c == '$' || c == '`'):
			return nil, errNeedsShell
		case c == '\\':
			if i++; i == len(line) || line[i] == '\n' {
				return nil, errNeedsShell
			}
			if quote == '"' && !strings.ContainsRune("\"\\$`", rune(line[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(line[i])
			inWord = true
		case quote != 0:
			b.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, b.String())
			}
			b.Reset()
			inWord = false
		case strings.IndexByte(special, c) >= 0:
			return nil, errNeedsShell
		default:
			b.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote in it is not closed")
	}
	if inWord {
		words = append(words, b.String())
	}
	return words, nil
}

// shells are the names that programs which are shells have.
var shells = []string{"sh", "ash", "bash", "csh", "dash", "fish", "ksh", "mksh", "tcsh", "zsh"}

// IsShell tells whether a program is one of the system's shells, by its name. Any
// other program that somebody calls a shell is a command.
func IsShell(program string) bool {
	switch dir, name := path.Split(program); dir {
	case "", "/bin/", "/usr/bin/", "/usr/local/bin/":
		return slices.Contains(shells, name)
	}
	return false
}
