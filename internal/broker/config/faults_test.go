package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"shvtools/internal/broker/config"
)

// write puts a file into a directory of the test.
func write(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFaultsHaveTheirPlaceAndSayWhatWasExpected(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"top", "- x\n", `f:1:1: the configuration is a list; a map was expected`},
		{"unknown key", "listen: []\nacess: {}\n", `f:2:1: unknown key "acess" in the configuration; known are access, access-file, `},
		{"key twice", "name: a\nname: b\n", `f:2:1: key "name" in a map is in line 1 already`},
		{"not YAML", "name: [\n", `f:1:7: not YAML`},
		{"anchor", "name: &a x\n", `anchors`},
		{"name", "name: [a]\n", `f:1:7: name is a list; a single value was expected`},
		{"listen", "listen: tcp://127.0.0.1\n", `f:1:9: listen is a single value; a list was expected, such as [{url: "tcp://127.0.0.1:3755"}]`},
		{"listen entry", "listen:\n- tcp://127.0.0.1\n", `f:2:3: an entry of listen is a single value; a map`},
		{"no url", "listen:\n- {cert: a, key: b}\n", `f:2:3: an entry of listen has no url`},
		{"url", "listen:\n- url: http://x:1\n", `f:2:8: a url of listen: http://x:1: the scheme is none of tcp, ssl, tcps, ws, wss and unix`},
		{"no host", "listen:\n- url: 'tcp://'\n", `f:2:8: a url of listen: URL tcp://: no host`},
		{"no ssl host", "listen:\n- url: 'ssl://'\n", `f:2:8: a url of listen: URL ssl://: no host`},
		{"nowhere", "listen:\n- url: can://x:1\n", `f:2:1: the broker would listen nowhere`},
		{"cert alone", "listen:\n- url: ssl://x\n  cert: a\n", `f:2:3: cert and key go together`},
		{"listen key", "listen:\n- {url: 'tcp://x', port: 1}\n", `f:2:20: unknown key "port" in an entry of listen; known are cert, client-ca, crl, key, require-client-cert, socket, url`},
		{"listen option", "listen:\n- url: 'ssl://x?clientca=a'\n", `f:2:8: a url of listen: URL ssl://x: unknown option "clientca" of a listener; known are cert, client-ca, `},
		{"plaintext", "allow-plaintext: yes\n", `f:1:18: allow-plaintext is neither true nor false`},
		{"limit", "limits:\n  frames: 1\n", `f:2:3: unknown key "frames" in limits; known are connections, frame,`},
		{"size", "limits:\n  frame: 16MB\n", `f:2:10: limits: frame: "16MB" is not of the form 16MiB`},
		{"size too small", "limits: {frame: 1KiB}\n", `f:1:17: limits: frame: 1KiB is not from 64KiB to 256MiB`},
		{"size too great", "limits: {queue: 9999999999GiB}\n", `f:1:17: limits: queue: "9999999999GiB" is not`},
		{"connection without client", "connections:\n- {name: up, enabled: true}\n", `f:2:3: a connection has no client; {name: up,`},
		{"connection without mount", "connections: [{enabled: true, client: {url: h}}]\n", `neither mount nor device_id`},
		{"connection out of the tree", "connections: [{enabled: true, client: {url: h, mount: ../x}}]\n", `a connection's mount is "../x"; a path from the root`},
		{"connection to nowhere", "connections: [{enabled: true, client: {url: 'can://x', mount: m}}]\n", `a url of connections: URL can://x: scheme "can" is not supported`},
		{"connection without url", "connections: [{enabled: true, client: {mount: m}}]\n", `a connection has no url`},
		{"two of a name", "connections: [{name: n, enabled: true, client: {url: h, mount: m}}, {name: n, enabled: true, client: {url: h, mount: m}}]\n", `there are two connections "n"`},
		{"heartbeat", "connections: [{client: {heartbeat_interval: 0s}}]\n", `heartbeat_interval is "0s"; a time from 1s to 24h`},
		{"advertise", "tunnel: {advertise: ['ftp://x']}\n", `f:1:22: tunnel.advertise: URL ftp://x: scheme "ftp"`},
		{"count", "limits: {connections: 0}\n", `f:1:23: limits: connections: 0 is not from 1 to 1000000`},
		{"time", "limits: {write-stall: 30}\n", `f:1:23: limits: write-stall: "30" is not of the form 30s`},
		{"time too short", "limits: {login-deadline: 1ms}\n", `f:1:26: limits: login-deadline: 1ms is not from 1s to 10m0s`},
		{"queues", "limits: {queue: 64MiB, queue-total: 32MiB}\n", `f:1:9: limits: queue is above queue-total: 64MiB and 32MiB`},
		{"access file", "access-file: access.yaml\n", `f:1:14: access-file is not an absolute path: "access.yaml"`},
		{"access", "access: []\n", `f:1:9: access is a list; a map was expected`},
		{"users", "access:\n  users: [a]\n", `f:2:10: users is a list; a map was expected, such as {name: {…}}`},
		{"user key", "access: {users: {a: {pasword: !Plain x}}}\n", `f:1:22: unknown key "pasword" in user "a"; known are allowed-ips,`},
		{"no password", "access: {users: {a: {roles: []}}}\n", `f:1:21: user "a" has no password; !Plain TEXT, !Sha1 HEX, !Argon2id HASH`},
		{"bare password", "access: {users: {a: {password: hush}}}\n", `f:1:32: the password of user "a": !Plain TEXT,`},
		{"form of password", "access: {users: {a: {password: !Md5 hush}}}\n", `f:1:32: the password of user "a": !Plain TEXT,`},
		{"sha1", "access: {users: {a: {password: !Sha1 hush}}}\n", `f:1:32: the password of user "a": it is not a SHA1: 40 hex digits are`},
		{"argon2", "access: {users: {a: {password: $argon2id$hush}}}\n", `f:1:32: the password of user "a": it is not an argon2id hash of the form`},
		{"argon2 that takes all", "access: {users: {a: {password: '$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'}}}\n", `may ask for m=131072`},
		{"no name of a certificate", "access: {users: {a: {certificates: [eva]}}}\n", `f:1:37: certificates of user "a": "eva" is no name of a certificate`},
		{"no fingerprint", "access: {users: {a: {certificates: ['sha256:00']}}}\n", `64 hex digits`},
		{"same certificate", "access:\n  users:\n    a: {certificates: ['cn:x']}\n    b: {certificates: ['cn:x']}\n", `f:4:5: user "b": its certificate cn:x is one of user a too`},
		{"short token", "access: {users: {a: {tokens: [hush]}}}\n", `f:1:30: a token of user "a" is shorter than 16`},
		{"same token", "access:\n  users:\n    a: {tokens: [hush-hush-hush-hush]}\n    b: {tokens: [hush-hush-hush-hush]}\n", `f:4:5: user "b": a token of it is one of user a too`},
		{"expires", "access: {users: {a: {password: !Plain x, expires: soon}}}\n", `f:1:50: expires of user "a" is no time such as 2027-12-31T23:59:59Z`},
		{"network", "access: {users: {a: {password: !Plain x, allowed-ips: [10.0.0.0/99]}}}\n", `f:1:55: allowed-ips of user "a": "10.0.0.0/99" is no network such as 10.0.0.0/8`},
		{"rule", "access:\n  roles:\n    r:\n      access:\n      - \"**:*\"\n", `f:5:9: rule 1 of role "r" is a single value; a map was expected, such as {shvRI: "test/**:*", grant: rd}`},
		{"no RI", "access: {roles: {r: {access: [{grant: rd}]}}}\n", `f:1:31: rule 1 of role "r" has no shvRI`},
		{"no grant", "access: {roles: {r: {access: [{shvRI: '**:*'}]}}}\n", `f:1:31: rule 1 of role "r" has no grant`},
		{"grant", "access: {roles: {r: {access: [{shvRI: '**:*', grant: read}]}}}\n", `f:1:54: the grant of rule 1 of role "r" is "read"; one of bws, rd,`},
		{"RI", "access: {roles: {r: {access: [{shvRI: 'a/[b:*', grant: rd}]}}}\n", `f:1:39: rule 1 of role "r": invalid pattern "a/[b": [ without ]`},
		{"RI of four", "access: {roles: {r: {access: [{shvRI: 'a:b:c:d', grant: rd}]}}}\n", `f:1:39: rule 1 of role "r": invalid resource identifier "a:b:c:d"`},
		{"mount points", "access: {roles: {r: {mount-points: ['a/[b']}}}\n", `f:1:37: mount-points of role "r": invalid pattern`},
		{"cycle", "access:\n  roles:\n    a: {roles: [b]}\n    b: {roles: [a]}\n", `f:4:5: role "b": roles that include themselves: a includes b includes a`},
		{"mount", "access: {mounts: {id: {}}}\n", `f:1:23: mount "id" has no mountPoint, such as plant/pump7`},
		{"entry of nothing", "access:\n  users:\n    a:\n", `f:3:5: user "a" has no value`},
		{"name with an escape", "access: {users: {\"\\e[31m\": {password: !Plain x}}}\n", `f:1:18: a key in a map: it has a control character`},
		{"policy", "policies: {r: {allowed_mount: [a]}}\n", `f:1:16: unknown key "allowed_mount" in the policy of role "r"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, "f", tt.text)
			_, err := config.Load(config.Sources{File: file})
			if err == nil {
				t.Fatal("no error")
			}
			text := strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", "")
			if !strings.Contains(text, tt.want) {
				t.Errorf("got  %s\nwant %s", text, tt.want)
			}
			for line := range strings.SplitSeq(text, "\n") {
				if !strings.HasPrefix(line, "f:") || strings.ContainsFunc(line, unicode.IsControl) || strings.Contains(line, "hush") {
					t.Errorf("line %q", line)
				}
			}
		})
	}
}

// Whichever line is broken, its error is at that line.
func TestEveryLineOfAConfigurationCanBeTheBrokenOne(t *testing.T) {
	data, err := os.ReadFile("testdata/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	broken := 0
	for i, line := range lines {
		name, _, ok := strings.Cut(strings.TrimLeft(line, " -"), ":")
		if !ok || strings.HasPrefix(line, "#") || strings.ContainsAny(name, `"{`) {
			continue
		}
		changed := append([]string(nil), lines...)
		changed[i] = strings.Replace(line, name+":", name+"x:", 1)
		file := write(t, "f", strings.Join(changed, "\n"))
		_, err := config.Load(config.Sources{File: file})
		if strings.HasPrefix(line, "    ") && !strings.HasPrefix(line, "     ") && strings.HasSuffix(line, ":") {
			continue // the name of an entry, which may be any
		}
		broken++
		if err == nil || !strings.Contains(err.Error(), file+":"+itoa(i+1)+":") {
			t.Errorf("line %d, %s: %v", i+1, changed[i], err)
		}
	}
	if broken < 20 {
		t.Errorf("%d lines only", broken)
	}
}

func TestFaultsOfCPONFilesHaveTheirPlace(t *testing.T) {
	for _, tt := range []struct{ name, file, text, want string }{
		{"syntax", "users.cpon", "{\n\"a\": {\"password\" ]\n}\n", `users.cpon:2:18: not CPON`},
		{"no end", "users.cpon", "{\n\"a\": {}\n", `users.cpon:1:1: not CPON`},
		{"not a map", "users.cpon", "[]", `users.cpon:1:1: not CPON: a map was expected`},
		{"deep", "users.cpon", `{"a":` + strings.Repeat("[", 200), `users.cpon:1:`},
		{"user", "users.cpon", "{\n  \"a\": {\"pasword\": 1}\n}", `users.cpon:2:3: unknown key "pasword" in user "a"`},
		{"form", "users.cpon", "{\n  \"a\": {\"password\": {\"format\": \"MD5\", \"password\": \"hush\"}}\n}", `users.cpon:2:3: the password of user "a": !Plain TEXT`},
		{"twice", "users.cpon", "{\n  \"a\": {\"password\": {\"format\": \"PLAIN\", \"password\": \"x\"}}\n  \"a\": {}\n}", `users.cpon:3:3: user "a" is at `},
		{"rule", "access.cpon", "{\n\n\"r\": [{\"method\": \"\", \"role\": \"rd\"}]\n}", `access.cpon:3:1: rule 1 of role "r" has no shvRI`},
		{"grant", "access.cpon", "{\"r\": [{\"method\": \"\", \"pathPattern\": \"**\", \"role\": \"read\"}]}", `access.cpon:1:2: the grant of rule 1 of role "r" is "read"`},
		{"blob", "mounts.cpon", "{\"d\": b\"x\"}", `mounts.cpon:1:2: "d": a value of an unexpected type`},
		{"number", "mounts.cpon", "{1: \"x\"}", `mounts.cpon:1:2: a name was expected, not a number`},
		{"cycle", "roles.cpon", "{\"a\": {\"roles\": [\"b\"]}\n\"b\": {\"roles\": [\"a\"]}}", `roles.cpon:2:1: role "b": roles that include themselves`},
		{"nothing", "other.cpon", "{}", `there is none of users.cpon`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := write(t, tt.file, tt.text)
			_, err := config.Load(config.Sources{Dir: filepath.Dir(file)})
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hush") {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
	file := write(t, "f", "access: {users: {}}\n")
	if _, err := config.Load(config.Sources{File: file, Dir: "testdata/cpp"}); err == nil || !strings.Contains(err.Error(), "one place only") {
		t.Errorf("rights from two places: %v", err)
	}
	if _, err := config.Load(config.Sources{Dir: "testdata/none"}); err == nil {
		t.Error("a directory that is not there")
	}
	if _, err := config.Load(config.Sources{File: "testdata/none.yaml"}); err == nil || strings.Count(err.Error(), "none.yaml") != 1 {
		t.Errorf("a file that is not there: %v", err)
	}
}

func FuzzLoadNeverPanics(f *testing.F) {
	for _, name := range []string{"testdata/whole.yaml", "testdata/shvbroker-rs.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	for _, text := range []string{"access: {users: {a: !Plain x}}", "access: {roles: {a: {access: [!x {}]}}}", "listen: [{url: ''}]", "policies: {a: }"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.LoadText(config.Sources{File: "f", AccessFile: "/nonexistent/access.yaml"}, []byte(text))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f:") {
					t.Errorf("%q: %q", text, line)
				}
			}
			return
		}
		if err := c.Print(new(strings.Builder)); err != nil {
			t.Error(err)
		}
	})
}
