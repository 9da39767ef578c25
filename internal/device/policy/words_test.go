package policy_test

import (
	"slices"
	"strings"
	"testing"

	"shvtools/internal/device/policy"
)

// allows reports whether a grant of one pattern allows a command, as words and as a line.
func allows(t *testing.T, pattern string, argv []string) bool {
	t.Helper()
	g := policy.Grant{Uses: []policy.Use{policy.Commands}, Commands: commands(t, pattern)}
	asWords := g.Check(policy.Wanted{Use: policy.Commands, Argv: argv}) == nil
	quoted := make([]string, len(argv))
	for i, word := range argv {
		quoted[i] = "'" + word + "'"
	}
	asLine := g.Check(policy.Wanted{Use: policy.Commands, Line: strings.Join(quoted, " ")}) == nil
	if asWords != asLine {
		t.Errorf("%q for %q: %v as words, %v as a line", pattern, argv, asWords, asLine)
	}
	return asWords
}

// An option makes many a program run another, so that a rule about names must not match one:
// `systemctl status *` would allow -Hroot@elsewhere, which runs ssh.
func TestPatternsMatchOptionsOnlyWhereTheySaySo(t *testing.T) {
	t.Parallel()
	options := []string{"-", "--", "-x", "-Hroot@127.0.0.1", "--host=root@h", "-n5", "-5", "-/etc/passwd", "-\n", "-*"}
	names := []string{"x", "ssh.service", "a-b", "a/b", "", "*", "?", "[a]", "\u2010x", "\u2212x", "\u2014", " -x", "\t-x",
		"+x", "/-x"}
	for _, tt := range []struct {
		pattern       string
		options, name []string // what it matches
	}{
		{"p *", nil, names},
		{"p **", nil, names},
		{"p -*", options, nil},
		{"p -**", options, names},
		{"p ?", nil, []string{"x", "*", "?", "\u2014"}},
		{"p ??", nil, []string{"\u2010x", "\u2212x", "+x"}},
		{"p ?x", nil, []string{"\u2010x", "\u2212x", "+x"}},
		{"p *x", nil, []string{"x", "\u2010x", "\u2212x", " -x", "\t-x", "+x"}},
		{"p [^a]x", nil, []string{"\u2010x", "\u2212x", "+x"}},
		{"p [+-.]x", nil, []string{"+x"}},
		{"p [^y]x", nil, []string{"\u2010x", "\u2212x", "+x"}},
		{"p *.service", nil, []string{"ssh.service"}},
		{"p -n?", []string{"-n5"}, nil},
		{"p -[0-9]", []string{"-5"}, nil},
		{"p -x", []string{"-x"}, nil},
		{"p -?", []string{"-x", "--", "-5", "-\n", "-*"}, nil},
		{"p --*", []string{"--", "--host=root@h"}, nil},
		{"p x", nil, []string{"x"}},
	} {
		for _, word := range options {
			if got := allows(t, tt.pattern, []string{"p", word}); got != slices.Contains(tt.options, word) {
				t.Errorf("%q matches the option %q: %v", tt.pattern, word, got)
			}
		}
		for _, word := range names {
			if got := allows(t, tt.pattern, []string{"p", word}); got != slices.Contains(tt.name, word) {
				t.Errorf("%q matches %q: %v", tt.pattern, word, got)
			}
		}
	}
}

func TestPatternsOfSeveralWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, command string
		want             bool
	}{
		{"p **", "p", true},
		{"p **", "p a b c", true},
		{"p **", "p a -b c", false},
		{"p **", "p a b --", false},
		{"p **", "p a b -", false},
		{"p -**", "p", true},
		{"p -**", "p a -b c --", true},
		{"p -a **", "p -a b", true},
		{"p -a **", "p -a -b", false},
		{"p * **", "p a", true},
		{"p * **", "p a -b", false},
		{"p * **", "p -a b", false},
		{"p * -**", "p a -b", true},
		{"p * -**", "p -a -b", false},
		{"p -- *", "p -- a", true},
		{"p -- *", "p -- -a", false},
		{"p -* *", "p -a b", true},
		{"p -* *", "p a -b", false},
		{"p *", "p", false},
		{"p /data/*", "p /data/a", true},
		{"p /data/*", "p /data/..", false},
		{"p /data/??", "p /data/..", false},
		{"p /data/[^a][.]", "p /data/..", false},
		{"p /data/*/x", "p /data/../x", false},
		{"p *.", "p ..", false},
		{"p /data/*", "p /data/...", true},
		{"p /data/*", "p /data/..a", true},
		{"p /data/../*", "p /data/../a", true},
		{"p /data/..", "p /data/..", true},
		{"p *", "p ..", true},
		{"p *", "p a b", false},
		{"p -*", "p", false},
		{"/bin/p *", "p a", false},
		{"-p *", "-p a", true},
		{"[ab] x", "a x", false}, // the program is never a pattern
		{"p? x", "pp x", false},
	} {
		if got := allows(t, tt.pattern, strings.Fields(tt.command)); got != tt.want {
			t.Errorf("%q for %q: %v", tt.pattern, tt.command, got)
		}
	}
}

func TestProgramsThatRunOthersAreKnown(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"less", "vi", "git", "find", "tar", "awk", "man", "ssh", "sh", "python3", "env"} {
		for _, text := range []string{name, "/usr/bin/" + name, name + " **", name + " fixed"} {
			if c := commands(t, text); !c[0].RunsOthers() {
				t.Errorf("%s is taken for harmless", text)
			}
		}
	}
	for _, text := range []string{"uptime", "systemctl status *", "df -h", "cat less", "/opt/git/show"} {
		if c := commands(t, text); c[0].RunsOthers() {
			t.Errorf("%s is taken for one that runs others", text)
		}
	}
}

// A pager in a terminal gives a shell to whoever may press a key there.
func TestCommandsOfAListGetATerminalOnlyWhereTheRuleSaysSo(t *testing.T) {
	t.Parallel()
	w := policy.Wanted{Use: policy.Commands, Line: "git log", Pty: true}
	g := policy.Grant{Rule: "R", Uses: policy.Uses(), Commands: commands(t, "git log")}
	if read := policy.GrantFromValue(g.Value()); g.Terminal(w) || read.Terminal(w) || read.Check(w) != nil {
		t.Error("it has one, or does not run without")
	}
	g.Pty = true
	if read := policy.GrantFromValue(g.Value()); !g.Terminal(w) || !read.Terminal(w) {
		t.Error("it has none in spite of pty: true")
	}
	for _, other := range []policy.Grant{{Uses: policy.Uses()}, {Uses: policy.Uses(), Force: "menu"}} {
		if !other.Terminal(w) {
			t.Errorf("%+v gives none", other)
		}
	}
	if w.Pty = false; g.Terminal(w) {
		t.Error("nobody asked for one")
	}
}

func FuzzPatternsOfCommands(f *testing.F) {
	f.Add("p * [a-z]", "p a b")
	f.Add("p -**", "p -x")
	f.Fuzz(func(t *testing.T, pattern, line string) {
		c, err := policy.ParseCommand(pattern)
		argv, wrong := policy.Words(line)
		if err != nil || wrong != nil {
			return
		}
		g := policy.Grant{Uses: policy.Uses(), Commands: []policy.Command{c}}
		if g.Check(policy.Wanted{Use: policy.Commands, Argv: argv}) != nil {
			return
		}
		for i, word := range argv[1:] {
			said := strings.HasPrefix(c[min(i+1, len(c)-1)], "-")
			if strings.HasPrefix(word, "-") && !said {
				t.Errorf("%q matches %q", pattern, argv)
			}
		}
	})
}
