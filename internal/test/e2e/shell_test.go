package e2e_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestShellIsALoginShellAtHome(t *testing.T) {
	t.Parallel()
	term := setup{}.start(t).shell(80, 24)
	if got := term.run("echo $0 | cut -c 1"); got != "-\r\n" {
		t.Errorf("$0 begins with %q, want a dash as that of a login shell", got)
	}
	if got := term.run(`test "$PWD" = ~ && echo $((40+2))`); got != "42\r\n" {
		t.Errorf("the shell did not start in the home directory: %q", got)
	}
	term.typeKeys("exit\r")
	term.ends(0)
}

func TestWindowSizeReachesTheDevice(t *testing.T) {
	t.Parallel()
	term := setup{}.start(t).shell(123, 34)
	if got := term.run("stty size"); got != "34 123\r\n" {
		t.Errorf("size at the start: %q", got)
	}
	for _, size := range []struct {
		cols, rows uint16
		text       string
	}{{77, 21, "21 77"}, {300, 100, "100 300"}} {
		line := `until [ "$(stty size)" = "` + size.text + `" ]; do sleep 0.02; done; echo is $((40+2))`
		term.typeKeys(line + "\r")
		term.expect("\r\n")
		term.resize(size.cols, size.rows)
		term.expect("is 42\r\n")
		term.expect(prompt)
	}
	term.typeKeys("exit\r")
	term.ends(0)
}

func TestTerminalIsRawDuringTheSession(t *testing.T) {
	t.Parallel()
	term := setup{}.start(t).shell(80, 24)
	mode := term.mode()
	if mode.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || mode.Oflag&unix.OPOST != 0 {
		t.Errorf("the terminal is not raw: %+v", mode)
	}
	if term.nonblocking() {
		t.Error("the terminal is non-blocking, for the user's shell too")
	}
	term.typeKeys("exit\r")
	term.ends(0)
	if mode := term.screen.String(); strings.Count(mode, prompt) != 1 {
		t.Errorf("screen: %q", mode)
	}
}

func TestCtrlCReachesTheRemoteCommand(t *testing.T) {
	t.Parallel()
	term := setup{}.start(t).shell(80, 24)
	term.interrupts()
	if got := term.run("echo $((40+2))"); got != "42\r\n" {
		t.Errorf("after Ctrl-C: %q", got)
	}
	term.typeKeys("exit\r")
	term.ends(0)
}

func TestTypedAheadInputIsNotLost(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.agent.signal(t, unix.SIGSTOP) // so that the tunnel does not open
	term := w.open(80, 24, w.shvrsh(device))
	w.awaitCalls(1)
	term.typeKeys("echo $((40+2))-early\r")
	w.agent.signal(t, unix.SIGCONT)
	term.expect("42-early\r\n")
	term.expect(prompt)
	term.typeKeys("exit\r")
	term.ends(0)
}

// Both calls have the request id 3, so only the caller ids distinguish their answers.
func TestShellsOpenedAtOnceDoNotMix(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.agent.signal(t, unix.SIGSTOP)
	one, two := w.open(100, 30, w.shvrsh(device)), w.open(110, 40, w.shvrsh(device))
	w.awaitCalls(2)
	w.agent.signal(t, unix.SIGCONT)
	one.expect(prompt)
	two.expect(prompt)
	if got := one.run("stty size"); got != "30 100\r\n" {
		t.Errorf("the first shell has the size %q", got)
	}
	if got := two.run("stty size"); got != "40 110\r\n" {
		t.Errorf("the second shell has the size %q", got)
	}
	one.typeKeys("exit 1\r")
	one.ends(1)
	two.typeKeys("exit 2\r")
	two.ends(2)
}

func TestLongPasteArrivesWhole(t *testing.T) {
	t.Parallel()
	term := setup{}.start(t).shell(80, 24)
	line := strings.Repeat("0123456789abcdef", 200) // less than the longest line of a terminal
	term.begin("stty -echo; cat | cksum")
	const lines = 50
	term.typeKeys(strings.Repeat(line+"\r", lines) + "\x04")
	sum := term.w.rshWith(strings.NewReader(strings.Repeat(line+"\n", lines)), "cksum")
	term.expect(strings.TrimSpace(string(sum.stdout)))
	term.typeKeys("exit\r")
	term.ends(0)
}

// If the connection of the user's terminal breaks, the session must end, whatever the
// user's shell does with SIGHUP.
func TestHungUpTerminalEndsTheSession(t *testing.T) {
	t.Parallel()
	for _, ignored := range []string{"HUP", ""} {
		w := setup{}.start(t)
		rsh := w.shvrsh(device)
		if ignored != "" {
			rsh.Args = append([]string{"/bin/sh", "-c", `trap "" HUP; exec "$@"`, "sh"}, rsh.Args...)
		}
		term := w.open(80, 24, rsh)
		term.expect(prompt)
		command := term.sleeps()
		_ = term.master.Close()
		awaitEnd(t, patience, command)
		eventually(t, patience, "the helper ends", func() bool { return len(w.helpers()) == 0 })
	}
}

func TestEchoIsQuick(t *testing.T) {
	term := setup{}.start(t).shell(80, 24)
	term.begin("cat")
	term.typeKeys("ready\r")
	term.expect("ready\r\nready\r\n") // the echo, and the output of cat
	// Far more than it takes. A timer on the way would add as much to each key.
	const keys = 50
	if median := term.echoes(keys, 0)[keys/2]; median > 40*time.Millisecond {
		t.Errorf("the median echo of a key takes %v", median)
	}
	term.typeKeys("\x03")
	term.expect(prompt)
	term.typeKeys("exit 0\r")
	term.ends(0)
}
