package shvpath

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The faults of names.
var (
	errNoName      = errors.New("an empty name")
	errDots        = errors.New(`a name is "." or ".."`)
	errSlash       = errors.New("a name has a slash")
	errGlob        = errors.New(`a name has one of the characters * ? [ \ of patterns`)
	errUnprintable = errors.New("a name has characters that cannot be printed")
)

// CheckName returns why a text from a peer or a configuration cannot be the name of a node at which
// something is mounted; nil if it can. It refuses whatever a rule, a pattern, a file system or a
// terminal would take for something else. A colon is a character of names: the path of a resource
// identifier can only not spell it.
func CheckName(name string) error {
	switch {
	case name == "":
		return errNoName
	case name == "." || name == "..":
		return errDots
	case strings.Contains(name, "/"):
		return errSlash
	case isGlob(name):
		return errGlob
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errUnprintable
	}
	return nil
}

// CheckNames is CheckName of all names of a clean path, which must not be empty.
func CheckNames(path string) error {
	for name := range strings.SplitSeq(path, "/") {
		if err := CheckName(name); err != nil {
			return err
		}
	}
	return nil
}
