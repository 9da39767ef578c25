package sshargs

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Opt is a value that may not have been given.
type Opt[T any] struct {
	Value T
	Set   bool
}

// Or returns the value, or other if none was given.
func (o Opt[T]) Or(other T) T {
	if o.Set {
		return o.Value
	}
	return other
}

func (o *Opt[T]) first(value T) {
	if !o.Set {
		o.last(value)
	}
}

func (o *Opt[T]) last(value T) { o.Value, o.Set = value, true }

// TTY says when the remote program gets a terminal.
type TTY int

// The values of RequestTTY.
const (
	TTYAuto  TTY = iota // for a shell
	TTYNo               // never
	TTYYes              // if stdin is a terminal
	TTYForce            // always
)

// LogLevel is a log level of ssh. A higher level logs more.
type LogLevel int

// The values of LogLevel. DEBUG is DEBUG1.
const (
	LogQuiet LogLevel = iota
	LogFatal
	LogError
	LogInfo // ssh's default
	LogVerbose
	LogDebug
	LogDebug2
	LogDebug3
)

var logLevels = []string{"QUIET", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG2", "DEBUG3"}

// Escape is the character with which commands to shvrsh itself begin.
type Escape struct {
	Char byte
	None bool // there are no such commands
}

// String returns the value as users write it.
func (e Escape) String() string {
	switch {
	case e.None:
		return "none"
	case e.Char < ' ':
		return "^" + string(rune(e.Char+'@'))
	}
	return string(rune(e.Char))
}

// ParseEscape reads the value of -e: an ASCII character, ^ and a letter for a control
// character, or none.
func ParseEscape(text string) (Escape, error) {
	switch {
	case text == "none":
		return Escape{None: true}, nil
	case len(text) == 1 && text[0] < 0x80:
		return Escape{Char: text[0]}, nil
	case len(text) == 2 && text[0] == '^' && text[1] >= '@' && text[1] < 0x80:
		return Escape{Char: text[1] & 0x1f}, nil
	}
	return Escape{}, fmt.Errorf("invalid escape character %q (want one character, ^ and a letter, or none)", text)
}

// ParseTime reads a duration as ssh does: seconds, or numbers with the units s, m, h, d
// and w, such as 90 or 1m30s. The highest is 2³¹-1 seconds.
func ParseTime(text string) (time.Duration, error) {
	bad := fmt.Errorf("invalid duration %q (want 90, 90s or 1m30s)", text)
	if text == "" {
		return 0, bad
	}
	var seconds int64
	for rest := text; rest != ""; {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		if err != nil {
			return 0, bad
		}
		rest = rest[digits:]
		unit := int64(1)
		if rest != "" {
			if unit = unitSeconds(rest[0]); unit == 0 {
				return 0, bad
			}
			rest = rest[1:]
		}
		if seconds += n * unit; seconds > math.MaxInt32 {
			return 0, bad
		}
	}
	return time.Duration(seconds) * time.Second, nil
}

func unitSeconds(letter byte) int64 {
	switch letter | 0x20 {
	case 's':
		return 1
	case 'm':
		return 60
	case 'h':
		return 60 * 60
	case 'd':
		return 24 * 60 * 60
	case 'w':
		return 7 * 24 * 60 * 60
	}
	return 0
}

func parsePort(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("invalid port %q (want 1 to 65535)", text)
	}
	return int(n), nil
}

// parseUser refuses an empty name: `-l "$UNSET"` must not log in as someone else.
func parseUser(text string) (string, error) {
	if text == "" {
		return "", errors.New("the user is empty")
	}
	return text, nil
}

// quoted returns text for a message, with quotes only if it could be misread.
func quoted(text string) string {
	strange := func(r rune) bool {
		return r == '"' || r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r)
	}
	if text == "" || strings.ContainsFunc(text, strange) {
		return strconv.Quote(text)
	}
	return text
}
