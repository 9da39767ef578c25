package sshargs_test

import (
	"strings"
	"testing"
	"time"

	"shvtools/internal/shell/sshargs"
)

func TestDestinationKeepsTheAtSignsOfPaths(t *testing.T) {
	for _, tt := range []struct{ text, user, alias, path string }{
		{"test/agent", "", "test/agent", "test/agent"},
		{"eva@test/agent", "eva", "test/agent", "test/agent"},
		{"eva@example.org@test/agent", "eva@example.org", "test/agent", "test/agent"},
		{"test/a@b", "", "test/a@b", "test/a@b"},
		{"eva@test/a@b", "eva", "test/a@b", "test/a@b"},
		{"eva@test%2Fa@b", "eva", "test%2Fa@b", "test/a@b"},
		{"test%2fa@b", "", "test%2fa@b", "test/a@b"},
		{"/a@b/c", "", "/a@b/c", "a@b/c"},
		{"eva@/a@b", "eva", "/a@b", "a@b"},
		{"//test//agent/", "", "//test//agent/", "test/agent"},
		{"a%252Fb", "", "a%252Fb", "a%2Fb"},
		{"a%41%2", "", "a%41%2", "a%41%2"},
		{"100%", "", "100%", "100%"},
		{"a:b", "", "a:b", "a:b"},
		{"-p", "", "-p", "-p"},
	} {
		got := parse(t, "--", tt.text)
		if got.User.Value != tt.user || got.Alias != tt.alias || got.Path != tt.path {
			t.Errorf("%q: user %q, alias %q, path %q", tt.text, got.User.Value, got.Alias, got.Path)
		}
	}
}

func TestEscapeCharSurvivesItsOwnSpelling(t *testing.T) {
	for _, text := range []string{"~", "^", "^A", "^]", "^@", "none", "%"} {
		got, err := sshargs.ParseEscape(text)
		if err != nil || got.String() != text {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if got, err := sshargs.ParseEscape("^a"); err != nil || got.Char != 1 {
		t.Errorf("^a: %v, %v", got, err)
	}
}

func TestTimeAddsUpItsParts(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "10": 10 * time.Second, "10S": 10 * time.Second, "1h1m1s": 3661 * time.Second,
		"1d": 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1m30": 90 * time.Second,
	} {
		if got, err := sshargs.ParseTime(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "s", "1.5s", "500ms", " 1", "+1", "2147483648", "9999999d9999999d"} {
		if got, err := sshargs.ParseTime(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestTerminalOnlyWhereSshWouldAsk(t *testing.T) {
	for _, tt := range []struct {
		args               string
		terminal, pipeline bool
	}{
		{"p", true, false},
		{"p cmd", false, false},
		{"-t p cmd", true, false},
		{"-tt p cmd", true, true},
		{"-tt p", true, true},
		{"-T p", false, false},
		{"-n p", false, false},
		{"-n -tt p", true, true},
		{"-s p sftp", false, false},
		{"-oRequestTTY=auto p cmd", false, false},
	} {
		got := parse(t, words(tt.args)...)
		if got.WantTTY(true) != tt.terminal || got.WantTTY(false) != tt.pipeline {
			t.Errorf("%s: %v at a terminal, %v in a pipeline", tt.args, got.WantTTY(true), got.WantTTY(false))
		}
	}
}

func TestRemovedVariableIsNotSent(t *testing.T) {
	for _, tt := range []struct {
		patterns string
		name     string
		want     bool
	}{
		{"", "LANG", false},
		{"LANG", "LANG", true},
		{"LANG", "LANGUAGE", false},
		{"LANG*", "LANGUAGE", true},
		{"LC_?", "LC_A", true},
		{"LC_?", "LC_AB", false},
		{"LC_* -LC_ALL", "LC_ALL", false},
		{"LC_* -LC_ALL", "LC_TIME", true},
		{"LC_* -LC_*", "LC_TIME", false},
		{"-LC_ALL LC_*", "LC_ALL", true},
		{"*", "SECRET", true},
		{"* -*", "SECRET", false},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
	} {
		if got := sshargs.EnvWanted(words(tt.patterns), tt.name); got != tt.want {
			t.Errorf("%s of %q: %v", tt.name, tt.patterns, got)
		}
	}
}

func TestPatternOfManyStarsIsQuick(t *testing.T) {
	start := time.Now()
	sshargs.EnvWanted([]string{strings.Repeat("*a", 1000) + "b"}, strings.Repeat("a", 4000))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestNotesAreOneLine(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{words("-x p"), "-x has no effect"},
		{words("-i key p"), "-i key has no effect"},
		{[]string{"-o", "Foo a\nb", "p"}, `-o Foo "a\nb" has no effect`},
	} {
		if got := parse(t, tt.args...); len(got.Notes) != 1 || got.Notes[0].String() != tt.want {
			t.Errorf("%q: %v", tt.args, got.Notes)
		}
	}
}
