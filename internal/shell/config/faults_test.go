package config_test

import (
	"strings"
	"testing"
	"unicode"

	"shvtools/internal/shell/config"
)

func TestFaultsHaveTheirPlaceInOneLine(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "hosts:\n  pump7:\n    pth: x\n", `f:3:5: unknown key "pth" in host "pump7"; known are url, path, user,`},
		{"unknown key in defaults", "defaults: {usr: x}", `f:1:12: unknown key "usr" in defaults; known are url`},
		{"unknown key at the top", "hosts: {}\nhost: {}\n", `f:2:1: unknown key "host"; known are defaults, hosts`},
		{"password", "hosts: {a: {password: secret}}", `f:1:13: unknown key "password"`},
		{"url", "hosts:\n  a:\n    url: ftp://eva:secret@x\n", `f:3:10: url of host "a": URL ftp://x: scheme`},
		{"url without host", "defaults: {url: 'tcp://'}", `f:1:17: url of defaults: URL tcp://: no host`},
		{"path", "hosts: {a: {path: //}}", `f:1:19: path of host "a": it is empty`},
		{"path that is a URL", "hosts: {a: {path: 'tcp://eva:secret@x/p'}}", `path of host "a": it is a URL`},
		{"path in defaults", "defaults: {path: a/b}", `f:1:12: path in defaults`},
		{"path of a pattern", "hosts: {'s/*': {path: a/b}}", `f:1:17: path in host "s/*"`},
		{"empty user", `defaults: {user: ""}`, `f:1:18: user of defaults: it is empty`},
		{"no user", "defaults:\n  user:\n", `user of defaults: it has no value`},
		{"user map", "defaults:\n  user:\n    name: x\n", `f:3:5: user of defaults: it is not a single value`},
		{"user in two lines", "defaults:\n  user: |\n    eva\n", `f:2:9: user of defaults: it has a control character`},
		{"escape sequence", `defaults: {user: "\e[31m"}`, `f:1:18: user of defaults: it has a control character`},
		{"bare tilde", "defaults:\n  escape: ~\n", `f:2:11: escape of defaults: it has no value; ~ and null`},
		{"escape", "defaults: {escape: ab}", `f:1:20: escape of defaults: invalid escape character "ab"`},
		{"env", "defaults: {env: LANG}", `f:1:17: env of defaults: it is not a list`},
		{"env item", "defaults: {env: [LANG, A=1]}", `f:1:24: env of defaults: a name in it: invalid variable name "A=1"`},
		{"env of lists", "defaults:\n  env:\n  - LANG\n  - [A]\n", `f:4:5: env of defaults: a name in it: it is not a single value`},
		{"timeout", "defaults: {connect-timeout: soon}", `f:1:29: connect-timeout of defaults: invalid duration "soon"`},
		{"timeout in ms", "defaults: {connect-timeout: 500ms}", `"500ms"`},
		{"top", "- x\n", `f:1:1: the file is not a map`},
		{"hosts", "hosts: [a]\n", `f:1:8: hosts is not a map`},
		{"host", "hosts:\n  a: tcp://x\n", `f:2:6: host "a" is not a map`},
		{"no name", `hosts: {"": {user: x}}`, `f:1:9: the name of a host is empty`},
		{"root", `hosts: {"/": {user: x}}`, `f:1:9: the name of a host is empty`},
		{"bad pattern", "hosts:\n  'a/[b': {user: x}\n", `f:2:3: host "a/[b" is not a pattern`},
		{"key twice", "defaults:\n  user: a\n  user: b\n", `f:3:3: key "user" in defaults is in line 2 already`},
		{"section twice", "hosts: {}\nhosts: {}\n", `f:2:1: key "hosts" in the file is in line 1 already`},
		{"host twice", "hosts:\n  a/b: {user: x}\n  a%2Fb: {user: y}\n", `f:3:3: host "a%2Fb" is in line 2 already`},
		{"anchor", "defaults: &d\n  user: a\n", `defaults: anchors`},
		{"alias", "defaults: {user: a, shell: *u}\n", `f:1:28: shell of defaults: anchors`},
		{"tag", "defaults: {user: !!str a}\n", `f:1:18: user of defaults: anchors`},
		{"merge", "hosts:\n  a:\n    <<: {user: x}\n", `f:3:5: a key in host "a": anchors`},
		{"complex key", "hosts:\n  ? a\n  : {user: x}\n", `f:2:3: a key in hosts: keys behind ?`},
		{"two documents", "hosts: {}\n---\nhosts: {}\n", `f:3:1: a second document`},
		{"star without quotes", "hosts:\n  *: {user: x}\n", `f:2:6: not YAML: value is not allowed in this context; a name that begins with * needs quotes`},
		{"bracket", "hosts: {a: {user: x}\n", `f:1:8: not YAML`},
		{"indent", "hosts:\n    a: {}\n  b: {}\n", `f:3:3: not YAML`},
		{"tab", "hosts:\n\ta: {}\n", `f:2:`},
		{"latin-1", "hosts:\n  caf\xe9: {}\n", `f:2: not UTF-8`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse("f", []byte(tt.text))
			switch {
			case err == nil:
				t.Fatal("no error")
			case !strings.Contains(err.Error(), tt.want):
				t.Errorf("got  %s\nwant %s", err, tt.want)
			case strings.ContainsFunc(err.Error(), unicode.IsControl):
				t.Errorf("more than a line: %q", err)
			case strings.Contains(err.Error(), "secret"):
				t.Errorf("password in %q", err)
			}
		})
	}
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	_, err := config.Parse("f", []byte("defaults: {usr: x}\nhosts:\n  a: {escape: ab, path: a}\n  b: 1\n"))
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, start := range []string{"f:1:12: ", "f:3:15: ", "f:4:6: "} {
		if len(lines) != 3 || !strings.HasPrefix(lines[i], start) {
			t.Fatalf("%d: want %s, got %q", i, start, lines)
		}
	}
}

// The parser takes paths through the file for equal that are not.
func TestDottedNamesAreNoDuplicates(t *testing.T) {
	c := parse(t, "hosts: {a.user: {shell: x}, a: {user: y}, hosts.a: {user: z}}")
	if got := c.Lookup("hosts.a").User.Value; got != "z" {
		t.Errorf("user %q", got)
	}
}

func FuzzParseNeverPanics(f *testing.F) {
	for _, seed := range []string{whole, "? [a]: b", "a: &x\n  b: *x\n<<: *x", "- - -", "{{}}", "|\n x", "!!x", "a: 'b\n\tc'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse("f", []byte(text))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f:") || strings.ContainsFunc(line, unicode.IsControl) {
					t.Errorf("%q: %q", text, line)
				}
			}
			return
		}
		c.Lookup("test/pump7")
	})
}
