package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/test/nstest"
)

// site is a world that `shvbroker --init` has made in the directory site of it.
type site struct {
	*world
	dir      string
	password string // of the administrator
}

// broker runs shvbroker with options for the directory, which must succeed.
func (s *site) command(args ...string) string {
	s.t.Helper()
	r := call(s.world, "shvbroker", append([]string{"--dir", s.dir}, args...)...)
	if r.code != 0 || len(r.stderr) > 0 {
		s.t.Fatalf("shvbroker %q: %d, %s%s", args, r.code, r.stdout, r.stderr)
	}
	return string(r.stdout)
}

// newSite makes an authority, and runs its broker on a free port.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{world: newWorld(t)}
	s.dir = filepath.Join(s.world.dir, "site")
	r := call(s.world, "shvbroker", "--init", s.dir, "--name", "localhost")
	found := regexp.MustCompile(`(?m)^user admin, password (\S+) `).FindSubmatch(r.stdout)
	if r.code != 0 || len(r.stderr) > 0 || found == nil {
		t.Fatalf("--init: %d, %s%s", r.code, r.stdout, r.stderr)
	}
	s.password = string(found[1])
	const listen = "ssl://[::]:3756"
	s.edit("broker/shvbroker.yaml", listen, "ssl://127.0.0.1:0")
	ready := s.newFile("broker.ready")
	cmd := exec.Command(program("shvbroker"), "--config", s.dir+"/broker/shvbroker.yaml", "--ready-file", ready)
	cmd.Env = environment()
	s.broker = s.launch(cmd)
	s.url = s.awaitReady(s.broker, ready)
	s.edit("broker/shvbroker.yaml", "ssl://127.0.0.1:0", s.url)
	return s
}

// edit replaces a text in a file of the directory, which must have it.
func (s *site) edit(file, old, new string) {
	s.t.Helper()
	path := filepath.Join(s.dir, file)
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), old) {
		s.t.Fatalf("%s has no %s: %v", file, old, err)
	}
	s.configure(path, strings.Replace(string(text), old, new, 1))
}

// reload reloads the broker, and waits for that.
func (s *site) reload() {
	s.t.Helper()
	before := strings.Count(s.broker.log.String(), "configuration reloaded")
	s.broker.signal(s.t, syscall.SIGHUP)
	eventually(s.t, patience, "the broker reloads", func() bool {
		return strings.Count(s.broker.log.String(), "configuration reloaded") > before
	})
}

// device starts the agent of a device from what that was handed.
func (s *site) device(name string, options ...string) *process {
	s.t.Helper()
	file := filepath.Join("devices", name, "shvagent.yaml")
	cmd := exec.Command(program("shvagent"), append([]string{"--config", file, "--socket", "none"}, options...)...)
	cmd.Dir = s.dir // the name of the configuration is relative, and so are those in it
	cmd.Env = append(environment(), s.shellSettings()...)
	return s.launch(cmd)
}

// asUser runs a command on a device as a person with what that was handed.
func (s *site) asUser(name, path string, words ...string) result {
	s.t.Helper()
	file := filepath.Join("users", name, "config.yaml")
	cmd := exec.Command(program("shvrsh"), append([]string{"-F", file, path}, words...)...)
	cmd.Dir = s.dir
	cmd.Env = environment()
	return s.finish(cmd)
}

func TestEachDeviceIsItselfAndCanBeShutOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.command("--issue", "device:a", "--issue", "device:b", "--issue", "user:eva")
	s.reload()
	a, b := s.device("a"), s.device("b")
	for _, agent := range []*process{a, b} {
		agent.says(t, "INF connected ")
	}
	s.asUser("eva", "site/a", "echo from a").wants(t, 0, "from a\n", "")
	s.asUser("eva", "site/b", "echo from b").wants(t, 0, "from b\n", "")

	// The administrator logs in by the password that was printed once.
	admin := exec.Command(program("shvrsh"), "--url", "ssl://admin@localhost"+s.url[strings.LastIndex(s.url, ":"):]+
		"?ca="+s.dir+"/broker/ca.pem", "site/a", "true")
	admin.Env = environment("SHV_PASSWORD=" + s.password)
	s.finish(admin).wants(t, 0, "", "")

	// A thief who has all that is on a is a, wherever it asks to be.
	for _, place := range []string{"site/b", "site/b/below", "site", "test/a"} {
		thief := s.device("a", "--mount", place)
		thief.says(t, "its user may not mount there")
		thief.Stop(t)
	}
	s.asUser("eva", "site/b", "echo from b").wants(t, 0, "from b\n", "")

	// Renewed, and the old certificate revoked: the agent comes back with the new one.
	out := s.command("--issue", "device:a")
	old := regexp.MustCompile(`--revoke ([0-9a-f]{32})\n`).FindStringSubmatch(out)
	if old == nil {
		t.Fatalf("the one before is not named:\n%s", out)
	}
	// What replaced the device's configuration would take its rules away.
	if !strings.Contains(out, "copy "+filepath.Join(s.dir, "devices", "a", "device.pem")+" and device.key beside it") ||
		!strings.Contains(out, "connection.mount there must be site/a\n") {
		t.Errorf("a renewal says:\n%s", out)
	}
	s.command("--revoke", old[1])
	s.reload()
	s.broker.says(t, "certificate revoked")
	eventually(t, patience, "the device is back", func() bool {
		return strings.Count(a.log.String(), "INF connected ") >= 2
	})
	s.asUser("eva", "site/a", "true").wants(t, 0, "", "")

	// The broker's own certificate is another one from a reload on.
	s.command("--issue", "broker")
	s.reload()
	s.asUser("eva", "site/a", "true").wants(t, 0, "", "")

	s.command("--revoke", "a")
	s.reload()
	s.asUser("eva", "site/a", "true").wantsFailure(t, "site/a")
	a.says(t, "remote error: tls: bad certificate")
	s.asUser("eva", "site/b", "true").wants(t, 0, "", "")
	if strings.Count(b.log.String(), "INF connected ") != 1 {
		t.Errorf("b noticed:\n%s", b.log)
	}
	s.command("--revoke", "eva")
	s.reload()
	if r := s.asUser("eva", "site/b", "true"); r.code != 255 {
		t.Errorf("eva is still let in: %d, %s", r.code, r.stderr)
	}
	want := regexp.MustCompile(`(?s)^broker\tlocalhost\t.*\nbroker\t.*device\ta\t.*revoked on .*device\ta\t.*` +
		`revoked on .*device\tb\t[0-9a-f]{32}\tvalid until .*user\teva\t.*revoked on `)
	if list := s.command("--issued"); !want.MatchString(list) {
		t.Errorf("issued:\n%s", list)
	}
}

func TestMistakesWithTheAuthorityAreToldInOneLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(w.dir, "site")
	if r := call(w, "shvbroker", "--init", dir, "--name", "h.example"); r.code != 0 {
		t.Fatalf("%d, %s", r.code, r.stderr)
	}
	call(w, "shvbroker", "--dir", dir, "--issue", "device:pump7").wantsOK(t)
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--init", dir}, 1, dir + " is not empty; nothing was changed there"},
		{[]string{"--init", ""}, 2, "--init: no directory"},
		{[]string{"--init", w.dir + "/x", "--name", "a b"}, 1, `invalid name "a b" of a broker`},
		{[]string{"--init", w.dir + "/x", "--dir", dir}, 2, "--dir does not go with --init"},
		{[]string{"--init", w.dir + "/x", "--issue", "broker"}, 2, "--issue does not go with --init"},
		{[]string{"--init", w.dir + "/none/x", "--name", "h"}, 1, "no such file or directory"},
		{[]string{"--issue", "device:x", "--dir", w.dir}, 1, w.dir + ": there is no authority here"},
		{[]string{"--issue", "pump7", "--dir", dir}, 2, `cannot read "pump7" (want device:NAME, user:NAME or broker)`},
		{[]string{"--issue", "broker:x", "--dir", dir}, 2, `cannot read "broker:x"`},
		{[]string{"--issue", "device:a/b", "--dir", dir}, 2, `invalid name "a/b"`},
		{[]string{"--issue", "user:admin", "--dir", dir}, 1, `shvbroker.yaml:15:5: the user "admin" exists already`},
		{[]string{"--issue", "user:pump7", "--dir", dir}, 1, `--issue user:pump7: "pump7" is a device already`},
		{[]string{"--issue", "device:x", "--role", "admin", "--dir", dir}, 2, "--role goes with --issue user, and not with"},
		{[]string{"--issue", "user:x", "--name", "h", "--dir", dir}, 2, "--name goes with --issue broker"},
		{[]string{"--issue", "device:x", "--issue", "device:y", "--mount", "a", "--dir", dir}, 2, "--mount goes with one"},
		{[]string{"--issue", "device:x", "--mount", "a/*", "--dir", dir}, 1, `invalid mount point "a/*"`},
		{[]string{"--issue", "device:x", "--mount", "site/pump7", "--dir", dir}, 1, `is the place of the device "pump7"`},
		{[]string{"--issue", "device:x", "--listen", "tcp://[::1]", "--dir", dir}, 2, "--listen does not go with --issue"},
		{[]string{"--revoke", "pump8", "--dir", dir}, 1, `--revoke: "pump8" has no certificate`},
		{[]string{"--dir", dir}, 2, "--dir goes with --init, --issue, --revoke or --issued"},
	} {
		r := call(w, "shvbroker", tt.args...)
		if r.code != tt.code || len(r.stdout) > 0 || strings.Count(string(r.stderr), "\n") != 1 || !r.stderrHas(tt.says) {
			t.Errorf("%q: %d, %s%s; want %d, %s", tt.args, r.code, r.stdout, r.stderr, tt.code, tt.says)
		}
	}
	r := call(w, "shvbroker", "--issue", "user:ida", "--role", "auditer", "--dir", dir)
	if r.code != 0 || strings.Count(string(r.stderr), "\n") != 1 || !r.stderrHas(`warning: `, `has no role "auditer"`) {
		t.Errorf("a mistyped role: %d, %s", r.code, r.stderr)
	}
	call(w, "shvbroker", "--issue", "user:ida", "--role", "admin", "--dir", dir).wantsOK(t)
	// A configuration that the broker would not take is not added to.
	file := filepath.Join(dir, "broker", "shvbroker.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.configure(file, strings.Replace(string(text), "accounts:", "acounts:", 1))
	r = call(w, "shvbroker", "--issue", "device:x", "--dir", dir)
	if r.code != 1 || !r.stderrHas("acounts: unknown key") {
		t.Errorf("a fault of the configuration: %d, %s", r.code, r.stderr)
	}
	if _, err := os.Stat(dir + "/devices/x"); err == nil {
		t.Error("x has a certificate")
	}
}

func (r result) wantsOK(t *testing.T) {
	t.Helper()
	if r.code != 0 || len(r.stderr) > 0 {
		t.Fatalf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
}

// Whenever it is killed, there is either nothing at the place or all of it.
func TestAKilledInitLeavesNothingThatLooksComplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	begun := time.Now()
	call(w, "shvbroker", "--init", w.dir+"/whole", "--name", "h").wantsOK(t)
	whole := time.Since(begun)
	complete := 0
	const times = 10
	for i := range times {
		dir := filepath.Join(w.dir, "at", string(rune('a'+i)))
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program("shvbroker"), "--init", dir, "--name", "h")
		cmd.Env = environment()
		p := w.launch(cmd)
		select {
		case <-p.Ended:
		case <-time.After(whole * time.Duration(i) / (times - 1)):
			_ = cmd.Process.Kill()
			<-p.Ended
		}
		if _, err := os.Stat(dir); err == nil {
			complete++
			r := call(w, "shvbroker", "--config", dir+"/broker/shvbroker.yaml", "--check-config")
			if r.code != 0 || !r.stdoutHas("the configuration is fine") {
				t.Errorf("a part of it: %d, %s%s", r.code, r.stdout, r.stderr)
			}
		}
	}
	t.Logf("%d of %d were complete", complete, times)
	call(w, "shvbroker", "--init", w.dir+"/at/again", "--name", "h").wantsOK(t)
}

func TestAFullDiskLeavesNoPartOfAnAuthority(t *testing.T) {
	w := newWorld(t)
	disk := w.place("disk") + "/"
	if err := os.MkdirAll(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	nstest.Disk(t, disk, "32k")
	r := call(w, "shvbroker", "--init", disk+"site", "--name", "h")
	entries, err := os.ReadDir(disk)
	if r.code != 1 || strings.Count(string(r.stderr), "\n") != 1 || !r.stderrHas("no space left on device") ||
		err != nil || len(entries) > 0 {
		t.Errorf("%d, %s%s; left %v, %v", r.code, r.stdout, r.stderr, entries, err)
	}
}

// Whenever a command is killed, the broker's files are good, and the command can be
// repeated.
func TestAKilledCommandOfTheAuthorityCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := filepath.Join(w.dir, "site")
	call(w, "shvbroker", "--init", dir, "--name", "h").wantsOK(t)
	begun := time.Now()
	call(w, "shvbroker", "--dir", dir, "--issue", "device:x").wantsOK(t)
	whole := time.Since(begun)
	const times = 8
	for i := range times {
		for _, args := range [][]string{{"--issue", "device:x"}, {"--issue", "device:y"}, {"--revoke", "x"}} {
			cmd := exec.Command(program("shvbroker"), append([]string{"--dir", dir}, args...)...)
			cmd.Env = environment()
			p := w.launch(cmd)
			select {
			case <-p.Ended:
			case <-time.After(whole * time.Duration(i) / times):
				_ = cmd.Process.Kill()
				<-p.Ended
			}
			r := call(w, "shvbroker", "--config", dir+"/broker/shvbroker.yaml", "--check-config")
			if r.code != 0 || !r.stdoutHas("the configuration is fine") {
				t.Fatalf("after a killed %q: %d, %s%s", args, r.code, r.stdout, r.stderr)
			}
			call(w, "shvbroker", append([]string{"--dir", dir}, args...)...).wantsOK(t)
		}
		if _, err := os.Stat(dir + "/devices/y/shvagent.yaml"); err != nil {
			t.Fatal(err)
		}
		r := call(w, "shvagent", "--config", dir+"/devices/y/shvagent.yaml", "--check-config")
		// It has no rules, which the check warns of.
		if r.code != 0 || !r.stdoutHas("the configuration can be used, with 1 warning") || !r.stderrHas("rules: none") {
			t.Fatalf("the device's part: %d, %s%s", r.code, r.stdout, r.stderr)
		}
	}
	list := call(w, "shvbroker", "--dir", dir, "--issued")
	for line := range strings.Lines(string(list.stdout)) {
		if strings.HasPrefix(line, "device\tx\t") && !strings.Contains(line, "revoked on") {
			t.Errorf("not revoked: %s", line)
		}
	}
}
