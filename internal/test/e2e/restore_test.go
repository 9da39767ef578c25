package e2e_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// Ends by SIGKILL are in kill_test.go.
func TestTerminalIsRestored(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	const closes = "Session on test/agent closed.\n"
	for _, tt := range []struct {
		name   string
		leave  func(term *terminal)
		code   int
		stderr string // the whole text if the session closed, otherwise a part of the line
	}{
		{"exit", func(term *terminal) { term.typeKeys("exit\r") }, 0, closes},
		{"end of input", func(term *terminal) { term.typeKeys("\x04") }, 0, closes},
		{"exit code", func(term *terminal) { term.typeKeys("exit 7\r") }, 7, closes},
		{"shell killed", func(term *terminal) { term.typeKeys("kill -KILL $$\r") }, 137,
			"Session on test/agent ended: the remote program was killed by KILL.\n"},
		{"SIGTERM", func(term *terminal) { _ = syscall.Kill(term.shvrsh(), syscall.SIGTERM) }, 255, "terminated"},
		{"SIGHUP", func(term *terminal) { _ = syscall.Kill(term.shvrsh(), syscall.SIGHUP) }, 255, "hangup"},
		{"SIGINT", func(term *terminal) { _ = syscall.Kill(term.shvrsh(), syscall.SIGINT) }, 255, "interrupt"},
		{"SIGQUIT", func(term *terminal) { _ = syscall.Kill(term.shvrsh(), syscall.SIGQUIT) }, 255, "quit"},
	} {
		term := w.shell(80, 24)
		t.Log(tt.name)
		tt.leave(term)
		term.ends(tt.code)
		if farewell := strings.HasPrefix(tt.stderr, "Session on "); !farewell {
			wantsLine(t, term.stderr(), tt.stderr)
		} else if got := term.stderr(); got != tt.stderr {
			t.Errorf("stderr %q, want %q", got, tt.stderr)
		}
	}
	eventually(t, patience, "all helpers end", func() bool { return len(w.helpers()) == 0 })
}

func TestTerminalIsUntouchedWhenThereIsNoTunnel(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	term := w.open(80, 24, w.shvrsh("test/nosuch"))
	term.ends(255)
	wantsLine(t, term.stderr(), "test/nosuch: no such device")

	w.agent.signal(t, syscall.SIGSTOP)
	term = w.open(80, 24, w.shvrsh(device))
	w.awaitCalls(1)
	term.typeKeys("\x03") // the terminal is not raw yet, so it makes a signal of it
	term.ends(255)
	wantsLine(t, term.stderr(), "interrupt")
}

// With `shvrsh test/agent | head -1`, SIGPIPE must not end a program that has put the
// terminal into raw mode.
func TestTerminalIsRestoredWhenTheOutputIsClosed(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	rsh := w.shvrsh(device)
	rsh.Stdout = out
	term := w.open(80, 24, rsh)
	_ = out.Close()
	if n, err := r.Read(make([]byte, 1)); n != 1 {
		t.Fatal(err)
	}
	_ = r.Close()
	term.typeKeys(strings.Repeat("echo\r", 10))
	term.ends(255)
	wantsLine(t, term.stderr(), "broken pipe")
	eventually(t, patience, "the helper ends", func() bool { return len(w.helpers()) == 0 })
}
