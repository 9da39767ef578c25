package core

import (
	"strings"
	"testing"

	"shvtools/internal/wire/link"
)

// The link of the caller ends with it, and its report names the place.
func TestPanicAsideIsTheCallers(t *testing.T) {
	defer func() {
		p, ok := recover().(*link.PanicError)
		if !ok || p.Value != "of a login" || !strings.Contains(string(p.Stack), "aside_test.go") {
			t.Errorf("%+v", p)
		}
		if link.AsPanic(p) != p {
			t.Error("its stack would be lost")
		}
	}()
	aside(func() { panic("of a login") })
}
