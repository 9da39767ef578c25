package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// The words of a Command that match any others. Those without a dash match no option: a
// word that begins with - may make a program do something else than its rule is about.
const (
	one       = "*"
	oneOption = "-*"
	rest      = "**"
	restAny   = "-**"
)

// Command is a pattern of commands. Its first word is the program. Each further word matches
// itself, and as a pattern of path.Match others. These are special:
//
//	"*"    any one word
//	"-*"   any one word that begins with -
//	"**"   at the end: any number of words
//	"-**"  at the end: any number of words, whatever they begin with
//
// Only a pattern that begins with - itself matches words that do, and of those with * or ? in a
// longer word only one with .. matches paths that lead up.
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
	if slices.Contains([]string{one, oneOption, rest, restAny}, words[0]) {
		return nil, errors.New("it matches any program; leave the list out to allow that")
	}
	for i, word := range words[1:] {
		if (word == rest || word == restAny) && i < len(words)-2 {
			return nil, fmt.Errorf("%s may only be the last word", word)
		}
		if _, err := path.Match(word, ""); err != nil {
			return nil, fmt.Errorf("%q is not a pattern of words", word)
		}
		if strings.Contains(word, "[!") { // path.Match would take the ! for a member of the set
			return nil, fmt.Errorf("%q: a set of all other characters begins with [^", word)
		}
	}
	return Command(words), nil
}

// String returns the words with blanks between them.
func (c Command) String() string { return strings.Join(c, " ") }

func isOption(word string) bool { return strings.HasPrefix(word, "-") }

func (c Command) fits(argv []string) bool {
	for i, word := range c {
		switch {
		case word == restAny:
			return true
		case word == rest:
			return i >= len(argv) || !slices.ContainsFunc(argv[i:], isOption)
		case i >= len(argv), i == 0 && word != argv[0], i > 0 && !fitsWord(word, argv[i]):
			return false
		}
	}
	return len(argv) == len(c)
}

func fitsWord(pattern, word string) bool {
	switch {
	case pattern == word:
		return true
	case isOption(word) && !isOption(pattern):
		return false
	case pattern == one:
		return true
	case pattern == oneOption:
		return isOption(word)
	}
	ok, err := path.Match(pattern, word)
	return ok && err == nil && (!leadsUp(word) || leadsUp(pattern))
}

// leadsUp reports whether a name in a path is .., which leads out of the directory that a pattern is about.
func leadsUp(word string) bool { return slices.Contains(strings.Split(word, "/"), "..") }

// starters are programs that can start others or write files, as their users ask: by a key,
// an option, an argument or a file that they read. sudoers(5) warns of them too.
var starters = []string{
	// pagers and editors
	"less", "more", "most", "man", "info", "vi", "vim", "view", "vimdiff", "nvim", "ex", "ed", "red", "emacs", "nano",
	"pico", "joe", "mcedit", "mc",
	// what runs what it is given
	"awk", "gawk", "mawk", "nawk", "sed", "find", "xargs", "parallel", "tar", "bsdtar", "cpio", "zip", "rsync", "make",
	"git", "hg", "svn", "env", "nice", "ionice", "nohup", "setsid", "timeout", "stdbuf", "time", "watch", "script",
	"expect", "tmux", "screen", "chroot", "unshare", "nsenter", "systemd-run", "start-stop-daemon", "run-parts",
	"flock", "taskset", "chrt", "busybox", "toybox", "crontab", "at", "dpkg", "rpm", "apt", "apt-get", "opkg", "pip",
	"docker", "podman", "kubectl", "ip", "tcpdump", "nmap", "gdb", "strace", "ltrace", "perf",
	// other users and machines
	"sudo", "doas", "su", "runuser", "setpriv", "pkexec", "ssh", "scp", "sftp", "shvrsh", "telnet", "ftp", "lftp", "nc",
	"ncat", "netcat", "socat", "mysql", "psql", "sqlite3",
	// interpreters
	"python", "python2", "python3", "perl", "ruby", "lua", "luajit", "node", "php", "tclsh", "wish", "irb", "ghci",
}

// RunsOthers reports whether the program of a command is known to start other programs for
// its users. The list of such programs is never complete.
func (c Command) RunsOthers() bool {
	name := path.Base(c[0])
	return slices.Contains(starters, name) || slices.Contains(shells, name)
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
