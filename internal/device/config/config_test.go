package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/device/config"
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/rpc"
)

const sample = `connection:
  url: [tcp://a:1, tcp://pump@b]
  user: device
  password-file: /etc/shv/password
  mount: site/pump7
  heartbeat: 30s
drain: 45s
sessions: {total: 10, per-user: 2}
defaults: {umask: 027, idle: 10m}
rules:
  - name: operators
    users: [eva, "ops-*"]
    level: cmd
    commands: [uptime, systemctl status *, [echo, a b]]
    run-as: pump
    groups: [dialout]
    dir: ~/work
    time: 1h
    resources: {nofile: 64, nproc: 20}
  - {level: su, idle: 0s}
  - {use: [shell], force: /usr/bin/menu, env: []}
  - {deny: true}
`

func write(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "shvagent.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// sources are a file, flags and an environment, as "name=value".
func sources(file string, flags, environ map[string]string) config.Sources {
	return config.Sources{
		File: file,
		Flag: func(name string) ([]string, bool) {
			v, ok := flags[name]
			return []string{v}, ok
		},
		LookupEnv: func(name string) (string, bool) {
			v, ok := environ[name]
			return v, ok
		},
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	c, err := config.Load(sources(write(t, sample), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.URLs) != 2 || c.URLs[1].User != "pump" || c.User != "device" || c.Mount != "site/pump7" ||
		c.Heartbeat != 30*time.Second || c.Drain != 45*time.Second || c.Total != 10 || c.PerUser != 2 {
		t.Errorf("%+v", c)
	}
	p := c.Policy
	if len(p.Rules) != 4 || p.Rules[0].At != "shvagent.yaml:11" {
		t.Fatalf("%+v", p.Rules)
	}
	g, err := p.Judge(policy.Ask{User: "ops-1", Level: rpc.AccessCommand, Wanted: policy.Wanted{Use: policy.Commands,
		Line: "echo 'a b'"}})
	if err != nil || g.User != "pump" || g.Umask != 0o27 || g.Dir != "~/work" || g.Idle != 10*time.Minute ||
		g.Total != time.Hour || g.Resources["nofile"] != 64 || len(g.Group) != 1 {
		t.Errorf("%+v, %v", g, err)
	}
	g, err = p.Judge(policy.Ask{Level: rpc.AccessSuper, Wanted: policy.Wanted{Use: policy.Shell}})
	if err != nil || g.Idle != 0 || g.Umask != 0o27 || g.User != "" || len(g.Env) == 0 {
		t.Errorf("%+v, %v", g, err)
	}
	if _, err = p.Judge(policy.Ask{User: "x", Level: rpc.AccessCommand,
		Wanted: policy.Wanted{Use: policy.SFTP}}); err == nil || !strings.Contains(err.Error(), "shvagent.yaml:22") {
		t.Errorf("denied by %v", err)
	}
}

// Before there was one reader, the agent took neither a bare number for a time nor
// sizes with other programs' units.
func TestUnitsAreThoseOfAllPrograms(t *testing.T) {
	t.Parallel()
	c, err := config.Load(sources(write(t, "connection: {heartbeat: 90, timeout: 1m 30s}\nfiles: {max-file: 64KiB}\n"+
		"commands: {output: 64k}\nconn-status-update-interval: 5\nrules: [{resources: {as: 1GiB, cpu: 7}}]\n"), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if c.Heartbeat != 90*time.Second || c.Timeout != 90*time.Second || c.Files.Max != 64<<10 ||
		c.Commands.Output != 64<<10 || c.StatusEvery != 5*time.Second {
		t.Errorf("%+v", c)
	}
	if got := c.Policy.Rules[0].Limits.Resources; got["as"] != 1<<30 || got["cpu"] != 7 {
		t.Errorf("%v", got)
	}
}

func TestWhatDecidesOnTrustIsPrinted(t *testing.T) {
	t.Parallel()
	c, err := config.Load(sources(write(t,
		"connection: {url: ['ssl://hush:hush-hush@a?ca=/ca.pem&verify=false', tcp://b]}\n"), nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"connection.url: ssl://a:3756 tcp://b:3755  # ", "connection.url[1].ca: /ca.pem  # /",
		"connection.url[1].verify: false  # /",
		"connection.url[1].cert: (none)  # default\n", "connection.url[1].key: (none)  # default\n",
		"connection.url[1].crl: (none)  # default\n",
		"connection.url[1].password: (hidden)  # /", "connection.url[2].allow-plaintext: false  # default\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	if strings.Contains(b.String(), "hush-hush") || strings.Contains(b.String(), "url[2].ca") {
		t.Errorf("a secret, or too much, in\n%s", &b)
	}
}

// Each broker has its own: what is allowed for one must not open another.
func TestPlaintextIsAllowedForEachBrokerAlone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		file, flag, env string
		want            string // for a, b, c
		fault           string
	}{
		{"connection: {url: ['tcp://a', {url: 'tcp://b', allow-plaintext: true}, {url: 'tcp://c'}]}", "", "",
			"false true false", ""},
		{"connection: {allow-plaintext: true, url: ['tcp://a', {url: 'tcp://b', allow-plaintext: false}, {url: 'tcp://c'}]}",
			"", "", "true false true", ""},
		{"connection: {url: ['tcp://a', {url: 'tcp://b', allow-plaintext: false}, 'tcp://c'], allow-plaintext: true}",
			"", "", "true false true", ""},
		{"connection: {url: ['tcp://a', {url: 'tcp://b', allow-plaintext: false}]}", "true", "", "true true", ""},
		{"connection: {url: ['tcp://a', {url: 'tcp://b', allow-plaintext: true}]}", "", "0", "false false", ""},
		{"connection: {url: ['tcp://a', {url: 'tcp://b', allow-plaintext: false}]}", "", "1", "true true", ""},
		{"connection: {allow-plaintext: true, url: 'tcp://a'}", "false", "1", "false", ""},
		{"connection: {allow-plaintext: true, url: 'tcp://a'}", "", "", "true", ""},
		{"connection: {url: {url: 'tcp://a', allow-plaintext: true}}", "", "", "true", ""},
		{"connection: {allow-plaintext: yes, url: 'tcp://a'}", "", "", "",
			`1:31: connection.allow-plaintext: invalid value "yes" (want true or false)`},
		{"connection: {url: [{allow-plaintext: true}]}", "", "", "", `1:20: connection.url[1]: no url`},
		{"connection: {url: [{url: 'tcp://a', alow-plaintext: true}]}", "", "", "", `unknown key`},
		{"connection: {url: 'tcp://a'}", "", "maybe", "", `$SHV_ALLOW_PLAINTEXT: invalid value "maybe"`},
		{"allow-plaintext: true", "", "", "", "unknown key"},
	} {
		flags := map[string]string{}
		if tt.flag != "" {
			flags["allow-plaintext"] = tt.flag
		}
		c, err := config.Load(sources(write(t, tt.file+"\n"), flags, map[string]string{"SHV_ALLOW_PLAINTEXT": tt.env}))
		if err != nil || tt.fault != "" {
			if tt.fault == "" || err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v, want %s", tt.file, err, tt.fault)
			}
			continue
		}
		var got []string
		for _, u := range c.URLs {
			got = append(got, fmt.Sprint(u.AllowPlaintext))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s, flag %q, variable %q: %v, want %s", tt.file, tt.flag, tt.env, got, tt.want)
		}
	}
}

func TestWhatGoesBeforeWhat(t *testing.T) {
	t.Parallel()
	file := write(t, sample)
	flags, environ := map[string]string{"mount": "a/b", "heartbeat": "5s"}, map[string]string{"SHV_URL": "tcp://env:9",
		"SHV_USER": ""}
	c, err := config.Load(sources(file, flags, environ))
	if err != nil {
		t.Fatal(err)
	}
	if c.Mount != "a/b" || c.Heartbeat != 5*time.Second || c.URLs[0].Host != "env" || len(c.URLs) != 1 ||
		c.User != "device" {
		t.Errorf("%+v", c)
	}
	if !c.FromFile("connection.user") || c.FromFile("connection.url") || c.FromFile("connection.mount") ||
		c.FromFile("connection.device-id") {
		t.Error("the sources are wrong")
	}
	for explain, parts := range map[bool][]string{
		false: {"connection.url: tcp://env:9  # $SHV_URL\n", "connection.mount: a/b  # --mount\n",
			"drain: 45s  # " + file + ":7:1\n", "connection.timeout: 10s  # default\n"},
		true: {"drain: 45s  # " + file + ":7:1; how long",
			`rule "operators" (shvagent.yaml:11): eva, ops-* with the level cmd or above may use commands; commands only ` +
				`"uptime", "systemctl status *"`,
			`rule "4" (shvagent.yaml:22): everybody may not use shell`,
			"as user pump; with the groups dialout; umask 027; in ~/work; idle for 10m at most; for 1h at most; nofile 64; " +
				"nproc 20",
			`what runs is always "/usr/bin/menu", and files are refused; umask 027; idle for 10m at most; clients may set no ` +
				`variables`},
	} {
		var b strings.Builder
		if err := c.Print(&b, explain); err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			if !strings.Contains(b.String(), part) {
				t.Errorf("no %q in\n%s", part, &b)
			}
		}
		if strings.Contains(b.String(), "#   users: ") != explain {
			t.Errorf("explained: %v\n%s", explain, &b)
		}
	}
	if _, err := config.Load(sources(file, map[string]string{"heartbeat": "1ms"}, nil)); err == nil ||
		!strings.HasPrefix(err.Error(), "--heartbeat: ") {
		t.Errorf("a bad flag: %v", err)
	}
}

// What the reader of rules knows and what is explained must be the same.
func TestEachKeyOfARuleIsExplained(t *testing.T) {
	t.Parallel()
	_, err := config.Load(sources(write(t, "rules: [{no-such-key: 1}]"), nil, nil))
	if err == nil {
		t.Fatal("an unknown key is taken")
	}
	_, known, _ := strings.Cut(strings.TrimSuffix(err.Error(), ")"), "(want ")
	known = strings.Replace(known, " or ", ", ", 1)
	c, err := config.Load(sources("", nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Print(&b, true); err != nil {
		t.Fatal(err)
	}
	var explained []string
	for line := range strings.Lines(b.String()) {
		if key, ok := strings.CutPrefix(line, "#   "); ok {
			key, text, _ := strings.Cut(key, ": ")
			if explained = append(explained, key); len(text) < 10 {
				t.Errorf("%s is hardly explained", key)
			}
		}
	}
	if got := strings.Join(explained, ", "); got != known {
		t.Errorf("explained are %s; known are %s", got, known)
	}
}

func TestRulesThatMatchNothingAreWarnedOf(t *testing.T) {
	t.Parallel()
	file := write(t, "rules:\n- users: []\n- use: []\n  deny: true\n- users: [eva]\n  use: [shell]\n")
	c, err := config.Load(sources(file, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		file + ":2:10: rules[1].users: the rule has no effect: its list is empty (want a name in it, or no users: everybody)",
		file + ":3:8: rules[2].use: the rule has no effect: its list is empty (want a name in it, or no use: everything)",
	}
	if !slices.Equal(c.Warnings, want) {
		t.Errorf("got  %q\nwant %q", c.Warnings, want)
	}
	var b strings.Builder
	if err := c.Print(&b, true); err != nil || !strings.Contains(b.String(), "nobody may use shell,") ||
		!strings.Contains(b.String(), "everybody may not use anything") {
		t.Errorf("%v, %s", err, &b)
	}
}

func TestFaultsHaveTheirPlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, place, what string }{
		{"drian: 5s", "1:1", "drian: unknown key (want connection, "},
		{"drain: soon", "1:8", `drain: invalid duration "soon" (want 90, 90s or 1m30s)`},
		{"drain: [1s, 2s]", "1:8", "drain: not a single value"},
		{"drain:", "1:1", "drain: no value"},
		{"drain: ~", "1:8", "drain: no value: ~ means none"},
		{"connection: {url: 'http://x'}", "1:19", "scheme"},
		{"connection: {mount: /}", "1:21", "path"},
		{"connection: {heartbeat: 1ms}", "1:25", "connection.heartbeat: duration 1ms is out of range (want 1s to 24h)"},
		{"sessions: {total: 0}", "1:19", "sessions.total: number 0 is out of range (want 1 to 10000)"},
		{"sessions: {all: 1}", "1:12", "unknown key"},
		{"conn-status-update-interval: -1", "1:30", `invalid duration "-1"`},
		{"rules: {}", "1:8", "not a list"},
		{"rules:", "1:1", "rules: no value (want a list of rules"},
		{"rules: [{level: command}]", "1:17", `rules[1].level: invalid level "command" (want bws, rd,`},
		{"rules: [{level: 'cmd,su'}]", "1:17", `invalid level "cmd,su"`},
		{"rules: [{level: rd, use: [shell]}]", "1:10", "rules[1].level: rd is too low: calls for shell need cmd at least"},
		{"rules: [{use: [shells]}]", "1:16",
			`rules[1].use[1]: invalid use "shells" (want shell, commands, scripts, files or sftp)`},
		{"rules: [{users: ['[']}]", "1:18", `rules[1].users[1]: invalid user "["`},
		{"rules: [{deny: yes}]", "1:16", `rules[1].deny: invalid value "yes" (want true or false)`},
		{"rules: [{deny: true, force: x}]", "1:10", "neither commands nor force"},
		{"rules: [{force: ''}]", "1:17", "empty"},
		{"rules: [{commands: [a], use: [commands, shell]}]", "1:10", "limits nothing"},
		{"rules: [{commands: [a], force: b}]", "1:25", "either"},
		{"rules: [{use: [files], force: b}]", "1:24", "no files"},
		{"rules: [{commands: a}]", "1:20", "not a list"},
		{"rules:\n- commands:\n  - a\n  - 'b *'\n  - '* c'", "5:5", "any program"},
		{"rules: [{umask: 999}]", "1:17", `invalid umask "999" (want octal digits such as 022)`},
		{"rules: [{run-as: ''}]", "1:18", `rules[1].run-as: invalid user "" (want the name of a user of this device;`},
		{"defaults: {run-as: ' '}", "1:20", `defaults.run-as: invalid user " " (want the name`},
		{"rules: [{dir: work}]", "1:15", `invalid directory "work" (want a path that begins with / or ~/)`},
		{"rules: [{idle: -1s}]", "1:16", `rules[1].idle: invalid duration "-1s"`},
		{"rules: [{resources: {files: 1}}]", "1:22", "rules[1].resources.files: unknown key (want as, core,"},
		{"rules: [{resources: {nofile: many}}]", "1:30",
			`resources.nofile: invalid number "many" (want a count of seconds, files or processes)`},
		{"rules: [{resources: {as: many}}]", "1:26", `resources.as: invalid size "many"`},
		{"rules: [{usres: [a]}]", "1:10", "unknown key"},
		{"rules: [{name: a, name: b}]", "1:19", "rules[1].name: the key is in line 1 already"},
		{"defaults: {users: [a]}", "1:12", "defaults.users: unknown key (want env,"},
		{"defaults: [a]", "1:11", "not a map"},
		{"drain: &x 1", "1:8", "drain: anchors"},
	} {
		file := write(t, tt.text)
		_, err := config.Load(sources(file, nil, nil))
		if err == nil || !strings.Contains(err.Error(), file+":"+tt.place+": ") || !strings.Contains(err.Error(), tt.what) ||
			strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: %v, want %s %s", tt.text, err, tt.place, tt.what)
		}
	}
	for text, lines := range map[string]int{"drain: x\nsocket: [a, b]\nrules: [{level: x}]\n": 3, "a: &x 1": 2} {
		if _, err := config.Load(sources(write(t, text), nil, nil)); err == nil ||
			strings.Count(err.Error(), "\n") != lines-1 {
			t.Errorf("not all faults at once: %v", err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(sample)
	f.Add("rules: [{commands: [[a, '**']]}]")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(sources(file, nil, nil))
		if err != nil {
			return
		}
		for _, use := range policy.Uses() {
			if g, err := c.Policy.Judge(policy.Ask{User: "u", Level: rpc.AccessSuper, Wanted: policy.Wanted{Use: use,
				Argv: []string{"a"}}}); err == nil && g == nil {
				t.Error("neither granted nor refused")
			}
		}
	})
}

// Where records go nowhere, each session would begin without one.
func TestSessionsAreNotRefusedForRecordsThatAreKeptNowhere(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"audit: {unwritable: refuse}\n":                "audit.unwritable: refuse: ",
		"audit: {unwritable: refuse, file: ''}\n":      "audit.unwritable: refuse: ",
		"audit: {unwritable: refuse, file: /a}\n":      "",
		"audit: {unwritable: refuse, syslog: true}\n":  "",
		"audit: {unwritable: warn, syslog: false}\n":   "",
		"audit: {unwritable: refuse, syslog: false}\n": "audit.unwritable: refuse: ",
	} {
		_, err := config.Load(sources(write(t, text), nil, nil))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestUsesThatAListOfCommandsDoesNotLimitAreWarnedOf(t *testing.T) {
	t.Parallel()
	for use, warned := range map[string]bool{"commands": false, "commands, sftp": true, "files, commands": true} {
		c, err := config.Load(sources(write(t, "rules: [{commands: [uptime], use: ["+use+"]}]\n"), nil, nil))
		if err != nil || (len(c.Warnings) > 0) != warned {
			t.Errorf("%s: %v, %v", use, c, err)
		}
	}
}

// A directory with a configuration and its certificates can be anywhere, in it no name changes.
func TestFilesOfURLsAreBesideTheConfigurationThatHasThem(t *testing.T) {
	file := write(t, "connection: {url: ['ssl://a?ca=ca.pem&cert=/own.pem', tcp://b]}\n")
	c, err := config.Load(sources(file, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	if u := c.URLs[0]; u.CA != filepath.Join(filepath.Dir(file), "ca.pem") || u.Cert != "/own.pem" || c.URLs[1].CA != "" {
		t.Errorf("ca %q, cert %q", u.CA, u.Cert)
	}
	for _, s := range []config.Sources{
		sources(file, map[string]string{"url": "ssl://a?ca=ca.pem"}, nil),
		sources(file, nil, map[string]string{"SHV_URL": "ssl://a?ca=ca.pem"}),
	} {
		c, err := config.Load(s)
		if err != nil || c.URLs[0].CA != "ca.pem" {
			t.Errorf("elsewhere: ca %q, %v", c.URLs[0].CA, err)
		}
	}
}
