package e2e_test

import (
	"bytes"
	"os/exec"
	"syscall"
	"testing"

	"shvtools/internal/test/proctest"
)

// started starts a command on the device that prints "ready", and waits for it.
func (w *world) started(command string) (*process, *proctest.Record) {
	w.t.Helper()
	return w.awaitReadyLine(w.rshCommand(command))
}

func (w *world) awaitReadyLine(cmd *exec.Cmd) (*process, *proctest.Record) {
	w.t.Helper()
	stdout := proctest.NewRecord()
	cmd.Stdout = stdout
	p := w.launch(cmd)
	ready := func(b []byte) bool { return bytes.Contains(b, []byte("ready\n")) }
	if !stdout.Await(ready, p.Ended) {
		w.t.Fatalf("the command does not start: %q", stdout)
	}
	return p, stdout
}

func TestSignalsReachTheRemoteCommand(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT} {
		command := marker()
		p, _ := w.started("echo ready; exec " + command)
		awaitStart(t, command) // before that, the shell would decide what the signal does
		p.signal(t, sig)
		if code := p.code(t); code != 128+int(sig) {
			t.Errorf("%v: exit code %d", sig, code)
		}
		if text := p.log.String(); text != "" {
			t.Errorf("%v: stderr %q", sig, text)
		}
		awaitEnd(t, patience, command)

		p, stdout := w.started("trap 'echo caught; exit 5' INT TERM QUIT; echo ready; " + command + " & wait")
		awaitStart(t, command)
		p.signal(t, sig)
		if code := p.code(t); code != 5 || stdout.String() != "ready\ncaught\n" {
			t.Errorf("%v: exit code %d, stdout %q", sig, code, stdout)
		}
		for _, pid := range living(command) { // background jobs ignore INT and QUIT
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func TestSecondSignalEndsShvrsh(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	command := marker()
	p, stdout := w.started("exec 2>/dev/null; trap 'echo not me' TERM; echo ready; " + command +
		"; while :; do " + command + "; done")
	awaitStart(t, command) // a child that a shell has just forked may lose signals
	p.signal(t, syscall.SIGTERM)
	if !stdout.Await(func(b []byte) bool { return bytes.Contains(b, []byte("not me")) }, p.Ended) {
		t.Fatalf("the first signal did not arrive: %q", stdout)
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.code(t); code != 255 {
		t.Errorf("exit code %d", code)
	}
	wantsLine(t, p.log.String(), "terminated")
	awaitEnd(t, patience, command)
}

func TestHangupEndsTheRemoteCommand(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	command := marker()
	p, _ := w.started("echo ready; exec " + command)
	awaitStart(t, command)
	p.signal(t, syscall.SIGHUP)
	if code := p.code(t); code != 255 {
		t.Errorf("exit code %d", code)
	}
	wantsLine(t, p.log.String(), "hangup")
	awaitEnd(t, patience, command)
}

// nohup, and & in a script, start programs with signals ignored.
func TestIgnoredSignalsStayIgnored(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	cmd := w.rshCommand("echo ready; read line; echo $line")
	cmd.Args = append([]string{"/bin/sh", "-c", `trap "" HUP INT; exec "$@"`, "sh"}, cmd.Args...)
	cmd.Path = "/bin/sh"
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, stdout := w.awaitReadyLine(cmd)
	p.signal(t, syscall.SIGHUP)
	p.signal(t, syscall.SIGINT)
	if _, err := stdin.Write([]byte("still here\n")); err != nil {
		t.Fatal(err)
	}
	if code := p.code(t); code != 0 || stdout.String() != "ready\nstill here\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, p.log)
	}
}
