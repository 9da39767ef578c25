package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"shvtools/internal/sys/conf"
)

// checkMount returns why a device cannot be mounted at a path. Brokers refuse such a path, or
// take it for a pattern.
func checkMount(path string) error {
	path = strings.Trim(path, "/")
	if path == "" {
		return conf.ErrInvalid
	}
	for i, name := range strings.Split(path, "/") {
		switch {
		case name == "":
			return errors.New("a name in it is empty (want one slash between two names)")
		case name == "." || name == "..":
			return fmt.Errorf("%q in it is not a name", name)
		case strings.ContainsAny(name, `*?[]\`):
			return fmt.Errorf("%q is a pattern (want the name of one place)", name)
		case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl):
			return fmt.Errorf("%q has characters that no name has", name)
		case i == 0 && name[0] == '.':
			return fmt.Errorf("%q belongs to the broker (want a path such as test/agent)", name)
		}
	}
	return nil
}

// CheckMount returns why tools may fail to name a device at a path at which it can be mounted.
func CheckMount(path string) error {
	if i := strings.IndexFunc(path, func(r rune) bool { return r == ':' || unicode.IsSpace(r) }); i >= 0 {
		return fmt.Errorf("%q: the character %q in it keeps tools and rules from naming the device (want letters, "+
			"digits, - and _ instead)", path, path[i:i+1])
	}
	return nil
}
