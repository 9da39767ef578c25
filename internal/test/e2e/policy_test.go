package e2e_test

import (
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
)

// withPolicy starts a broker with users, and an agent with a configuration.
func withPolicy(t *testing.T, config string, options ...string) *world {
	t.Helper()
	w := newWorld(t)
	w.configuredBroker(configured)
	file := w.newFile("shvagent.yaml")
	w.configure(file, config)
	w.setup = setup{
		agentOptions: append([]string{"--user", "device", "--config", file}, options...),
		agentEnv:     []string{"SHV_PASSWORD=pw-device"},
	}
	w.startAgent()
	return w
}

// as returns shvrsh with a command of a user, not started.
func (w *world) as(user string, words ...string) *exec.Cmd {
	cmd := w.rshCommand(words...)
	cmd.Env = append(cmd.Env, "SHV_USER="+user, "SHV_PASSWORD=pw-"+user)
	return cmd
}

// answerTo returns the answer to a call with a user id.
func (w *world) answerTo(c *client.Client, path, method, param string) string {
	w.t.Helper()
	v, err := cpon.Parse([]byte(param), chainpack.Limits{})
	if err != nil {
		w.t.Fatal(err)
	}
	id := c.NewID()
	answers := make(chan string, 1)
	c.Expect(id, func(m *rpc.Message, _ *link.Frame) {
		content, err := m.Content()
		switch {
		case err != nil:
			answers <- err.Error()
		case content.Error != nil:
			answers <- "error: " + content.Error.Message
		default:
			answers <- cpon.String(content.Value)
		}
	})
	defer c.Forget(id)
	_ = c.Send(rpc.AppendIdentified(nil, id, path, method, v))
	select {
	case answer := <-answers:
		return answer
	case <-time.After(patience):
		return "nothing"
	}
}

// A policy that holds for shvrsh but not for a raw client would be no policy.
func TestPolicyHoldsForEveryClient(t *testing.T) {
	t.Parallel()
	served := t.TempDir()
	if err := os.WriteFile(served+"/file", []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := withPolicy(t, `
rules:
- {name: few, users: [eva], commands: [echo **]}
- {name: menu, users: [bob], force: 'echo menu "$SHV_ORIGINAL_COMMAND"', env: []}
- {level: su}
`, "--sysfs-rootdir", served, "--state-dir", t.TempDir())
	eva, bob, root := w.logIn("eva"), w.logIn("bob"), w.logIn("root")
	window := chainpack.F("window", chainpack.Int(1<<16))
	run := func(kind string, value chainpack.Value) chainpack.Entry {
		return chainpack.F("run", chainpack.Map(chainpack.F(kind, value)))
	}
	terminal := func(program string) chainpack.Value {
		return chainpack.List(text(program), chainpack.Int(80), chainpack.Int(24))
	}
	words := func(words ...string) chainpack.Value {
		var items []chainpack.Value
		for _, word := range words {
			items = append(items, text(word))
		}
		return chainpack.List(items...)
	}
	const few, forced = `rule "few" (shvagent.yaml:3) does not allow`, "menu "
	const level = `rule "3" (shvagent.yaml:5) requires access level su`
	for _, tt := range []struct {
		name  string
		param chainpack.Value
		eva   string // output, or a part of the error
		bob   string
	}{
		{"command of the base protocol", param("runCmd", words("id")), few, forced + "id"},
		{"and an allowed one", param("runCmd", words("echo", "a;b")), "a;b\n", forced + "echo a;b"},
		{"on a terminal", param("runPtyCmd", terminal("id")), few, forced + "id"},
		{"shell of the base protocol", param("runPtyCmd", terminal("/bin/sh")), level, forced},
		{"shell with the additions", param("runPtyCmd", terminal("true"), window, run("shell", chainpack.Null())),
			level, forced},
		{"a program for a shell", param("runPtyCmd", terminal("true"), window, run("shell", text("/usr/bin/id"))),
			few, forced + "/usr/bin/id"},
		{"line", param("runCmd", words("echo"), window, run("exec", text("echo a; id"))), few, forced + "echo a; id"},
		{"line that is allowed", param("runCmd", words("true"), window, run("exec", text("echo 'a; id'"))),
			"a; id\n", forced + "echo 'a; id'"},
		{"sftp", param("runCmd", words("echo"), window, run("subsystem", text("sftp"))), level, forced},
	} {
		for _, as := range []struct {
			c    *client.Client
			want string
		}{{eva, tt.eva}, {bob, tt.bob}} {
			o := w.sessionOf(as.c, tt.param)
			got := o.stdout
			if o.end.Error != nil {
				got = o.end.Error.Message
			}
			if !strings.Contains(got, as.want) {
				t.Errorf("%s: %q, want %q", tt.name, got, as.want)
			}
		}
	}
	for _, tt := range []struct {
		c                         *client.Client
		path, method, param, want string
	}{
		{eva, device, "runCmd", `"id"`, few},
		{eva, device, "runCmd", `["echo",["a"],1]`, `[0,"a\n"]`},
		{eva, device, "runScript", `"id"`, "requires access level su for scripts"},
		{eva, device + "/sys/fs/file", "read", `null`, "requires access level su for files"},
		{bob, device, "runCmd", `["id",["-u"],1]`, `[0,"menu id -u\n"]`},
		{bob, device, "runScript", `["id",1]`, `[0,"menu id\n"]`},
		{root, device, "runCmd", `["id",["-u"],1]`, `\n"]`},
		{root, device, "runScript", `["echo s",1]`, `[0,"s\n"]`},
		{root, device + "/sys/fs/file", "ls", `null`, `[]`},
	} {
		if got := w.answerTo(tt.c, tt.path, tt.method, tt.param); !strings.Contains(got, tt.want) {
			t.Errorf("%s:%s %s: %s, want %s", tt.path, tt.method, tt.param, got, tt.want)
		}
	}
	// A caller without a user id matches no rule that names users.
	_, err := callOf(eva, device, "runCmd", `["echo",["a"],1]`)
	if err == nil || !strings.Contains(err.Error(), "user id") {
		t.Errorf("without a user id: %v", err)
	}
	w.finish(w.as("eva", "id")).wantsFailure(t, device, few)
	w.finish(w.as("eva", "echo", "fine")).wants(t, 0, "fine\n", "")
}

func TestSessionsRunAsThePolicySays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	t.Parallel()
	w := withPolicy(t, `
rules:
- {run-as: nobody, shell: /bin/sh, groups: [daemon], umask: 027, dir: /usr, resources: {nofile: 64, core: 0}}
`, "--state-dir", t.TempDir())
	const line = `echo $(id -un) $(id -Gn) $(umask) $PWD $(ulimit -n) $(ulimit -Hn) $HOME $USER $SHELL$E2E_WORLD`
	r := w.finish(w.as("eva", line))
	fields := strings.Fields(string(r.stdout))
	wrong := r.stdoutHas("root") || r.stdoutHas(w.mark[len("E2E_WORLD="):])
	if len(fields) < 8 || fields[0] != "nobody" || !r.stdoutHas("daemon 0027 /usr 64 64 /") || wrong {
		t.Errorf("%d, %q, %q", r.code, r.stdout, r.stderr)
	}
	root := w.logIn("root")
	got := w.answerTo(root, device, "runCmd", `["sh",["-c","id -un; umask; ulimit -n; pwd"],1]`)
	if got != `[0,"nobody\n0027\n64\n/usr\n"]` {
		t.Errorf("runCmd: %s", got)
	}
	// A script for another user is passed in another way, also the second time.
	const script = `id -un; umask; ulimit -n; pwd; echo $1`
	for _, text := range []string{script, fmt.Sprintf("%x", sha1.Sum([]byte(script)))} {
		got := w.answerTo(root, device, "runScript", `["`+text+`",["a b"],1]`)
		if got != `[0,"nobody\n0027\n64\n/usr\na b\n"]` {
			t.Errorf("runScript: %s", got)
		}
	}
	if r := w.finish(w.as("eva", "no-such-program-at-all; exit 3")); r.code != 3 {
		t.Errorf("%d, %q", r.code, r.stderr)
	}
}

func TestUnknownUserToRunAs(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, "rules: [{run-as: no-such-user}]\n")
	w.finish(w.as("eva", "true")).wantsFailure(t, device, `run as user "no-such-user"`)
}

func TestSessionsAtOnceAreLimited(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, "sessions: {total: 3, per-user: 2}\n")
	var open []*process
	for _, user := range []string{"eva", "eva", "bob"} {
		p, _ := w.awaitReadyLine(w.as(user, "echo ready; exec sleep 60"))
		open = append(open, p)
		if user == "eva" && len(open) == 2 {
			w.finish(w.as("eva", "true")).wantsFailure(t, device, `2 sessions of user "eva" are open`)
		}
	}
	w.finish(w.as("bob", "true")).wantsFailure(t, device, "3 sessions are open on this device")
	open[0].Stop(t)
	eventually(t, patience, "there is room again", func() bool { return w.finish(w.as("bob", "true")).code == 0 })
}

// The user must see what ended the session, and why.
func TestSessionsBeyondTheirLimitEndWithAReason(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, `
rules:
- {name: short, users: [eva], time: 1s}
- {name: lazy, users: [bob], idle: 3s}
- {name: long, users: [root], time: 61s}
- {}
`)
	// The warning is due a minute before the end.
	p, _ := w.awaitReadyLine(w.as("root", "echo ready; exec sleep 60"))
	// Calls end with the same text, but without a warning.
	for method, param := range map[string]string{"runCmd": `["sleep",["60"]]`, "runScript": `"sleep 60"`} {
		const want = `error: time limit: rule "short" (shvagent.yaml:3) allows 1s`
		if got := w.answerTo(w.logIn("eva"), device, method, param); got != want {
			t.Errorf("%s: %s", method, got)
		}
	}
	r := w.finish(w.as("eva", "sleep 60"))
	r.wantsFailure(t, device, `time limit: rule "short" (shvagent.yaml:3) allows 1s`)
	r = w.finish(w.as("bob", "sleep 60"))
	r.wantsFailure(t, device, `idle limit: rule "lazy" (shvagent.yaml:4) allows 3s without traffic`)
	if r = w.finish(w.as("bob", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done")); r.code != 0 {
		t.Errorf("a busy session was ended: %s", r.stderr)
	}
	p.says(t, "this session ends in ", `: rule "long" (shvagent.yaml:5) allows 1m1s`)
	p.Stop(t)
	eventually(t, patience, "all is gone", func() bool { return len(w.sessionsLeft()) == 0 })
}

func TestAgentConfigurationOnTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.newFile("shvagent.yaml")
	w.configure(file, "connection: {mount: a/b, url: 'ssl://h'}\nrules: [{name: x, level: su}]\n")
	r := call(w, "shvagent", "--config", file, "--check-config")
	mount := "connection.mount: a/b  # " + file + ":1:14; where the device is"
	if r.code != 0 || !r.stdoutHas(mount, `rule "x" (shvagent.yaml:2): everybody with the level su`) ||
		!strings.HasSuffix(string(r.stdout), "\nthe configuration is fine\n") {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
	const safe = "connection: {url: 'ssl://u:p@h'}\n" // root on tcp is warned of
	w.configure(file, safe+"rules: [{name: x, run-as: no-such-user}]\n")
	r = call(w, "shvagent", "--config", file, "--check-config")
	if r.code != 0 || !r.stderrHas(`shvagent: warning: rule "x" (shvagent.yaml:2): cannot run as user "no-such-user"`) ||
		!strings.HasSuffix(string(r.stdout), "\nthe configuration can be used, with 1 warning\n") {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
	w.configure(file, "connection: {url: 'ssl://127.0.0.1:1'}\nrules: [{users: []}]\n")
	const noEffect = ":2:17: rules[1].users: the rule has no effect: its list is empty ("
	r = call(w, "shvagent", "--config", file, "--check-config")
	if r.code != 0 || !r.stderrHas("shvagent: warning: "+file+noEffect) ||
		!strings.HasSuffix(string(r.stdout), "\nthe configuration can be used, with 1 warning\n") {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
	w.configure(file, "connection: {url: 'ssl://h'}\nfiles: {root: /no-such-directory}\n"+
		"rules: [{commands: [less **, uptime]}]\n")
	r = call(w, "shvagent", "--config", file, "--shvrexec", "/etc/passwd", "--check-config")
	const missing = "shvagent: warning: files.root: open /no-such-directory: no such file or directory\n" +
		"shvagent: warning: --shvrexec: no session can begin: exec: \"/etc/passwd\": permission denied\n" +
		"shvagent: warning: rule \"1\" (shvagent.yaml:3): commands: \"less **\" can start other programs or write files, " +
		"as its users ask\n"
	if r.code != 0 || string(r.stderr) != missing {
		t.Errorf("%d, %s", r.code, r.stderr)
	}
	r = call(w, "shvagent", "--config", file, "--mount", "c", "--print-config")
	if out := string(r.stdout); r.code != 0 || !strings.Contains(out, "connection.mount: c  # --mount\n") {
		t.Errorf("%d, %s%s", r.code, out, r.stderr)
	}
	w.configure(file, "drain: 5x\nrules: [{levle: su}]\n")
	r = call(w, "shvagent", "--config", file)
	if r.code != 1 || !r.stderrHas(
		"shvagent: "+file+`:1:8: drain: invalid duration "5x" (want 90, 90s or 1m30s)`+"\n",
		"shvagent: "+file+":2:10: rules[1].levle: unknown key (want name,",
	) {
		t.Errorf("%d, %s", r.code, r.stderr)
	}
	r = call(w, "shvagent", "--config", "/nonexistent.yaml")
	if r.code != 1 || !r.stderrHas("/nonexistent.yaml: no such file") {
		t.Errorf("%d, %s", r.code, r.stderr)
	}
	r = call(w, "shvagent", "--socket", w.socket(), "status")
	if r.code != 1 || !r.stderrHas("no agent runs here: no answer at "+w.socket()) {
		t.Errorf("%d, %s", r.code, r.stderr)
	}
}
