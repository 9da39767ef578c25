package e2e_test

import (
	"os/exec"
	"syscall"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// heard makes a script wait until the guard knows of it: the agent ends the script's stdin
// only then.
const heard = "cat; "

// runs calls the device's runCmd with a script that waits until the guard knows of it. It
// does not wait for the answer.
func runs(t *testing.T, c *client.Client, script string) {
	t.Helper()
	words := chainpack.List(text("sh"), chainpack.List(text("-c"), text(heard+script)))
	if err := c.Send(rpc.AppendRequest(nil, c.NewID(), device, "runCmd", words)); err != nil {
		t.Fatal(err)
	}
}

// An agent that is killed cannot end its commands itself.
func TestKilledAgentLeavesNoCommands(t *testing.T) {
	t.Parallel()
	w := setup{agentOptions: []string{"--state-dir", t.TempDir()}}.start(t)
	c := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	plain, deaf, script, early := marker(), marker(), marker(), marker()

	runs(t, c, early+"; true")
	awaitStart(t, early)
	var guards []int
	eventually(t, patience, "there is a guard", func() bool { // its command line is set at the end of its start
		guards = w.guards()
		return len(guards) == 1
	})
	w.killPid(guards[0]) // the next guard must know of that command, too
	awaitReaped(t, guards[0])

	runs(t, c, plain+" & "+plain+"1; true")
	runs(t, c, "trap '' HUP; "+deaf+"; true")
	if err := c.Send(rpc.AppendRequest(nil, c.NewID(), device, "runScript", text(heard+script+"; true"))); err != nil {
		t.Fatal(err)
	}
	all := []string{early, plain, plain + "1", deaf, script}
	for _, command := range all {
		awaitStart(t, command)
	}
	w.kill(w.agent)
	for _, command := range all {
		awaitEnd(t, patience, command)
	}
	eventually(t, patience, "the guard ends, too", func() bool { return len(w.sessionsLeft()) == 0 })
}

// An agent that was started by nohup or by & in a script ignores signals. Its commands must not.
func TestCommandsHeedSignalsThatTheAgentIgnores(t *testing.T) {
	t.Parallel()
	w := setup{under: func(agent *exec.Cmd) *exec.Cmd {
		return exec.Command("sh", append([]string{"-c", `trap "" HUP INT; exec "$0" "$@"`}, agent.Args...)...)
	}}.start(t)
	w.agent.signal(t, syscall.SIGHUP)
	w.agent.signal(t, syscall.SIGINT)
	c := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	const script = "trap 'echo heard' HUP INT; kill -HUP $$; kill -INT $$"
	answer, err := callOf(c, device, "runCmd", `["sh",["-c","`+script+`"],1]`)
	if got, _ := answer.At(1).AsString(); err != nil || got != "heard\nheard\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// The guard must not end what a command leaves in the background on purpose, and must not
// outlive the commands.
func TestGuardEndsWithTheCommands(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	c := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	stays := marker()
	if _, err := callOf(c, device, "runCmd", `["sh",["-c","`+stays+` >/dev/null 2>&1 &"]]`); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the guard ends", func() bool { return len(w.guards()) == 0 })
	w.kill(w.agent)
	w.agent.code(t)
	awaitStart(t, stays)
}
