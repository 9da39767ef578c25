package e2e_test

import (
	"strings"
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
