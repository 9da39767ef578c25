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

// Or is the value, or other where none was given.
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

// TTY tells when a terminal is wanted at the far end.
type TTY int

// The values of RequestTTY.
const (
	TTYAuto TTY = iota // with a shell
	TTYNo
	TTYYes   // if there is one here
	TTYForce // even if there is none here
)

// LogLevel is a level of ssh.
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

// Escape is the character that a user's commands to shvrsh itself begin with.
type Escape struct {
	Char byte
	None bool
}

// String is the value as one would write it.
func (e Escape) String() string {
	switch {
	case e.None:
		return "none"
	case e.Char < ' ':
		return "^" + string(rune(e.Char+'@'))
	}
	return string(rune(e.Char))
}

// ParseEscape reads the value of -e: a character, ^C for a control character, or
// none.
func ParseEscape(text string) (Escape, error) {
	switch {
	case text == "none":
		return Escape{None: true}, nil
	case len(text) == 1 && text[0] < 0x80:
		return Escape{Char: text[0]}, nil
	case len(text) == 2 && text[0] == '^' && text[1] >= '@' && text[1] < 0x80:
		return Escape{Char: text[1] & 0x1f}, nil
	}
	return Escape{}, fmt.Errorf("%q is not an escape character: one character, ^ and a letter, or none", text)
}

// ParseTime reads a time as ssh does: seconds, or numbers with the units s, m, h,
// d and w, such as 90 or 1m30s. It is limited to what fits 32 bits of seconds.
func ParseTime(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a time, such as 10, 10s or 1m30s", text)
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
		return 0, fmt.Errorf("%q is not a port, 1 to 65535", text)
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

// quoted is text as part of a line, with quotes only where it could be misread.
func quoted(text string) string {
	strange := func(r rune) bool {
		return r == '"' || r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r)
	}
	if text == "" || strings.ContainsFunc(text, strange) {
		return strconv.Quote(text)
	}
	return text
}
