package e2e_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// twins are two screens with the same program: one runs it directly, the other through
// shvrsh.
type twins struct {
	t             *testing.T
	local, remote *pane
}

// twins starts a line of a shell on both screens.
func (m *tmux) twins(cols, rows int, line string) *twins {
	m.w.t.Helper()
	const end = "; printf 'ended %d\\n' $?; exec sleep 1000"
	return &twins{
		t:      m.w.t,
		local:  m.pane(cols, rows, line+end),
		remote: m.pane(cols, rows, program("shvrsh")+" -q -t "+device+" "+quotedWord(line)+end),
	}
}

// same waits until both screens show a text and are equal.
func (s *twins) same(text string) {
	s.t.Helper()
	s.local.shows(text)
	s.remote.shows(text)
	var local, remote string
	defer func() {
		if s.t.Failed() {
			s.t.Logf("with %q\nlocally:\n%s\nthrough shvrsh:\n%s", text, local, remote)
		}
	}()
	eventually(s.t, patience, "both screens are the same", func() bool {
		local, remote = s.local.screen(), s.remote.screen()
		return local == remote
	})
}

// keys presses the same keys on both screens.
func (s *twins) keys(names ...string) {
	s.t.Helper()
	s.local.keys(names...)
	s.remote.keys(names...)
}

func (s *twins) text(text string) {
	s.t.Helper()
	s.local.text(text)
	s.remote.text(text)
}

func (s *twins) line(text string) {
	s.t.Helper()
	s.text(text)
	s.keys("Enter")
}

func (s *twins) resize(cols, rows int) {
	s.t.Helper()
	s.local.resize(cols, rows)
	s.remote.resize(cols, rows)
}

// longFile writes a file of that many lines, some of them with wide characters.
func longFile(t *testing.T, lines int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "long.txt")
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "line %d žluťoučký 漢字 %s\n", i+1, strings.Repeat("x", i%100))
	}
	write(t, file, []byte(text.String()), 0o600)
	return file
}

func TestScreenOfVim(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	vim := tool(t, "vim", "vim")
	s := w.tmux().twins(80, 24, vim+" -u NONE -i NONE -n -N -R "+longFile(t, 500))
	s.same("line 20")
	s.text("ohello wörld 漢字 ☃")
	s.keys("Escape")
	s.same("漢字 ☃")
	// The size shows where vim draws it again by itself.
	s.line(":set laststatus=2 statusline=%f\\ %{&lines}x%{&columns}")
	s.same("24x80")
	s.line(":split")
	s.keys("C-w", "j")
	s.text("100G")
	s.same("line 100 ")
	s.line(":set number hlsearch cursorline")
	s.line("/12[0-9]")
	s.same("120 line 119")
	s.resize(60, 15)
	s.same("15x60")
	s.resize(132, 43)
	s.same("43x132")
	s.text("5ddp")
	s.same("43x132")
	s.line(":qa!")
	s.same("ended 0")
}

func TestScreenOfLess(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	s := w.tmux().twins(80, 24, tool(t, "less", "less")+" "+longFile(t, 2000))
	s.same("line 15 ")
	s.keys("PPage", "NPage", "NPage")
	s.same("line 60 ")
	s.line("/line 1234")
	s.same("line 1234 ")
	s.keys("End")
	s.same("line 2000 ")
	s.resize(50, 12)
	s.same("\n:") // no longer at the end; a key that arrives before the redraw may be lost
	s.text("g")
	s.same("line 2 ")
	s.text("q")
	s.same("ended 0")
}

// The figures of top always differ, so only its layout is compared.
func TestScreenOfTop(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	top := program("shvrsh") + " -t " + device + " " + tool(t, "top", "procps")
	p := w.tmux().pane(100, 30, top+"; echo ended $?; exec sleep 1000")
	p.awaits("top is on the screen", func(screen string) bool {
		return strings.HasPrefix(screen, "top - ") && strings.Contains(screen, "PID") && strings.Count(screen, "\n") >= 28
	})
	p.resize(100, 20)
	p.text("1")
	p.awaits("top has the new size", func(screen string) bool {
		return strings.HasPrefix(screen, "top - ") && strings.Contains(screen, "Cpu0") && strings.Count(screen, "\n") == 19
	})
	p.text("q")
	p.shows("ended 0")
}

func TestScreenOfTmux(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	config := filepath.Join(w.dir, "inner.conf")
	// tmux treats keys that arrive together, after a delay, as a paste unless this is 0.
	settings := `set -g status-right ''
set -g automatic-rename off
set -g assume-paste-time 0
set -g default-command "PS1='in> ' exec sh"
`
	write(t, config, []byte(settings), 0o600)
	// Each has a server of its own, named by the shell's process.
	m := w.tmux()
	inner := "env -u TMUX ENV= tmux -u -S " + m.sockets + "/$$ -f " + config + " new-session -n one; true"
	s := m.twins(80, 24, inner)
	s.same("in>")
	s.keys("C-b", "%")
	s.same("│in>")
	s.line("echo $((40+2))-right")
	s.same("42-right")
	s.keys("C-b", `"`)
	s.same("├──")
	s.same("│in>\n")
	s.line("stty size")
	s.same("11 39")
	s.keys("C-b", "Left")
	s.line("echo $((40+2))-left")
	s.same("42-left")
	s.resize(70, 20)
	s.line("clear; until stty size | grep ^19; do sleep 0.02; done")
	s.same("19 ")
	s.keys("C-b", ":")
	s.same("\n:") // a key that arrives sooner may be lost
	s.line("kill-server")
	s.same("ended 0")
}

// Programs depend on the settings that stty shows.
func TestTerminalSettingsAreTheUsers(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	s := w.tmux().twins(90, 30, `stty -a | sed "s/^speed [0-9]* baud; //"; echo $TERM $LANG`)
	s.same("rows 30; columns 90")
	s.same("ended 0")
}

func TestScreenOfColoursAndWideCharacters(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	file := filepath.Join(w.dir, "colours")
	var text strings.Builder
	for i := range 16 {
		fmt.Fprintf(&text, "\x1b[%dm%02d\x1b[0m \x1b[48;5;%dm%02x\x1b[0m \x1b[38;2;%d;7;200mrgb\x1b[m ",
			30+i%8, i, i*16, i, i*16)
	}
	text.WriteString("\n\x1b[1mbold\x1b[0m \x1b[3mitalic\x1b[0m \x1b[4;7munder\x1b[0m\n")
	text.WriteString("漢字カナ ☃ é e\u0301 \U0001F600 žluťoučký\n")
	text.WriteString(strings.Repeat("漢", 100) + "\n\x1b[10;20Hat\x1b[1Bbelow\x1b[15;1H\n")
	write(t, file, []byte(text.String()), 0o600)
	s := w.tmux().twins(81, 24, "cat "+file)
	s.same("below")
	s.same("ended 0")
}
