package config_test

import (
	"strings"
	"testing"
	"unicode"

	"shvtools/internal/shell/config"
)

func TestFaultsHaveTheirPlaceInOneLine(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", "hosts:\n  pump7:\n    pth: x\n",
			`f:3:5: hosts."pump7".pth: unknown key (want url, allow-plaintext, path, user, shell, ` +
				`password-file, escape, env or ` +
				`connect-timeout)`},
		{"unknown key in defaults", "defaults: {usr: x}",
			`f:1:12: defaults.usr: unknown key (want url, allow-plaintext, path, user, shell, ` +
				`password-file, escape, env or ` +
				"connect-timeout)"},
		{"unknown key at the top", "hosts: {}\nhost: {}\n", `f:2:1: host: unknown key (want defaults or hosts)`},
		{"password", "hosts: {a: {password: secret}}",
			`f:1:13: hosts."a".password: unknown key (want url, allow-plaintext, path, user, shell, ` +
				`password-file, escape, env or ` +
				`connect-timeout)`},
		{"url", "hosts:\n  a:\n    url: ftp://eva:secret@x\n",
			`f:3:10: hosts."a".url: URL ftp://x: scheme "ftp" is not supported (want one of tcp, ssl, tcps, ws, wss and unix)`},
		{"url without host", "defaults: {url: ':1'}", `f:1:17: defaults.url: URL :1: no host`},
		{"path", "hosts: {a: {path: //}}", `f:1:19: hosts."a".path: invalid path "//" (want an SHV path such as test/agent)`},
		{"path that is a URL", "hosts: {a: {path: 'tcp://eva:secret@x/p'}}",
			`f:1:19: hosts."a".path: a URL (want an SHV path such as test/agent; the broker's URL belongs to url)`},
		{"path in defaults", "defaults: {path: a/b}",
			`f:1:12: defaults.path: every name would be the same device (want it in a host without a pattern)`},
		{"path of a pattern", "hosts: {'s/*': {path: a/b}}",
			`f:1:17: hosts."s/*".path: every name would be the same device (want it in a host without a pattern)`},
		{"empty user", `defaults: {user: ""}`, `f:1:18: defaults.user: empty (want a text)`},
		{"no user", "defaults:\n  user:\n", `f:2:3: defaults.user: no value (want a text)`},
		{"user map", "defaults:\n  user:\n    name: x\n", `f:3:5: defaults.user: not a single value (want a text)`},
		{"user in two lines", "defaults:\n  user: |\n    eva\n",
			`f:2:9: defaults.user: a control character or more than one line (want one line)`},
		{"escape sequence", `defaults: {user: "\e[31m"}`,
			`f:1:18: defaults.user: a control character or more than one line (want one line)`},
		{"bare tilde", "defaults:\n  escape: ~\n",
			`f:2:11: defaults.escape: no value: ~ means none unless it is quoted (want one such as "~", ^A or none)`},
		{"escape", "defaults: {escape: ab}",
			`f:1:20: defaults.escape: invalid escape character "ab" (want one such as "~", ^A or none)`},
		{"env", "defaults: {env: LANG}", `f:1:17: defaults.env: not a list (want [LANG, LC_*])`},
		{"env item", "defaults: {env: [LANG, A=1]}",
			`f:1:24: defaults.env[2]: invalid name "A=1" (want a name such as LANG or LC_*)`},
		{"env of lists", "defaults:\n  env:\n  - LANG\n  - [A]\n",
			`f:4:5: defaults.env[2]: not a single value (want a name such as LANG or LC_*)`},
		{"timeout", "defaults: {connect-timeout: soon}",
			`f:1:29: defaults.connect-timeout: invalid duration "soon" (want 90, 90s or 1m30s)`},
		{"timeout in ms", "defaults: {connect-timeout: 500ms}", `"500ms"`},
		{"top", "- x\n", `f:1:1: not a map (want {defaults: …})`},
		{"hosts", "hosts: [a]\n", `f:1:8: hosts: not a map (want {pump7: {path: test/pump7}})`},
		{"host", "hosts:\n  a: tcp://x\n", `f:2:6: hosts."a": not a map (want {url: …})`},
		{"no name", `hosts: {"": {user: x}}`, `f:1:9: hosts."": the name is empty (want a name or pattern of devices)`},
		{"root", `hosts: {"/": {user: x}}`, `f:1:9: hosts."/": the name is empty (want a name or pattern of devices)`},
		{"bad pattern", "hosts:\n  'a/[b': {user: x}\n", `f:2:3: hosts."a/[b": invalid pattern "a/[b": [ without ]`},
		{"key twice", "defaults:\n  user: a\n  user: b\n", `f:3:3: defaults.user: the key is in line 2 already`},
		{"section twice", "hosts: {}\nhosts: {}\n", `f:2:1: hosts: the key is in line 1 already`},
		{"host twice", "hosts:\n  a/b: {user: x}\n  a%2Fb: {user: y}\n",
			`f:3:3: hosts."a%2Fb": the host is in line 2 already`},
		{"anchor", "defaults: &d\n  user: a\n", `defaults: anchors`},
		{"alias", "defaults: {user: a, shell: *u}\n",
			`f:1:28: anchors, aliases and tags are not used here (want quotes around a text that begins with *, & or !)`},
		{"tag", "defaults: {user: !!str a}\n",
			`f:1:18: defaults.user: anchors, aliases and tags are not used here (want quotes around a text that begins with ` +
				`*, & or !)`},
		{"merge", "hosts:\n  a:\n    <<: {user: x}\n",
			`f:3:5: hosts."a": a key: anchors, aliases and tags are not used here (want quotes around a text that begins with ` +
				`*, & or !)`},
		{"complex key", "hosts:\n  ? a\n  : {user: x}\n",
			`f:2:5: hosts: a key: keys behind ? are not used here (want KEY: VALUE)`},
		{"two documents", "hosts: {}\n---\nhosts: {}\n", `f:3:1: a second document`},
		{"star without quotes", "hosts:\n  *: {user: x}\n",
			`f:2:3: not YAML: while scanning an alias: did not find expected alphabetic or numeric character (want quotes ` +
				`around a name that begins with *)`},
		{"bracket", "hosts: {a: {user: x}\n", `f:1:8: not YAML`},
		{"indent", "hosts:\n    a: {}\n  b: {}\n", `f:3:3: not YAML`},
		{"tab", "hosts:\n\ta: {}\n", `f:2:`},
		{"latin-1", "hosts:\n  caf\xe9: {}\n", `f:2:6: not UTF-8`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.File{Path: "f"}.Parse([]byte(tt.text))
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
	_, err := config.File{Path: "f"}.Parse([]byte("defaults: {usr: x}\nhosts:\n  a: {escape: ab, path: a}\n  b: 1\n"))
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
	for _, seed := range []string{whole, "? [a]: b", "a: &x\n  b: *x\n<<: *x", "- - -", "{{}}", "|\n x", "!!x",
		"a: 'b\n\tc'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.File{Path: "f"}.Parse([]byte(text))
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
