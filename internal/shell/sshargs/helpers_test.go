package sshargs_test

import (
	"reflect"
	"strings"
	"testing"

	"shvtools/internal/shell/sshargs"
)

func is[T any](value T) sshargs.Opt[T] { return sshargs.Opt[T]{Value: value, Set: true} }

func parse(t *testing.T, args ...string) sshargs.Args {
	t.Helper()
	got, err := sshargs.Parse(args)
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return got
}

// check compares everything, so that a setting that came from nowhere shows too.
func check(t *testing.T, args []string, want sshargs.Args) {
	t.Helper()
	got := parse(t, args...)
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%q: %s is %#v, want %#v", args, g.Type().Field(i).Name, g.Field(i), w.Field(i))
		}
	}
}

// refuses wants one line that has each of the parts.
func refuses(t *testing.T, args []string, parts ...string) {
	t.Helper()
	got, err := sshargs.Parse(args)
	if err == nil {
		t.Errorf("%q: no error; got %+v", args, got)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q: %q lacks %q", args, err, part)
		}
	}
	if strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("%q: more than a line: %q", args, err)
	}
}

// words cuts at spaces; what needs more is written out.
func words(line string) []string { return strings.Fields(line) }
