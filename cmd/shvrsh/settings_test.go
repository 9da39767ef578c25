package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shell/sshargs"
)

// home is a user's one, with that configuration; "" is none. The environment has
// nothing else of ours.
func home(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"SHV_URL", "SHV_USER", "SHV_PASSWORD", "SHV_PASSWORD_FILE", "SHV_ALLOW_PLAINTEXT"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	if config != "" {
		file := filepath.Join(dir, "config", "shvrsh", "config.yaml")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func parsed(t *testing.T, words ...string) *sshargs.Args {
	t.Helper()
	args, err := sshargs.Parse(words)
	if err != nil {
		t.Fatal(err)
	}
	return &args
}

func settled(t *testing.T, words ...string) *settings {
	t.Helper()
	set, err := settle(parsed(t, words...))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// printed gives the lines of -G, by their keys.
func printed(t *testing.T, words ...string) map[string]string {
	t.Helper()
	var out strings.Builder
	settled(t, words...).print(&out)
	lines := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		lines[key] = value
	}
	return lines
}

const someConfig = `
defaults: {url: "tcp://default:1", user: dora, escape: ^D}
hosts:
  pump7: {url: "tcp://config:7", path: test/pump7, user: carl, shell: /bin/ash,
    password-file: ~/secret, escape: ^A, env: [APP_*, -LANG], connect-timeout: 42}
  named: {url: "tcp://ulla@config"}
`

const plainConfig = `
hosts:
  plain: {url: "tcp://10.0.0.1", allow-plaintext: true}
  safe: {url: "tcp://10.0.0.1"}
`

func TestSettingComesFromTheFirstThatHasIt(t *testing.T) {
	type env = map[string]string
	for _, tt := range []struct {
		name   string
		config string
		env    env
		words  []string
		want   map[string]string
	}{
		{"built in", "", nil, []string{"a/b"},
			map[string]string{"url": "tcp://127.0.0.1:3755", "host": "a/b", "path": "a/b", "user": "iot", "escapechar": "~",
				"shell": "none", "passwordfile": "none",
				"hostname": "127.0.0.1", "port": "3755", "batchmode": "no", "connecttimeout": "none",
				"serveraliveinterval": "none"}},
		{"defaults of the configuration", someConfig, nil, []string{"a/b"},
			map[string]string{"url": "tcp://default:1", "user": "dora", "escapechar": "^D", "path": "a/b"}},
		{"host of the configuration", someConfig, nil, []string{"pump7"},
			map[string]string{"url": "tcp://config:7", "user": "carl", "escapechar": "^A", "path": "test/pump7",
				"connecttimeout": "42",
				"shell":          "/bin/ash", "passwordfile": "HOME/secret"}},
		{"password file of the environment", someConfig, env{"SHV_PASSWORD_FILE": "/env"}, []string{"pump7"},
			map[string]string{"passwordfile": "/env"}},
		{"password file of the command line", someConfig, env{"SHV_PASSWORD_FILE": "/env"},
			[]string{"--password-file", "/flag", "pump7"},
			map[string]string{"passwordfile": "/flag"}},
		{"nobody", "", nil, []string{"--url", "tcp://away", "a"}, map[string]string{"user": ""}},
		{"user of the host's URL", someConfig, nil, []string{"named"},
			map[string]string{"url": "tcp://config:3755", "user": "ulla"}},
		{"environment", someConfig, env{"SHV_URL": "tcp://env:9", "SHV_USER": "erna"}, []string{"pump7"},
			map[string]string{"url": "tcp://env:9", "user": "erna", "path": "test/pump7"}},
		{"user of the environment's URL", someConfig, env{"SHV_URL": "tcp://erna@env:9"}, []string{"pump7"},
			map[string]string{"url": "tcp://env:9", "user": "erna"}},
		{"flags", someConfig, env{"SHV_URL": "tcp://env:9", "SHV_USER": "erna"},
			[]string{"--url", "tcp://flag", "-l", "fritz", "-e", "none", "-o", "ConnectTimeout=3", "pump7"},
			map[string]string{"url": "tcp://flag:3755", "user": "fritz", "escapechar": "none", "connecttimeout": "3"}},
		{"user@", someConfig, env{"SHV_USER": "erna"}, []string{"fritz@pump7"}, map[string]string{"user": "fritz"}},
		{"port alone", someConfig, env{"SHV_URL": "tcp://env:9"}, []string{"-p", "11", "pump7"},
			map[string]string{"url": "tcp://env:11"}},
		{"C++ host", someConfig, env{"SHV_URL": "tcp://env:9"}, []string{"--server-host", "old", "pump7"},
			map[string]string{"hostname": "old"}},
		{"C++ host is on ssl off loopback, as any without a scheme", "", nil, []string{"--server-host", "old:9", "a"},
			map[string]string{"url": "ssl://old:9"}},
		{"C++ host with its scheme", "", nil, []string{"--server-host", "old", "--server-scheme", "tcp", "a"},
			map[string]string{"url": "tcp://old:3755", "allowplaintext": "no"}},
		{"no scheme", "", env{"SHV_URL": "eva@broker"}, []string{"a"}, map[string]string{"url": "ssl://broker:3756"}},
		{"no scheme on loopback", "", env{"SHV_URL": "localhost"}, []string{"a"},
			map[string]string{"url": "tcp://localhost:3755"}},
		{"plaintext by flag", plainConfig, env{"SHV_ALLOW_PLAINTEXT": "0"}, []string{"--allow-plaintext", "other"},
			map[string]string{"allowplaintext": "yes"}},
		{"plaintext by variable", plainConfig, env{"SHV_ALLOW_PLAINTEXT": "1"}, []string{"safe"},
			map[string]string{"allowplaintext": "yes"}},
		{"plaintext not by variable", plainConfig, env{"SHV_ALLOW_PLAINTEXT": "0"}, []string{"plain"},
			map[string]string{"allowplaintext": "no"}},
		{"plaintext by the host", plainConfig, nil, []string{"plain"}, map[string]string{"allowplaintext": "yes"}},
		{"plaintext not of another host", plainConfig, nil, []string{"safe"}, map[string]string{"allowplaintext": "no"}},
		{"encoded slash", someConfig, nil, []string{"test%2Fagent"}, map[string]string{"path": "test/agent"}},
		{"keep-alive and batch", "", nil, []string{"-o", "ServerAliveInterval=7", "-o", "BatchMode=yes", "a"},
			map[string]string{"serveraliveinterval": "7", "batchmode": "yes"}},
		{"no keep-alive", "", nil, []string{"-o", "ServerAliveInterval=0", "a"},
			map[string]string{"serveraliveinterval": "none"}},
		{"no configuration", someConfig, nil, []string{"-F", "none", "pump7"},
			map[string]string{"url": "tcp://127.0.0.1:3755", "user": "iot", "path": "pump7", "escapechar": "~"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := home(t, tt.config)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			got := printed(t, tt.words...)
			for key, want := range tt.want {
				if want := strings.Replace(want, "HOME", dir, 1); got[key] != want {
					t.Errorf("%s is %q, want %q", key, got[key], want)
				}
			}
		})
	}
}

// What git looks for, and no secret.
func TestPrintedSettingsHoldNoSecret(t *testing.T) {
	home(t, `hosts: {x: {url: "tcp://eva:geheim@host"}}`)
	t.Setenv("SHV_PASSWORD", "geheim")
	var out strings.Builder
	settled(t, "-G", "--password", "geheim", "x").print(&out)
	if strings.Contains(out.String(), "geheim") || !strings.Contains(out.String(), "\nuser eva\n") {
		t.Errorf("printed:\n%s", out.String())
	}
	if !strings.Contains(out.String(), "config.yaml:1") {
		t.Errorf("it does not say where the URL comes from:\n%s", out.String())
	}
}

func TestConfigurationThatIsNamedMustExist(t *testing.T) {
	dir := home(t, "")
	if _, err := settle(parsed(t, "-F", filepath.Join(dir, "nosuch"), "a")); err == nil {
		t.Error("a file that is not there was accepted")
	}
	file := filepath.Join(dir, "mine")
	if err := os.WriteFile(file, []byte("defaults: {user: mina}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := printed(t, "-F", file, "a")["user"]; got != "mina" {
		t.Errorf("user %q", got)
	}
	if err := os.WriteFile(file, []byte("defaults: {usr: mina}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := settle(parsed(t, "-F", file, "a")); err == nil || !strings.Contains(err.Error(), "mine:1:12") {
		t.Errorf("unknown key: %v", err)
	}
}

func TestConfiguredPasswordFileStandsBehindWhatIsGiven(t *testing.T) {
	dir := home(t, someConfig)
	secret := filepath.Join(dir, "secret")
	if got := settled(t, "pump7").login.PasswordFile; got != secret {
		t.Errorf("password file %q, want %q", got, secret)
	}
	if got := settled(t, "--password-file", "/flag", "pump7").login.PasswordFile; got != "/flag" {
		t.Errorf("password file %q of the flag", got)
	}
	for _, name := range []string{"SHV_PASSWORD", "SHV_PASSWORD_FILE"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "x")
			if got := settled(t, "pump7").login.PasswordFile; got != "" {
				t.Errorf("password file %q stands before the environment", got)
			}
		})
	}
}

func TestTimesAndLevels(t *testing.T) {
	home(t, someConfig)
	set := settled(t, "pump7")
	if set.alive != 0 || set.connectTimeout != 42*time.Second || set.shell != "/bin/ash" || set.quiet || set.silent {
		t.Errorf("%+v", set)
	}
	if got := settled(t, "-o", "ServerAliveInterval=0", "a").alive; got >= 0 {
		t.Errorf("an interval of 0 is %v, want one below 0: never", got)
	}
	for level, want := range map[string][2]bool{"QUIET": {true, true}, "ERROR": {true, false}, "INFO": {false, false}} {
		if set := settled(t, "-o", "LogLevel="+level, "a"); set.quiet != want[0] || set.silent != want[1] {
			t.Errorf("%s: quiet %v, silent %v", level, set.quiet, set.silent)
		}
	}
}

func TestUnreadableSwitchIsRefused(t *testing.T) {
	home(t, "")
	t.Setenv("SHV_ALLOW_PLAINTEXT", "perhaps")
	_, err := settle(parsed(t, "a"))
	if err == nil || !strings.Contains(err.Error(), `$SHV_ALLOW_PLAINTEXT: invalid value`) {
		t.Error(err)
	}
}

// A pattern that is too wide must not send a password to the device.
func TestSettingsOfOurProgramsAreNotSent(t *testing.T) {
	home(t, "defaults: {env: [SHV_*, '*']}")
	set := settled(t, "-o", "SendEnv=SHV_PASSWORD *", "a")
	if got := names(set.env([]string{"SHV_PASSWORD=x", "SHV_URL=ssl://u:x@h", "A=1"}, false)); got != "A=1" {
		t.Errorf("offered: %s", got)
	}
}

func names(env []tunnel.EnvVar) string {
	var list []string
	for _, v := range env {
		list = append(list, v.Name+"="+v.Value)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestEnvironmentIsOfferedByPatterns(t *testing.T) {
	home(t, someConfig)
	environ := []string{
		"TERM=xterm", "COLORTERM=truecolor", "LANG=de", "LC_ALL=C", "APP_ONE=1", "APP_TWO=a=b", "SHV_PASSWORD=x",
		"PATH=/bin", "EMPTY=",
	}
	for _, tt := range []struct {
		name     string
		terminal bool
		words    []string
		want     string
	}{
		{"command", false, []string{"a"}, "LANG=de LC_ALL=C"},
		{"terminal", true, []string{"a"}, "COLORTERM=truecolor LANG=de LC_ALL=C TERM=xterm"},
		{"configuration", false, []string{"pump7"}, "APP_ONE=1 APP_TWO=a=b LC_ALL=C"},
		{"command line", false, []string{"-o", "SendEnv=PATH -APP_TWO LANG EMPTY", "pump7"},
			"APP_ONE=1 EMPTY= LANG=de LC_ALL=C PATH=/bin"},
		{"set", true, []string{"-o", "SetEnv=TERM=vt100 NEW=1", "a"},
			"COLORTERM=truecolor LANG=de LC_ALL=C NEW=1 TERM=vt100"},
		{"taken away", true, []string{"-o", "SendEnv=-*", "a"}, ""},
	} {
		if got := names(settled(t, tt.words...).env(environ, tt.terminal)); got != tt.want {
			t.Errorf("%s: offered %q, want %q", tt.name, got, tt.want)
		}
	}
}
