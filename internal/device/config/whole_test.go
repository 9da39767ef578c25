package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/device/config"
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/rpc"
)

const guarded = "defaults: {umask: 027}\nrules:\n- {name: few, users: [eva], commands: [uptime]}\n"

// outcome is what reading a file comes to: a part of the fault, or of a warning after "WRN ",
// or "".
func outcome(c *config.Config, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case len(c.Warnings) > 0:
		return "WRN " + strings.Join(c.Warnings, "\n")
	}
	return ""
}

// Whoever loses the policy of a device gives everything to everybody.
func TestAFileThatLostItsRulesIsNotInForce(t *testing.T) {
	t.Parallel()
	old, err := config.Load(sources(write(t, guarded), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	const nothing, cut = "says nothing", "cut off"
	const noRules, noDefaults = "rules: missing, and the configuration", "defaults: missing, and the configuration"
	for _, tt := range []struct{ text, start, reload string }{
		{guarded, "", ""},
		{"---\n" + guarded + "...\n", "", ""},
		{"", nothing, nothing},
		{"\n \n", nothing, nothing},
		{"# rules: []\n", nothing, nothing},
		{"{}\n", nothing, nothing},
		{"~\n", nothing, nothing},
		{"---\n", nothing, nothing},
		{"---\n" + guarded, "WRN ", cut},
		{strings.TrimSuffix(guarded, "\n"), "WRN ", cut},
		{"---\n" + guarded + "...", "WRN ", cut},
		{"\x00\x00\x00\x00", "control character", "control character"},
		{"drain: 5s\n", "WRN ", noRules},
		{"defaults: {umask: 027}\n", "every caller that the broker admits may do everything", noRules},
		{"defaults: {umask: 027}\nrules:", "rules: no value", "rules: no value"},
		{"defaults: {umask: 027}\nrules:\n", "rules: no value", "rules: no value"},
		{"defaults: {umask: 027}\nrules: ~\n", "rules: no value", "rules: no value"},
		{"defaults: {umask: 027}\nrules:\n- \n", "rules[1]: no value", "rules[1]: no value"},
		{"defaults: {umask: 027}\nrules: []\n", "", ""},
		{"defaults: {umask: 027}\nrules: [{}]\n", "", ""},
		{"rules: []\n", "", noDefaults},
		{"defaults: {}\nrules: []\n", "", ""},
		{"defaults:\nrules: []\n", "defaults: no value", "defaults: no value"},
		{"connection:\n" + guarded, "connection: no value", "connection: no value"},
		{"sessions:\n" + guarded, "sessions: no value", "sessions: no value"},
		{"files: ~\n" + guarded, "files: no value", "files: no value"},
		{"commands:\n" + guarded, "commands: no value", "commands: no value"},
		{guarded + "drain", "not YAML", "not YAML"},
		{guarded + "- {use", "not YAML", "not YAML"},
	} {
		file := write(t, tt.text)
		for when, want := range map[string]string{"start": tt.start, "reload": tt.reload} {
			var c *config.Config
			var err error
			if when == "start" {
				c, err = config.Load(sources(file, nil, nil))
			} else {
				c, err = config.Reload(old, sources(file, nil, nil))
			}
			got := outcome(c, err)
			if (got == "") != (want == "") || !strings.Contains(got, want) || got != "" && !strings.Contains(got, file) {
				t.Errorf("%s of %q: %q, want %q", when, tt.text, got, want)
			}
		}
	}
	for name, file := range map[string]string{"missing": filepath.Join(t.TempDir(), "x"), "unreadable": t.TempDir()} {
		for when, err := range map[string]error{
			"start":  second(config.Load(sources(file, nil, nil))),
			"reload": second(config.Reload(old, sources(file, nil, nil))),
		} {
			if err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("%s of a file that is %s: %v", when, name, err)
			}
		}
	}
	if _, err := config.Load(sources(filepath.Join(t.TempDir(), "x"), nil, nil)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func second(_ *config.Config, err error) error { return err }

// What a cut at any place leaves is refused at a reload, or allows no more than the whole.
func TestNoCutOfAFileGivesARight(t *testing.T) {
	t.Parallel()
	for _, marks := range []bool{true, false} {
		whole := sample
		if marks {
			whole = "---\n" + sample + "...\n"
		}
		file := write(t, whole)
		old, err := config.Load(sources(file, nil, nil))
		if err != nil {
			t.Fatal(err)
		}
		for end := range len(whole) {
			if err := os.WriteFile(file, []byte(whole[:end]), 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := config.Reload(old, sources(file, nil, nil))
			switch {
			case err != nil:
			case marks:
				t.Errorf("a reload takes the first %d bytes", end)
			case whole[end-1] != '\n': // a cut at the end of a line cannot be seen without marks (docs/security.md)
				t.Errorf("a reload takes %q", whole[:end])
			case strings.HasSuffix(whole[:end], "}\n") && !mayNoMore(c.Policy, old.Policy):
				t.Errorf("the first %d bytes allow more: %q", end, whole[:end])
			}
		}
	}
}

// mayNoMore reports whether whoever may use the device by p may do so by old.
func mayNoMore(p, old *policy.Policy) bool {
	for _, user := range []string{"", "eva", "ops-1", "bob"} {
		for _, level := range []rpc.Access{rpc.AccessCommand, rpc.AccessSuper} {
			for _, use := range policy.Uses() {
				ask := policy.Ask{User: user, Level: level, Wanted: policy.Wanted{Use: use, Argv: []string{"uptime"}}}
				_, now := p.Judge(ask)
				if _, before := old.Judge(ask); now == nil && before != nil {
					return false
				}
			}
		}
	}
	return true
}

func TestAnAgentWithoutAFileSaysThatEverybodyMayDoEverything(t *testing.T) {
	t.Parallel()
	c, err := config.Load(sources("", nil, nil))
	if err != nil || len(c.Warnings) != 1 || !strings.HasPrefix(c.Warnings[0], "no configuration file; every caller") {
		t.Errorf("%v, %q", err, c.Warnings)
	}
}

func TestAMountPointIsThePlaceOfOneDevice(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a": "", "site/pump7": "", "/site/pump7/": "", "site/loco 101": "", "site/a:b": "", "žst/vůz": "",
		"": "invalid mount point", "/": "invalid mount point",
		"a//b": "empty", "a/./b": `"."`, "..": `".."`, "site/*": "pattern", "**": "pattern",
		"site/pump?": "pattern", "site/[ab]": "pattern", `a\b`: "pattern", ".broker/x": "belongs to the broker",
		".app": "belongs to the broker", "a/.b": "", "a\x7fb": "characters", "a\u0085b": "characters",
	} {
		_, err := config.Load(sources("", map[string]string{"mount": path}, nil))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("--mount %q: %v, want %q", path, err, want)
		}
		if path == "" || strings.ContainsAny(path, "\x7f\u0085") {
			continue // no devmount, or no URL
		}
		_, err = config.Load(sources("", map[string]string{"url": "ssl://h?devmount=" + strings.NewReplacer(
			" ", "%20").Replace(path)}, nil))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "devmount") {
			t.Errorf("devmount=%q: %v, want %q", path, err, want)
		}
	}
	for path, bad := range map[string]bool{"site/loco 101": true, "a\u00a0b": true, "a:b": true, "site/pump7": false} {
		if err := config.CheckMount(path); (err != nil) != bad {
			t.Errorf("%q: %v", path, err)
		}
	}
}

func TestURLsThatLeadNowhereAreFaults(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"tcp://h:0": "port 0", "tcp://h:65536": "out of range", "ssl://h?ca=": "option ca names no file",
		"ssl://h?cert=&key=k": "option cert names no file", "ssl://h?client-ca=x": "unknown option",
	} {
		_, err := config.Load(sources("", map[string]string{"url": url}, nil))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "listener") {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}

func TestOneUserLeavesSessionsToOthers(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		perUser int
		needs   bool
	}{
		"rules: []\n": {30, false}, "rules: []\nsessions: {total: 10}\n": {8, false},
		"rules: []\nsessions: {total: 2}\n": {1, false}, "rules: []\nsessions: {total: 1}\n": {1, false},
		"rules: []\nsessions: {per-user: 0}\n": {0, false}, "rules: []\nsessions: {per-user: 4}\n": {4, true},
	} {
		c, err := config.Load(sources(write(t, text), nil, nil))
		if err != nil || c.PerUser != want.perUser || c.NeedsUser() != want.needs {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}
