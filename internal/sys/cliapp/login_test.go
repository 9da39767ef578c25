package cliapp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/wire/transport"
)

func parseURL(t *testing.T, text string) transport.URL {
	t.Helper()
	u, err := transport.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// testInput is one login's sources; a nil prompt is a machine without a terminal.
type testInput struct {
	url                      string
	user, password, passFile string
	env                      map[string]string
	prompt                   string
}

func (in testInput) resolve(t *testing.T) (Login, error) {
	t.Helper()
	input := loginInput{
		URL: parseURL(t, in.url), User: in.user, Password: in.password, PasswordFile: in.passFile,
		LookupEnv: func(name string) (string, bool) {
			value, ok := in.env[name]
			return value, ok
		},
		ReadFile: func(path string) (string, string, error) {
			if path == "/two-lines" {
				return "secret\nmore\n", "", nil
			}
			if text, ok := strings.CutPrefix(path, "contains:"); ok {
				return text, "", nil
			}
			return "", "", errors.New("no such file or directory")
		},
		Prompt: func(text string) (string, error) {
			if in.prompt == "" {
				return "", errors.New("no terminal")
			}
			return in.prompt + "<" + text, nil
		},
	}
	return input.resolve()
}

func TestLoginComesFromTheNearestSource(t *testing.T) {
	const far, near = "tcp://broker.example:3755", "tcp://127.0.0.1:3755"
	everywhere := testInput{
		url: "tcp://urluser:urlpass@broker.example", user: "flaguser", password: "flagpass", passFile: "contains:fileflag\n",
		env: map[string]string{envUser: "envuser", envPassword: "envpass", envPasswordFile: "contains:envfile\n"},
	}
	without := func(change func(*testInput)) testInput {
		in := everywhere
		in.env = map[string]string{}
		for name, value := range everywhere.env {
			in.env[name] = value
		}
		change(&in)
		return in
	}
	for _, tt := range []struct {
		name     string
		in       testInput
		user     string
		password string
	}{
		{"flag", everywhere, "flaguser", "flagpass"},
		{"file flag before environment", without(func(in *testInput) { in.password = "" }), "flaguser", "fileflag"},
		{"environment before URL", without(func(in *testInput) {
			in.user, in.password, in.passFile = "", "", ""
		}), "envuser", "envpass"},
		{"environment's file before URL", without(func(in *testInput) {
			in.password, in.passFile = "", ""
			delete(in.env, envPassword)
		}), "flaguser", "envfile"},
		{"URL", testInput{url: everywhere.url}, "urluser", "urlpass"},
		{"URL's query", testInput{url: far + "?user=q&password=a%26b"}, "q", "a&b"},
		{"empty environment", testInput{
			url: everywhere.url, env: map[string]string{envUser: "", envPassword: ""},
		}, "urluser", "urlpass"},
		{"development", testInput{url: near}, "iot", "lub42DUB"},
		{"development password for its user", testInput{url: "tcp://iot@localhost"}, "iot", "lub42DUB"},
		{"password alone on loopback", testInput{url: near, password: "p"}, "iot", "p"},
		{"prompt off loopback", testInput{url: far, user: "iot", prompt: "typed"},
			"iot", "typed<Password for iot@broker.example:3755: "},
		{"prompt for another local user", testInput{url: near, user: "eva", prompt: "typed"},
			"eva", "typed<Password for eva@127.0.0.1:3755: "},
		{"development on a socket", testInput{url: "unix:/run/s"}, "iot", "lub42DUB"},
		{"development over TLS", testInput{url: "ssl://localhost"}, "iot", "lub42DUB"},
		{"token needs no user", testInput{url: far + "?token=t"}, "", ""},
		{"hash needs no password", testInput{url: near + "?user=iot&shapass=00"}, "iot", ""},
		{"a certificate needs neither", testInput{url: "ssl://broker.example?cert=c&key=k"}, "", ""},
		{"nor on loopback", testInput{url: "ssl://iot@localhost?cert=c&key=k"}, "iot", ""},
		{"password before the certificate", testInput{url: "ssl://q:p@broker.example?cert=c&key=k"}, "q", "p"},
		{"password before the URL's hash", testInput{url: far + "?user=q&shapass=00&password=p"}, "q", "p"},
		{"windows newline", testInput{url: near, passFile: "contains:p w\r\n"}, "iot", "p w"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.resolve(t)
			if err != nil || got.User != tt.user || got.Password != tt.password {
				t.Errorf("got %q, %q, %v; want %q, %q", got.User, got.Password, err, tt.user, tt.password)
			}
			if warned := len(got.Warnings) > 0; warned != (tt.in.password != "") {
				t.Errorf("warnings %q", got.Warnings)
			}
		})
	}
}

// A daemon has neither flags nor an environment for it, and must not name them.
func TestConfiguredLoginTellsWhatIsMissing(t *testing.T) {
	t.Setenv("SHV_USER", "nobody")
	t.Setenv("SHV_PASSWORD", "hush")
	for _, tt := range []struct {
		url, user, file string
		want            Login
		err             error
	}{
		{url: "tcp://10.0.0.1", err: ErrNoUser},
		{url: "tcp://10.0.0.1", user: "eva", want: Login{User: "eva"}, err: ErrNoPassword},
		{url: "tcp://bob@10.0.0.1", want: Login{User: "bob"}, err: ErrNoPassword},
		{url: "tcp://10.0.0.1?token=t"},
		{url: "ssl://10.0.0.1?cert=c&key=k"},
		{url: "tcp://bob:pw@10.0.0.1", want: Login{User: "bob", Password: "pw"}},
	} {
		got, err := ConfiguredLogin(parseURL(t, tt.url), tt.user, tt.file)
		if !errors.Is(err, tt.err) || got.User != tt.want.User || got.Password != tt.want.Password {
			t.Errorf("%s: %+v, %v; want %+v, %v", tt.url, got, err, tt.want, tt.err)
		}
	}
	if _, err := ConfiguredLogin(parseURL(t, "tcp://10.0.0.1"), "eva", "/none"); err == nil ||
		err.Error() != "password file /none: no such file or directory" {
		t.Error(err)
	}
}

func TestMissingLoginSaysWhatToSet(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   testInput
		want []string
	}{
		// The well-known password must never travel.
		{"no user", testInput{url: "tcp://10.0.0.1:3755"}, []string{"10.0.0.1:3755", "--user", "SHV_USER"}},
		{"no password, no terminal", testInput{url: "tcp://10.0.0.1", user: "iot"},
			[]string{"iot@10.0.0.1", "SHV_PASSWORD_FILE", "SHV_PASSWORD", "no terminal"}},
		{"missing file", testInput{url: "tcp://localhost", passFile: "/none"}, []string{"/none", "no such file"}},
		{"empty file", testInput{url: "tcp://localhost", passFile: "contains:\n"}, []string{"empty"}},
		{"two lines", testInput{url: "tcp://localhost", passFile: "/two-lines"}, []string{"more than one line"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := tt.in.resolve(t)
			text := fmt.Sprint(err)
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not mention %q", text, want)
				}
			}
			if strings.Contains(text, "secret") {
				t.Errorf("%q shows the password", text)
			}
		})
	}
}

// Who switches the check off is told each time: it must not stay off unseen.
func TestUnverifiedTLSIsWarnedAbout(t *testing.T) {
	for url, warned := range map[string]bool{
		"ssl://h?verify=false&user=u&password=p": true,
		"ssl://h?verify=true&user=u&password=p":  false,
		"ssl://h?user=u&password=p":              false,
		"tcp://h?verify=false&user=u&password=p": false,
	} {
		got, err := testInput{url: url}.resolve(t)
		if err != nil || len(got.Warnings) > 0 != warned {
			t.Errorf("%s: %q, %v", url, got.Warnings, err)
		}
	}
}

// Everyone on the path could answer for the broker: whoever allows that is told each time.
func TestPlaintextOffLoopbackIsWarnedAbout(t *testing.T) {
	for url, warned := range map[string]bool{
		"tcp://10.0.0.1": true, "tcp://broker": true, "ws://broker": true, "tcps://[2001:db8::1]": true,
		"ssl://broker": false, "wss://broker": false, "tcp://127.0.0.1": false, "ws://localhost": false, "unix:/s": false,
	} {
		for _, allowed := range []bool{false, true} {
			u := parseURL(t, url+"?user=u&token=t")
			u.AllowPlaintext = allowed
			l, err := (&loginInput{URL: u, LookupEnv: os.LookupEnv}).resolve()
			if err != nil || len(l.Warnings) > 0 != (warned && allowed) {
				t.Errorf("%s, allowed %v: %q, %v", url, allowed, l.Warnings, err)
			}
		}
	}
}

// Everyone on a machine can read its command lines.
func TestSecretOfAListedURLIsWarnedAbout(t *testing.T) {
	for url, warned := range map[string]bool{
		"ssl://eva:hush@h": true, "ssl://h?user=eva&password=hush": true, "ssl://h?user=eva&shapass=hush": true,
		"ssl://h?token=hush": true, "ssl://eva@h?cert=c&key=k": false,
	} {
		for _, listed := range []bool{false, true} {
			l, err := (&loginInput{URL: parseURL(t, url), ListedURL: listed, LookupEnv: os.LookupEnv}).resolve()
			if err != nil || len(l.Warnings) > 0 != (warned && listed) || strings.Contains(fmt.Sprint(l.Warnings), "hush") {
				t.Errorf("%s, listed %v: %q, %v", url, listed, l.Warnings, err)
			}
		}
	}
}

func TestReadablePasswordFileIsWarnedAbout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o640: false, 0o644: true} {
		if err := os.WriteFile(path, []byte("p\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		text, warning, err := readPasswordFile(path)
		if text != "p\n" || err != nil || (warning != "") != warned {
			t.Errorf("%o: %q, %q, %v; want a warning: %v", mode, text, warning, err, warned)
		}
	}
}

func TestHugePasswordFileIsRefused(t *testing.T) {
	// Without a limit this would read until memory is gone.
	if _, _, err := readPasswordFile("/dev/zero"); err == nil {
		t.Error("/dev/zero was taken for a password")
	}
}
