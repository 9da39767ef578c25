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
		{"top", "- x\n", `f:1:1: not a map (want {name: …})`},
		{"unknown key", "listen: []\nacess: {}\n",
			`f:2:1: acess: unknown key (want name, listen, allow-plaintext, min-tls, sha1-logins, ` +
				`takeover, connections, tunnel, limits, audit, metrics, drain, ` +
				`access-file, accounts or access)`},
		{"key twice", "name: a\nname: b\n", `f:2:1: name: the key is in line 1 already`},
		{"not YAML", "name: [\n", `f:1:7: not YAML: while parsing a flow node`},
		{"anchor", "name: &a x\n", `anchors`},
		{"name", "name: [a]\n", `f:1:7: name: not a single value (want one text)`},
		{"listen", "listen: tcp://127.0.0.1\n", `f:1:9: listen: not a list (want [{url: "tcp://127.0.0.1:3755"}])`},
		{"listen entry", "listen:\n- tcp://127.0.0.1\n", `f:2:3: listen[1]: not a map (want {url: …})`},
		{"no url", "listen:\n- {cert: a, key: b}\n", `f:2:3: listen[1]: no url (want {url: "tcp://127.0.0.1:3755"})`},
		{"url", "listen:\n- url: http://x:1\n",
			`f:2:8: listen[1].url: URL http://x:1: scheme "http" is not supported (want one of tcp, ssl, tcps, ws, wss and ` +
				`unix)`},
		{"no host", "listen:\n- url: 'tcp://'\n", `f:2:8: listen[1].url: URL tcp://: no host`},
		{"no ssl host", "listen:\n- url: 'ssl://'\n", `f:2:8: listen[1].url: URL ssl://: no host`},
		{"nowhere", "listen:\n- url: can://x:1\n", `f:2:1: listen: none of the entries can be served`},
		{"cert alone", "listen:\n- url: ssl://x\n  cert: a\n",
			`f:2:3: listen[1]: cert and key go together (want both or none)`},
		{"listen key", "listen:\n- {url: 'tcp://x', port: 1}\n",
			`f:2:20: listen[1].port: unknown key (want url, cert, key, client-ca, crl, socket or require-client-cert)`},
		{"listen option", "listen:\n- url: 'ssl://x?clientca=a'\n",
			`f:2:8: listen[1].url: URL ssl://x: unknown option "clientca" of a listener (want cert, client-ca, `},
		{"option twice", "listen:\n- url: 'unix:/s?mode=600&mode=666'\n",
			`f:2:8: listen[1].url: URL unix:/s: option "mode" is there twice`},
		{"port", "listen:\n- url: 'tcp://x:70000'\n",
			`f:2:8: listen[1].url: URL tcp://x:70000: port 70000 is out of range (want 0 to 65535)`},
		{"plaintext", "allow-plaintext: yes\n", `f:1:18: allow-plaintext: invalid value "yes" (want true or false)`},
		{"limit", "limits:\n  frames: 1\n",
			`f:2:3: limits.frames: unknown key (want frame, login-frame, connections, unauthenticated,`},
		{"size", "limits:\n  frame: 16MB\n", `f:2:10: limits.frame: invalid size "16MB" (want 65536, 64k or 64KiB)`},
		{"size too small", "limits: {frame: 1KiB}\n",
			`f:1:17: limits.frame: size 1KiB is out of range (want 64KiB to 256MiB)`},
		{"size too great", "limits: {queue: 9999999999GiB}\n",
			`f:1:17: limits.queue: invalid size "9999999999GiB" (want 65536, 64k or 64KiB)`},
		{"connection without client", "connections:\n- {name: up, enabled: true}\n",
			`f:2:3: connections[1]: no client (want {name: up, enabled: true, client: {url: "ssl://broker",`},
		{"connection without mount", "connections: [{enabled: true, client: {url: h}}]\n", `neither mount nor device_id`},
		{"connection out of the tree", "connections: [{enabled: true, client: {url: h, mount: ../x}}]\n",
			`f:1:39: connections[1].client: invalid mount point "../x": a name is "." or ".." ` +
				`(want a path such as site/pump7)`},
		{"connection that exports our own nodes",
			"connections: [{enabled: true, connection_settings: {exported_shv_root: .broker/x}, client: {url: h, mount: m}}]\n",
			`invalid exported_shv_root ".broker/x": `},
		{"connection to nowhere", "connections: [{enabled: true, client: {url: 'can://x', mount: m}}]\n",
			`f:1:45: connections[1].client.url: URL can://x: scheme "can" is not supported (want one of tcp, ssl,`},
		{"connection without url", "connections: [{enabled: true, client: {mount: m}}]\n",
			`f:1:39: connections[1].client: no url (want one such as ssl://broker)`},
		{"two of a name", "connections: [{name: n, enabled: true, client: {url: h, mount: m}}, {name: n, enabled: true, " +
			"client: {url: h, mount: m}}]\n", `there are two connections "n"`},
		{"heartbeat", "connections: [{client: {heartbeat_interval: 0s}}]\n",
			`f:1:45: connections[1].client.heartbeat_interval: duration 0s is out of range (want 1s to 24h)`},
		{"advertise", "tunnel: {advertise: ['ftp://x']}\n",
			`f:1:22: tunnel.advertise[1]: URL ftp://x: scheme "ftp" is not supported (want one of tcp, ssl, tcps, ws,`},
		{"count", "limits: {connections: 0}\n", `f:1:23: limits.connections: number 0 is out of range (want 1 to 1000000)`},
		{"time", "limits: {write-stall: 30x}\n",
			`f:1:23: limits.write-stall: invalid duration "30x" (want 90, 90s or 1m30s)`},
		{"time too short", "limits: {login-deadline: 1ms}\n",
			`f:1:26: limits.login-deadline: duration 1ms is out of range (want 1s to 10m)`},
		{"queues", "limits: {queue: 64MiB, queue-total: 32MiB}\n",
			`f:1:9: limits: queue is above queue-total: 64MiB and 32MiB`},
		{"frames", "limits: {frame: 64MiB, frames-total: 127MiB}\n",
			`f:1:9: limits: frame is above half of frames-total: 64MiB and 127MiB`},
		{"share", "access: {roles: {a: {share: 0}}}\n",
			`f:1:29: access.roles."a".share: number 0 is out of range (want 1 to 1000)`},
		{"access file", "access-file: access.yaml\n",
			`f:1:14: access-file: not an absolute path: "access.yaml" (want one such as /var/lib/shvbroker/access.yaml)`},
		{"access", "access: []\n", `f:1:9: access: not a map (want {users: …})`},
		{"users", "access:\n  users: [a]\n", `f:2:10: access.users: not a map (want {name: {…}})`},
		{"user key", "access: {users: {a: {pasword: !Plain x}}}\n",
			`f:1:21: access.users."a": no password (want password: !Plain TEXT, !Sha1 HEX,`},
		{"no password", "access: {users: {a: {roles: []}}}\n",
			`f:1:21: access.users."a": no password (want password: !Plain TEXT, !Sha1 HEX,`},
		{"bare password", "access: {users: {a: {password: hush}}}\n",
			`f:1:32: access.users."a".password: not a password (want !Plain TEXT,`},
		{"form of password", "access: {users: {a: {password: !Md5 hush}}}\n",
			`f:1:32: access.users."a".password: not a password (want !Plain TEXT,`},
		{"sha1", "access: {users: {a: {password: !Sha1 hush}}}\n",
			`f:1:32: access.users."a".password: not a SHA1 (want 40 hex digits)`},
		{"argon2", "access: {users: {a: {password: $argon2id$hush}}}\n",
			`f:1:32: access.users."a".password: not an argon2id hash (want $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH)`},
		{"argon2 that takes all", "access: {users: {a: {password: " +
			"'$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'}}}\n",
			`f:1:32: access.users."a".password: an argon2id hash that takes too much (want at most m=131072, t=16, p=16)`},
		{"no name of a certificate", "access: {users: {a: {certificates: [eva]}}}\n",
			`f:1:37: access.users."a".certificates[1]: invalid name of a certificate "eva" (want sha256:HEX, cn:NAME,`},
		{"no fingerprint", "access: {users: {a: {certificates: ['sha256:00']}}}\n", `64 hex digits`},
		{"same certificate", "access:\n  users:\n    a: {certificates: ['cn:x']}\n    b: {certificates: ['cn:x']}\n",
			`f:4:5: access.users."b": certificate cn:x belongs to user "a" too`},
		{"short token", "access: {users: {a: {tokens: [hush]}}}\n",
			`f:1:31: access.users."a".tokens[1]: a token of 4 characters is too short (want at least 16)`},
		{"same token", "access:\n  users:\n    a: {tokens: [hush-hush-hush-hush]}\n    b: {tokens: [hush-hush-hush-hush]}\n",
			`f:4:5: access.users."b": a token belongs to user "a" too`},
		{"expires", "access: {users: {a: {password: !Plain x, expires: soon}}}\n",
			`f:1:51: access.users."a".expires: invalid time "soon" (want one such as 2027-12-31T23:59:59Z)`},
		{"method of a rule", "access: {roles: {r: {access: [{pathPattern: 'a/**', method: [get], role: su}]}}}\n",
			`f:1:61: access.roles."r".access[1].method: not a single value (want one text)`},
		{"grant twice", "access: {roles: {r: {access: [{shvRI: 'a/**:*', grant: rd, accessLevel: su}]}}}\n",
			`f:1:60: access.roles."r".access[1].accessLevel: the same as grant, which the rule has already (want one of`},
		{"network", "access: {users: {a: {password: !Plain x, allowed-ips: [10.0.0.0/99]}}}\n",
			`f:1:56: access.users."a".allowed-ips[1]: invalid network "10.0.0.0/99" (want one such as 10.0.0.0/8 or 19`},
		{"rule", "access:\n  roles:\n    r:\n      access:\n      - \"**:*\"\n",
			`f:5:9: access.roles."r".access[1]: not a map (want {shvRI: "test/**:*", grant: rd})`},
		{"no RI", "access: {roles: {r: {access: [{grant: rd}]}}}\n",
			`f:1:31: access.roles."r".access[1]: no shvRI (want {shvRI: "test/**:*", grant: rd})`},
		{"no grant", "access: {roles: {r: {access: [{shvRI: '**:*'}]}}}\n",
			`f:1:31: access.roles."r".access[1]: no grant (want {shvRI: "test/**:*", grant: rd})`},
		{"grant", "access: {roles: {r: {access: [{shvRI: '**:*', grant: read}]}}}\n",
			`f:1:54: access.roles."r".access[1].grant: invalid grant "read" (want bws, rd, wr, cmd, cfg, srv, ssrv,`},
		{"RI", "access: {roles: {r: {access: [{shvRI: 'a/[b:*', grant: rd}]}}}\n",
			`f:1:39: access.roles."r".access[1].shvRI: invalid pattern "a/[b": [ without ]`},
		{"RI of four", "access: {roles: {r: {access: [{shvRI: 'a:b:c:d', grant: rd}]}}}\n",
			`f:1:39: access.roles."r".access[1].shvRI: invalid resource identifier "a:b:c:d" (want PATH:METHOD:SIGNAL)`},
		{"mount points", "access: {roles: {r: {mount-points: ['a/[b']}}}\n",
			`f:1:37: access.roles."r".mount-points[1]: invalid pattern "a/[b": [ without ]`},
		{"cycle", "access:\n  roles:\n    a: {roles: [b]}\n    b: {roles: [a]}\n",
			`f:4:5: access.roles."b": roles that include themselves: a includes b includes a`},
		{"mount", "access: {mounts: {id: {}}}\n",
			`f:1:23: access.mounts."id": no mountPoint (want a path such as plant/pump7)`},
		{"entry of nothing", "access:\n  users:\n    a:\n", `f:3:5: access.users."a": no value (want a map)`},
		{"name with an escape", "access: {users: {\"\\e[31m\": {password: !Plain x}}}\n",
			`f:1:18: access.users: a key: a control character or more than one line (want one line)`},
		{"policy", "policies: {r: {allowed_mount: [a]}}\n",
			`f:1:16: policies."r".allowed_mount: unknown key (want allowed_ip, can_mount_via_device_id or allowed_mounts)`},
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
				if !strings.HasPrefix(line, "f:") || strings.ContainsFunc(line, unicode.IsControl) ||
					strings.Contains(line, "hush") {
					t.Errorf("line %q", line)
				}
			}
		})
	}
}

func TestAnInvalidURLIsOneFault(t *testing.T) {
	file := write(t, "f", "listen:\n- url: x\n")
	const want = ":2:8: listen[1].url: invalid URL x (want one such as tcp://127.0.0.1:3755)"
	if _, err := config.Load(config.Sources{File: file}); err == nil || err.Error() != file+want {
		t.Errorf("got  %v\nwant %s%s", err, file, want)
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
		{"user", "users.cpon", "{\n  \"a\": {\"pasword\": 1}\n}",
			`users.cpon:2:3: access.users."a".pasword: unknown key (want password, roles,`},
		{"form", "users.cpon", "{\n  \"a\": {\"password\": {\"format\": \"MD5\", \"password\": \"hush\"}}\n}",
			`users.cpon:2:3: access.users."a".password: not a password (want !Plain TEXT, !Sha1 HEX,`},
		{"twice", "users.cpon", "{\n  \"a\": {\"password\": {\"format\": \"PLAIN\", \"password\": \"x\"}}\n  \"a\": {}\n}",
			`users.cpon:3:3: access.users."a": the entry is at `},
		{"rule", "access.cpon", "{\n\n\"r\": [{\"method\": \"\", \"role\": \"rd\"}]\n}",
			`access.cpon:3:1: access.roles."r"[1]: no shvRI (want {shvRI: "test/**:*", grant: rd})`},
		{"grant", "access.cpon", "{\"r\": [{\"method\": \"\", \"pathPattern\": \"**\", \"role\": \"read\"}]}",
			`access.cpon:1:2: access.roles."r"[1].role: invalid grant "read" (want bws, rd, wr, cmd, cfg, srv,`},
		{"blob", "mounts.cpon", "{\"d\": b\"x\"}",
			`mounts.cpon:1:2: access.mounts."d": a value of an unexpected type (want a String, Bool, Int or DateTime)`},
		{"number", "mounts.cpon", "{1: \"x\"}", `mounts.cpon:1:2: access.mounts: a key: the number 1 (want a name)`},
		{"cycle", "roles.cpon", "{\"a\": {\"roles\": [\"b\"]}\n\"b\": {\"roles\": [\"a\"]}}",
			`roles.cpon:2:1: access.roles."b": roles that include themselves: a includes b includes a`},
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
	if _, err := config.Load(config.Sources{File: file, Dir: "testdata/cpp"}); err == nil ||
		!strings.Contains(err.Error(), "one place only") {
		t.Errorf("rights from two places: %v", err)
	}
	if _, err := config.Load(config.Sources{Dir: "testdata/none"}); err == nil {
		t.Error("a directory that is not there")
	}
	if _, err := config.Load(config.Sources{File: "testdata/none.yaml"}); err == nil ||
		strings.Count(err.Error(), "none.yaml") != 1 {
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
	for _, text := range []string{"access: {users: {a: !Plain x}}", "access: {roles: {a: {access: [!x {}]}}}",
		"listen: [{url: ''}]", "policies: {a: }"} {
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
		if err := c.Print(new(strings.Builder), false); err != nil {
			t.Error(err)
		}
	})
}
