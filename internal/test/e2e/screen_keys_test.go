package e2e_test

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEscapeKeyEndsTheSession(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	term := w.shell(80, 24)
	command := term.sleeps()
	start := time.Now()
	term.typeKeys("~.")
	term.ends(255)
	if stderr := term.stderr(); !strings.HasPrefix(stderr, "~.") {
		t.Errorf("stderr %q does not show what was typed", stderr)
	} else {
		wantsLine(t, stderr[strings.IndexByte(stderr, '\n')+1:], device, "closed by ~. from the keyboard")
	}
	w.allGone(start, command)
	w.stillServes()
}

func TestEscapeKeysThatLeaveTheSessionAlone(t *testing.T) {
	t.Parallel()
	term := setup{}.start(t).shell(80, 24)
	term.typeKeys("~?")
	term.typeKeys("~i")
	if got := term.run("echo ~~ $((40+2))"); got != "~~ 42\r\n" {
		t.Errorf("after ~? and ~i: %q", got)
	}
	for _, text := range []string{
		"~^Z  suspend", "~.   end", "device    " + device, "broker    tcp://127.0.0.1", "flow control",
	} {
		if !strings.Contains(term.stderr(), text) {
			t.Errorf("%q is not in %q", text, term.stderr())
		}
	}
	term.typeKeys("~~\r") // the device receives one of them
	term.expect("~\r\n")
	term.expect(prompt)
	term.typeKeys("exit 4\r")
	term.ends(4)
}

func TestEscapeCharacterOfTheCommandLine(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, tt := range []struct {
		options []string
		passes  string
		ends    string // "": by the command exit
	}{
		{[]string{"-e", "none"}, "~.", ""},
		{[]string{"-o", "EscapeChar=none"}, "~.", ""},
		{[]string{"-e", "^X"}, "~.", "\x18."},
		{[]string{"-e", "%"}, "~.", "%."},
	} {
		term := w.open(80, 24, w.shvrsh(append(tt.options, device)...))
		term.expect(prompt)
		term.begin("head -n 1 | tr . ,")
		term.typeKeys(tt.passes + "\r")
		term.expect("~,\r\n")
		term.expect(prompt)
		if tt.ends == "" {
			term.typeKeys("exit\r")
			term.ends(0)
			continue
		}
		term.typeKeys(tt.ends)
		term.ends(255)
		if !strings.Contains(term.stderr(), "from the keyboard") {
			t.Errorf("%v: stderr %q", tt.options, term.stderr())
		}
	}
}

func TestStatusLineWhileTheLinkIsStuck(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	term := w.shell(100, 24)
	const status = "\x1b7\x1b[1;1H\x1b[7m[shvrsh: nothing from " + device
	const erased = "\x1b7\x1b[1;1H\x1b[K\x1b8"

	w.broker.signal(t, syscall.SIGSTOP)
	term.typeKeys("echo $((40+2))")
	term.expect(status)
	w.broker.signal(t, syscall.SIGCONT)
	term.expect(erased)
	term.expect("echo $((40+2))")
	term.typeKeys("\r")
	term.expect("42\r\n")
	term.expect(prompt)

	w.broker.signal(t, syscall.SIGSTOP)
	term.typeKeys("\r")
	term.expect(status)
	term.typeKeys("~.")
	term.expect(erased) // the status line must not stay on the screen
	term.ends(255)
	if !strings.Contains(term.stderr(), "closed by ~. from the keyboard") {
		t.Errorf("stderr %q", term.stderr())
	}
	w.broker.signal(t, syscall.SIGCONT)
	w.stillServes()
}

// The last line must name the cause of the end.
func TestLastLineNamesTheCauseOfTheEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *world, term *terminal)
		code int
		line string
	}{
		{"exit", func(_ *world, term *terminal) { term.typeKeys("exit 3\r") }, 3, "Session on " + device + " closed."},
		{"killed", func(_ *world, term *terminal) { term.typeKeys("kill -KILL $$\r") }, 137,
			"Session on " + device + " ended: the remote program was killed by KILL."},
		{"agent stopped", func(w *world, _ *terminal) { w.agent.Stop(w.t) }, 255,
			"shvrsh: " + device + ": session ended: the agent on the device was stopped"},
		{"agent killed", func(w *world, _ *terminal) { w.kill(w.agent) }, 255,
			"shvrsh: " + device + ": session ended: the agent on the device was lost"},
		{"helper killed", func(w *world, _ *terminal) { w.killHelper() }, 255,
			"shvrsh: " + device + ": session ended: the device restarted or lost its connection"},
		{"broker stopped", func(w *world, _ *terminal) { w.broker.Stop(w.t) }, 255,
			"shvrsh: " + device + ": session ended: the broker is stopping"},
		{"broker killed", func(w *world, _ *terminal) { w.kill(w.broker) }, 255,
			"shvrsh: " + device + ": session ended: connection to the broker lost: connection closed by the peer"},
		{"terminated", func(_ *world, term *terminal) { _ = syscall.Kill(term.shvrsh(), syscall.SIGTERM) }, 255,
			"shvrsh: " + device + ": session ended: ended by signal: terminated"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := setup{}.start(t)
			term := w.shell(80, 24)
			tt.end(w, term)
			term.ends(tt.code)
			lines := strings.Split(strings.TrimSuffix(term.stderr(), "\n"), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, tt.line) || len(lines) != 1 {
				t.Errorf("stderr %q, want %q", term.stderr(), tt.line)
			}
		})
	}
}

func TestQuietHasNoLastLine(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	term := w.open(80, 24, w.shvrsh("-q", device))
	term.expect(prompt)
	term.typeKeys("exit 2\r")
	term.ends(2)
	if term.stderr() != "" {
		t.Errorf("stderr %q", term.stderr())
	}
}

func TestTerminalOptions(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	term := w.open(91, 29, w.shvrsh("-t", device, "tty; stty size; exit 5"))
	term.expect("/dev/pts/")
	term.expect("29 91\r\n")
	term.ends(5)

	term = w.open(80, 24, w.shvrsh("-T", device))
	term.typeKeys("tty; echo $((40+2)); exit 6\r")
	term.expect("not a tty\r\n42\r\n") // the local terminal adds the carriage return
	term.ends(6)

	term = w.open(80, 24, w.shvrsh(device, "tty; exit 7"))
	term.expect("not a tty\r\n")
	term.ends(7)

	r := w.on(opts("-tt"), "tty; exit 8")
	if r.code != 8 || !strings.HasPrefix(string(r.stdout), "/dev/pts/") || len(r.stderr) != 0 {
		t.Errorf("-tt without a terminal: %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	w.on(opts("-t"), "tty; exit 9").wants(t, 9, "not a tty\n", "")
	script := w.shvrsh("-tt", device)
	script.Stdin = strings.NewReader("echo $((40+2))-script\nexit 10\n")
	if r := w.finish(script); r.code != 10 || !strings.Contains(string(r.stdout), "42-script") {
		t.Errorf("-tt with a script: %d, %q, %q", r.code, r.stdout, r.stderr)
	}
}

func TestTerminalAndLanguageAreOffered(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	offering := func(args ...string) *exec.Cmd {
		cmd := w.shvrsh(args...)
		cmd.Env = append(cmd.Env, "TERM=vt220", "COLORTERM=truecolor", "LANG=C.UTF-8", "LC_TIME=C", "LD_PRELOAD=", "SECRET=x")
		return cmd
	}
	const show = `echo "<$TERM|$COLORTERM|$LANG|$LC_TIME|$SECRET>"`
	term := w.open(80, 24, offering(device))
	term.expect(prompt)
	if got := term.run(show); !strings.Contains(got, "<vt220|truecolor|C.UTF-8|C|>\r\n") {
		t.Errorf("in a shell: %q", got)
	}
	term.typeKeys("exit\r")
	term.ends(0)
	r := w.finish(offering(device, `echo "<$COLORTERM|$LANG|$LC_TIME|$SECRET>"`))
	r.wants(t, 0, "<|C.UTF-8|C|>\n", "")
}
