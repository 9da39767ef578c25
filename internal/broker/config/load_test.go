package config_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
	"shvtools/internal/broker/limits"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
)

func itoa(n int) string { return strconv.Itoa(n) }

func load(t testing.TB, s config.Sources) *config.Config {
	t.Helper()
	c, err := config.Load(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func letsIn(c *config.Config, user, password, from string) bool {
	a := auth.Attempt{User: user, Password: password, Type: login.Plain, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	if from != "" {
		a.From = netip.MustParseAddr(from)
	}
	_, err := auth.NewStore(c.Directory).Check(nil, a)
	return err == nil
}

func levels(t *testing.T, c *config.Config, user string, want map[string]rpc.Access) {
	t.Helper()
	u := c.Directory.User(user)
	if u == nil {
		t.Fatalf("no user %s", user)
	}
	for ri, level := range want {
		path, method, _ := strings.Cut(ri, ":")
		if got := u.Level([]byte(path), []byte(method)); got != level {
			t.Errorf("%s for %s: %d, want %d", ri, user, got, level)
		}
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	c := load(t, config.Sources{File: "testdata/whole.yaml"})
	want := limits.Limits{
		MaxFrame: 1 << 20, LoginFrame: 32 << 10, Connections: 100, Unauthenticated: 50, UnauthenticatedPerSource: 10,
		Handshakes: 3, QueueBytes: 2 << 20, QueueTotal: 64 << 20, FramesTotal: 32 << 20, DevicesPerUser: 500,
		WriteStall: time.Minute, FrameStall: 7 * time.Second,
		LoginDeadline: 5 * time.Second,
		// No configuration sets these.
		LoginPenalty: limits.DefaultLoginPenalty, Work: limits.Default().Work, WorkPerUser: limits.Default().WorkPerUser,
	}
	if c.Limits != want || c.Name != "broker.local" || !c.AllowPlaintext ||
		c.AccessFile != "/var/lib/shvbroker/access.yaml" || c.Development {
		t.Errorf("%+v", c)
	}
	var listen []string
	for _, l := range c.Listen {
		listen = append(listen, fmt.Sprint(l.URL, " ", l.Cert, " ", l.Key, " ", l.ClientCA, " ", l.CRL, " ",
			l.RequireClientCert, " ", l.Socket, " ", l.At))
	}
	if got := fmt.Sprintf("[{%s}]", strings.Join(listen, "} {")); got !=
		"[{tcp://127.0.0.1:3755     false  testdata/whole.yaml:4:10} "+
			"{ssl://0.0.0.0:3756 testdata/cert.pem /etc/shv/key.pem testdata/devices.pem /etc/shv/crl.pem true shv "+
			"testdata/whole.yaml:5:10}]" {
		t.Errorf("listen %s", got)
	}
	levels(t, c, "eva", map[string]rpc.Access{
		"test/closed/a:get": rpc.AccessNone, "test/a:set": rpc.AccessWrite, "test/a:reset": rpc.AccessNone,
		"x:get": rpc.AccessRead, "x:set": rpc.AccessNone,
	})
	up := c.Connections[0]
	if got := fmt.Sprint(up.Name, " ", up.URL, " ", up.User, " ", up.PasswordFile, " ", up.MountPoint, " ",
		up.DeviceID, " ",
		up.Root, " ", up.Heartbeat, " ", up.Reconnect, " ", up.At, " ", len(c.Connections), " ", c.Advertise,
	); got != "headquarters ssl://hq.example.com:3756 plant-7 testdata/secret sites/plant7 serial-9 "+
		"shv/plant 1m30s 30s testdata/whole.yaml:29:5 1 [tcp://plant.example.com:3755 ssl://plant.example.com:3756]" {
		t.Errorf("connections and addresses %s", got)
	}
	if up := up.URL; up.CA != "testdata/hq.pem" || up.Cert != "testdata/own.pem" ||
		up.Key != "/etc/shv/of-the-url" || up.CRL != "testdata/hq.crl" {
		t.Errorf("certificates of a connection: %+v", up)
	}
	if got := fmt.Sprint(c.Access.Users["eva"].Certificates); got != "[cn:eva]" {
		t.Errorf("certificates of eva %s", got)
	}
	if got := fmt.Sprint(c.Access.Users["eva"].Networks); got != "[10.0.0.0/8 ::1/128 192.168.0.0/16 192.168.7.1/32]" {
		t.Errorf("addresses of eva %s", got) // a v4 peer of a v6 listener is compared as v4
	}
	eva := c.Directory.User("eva")
	for path, want := range map[string]bool{"desk/a": true, "test/a/b": true, "x": false} {
		if eva.MayMount([]byte(path)) != want {
			t.Errorf("mount at %s: %v", path, !want)
		}
	}
	if eva.Share != 4 {
		t.Errorf("share %d", eva.Share)
	}
	if at, ok := c.Directory.DeviceMount("serial-7"); !ok || at != "plant/pump7" || !eva.ByDeviceID {
		t.Errorf("device at %q", at)
	}
	if !letsIn(c, "eva", "hush-eva", "10.1.1.1") || letsIn(c, "eva", "hush-eva", "11.1.1.1") ||
		eva.Expires.Year() != 2030 {
		t.Error("eva's limits are not read")
	}
	if _, err := auth.NewStore(c.Directory).Check(nil, auth.Attempt{Type: login.Token, Token: "hush-hush-hush-hush",
		From: netip.MustParseAddr("10.0.0.1")}); err != nil {
		t.Errorf("token: %v", err)
	}
}

func TestTheRustBrokersFileLoadsAsItIs(t *testing.T) {
	c := load(t, config.Sources{File: "testdata/shvbroker-rs.yaml"})
	for user, password := range map[string]string{"admin": "admin", "tester": "tester", "viewer": "viewer",
		"child-broker": "child-broker"} {
		if !letsIn(c, user, password, "127.0.0.1") {
			t.Errorf("%s is not let in", user)
		}
	}
	if letsIn(c, "child-broker", "child-broker", "10.0.0.1") {
		t.Error("the policy's addresses do not count")
	}
	levels(t, c, "admin", map[string]rpc.Access{"a/b:c": rpc.AccessSuper})
	levels(t, c, "tester", map[string]rpc.Access{"test/a:x": rpc.AccessConfig, ".app:ping": rpc.AccessWrite,
		"a:ls": rpc.AccessBrowse, ".broker/currentClient:info": rpc.AccessWrite})
	for user, want := range map[string]string{"admin": "true true", "tester": "true false", "child-broker": "true true",
		"viewer": "false false"} {
		u := c.Directory.User(user)
		if got := fmt.Sprint(u.MayMount([]byte("test/x")), " ", u.ByDeviceID); got != want {
			t.Errorf("%s may mount in test, by id: %s, want %s", user, got, want)
		}
	}
	if got := strings.Join(c.Warnings, "\n"); !strings.Contains(got,
		"testdata/shvbroker-rs.yaml:137:1: trusted_user_ids_role: not used by this broker") ||
		strings.Contains(got, "connections") || strings.Contains(got, "tunnelling") {
		t.Errorf("warnings:\n%s", got)
	}
	if got := auth.WellKnown(c.Access); len(got) != 4 {
		t.Errorf("well-known passwords: %v", got)
	}
}

func TestTheCPlusPlusBrokersDirectory(t *testing.T) {
	c := load(t, config.Sources{Dir: "testdata/cpp"})
	for user, password := range map[string]string{"iot": "lub42DUB", "tester": "tester", "old": "old-secret"} {
		if !letsIn(c, user, password, "10.0.0.1") {
			t.Errorf("%s is not let in", user)
		}
	}
	levels(t, c, "iot", map[string]rpc.Access{"test/closed/a:x": rpc.AccessRead, "a:get": rpc.AccessRead,
		"a:set": rpc.AccessBrowse, ".broker/app:ping": rpc.AccessWrite})
	levels(t, c, "tester", map[string]rpc.Access{"test/closed/a:x": rpc.AccessConfig, "b:get": rpc.AccessRead})
	u := c.Directory.User("iot")
	if at, _ := c.Directory.DeviceMount("short"); at != "sites" || !u.ByDeviceID || !u.MayMount([]byte("test/x")) ||
		u.MayMount([]byte("x")) {
		t.Error("mounts are not those of the C++ broker")
	}
	if len(c.Warnings) != 1 ||
		!strings.Contains(c.Warnings[0], `roles.cpon:2:2: access.roles."iot".weight: not used by this broker`) {
		t.Errorf("warnings: %q", c.Warnings)
	}
}

func TestWhatHasNoEffectIsToldWithItsPlace(t *testing.T) {
	c := load(t, config.Sources{File: write(t, "f",
		`connections: [{name: up, enabled: true, connection_settings: {imported_shv_root: x}, client: {url: "ssl://h", `+
			`mount: m}}, {name: off, client: {url: "can:x"}}]
tunnelling: {enabled: true}
listen: [{url: "tcp://127.0.0.1:0"}, {url: "can://x:1"}]
access:
  users: {a: {password: !Plain "", roles: [ghost]}}
  roles:
    r: {access: [{shvRI: "test/**:*:*", grant: su}], profile: {x: 1}}
`)})
	for _, want := range []string{
		"f:1:63: connections[1].connection_settings.imported_shv_root: not used", "f:2:1: tunnelling: not used",
		"f:3:44: listen[2].url: the broker does not listen on can://x:1",
		`f:5:25: access.users."a".password: the password is empty`, `f:5:11: access.users."a": there is no role "ghost"`,
		`f:7:26: access.roles."r".access[1].shvRI: the rule has no effect`, `f:7:54: access.roles."r".profile: not used`,
	} {
		if !strings.Contains(strings.Join(c.Warnings, "\n"), want) {
			t.Errorf("no %q in %q", want, c.Warnings)
		}
	}
	if len(c.Warnings) != 7 || len(c.Listen) != 1 {
		t.Errorf("%d warnings: %q", len(c.Warnings), c.Warnings)
	}
}

func TestTheDevelopmentUserServesOnlyWhereNoFileIsRead(t *testing.T) {
	if c := load(t, config.Sources{}); !c.Development ||
		!letsIn(c, login.DevelopmentUser, login.DevelopmentPassword, "127.0.0.1") {
		t.Error("the development user does not serve")
	}
	if c := load(t, config.Sources{File: write(t, "f", "access: {users: {}}\n")}); c.Development ||
		letsIn(c, login.DevelopmentUser, login.DevelopmentPassword, "127.0.0.1") {
		t.Error("the development user serves beside configured ones")
	}
	for _, s := range []config.Sources{
		{File: write(t, "f", "limits: {connections: 7}\n")}, {File: write(t, "f", "# nothing\n")},
		{File: write(t, "f", "access: null\n")}, {File: write(t, "f", "access:\n")}, {File: write(t, "f", "access: ~\n")},
		{AccessFile: write(t, "f", "users: {eva: {password: !Plain x}}\n")},
		{AccessFile: filepath.Join(t.TempDir(), "none")},
	} {
		if c, err := config.Load(s); err == nil {
			t.Errorf("%+v is loaded, development %v", s, c.Development)
		}
	}
}

func TestTheAccessFileIsOverTheConfiguration(t *testing.T) {
	changes := write(t, "access.yaml", `
users:
  eva: {password: !Plain other, roles: [viewer]}
  new: {password: !Plain new}
roles:
  operator: null
mounts: {serial-7: }
`)
	c := load(t, config.Sources{File: "testdata/whole.yaml", AccessFile: changes})
	if letsIn(c, "eva", "hush-eva", "10.1.1.1") || !letsIn(c, "eva", "other", "10.1.1.1") || !letsIn(c, "new", "new", "") {
		t.Error("users are not those of the access file")
	}
	if letsIn(c, "eva", "other", "11.1.1.1") {
		t.Error("an entry of the access file lifts a bound of the configuration")
	}
	if _, ok := c.Access.Roles["operator"]; ok || len(c.Access.Devices) != 0 {
		t.Errorf("removed entries are there: %v", c.Access)
	}
	missing := filepath.Join(t.TempDir(), "none")
	if c := load(t, config.Sources{File: "testdata/whole.yaml", AccessFile: missing}); !letsIn(c, "eva", "hush-eva",
		"10.1.1.1") {
		t.Error("an access file that is not there yet changes something")
	}
	broken := write(t, "access.yaml", "users:\n  eva: {password: x}\n")
	if _, err := config.Load(config.Sources{File: "testdata/whole.yaml", AccessFile: broken}); err == nil ||
		!strings.Contains(err.Error(), broken+":2:19: ") {
		t.Errorf("broken: %v", err)
	}
}

func TestPrintShowsSourcesAndNoSecrets(t *testing.T) {
	c := load(t, config.Sources{File: "testdata/whole.yaml", AccessFile: write(t, "access.yaml",
		"mounts: {x: {mountPoint: y}}\n")})
	var b strings.Builder
	if err := c.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"name: broker.local  # testdata/whole.yaml:2:1\n", "limits.frame: 1MiB  # testdata/whole.yaml:15:3\n",
		`access.users."eva": {`, `"password":{"Plain":"(hidden)"}`, "access.yaml:1:10\n",
		"listen[1].url: tcp://127.0.0.1:3755  # testdata/whole.yaml:4:10\n",
		"listen[2].url: ssl://0.0.0.0:3756  # testdata/whole.yaml:5:10\n",
		"listen[2].cert: testdata/cert.pem  # testdata/whole.yaml:6:5\n",
		"listen[2].key: /etc/shv/key.pem  # testdata/whole.yaml:7:5\n",
		"listen[2].client-ca: testdata/devices.pem  # testdata/whole.yaml:8:5\n",
		"listen[2].crl: /etc/shv/crl.pem  # testdata/whole.yaml:9:5\n",
		"listen[2].require-client-cert: true  # testdata/whole.yaml:10:5\n",
		"listen[2].socket: shv  # testdata/whole.yaml:11:5\n",
		"allow-plaintext: true  # testdata/whole.yaml:12:1\n", "access-file: ",
		"connections.\"headquarters\".ca: testdata/hq.pem  # ", "connections.\"headquarters\".verify: true  # default\n",
		"connections.\"headquarters\".key: /etc/shv/of-the-url  # ", "connections.\"headquarters\".crl: testdata/hq.crl  # ",
		"connections.\"headquarters\".password-file: testdata/secret  # testdata/whole.yaml:43:7\n",
		"connections.\"headquarters\".exported_shv_root: shv/plant  # ",
		"connections.\"headquarters\".heartbeat_interval: 1m30s  # ", "drain.grace: 10s  # default\n",
		"metrics.listen: (none)  # default\n",
		`"expires":"2030-01-01T00:00:00Z"`, `"allowed-ips":["10.0.0.0/8"`, `"certificates":["cn:eva"]`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "hush") {
		t.Errorf("a secret in\n%s", &b)
	}
	b.Reset()
	if err := load(t, config.Sources{}).Print(&b, false); err != nil ||
		!strings.Contains(b.String(), "limits.frame: 16MiB  # default\n") ||
		strings.Contains(b.String(), login.DevelopmentPassword) {
		t.Errorf("%v\n%s", err, &b)
	}
}

// Each key has its source, and --check-config its text, but for those of no effect.
func TestFlagsTakePrecedenceAndEachSettingIsExplained(t *testing.T) {
	flags := map[string][]string{
		"listen": {"ssl://127.0.0.1:1", "unix:/s?mode=660"}, "tls-cert": {"c.pem"}, "tls-key": {"k.pem"},
		"metrics-listen": {"socket:m"}, "drain-grace": {"5"}, "allow-plaintext": {"false"},
	}
	s := config.Sources{File: "testdata/whole.yaml", AccessFile: "/nonexistent/access.yaml",
		Flag: func(name string) ([]string, bool) {
			values, ok := flags[name]
			return values, ok
		}}
	c := load(t, s)
	if len(c.Listen) != 2 || c.Listen[0].Cert != "c.pem" || c.AllowPlaintext ||
		c.Operation != (config.Operation{Metrics: "socket:m", Grace: 5 * time.Second}) {
		t.Errorf("%+v", c)
	}
	var b strings.Builder
	if err := c.Print(&b, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"listen[1].url: ssl://127.0.0.1:1  # --listen; where it listens\n", "listen[1].cert: c.pem  # --tls-cert\n",
		"listen[1].client-ca: (none)  # default\n",
		"listen[2].url: unix:/s  # --listen\n", "listen[2].mode: 660  # --listen\n",
		"drain.grace: 5s  # --drain-grace; how long", "(0s to 1h)\n",
		"allow-plaintext: false  # --allow-plaintext; listen without TLS",
		"access-file: /nonexistent/access.yaml  # --access-file; ",
		"limits.frame: 1MiB  # testdata/whole.yaml:15:3; ",
		"(64KiB to 256MiB)\n", "access.users: 1  # ", "access.roles: 2  # ", "access.mounts: 1  # ",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	flags["drain-grace"], flags["metrics-listen"], flags["listen"] = []string{"2h"}, []string{"x"}, []string{"http://x"}
	_, err := config.Load(s)
	if want := "--listen: URL http://x: scheme"; err == nil || !strings.Contains(err.Error(), want) ||
		strings.Count(err.Error(), "\n") != 2 ||
		!strings.Contains(err.Error(), "--drain-grace: duration 2h is out of range (want 0s to 1h)") ||
		!strings.Contains(err.Error(), `--metrics-listen: invalid address "x"`) {
		t.Errorf("%v", err)
	}
}

func TestListsOfRolesAreNotMixedUp(t *testing.T) {
	dir := t.TempDir()
	users := `{"a": {"password": {"format": "PLAIN", "password": "x"}, "roles": ["r\ns"]},
	"b": {"password": {"format": "PLAIN", "password": "x"}, "roles": ["r", "s"]}}`
	if err := os.WriteFile(filepath.Join(dir, "users.cpon"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	c := load(t, config.Sources{Dir: dir})
	if a, b := c.Access.Users["a"].Roles, c.Access.Users["b"].Roles; len(a) != 1 || len(b) != 2 {
		t.Errorf("roles %q and %q", a, b)
	}
}

func TestAnEmptyListOfNetworksIsWarnedOf(t *testing.T) {
	file := write(t, "f", "access: {users: {a: {password: !Plain x, allowed-ips: []}}}\n")
	c := load(t, config.Sources{File: file})
	if got := strings.Join(c.Warnings, "\n"); !strings.Contains(got,
		`:1:55: access.users."a".allowed-ips: an empty list: the user may come from anywhere`) {
		t.Errorf("warnings: %q", got)
	}
}

func TestFaultsOfFileAndFlagsAreReportedTogether(t *testing.T) {
	file := write(t, "f", "drain: {grace: 5x}\n")
	_, err := config.Load(config.Sources{File: file, Flag: func(name string) ([]string, bool) {
		return []string{"9h"}, name == "drain-spread"
	}})
	want := file + `:1:16: drain.grace: invalid duration "5x" (want 90, 90s or 1m30s)` +
		"\n--drain-spread: duration 9h is out of range (want 0s to 1h)"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestFilesOfTrustWithoutTLSAreWarnedOf(t *testing.T) {
	file := write(t, "f", "connections: [{name: up, enabled: true, client: {url: 'tcp://h', mount: a, ca: c}}]\n"+
		"access: {}\n")
	c := load(t, config.Sources{File: file})
	if got := strings.Join(c.Warnings, "\n"); !strings.Contains(got,
		`:1:49: connections[1].client: ca, cert, key and crl have no effect on tcp (want ssl or wss)`) {
		t.Errorf("warnings: %q", got)
	}
}

// Everyone on the path could be the parent broker, which may call everything here.
func TestConnectionsUpwardsStayOnThisMachineUnlessAllowed(t *testing.T) {
	const connection = "connections: [{name: up, enabled: true, client: {url: %q, mount: m%s}}]\n" +
		"access: {}\n"
	for _, tt := range []struct{ url, fault, warning string }{
		{"tcp://10.0.0.1", "tcp is not encrypted, and 10.0.0.1 is not on this machine", ""},
		{"ws://10.0.0.1", "ws is not encrypted", ""},
		{"tcps://[2001:db8::1]", "tcps is not encrypted", ""},
		{"tcp://0.0.0.0", "tcp is not encrypted", ""},
		{"tcp://broker", "", "tcp://broker:3755 is not encrypted and refused whenever"},
		{"ssl://10.0.0.1", "", ""},
		{"10.0.0.1", "", ""}, // ssl
		{"wss://broker", "", ""},
		{"tcp://127.0.0.1", "", ""},
		{"localhost", "", ""},
		{"unix:/s?owner=root", "", ""},
	} {
		file := write(t, "f", fmt.Sprintf(connection, tt.url, ""))
		c, err := config.Load(config.Sources{File: file})
		const at = `f:1:55: connections[1].client.url: `
		switch {
		case tt.fault != "":
			if err == nil || !strings.Contains(err.Error(), at+tt.fault) ||
				!strings.HasSuffix(err.Error(), "or set allow-plaintext: true beside the URL") {
				t.Errorf("%s: %v, want %s", tt.url, err, tt.fault)
			}
		case err != nil, len(c.Warnings) > 0 != (tt.warning != ""),
			!strings.Contains(strings.Join(c.Warnings, "\n"), tt.warning):
			t.Errorf("%s: %v, want %q", tt.url, err, tt.warning)
		case c.Connections[0].URL.AllowPlaintext:
			t.Errorf("%s is allowed", tt.url)
		}
		// The key of listeners is not one of connections.
		all := "allow-plaintext: true\n" + fmt.Sprintf(connection, tt.url, "")
		if _, err := config.Load(config.Sources{File: write(t, "f", all)}); (err == nil) != (tt.fault == "") {
			t.Errorf("%s, with plaintext for listeners: %v", tt.url, err)
		}
		allowed := write(t, "f", fmt.Sprintf(connection, tt.url, ", allow-plaintext: true"))
		if c := load(t, config.Sources{File: allowed}); !c.Connections[0].URL.AllowPlaintext || len(c.Warnings) > 0 {
			t.Errorf("%s, allowed: %+v, %q", tt.url, c.Connections[0].URL, c.Warnings)
		}
	}
}

func TestPasswordThatEverybodyCanReadIsWarnedOf(t *testing.T) {
	const connection = "connections: [{name: up, enabled: true, client: {url: 'ssl://eva:hush@h', mount: m}}]\n" +
		"access: {}\n"
	file := write(t, "f", connection)
	for mode, warned := range map[os.FileMode]bool{0o640: false, 0o644: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		c := load(t, config.Sources{File: file})
		if len(c.Warnings) > 0 != warned || strings.Contains(fmt.Sprint(c.Warnings), "hush") {
			t.Errorf("%o: %q", mode, c.Warnings)
		}
	}
}
