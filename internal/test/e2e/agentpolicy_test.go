package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"shvtools/internal/shv/chainpack"
)

// A pager on a terminal starts whatever its user types, and so gives more than its rule says.
func TestACommandOfAListHasNoTerminal(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, `
rules:
- {name: few, users: [eva], commands: [[sh, -c, "tty; echo $PAGER $EDITOR $LESSSECURE"]], env: ["*"]}
- {name: more, users: [bob], commands: [tty], pty: true}
- {name: all, users: [root]}
`)
	const line = "sh -c 'tty; echo $PAGER $EDITOR $LESSSECURE'"
	const note = `shvagent: rule "few" (shvagent.yaml:3) gives its commands no terminal`
	cmd := w.as("eva", line)
	cmd.Args = append([]string{cmd.Args[0], "-tt", "-o", "SendEnv=PAGER"}, cmd.Args[1:]...)
	cmd.Env = append(cmd.Env, "PAGER=evil")
	if r := w.finish(cmd); r.code != 0 || string(r.stdout) != "not a tty\ncat /bin/false 1\n" || !r.stderrHas(note) {
		t.Errorf("%d, %q, %q", r.code, r.stdout, r.stderr)
	}
	for user, want := range map[string]string{"bob": "/dev/pts/", "root": "/dev/pts/"} {
		cmd := w.as(user, "tty")
		cmd.Args = append([]string{cmd.Args[0], "-tt"}, cmd.Args[1:]...)
		if r := w.finish(cmd); r.code != 0 || !strings.HasPrefix(string(r.stdout), want) {
			t.Errorf("%s: %d, %q, %q", user, r.code, r.stdout, r.stderr)
		}
	}
	// A client of the base protocol.
	words := chainpack.List(text("sh"), text("-c"), text("tty; echo $PAGER $EDITOR $LESSSECURE"))
	o := w.sessionOf(w.logIn("eva"), param("runPtyCmd", chainpack.List(words, chainpack.Int(80), chainpack.Int(24))))
	if !strings.Contains(o.stdout, "not a tty\ncat /bin/false 1\n") {
		t.Errorf("%+v", o)
	}
	got := w.answerTo(w.logIn("eva"), device, "runCmd",
		`["sh",["-c","tty; echo $PAGER $EDITOR $LESSSECURE"],{"PAGER":"evil"},1]`)
	if got != `[0,"not a tty\ncat /bin/false 1\n"]` {
		t.Errorf("runCmd: %s", got)
	}
}

// The user's own terminal must stay as it is where the device gives none: Ctrl-C interrupts,
// and lines end as they should.
func TestATerminalThatIsNotGivenLeavesTheUsersAsItIs(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, "rules: [{commands: [[sh, -c, 'echo re; echo ady; exec sleep 60']]}]\n")
	cmd := w.as("eva", "sh -c 'echo re; echo ady; exec sleep 60'")
	cmd.Args = append([]string{cmd.Args[0], "-t"}, cmd.Args[1:]...)
	term := w.open(80, 24, cmd)
	term.expect("re\r\nady\r\n")
	term.typeKeys("\x03")
	if code := term.shell.code(t); code == 0 {
		t.Errorf("exit code %d", code)
	}
}

// reloaded changes the agent's configuration and waits for what its log says of that.
func (w *world) reloaded(file, text, want string) {
	w.t.Helper()
	seen := len(w.agent.log.String())
	w.configure(file, text)
	w.agent.signal(w.t, syscall.SIGHUP)
	eventually(w.t, patience, "the agent says "+want, func() bool {
		return strings.Contains(w.agent.log.String()[seen:], want)
	})
}

// Revoking a right must not end the sessions of everybody, nor leave that of whoever lost it.
func TestHangupPutsThePolicyInForceAndEndsWhatItForbids(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, "rules: [{name: all}]\n", "--state-dir", t.TempDir())
	file := filepath.Join(w.dir, "shvagent.yaml")
	evas, _ := w.awaitReadyLine(w.as("eva", "echo ready; exec sleep 60"))
	bobs, _ := w.awaitReadyLine(w.as("bob", "echo ready; exec sleep 60"))
	runs := w.newFile("runs")
	answers := make(chan string, 2)
	for _, call := range [][2]string{
		{"runCmd", `["sh",["-c","echo >>` + runs + `; exec sleep 60"]]`},
		{"runScript", `"echo >>` + runs + `; exec sleep 60"`},
	} {
		c := w.logIn("eva")
		go func() { answers <- w.answerTo(c, device, call[0], call[1]) }()
	}
	eventually(t, patience, "both calls run", func() bool {
		text, _ := os.ReadFile(runs)
		return len(text) == 2
	})
	w.reloaded(file, "rules: [{name: out, users: [eva], deny: true}, {name: all}]\n", "configuration reloaded")
	if line := w.agent.log.String(); !strings.Contains(line, `added=["out"]`) || !strings.Contains(line, "ended=3") {
		t.Errorf("the log does not say what changed: %s", line)
	}
	if code := evas.codeWithin(t, patience); code != 255 {
		t.Errorf("eva's session ended with %d", code)
	}
	const why = `the policy of this device changed: rule "all" (shvagent.yaml:1) no longer allows this session: ` +
		`rule "out" (shvagent.yaml:1) denies `
	wantsLine(t, evas.log.String(), device, why+"commands")
	for range 2 {
		if got := <-answers; !strings.HasPrefix(got, "error: "+why) {
			t.Errorf("the caller of a running call gets %s", got)
		}
	}
	w.finish(w.as("eva", "true")).wantsFailure(t, device, `rule "out" (shvagent.yaml:1) denies commands`)
	if !bobs.Running() {
		t.Error("bob's session ended, too")
	}
	w.finish(w.as("bob", "echo fine")).wants(t, 0, "fine\n", "")
	eventually(t, patience, "only bob's session is left", func() bool { return len(w.helpers()) == 1 })
	bobs.Stop(t)
}

// A half-written file must not take a policy away, and must not go unnoticed.
func TestHangupWithAFileThatIsNotWholeKeepsThePolicy(t *testing.T) {
	t.Parallel()
	const guarded = "rules:\n- {name: few, users: [eva], commands: [echo **]}\n"
	w := withPolicy(t, guarded)
	file := filepath.Join(w.dir, "shvagent.yaml")
	const kept = "configuration not reloaded; the old policy stays in force"
	for _, text := range []string{
		"", "# x\n", "{}\n", "---\n" + guarded, guarded[:len(guarded)-1], "rules:\n", "drain: 1s\n",
		"rules: [{usres: [a]}]\n", "\x00\x00\x00",
	} {
		w.reloaded(file, text, kept)
		w.finish(w.as("eva", "id")).wantsFailure(t, device, `rule "few" (shvagent.yaml:2) does not allow`)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	seen := len(w.agent.log.String())
	w.agent.signal(t, syscall.SIGHUP)
	eventually(t, patience, "the missing file is told", func() bool {
		text := w.agent.log.String()[seen:]
		return strings.Contains(text, kept) && strings.Contains(text, file+": no such file")
	})
	w.finish(w.as("eva", "id")).wantsFailure(t, device, `rule "few" (shvagent.yaml:2) does not allow`)
	w.reloaded(file, "connection: {heartbeat: 7s}\n"+guarded+"- {users: [bob]}\n",
		"configuration: a change needs a restart key=connection.heartbeat")
	w.finish(w.as("bob", "echo fine")).wants(t, 0, "fine\n", "")
}

// The end of a session in band, which has no tunnel, must have its reason, too.
func TestHangupEndsSessionsInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		config := w.newFile("shvagent.yaml")
		w.configure(config, "rules: [{name: all}]\n")
		w.agent.Stop(t)
		w.setup.agentOptions = []string{"--config", config}
		w.startAgent()
		p, _ := w.started("echo ready; exec sleep 60")
		w.reloaded(config, "rules: [{name: files, use: [files]}]\n", "configuration reloaded")
		if code := p.codeWithin(t, patience); code != 255 {
			t.Errorf("exit code %d", code)
		}
		wantsLine(t, p.log.String(), device,
			`the policy of this device changed: rule "all" (shvagent.yaml:1) no longer allows`)
	})
}

// One user, or one broken script of theirs, must not keep all others from the device.
func TestOneUserLeavesSessionsToOthers(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, "sessions: {total: 4}\nrules: [{}]\n")
	var open []*process
	begin := func(user string) {
		p, _ := w.awaitReadyLine(w.as(user, "echo ready; exec sleep 60"))
		open = append(open, p)
	}
	begin("eva")
	begin("eva")
	w.finish(w.as("eva", "true")).wantsFailure(t, device,
		"2 sessions are open on this device, and the last 2 are for users who have none (sessions.per-user)")
	_, err := callOf(w.logIn("eva"), device, "runCmd", `"true"`)
	if err == nil || !strings.Contains(err.Error(), "repeat it with one") {
		t.Errorf("without a user id: %v", err)
	}
	begin("bob")
	w.finish(w.as("bob", "true")).wantsFailure(t, device, "the last 2 are for users who have none")
	begin("root")
	w.finish(w.as("root", "true")).wantsFailure(t, device, "4 sessions are open on this device, no more are allowed")
	for _, p := range open {
		p.Stop(t)
	}
	eventually(t, patience, "there is room again", func() bool { return w.finish(w.as("eva", "true")).code == 0 })
	// A user id is not needed as long as there is room.
	if got, err := callOf(w.logIn("eva"), device, "runCmd", `["echo",["a"],1]`); err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// A device whose password changes must come back without a visit, and without the end of its
// sessions.
func TestHangupReadsThePasswordAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broker := w.configuredBroker(configured)
	password, config := w.newFile("password"), w.newFile("shvagent.yaml")
	write(t, password, []byte("pw-device\n"), 0o600)
	w.configure(config, "connection: {user: device, password-file: "+password+"}\nrules: [{}]\n")
	w.setup.agentOptions = []string{"--config", config}
	w.startAgent()
	w.configure(broker, strings.Replace(configured, "pw-device", "pw-new", 1))
	w.broker.signal(t, syscall.SIGHUP)
	eventually(t, patience, "the device is refused", func() bool { return w.status().stdoutHas("not connected") })
	write(t, password, []byte("pw-new\n"), 0o600)
	w.agent.signal(t, syscall.SIGHUP)
	eventually(t, patience, "the device is back", func() bool { return w.finish(w.as("eva", "true")).code == 0 })
	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	w.reloaded(config, "connection: {user: device, password-file: "+password+"}\nrules: [{}]\n",
		"configuration: password not read; the old one stays in use")
	if what := ":1:28: connection.password-file: password file " + password + ": no such file"; !strings.Contains(
		w.agent.log.String(), what) {
		t.Errorf("what the next restart would meet is not told: no %q in %s", what, w.agent.log)
	}
	w.finish(w.as("eva", "true")).wants(t, 0, "", "")
}

// A password in the environment hides that of the file, and nobody sees why logins fail.
func TestAPasswordFileThatIsNotUsedIsTold(t *testing.T) {
	t.Parallel()
	w := withPolicy(t, "connection: {password-file: /no-such-file}\nrules: []\n")
	const want = "/shvagent.yaml:1:14: connection.password-file: " +
		"not used: SHV_PASSWORD in the environment takes precedence"
	if !strings.Contains(w.agent.log.String(), want) {
		t.Errorf("no %q in %s", want, w.agent.log)
	}
}
