package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shell/config"
	"shvtools/internal/shell/sshargs"
)

const whole = `# devices
defaults:
  url: tcp://broker:3755
  user: iot
  env: [LANG, LC_*]

hosts:
  "site/**": {user: site, escape: none}
  pump7: {url: "tcp://eva:secret@broker7", path: /test/pump7/, user: eva, shell: /bin/ash,
    password-file: pump7.secret, escape: ^A, env: [], connect-timeout: 1m}
  test/*/old:
    user: 007
    password-file: ~/old
  test%2Fnew/old: {shell: sh}
  "*": {user: plain}
  bare:
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := (config.File{Path: "/etc/config.yaml"}).Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// settings are lines as --print-config may show them.
func settings(h config.Host) (lines []string) {
	for _, s := range h.Settings() {
		lines = append(lines, s.Key+" "+s.Text+" # "+strings.TrimPrefix(s.Source.String(), "/etc/config.yaml:"))
	}
	return lines
}

func TestEachSettingComesFromTheFirstEntryThatHasIt(t *testing.T) {
	c := parse(t, whole)
	for _, tt := range []struct {
		alias string
		want  []string
	}{
		{"pump7", []string{
			"url tcp://broker7:3755 # 9, host \"pump7\"", "path test/pump7 # 9, host \"pump7\"",
			"user eva # 9, host \"pump7\"", "shell /bin/ash # 9, host \"pump7\"",
			"password-file /etc/pump7.secret # 10, host \"pump7\"", "escape ^A # 10, host \"pump7\"",
			"env  # 10, host \"pump7\"", "connect-timeout 1m # 10, host \"pump7\"",
		}},
		{"other", []string{"url tcp://broker:3755 # 3, defaults", `user plain # 15, host "*"`,
			"env LANG LC_* # 5, defaults"}},
		{"bare", []string{"url tcp://broker:3755 # 3, defaults", `user plain # 15, host "*"`, "env LANG LC_* # 5, defaults"}},
		{"two/parts", []string{"url tcp://broker:3755 # 3, defaults", "user iot # 4, defaults",
			"env LANG LC_* # 5, defaults"}},
		{"site/a/b", []string{"url tcp://broker:3755 # 3, defaults", `user site # 8, host "site/**"`,
			`escape none # 8, host "site/**"`, "env LANG LC_* # 5, defaults"}},
		// "site/**" stands before "*", which has a user, too.
		{"site", []string{"url tcp://broker:3755 # 3, defaults", `user site # 8, host "site/**"`,
			`escape none # 8, host "site/**"`, "env LANG LC_* # 5, defaults"}},
		{"test/new/old", []string{"url tcp://broker:3755 # 3, defaults", `user 007 # 12, host "test/*/old"`,
			`shell sh # 14, host "test%2Fnew/old"`, `password-file ~/old # 13, host "test/*/old"`,
			"env LANG LC_* # 5, defaults"}},
	} {
		if got := settings(c.Lookup(tt.alias)); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n got %q\nwant %q", tt.alias, got, tt.want)
		}
	}
}

// scp must write test%2Fagent, its user writes test/agent to shvrsh: one device.
func TestNoSpellingOfADeviceEscapesItsSettings(t *testing.T) {
	for _, name := range []string{"a/b", "a%2Fb", "a%2fb", "/a/b/", "a/*", "a%2F*", "**/b"} {
		c := parse(t, `hosts: {"`+name+`": {user: eva}, "*": {user: wrong}}`)
		for _, alias := range []string{"a/b", "a%2Fb", "a%2fb", "/a//b"} {
			if got := c.Lookup(alias).User.Value; got != "eva" {
				t.Errorf("%s by %s: user %q", alias, name, got)
			}
		}
	}
}

func TestTypedValuesAreReady(t *testing.T) {
	h := parse(t, whole).Lookup("pump7")
	if h.URL.Value.Password != "secret" || h.URL.Value.User != "eva" || h.URL.Value.Port != "3755" {
		t.Errorf("url: %q at %q", h.URL.Value.User, h.URL.Value.Port)
	}
	if h.Escape.Value != (sshargs.Escape{Char: 1}) || h.ConnectTimeout.Or(0) != time.Minute {
		t.Errorf("%v, %v", h.Escape.Value, h.ConnectTimeout.Value)
	}
	if !h.Env.Set || len(h.Env.Value) != 0 { // an empty list hides that of defaults
		t.Errorf("env: %+v", h.Env)
	}
	if got := h.Shell.Source; got != (config.Source{File: "/etc/config.yaml", Line: 9, Entry: "pump7"}) {
		t.Errorf("source: %+v", got)
	}
	if strings.Contains(strings.Join(settings(h), " "), "secret@") {
		t.Error("the settings show the password")
	}
}

func TestPatternsReachNeitherTooFarNorTooShort(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "a", true},
		{"*", "a/b", false},
		{"**", "a/b/c", true},
		{"a/*", "a", false},
		{"a/*", "a/b", true},
		{"a/*", "a/b/c", false},
		{"a/**", "a", true},
		{"a/**", "a/b/c", true},
		{"a/**", "ab", false},
		{"**/c", "c", true},
		{"**/c", "a/b/c", true},
		{"**/c", "a/b/c/d", false},
		{"a/**/c", "a/c", true},
		{"a/**/c", "a/x/c/y/c", true},
		{"a/**/b/**/c", "a/b/x/b/c", true},
		{"a/**/b/**/c", "a/c/b", false},
		{"pump?", "pump7", true},
		{"pump?", "pump", false},
		{"pump[0-4]", "pump7", false},
		{"a*z/b", "abcz/b", true},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
	} {
		c := parse(t, "hosts: {'"+tt.pattern+"': {user: eva}}")
		if got := c.Lookup(tt.name).User.Set; got != tt.want {
			t.Errorf("%s of %s: %v", tt.pattern, tt.name, got)
		}
	}
}

func TestNothingConfiguredIsNoError(t *testing.T) {
	for _, text := range []string{"", "# only this\n", "---\n", "defaults:\nhosts:\n", "hosts: {}", "\ufeffhosts: {}",
		"hosts: {a: {}}", "%YAML 1.2\n---\nhosts: {}\n"} {
		if got := settings(parse(t, text).Lookup("a")); len(got) != 0 {
			t.Errorf("%q: %q", text, got)
		}
	}
	var none *config.Config
	if got := settings(none.Lookup("a")); len(got) != 0 {
		t.Errorf("nil: %q", got)
	}
}

func TestMissingFileIsAnErrorOnlyWhenNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none", "config.yaml")
	for _, path := range []string{"", missing, os.DevNull} {
		if c, err := (config.File{Path: path}).Load(); err != nil || c == nil {
			t.Errorf("%q: %v, %v", path, c, err)
		}
	}
	_, err := config.File{Path: missing, Named: true}.Load()
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), missing) != 1 {
		t.Errorf("named: %v", err)
	}
	if _, err := (config.File{Path: "", Named: true}).Load(); err == nil {
		t.Error("the empty name is no file")
	}
	if _, err := (config.File{Path: t.TempDir()}).Load(); err == nil {
		t.Error("a directory is no configuration")
	}
	if _, err := (config.File{Path: "/dev/zero"}).Load(); err == nil {
		t.Error("read a file without an end")
	}
}

func TestFileIsReadFromItsPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte("defaults: {password-file: pw}"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := (config.File{Path: path}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Lookup("x").PasswordFile.Value; got != filepath.Join(dir, "pw") {
		t.Errorf("password file %s", got)
	}
}

func TestFilesOfURLsAreBesideTheConfiguration(t *testing.T) {
	c := parse(t, "defaults: {url: 'ssl://h?ca=ca.pem&cert=/own.pem'}")
	if u := c.Lookup("x").URL.Value; u.CA != "/etc/ca.pem" || u.Cert != "/own.pem" || u.Key != "" {
		t.Errorf("ca %q, cert %q, key %q", u.CA, u.Cert, u.Key)
	}
}

// A file that was cut off must not pass for one that says less.
func TestCutFilesAreFoundWhereTheyCount(t *testing.T) {
	const fine, warned, failed = "fine", "warned", "failed"
	for _, tt := range []struct{ text, found, named, checked string }{
		{"---\nhosts: {a: {user: x}}\n...\n", fine, fine, fine},
		{"hosts: {a: {user: x}}\n", fine, fine, fine},
		{"hosts: {a: {user: x}}", warned, warned, failed},
		{"---\nhosts: {a: {user: x}}\n", warned, warned, failed},
		{"", warned, failed, failed},
		{"---\n", warned, failed, failed},
		{"# hosts: {}\n", warned, failed, failed},
		{"\x00\x00\n", failed, failed, failed},
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		for want, file := range map[*string]config.File{
			&tt.found: {Path: path}, &tt.named: {Path: path, Named: true}, &tt.checked: {Path: path, Check: true},
		} {
			got := fine
			if c, err := file.Load(); err != nil {
				got = failed
			} else if len(c.Warnings) > 0 {
				got = warned
			}
			if got != *want {
				t.Errorf("%q, named=%v, check=%v: %s, want %s", tt.text, file.Named, file.Check, got, *want)
			}
		}
	}
	if c, err := (config.File{Path: os.DevNull, Named: true, Check: true}).Load(); err != nil || len(c.Warnings) > 0 {
		t.Errorf("no configuration: %v", err)
	}
}
