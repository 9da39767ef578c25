package e2e_test

import (
	"strings"
	"syscall"
	"testing"
)

// userShell returns a pane with a shell that has job control, and shvrsh in it.
func (w *world) userShell(cols, rows int) *pane {
	w.t.Helper()
	p := w.tmux().pane(cols, rows, "exec "+tool(w.t, "bash", "bash")+" --norc --noprofile -i")
	p.lastLine(localPrompt)
	p.line(program("shvrsh") + " " + device)
	p.lastLine(prompt)
	return p
}

// shvrshIn returns the process of shvrsh in a pane.
func (p *pane) shvrshIn() int {
	p.m.w.t.Helper()
	var pids []int
	eventually(p.m.w.t, patience, "shvrsh runs", func() bool {
		pids = processes(func(pid int) bool {
			return strings.HasPrefix(commandLine(pid), program("shvrsh")+" ") &&
				strings.Contains(procFile(pid, "environ"), "SHV_URL="+p.m.w.url+"\x00")
		})
		return len(pids) == 1
	})
	return pids[0]
}

// away waits until shvrsh is stopped and the user's shell has the terminal, with the modes
// that it had before. back continues shvrsh.
func (p *pane) away() {
	p.m.w.t.Helper()
	p.shows("Stopped")
	p.line("clear; stty -a | grep -o ' .icanon\\| icanon\\| .echo \\| echo '; echo $((40+2))-away")
	text := p.shows("42-away")
	if strings.Contains(text, "-icanon") || strings.Contains(text, "-echo ") {
		p.m.w.t.Errorf("the terminal of the user's shell is raw:\n%s", text)
	}
	p.lastLine(localPrompt)
}

func (p *pane) back() {
	p.m.w.t.Helper()
	shvrsh := p.shvrshIn()
	p.line("clear; fg")
	eventually(p.m.w.t, patience, "shvrsh goes on", func() bool {
		return !strings.Contains(procFile(shvrsh, "status"), "State:\tT")
	})
}

// typesOnce checks that the terminal is raw: only the device echoes what is typed, and
// receives Ctrl-C too.
func (p *pane) typesOnce() {
	p.m.w.t.Helper()
	p.line("clear; echo be''gun; cat")
	p.shows("begun")
	p.line("word")
	p.awaits("cat has its line", func(screen string) bool { return strings.Contains(screen, "word\nword\n") })
	p.keys("C-c")
	p.lastLine(prompt)
	if screen := p.plain(); strings.Count(screen, "word") != 2 || strings.Count(screen, "^C") != 1 {
		p.m.w.t.Errorf("the screen shows:\n%s", screen)
	}
}

func TestSuspendedByKeyAndContinued(t *testing.T) {
	t.Parallel()
	p := setup{}.start(t).userShell(100, 24)
	p.line("trap 'echo resized' WINCH")
	p.lastLine(prompt)
	p.keys("Enter")
	p.text("~")
	p.keys("C-z")
	p.away()
	p.resize(77, 21)
	p.back()
	p.line("stty size")
	p.shows("21 77")
	p.typesOnce()
	p.line("exit 3")
	p.lastLine(localPrompt)
	p.line("echo code $?")
	p.shows("code 3")
}

func TestSuspendedFromOutsideAndContinued(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGSTOP} {
		p := setup{}.start(t).userShell(100, 24)
		t.Log(sig)
		if err := syscall.Kill(p.shvrshIn(), sig); err != nil {
			t.Fatal(err)
		}
		p.away()
		p.resize(78, 22)
		p.back()
		p.line("stty size")
		p.shows("22 78")
		p.typesOnce()
		p.line("exit")
		p.lastLine(localPrompt)
	}
}

// vim must find its screen again.
func TestSuspendedInVim(t *testing.T) {
	t.Parallel()
	p := setup{}.start(t).userShell(80, 24)
	p.line(tool(t, "vim", "vim") + " -u NONE -i NONE -n -N -R " + longFile(t, 100))
	p.shows("line 20 ")
	p.line(":set laststatus=2 statusline=%{&lines}x%{&columns}")
	p.shows("24x80")
	p.text("\r~") // moves a line down
	p.keys("C-z")
	p.away()
	p.resize(60, 18)
	p.back()
	p.awaits("vim is redrawn", func(screen string) bool {
		return strings.HasPrefix(screen, "line 1 ") && strings.Contains(screen, "18x60")
	})
	p.line(":q!")
	p.lastLine(prompt)
}

// Without a shell in the terminal window, nothing could continue shvrsh.
func TestSuspendNeedsAShell(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	p := w.tmux().pane(80, 24, "exec "+program("shvrsh")+" "+device)
	p.lastLine(prompt)
	p.text("~")
	p.keys("C-z")
	p.shows("cannot suspend")
	p.line("echo $((40+2))-here")
	p.shows("42-here")
}

// Before the session is open, the terminal is not raw, and Ctrl-Z makes a signal.
func TestSuspendedWhileItConnects(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.agent.signal(t, syscall.SIGSTOP)
	p := w.tmux().pane(80, 24, "exec "+tool(t, "bash", "bash")+" --norc --noprofile -i")
	p.lastLine(localPrompt)
	p.line(program("shvrsh") + " " + device)
	w.awaitCalls(1)
	p.keys("C-z")
	p.away()
	p.back()
	w.agent.signal(t, syscall.SIGCONT)
	p.lastLine(prompt)
	p.line("exit")
	p.lastLine(localPrompt)
}
