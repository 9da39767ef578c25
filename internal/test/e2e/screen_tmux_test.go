package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// localPrompt is the prompt of the user's local shell.
const localPrompt = "user> "

// tmux is a tmux server of the test, which serves as its terminal emulator.
type tmux struct {
	w       *world
	path    string
	sockets string // directory for its socket and those of servers that a test starts in it
}

// tmux returns a tmux whose server starts with its first pane.
func (w *world) tmux() *tmux {
	w.t.Helper()
	dir, err := os.MkdirTemp("", "tm-") // short, since names of sockets are limited
	if err != nil {
		w.t.Fatal(err)
	}
	m := &tmux{w: w, path: tool(w.t, "tmux", "tmux"), sockets: dir}
	w.t.Cleanup(func() {
		sockets, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, socket := range sockets {
			_ = exec.Command(m.path, "-S", socket, "kill-server").Run()
		}
		_ = os.RemoveAll(dir)
	})
	return m
}

func (m *tmux) command(args ...string) *exec.Cmd {
	// -S is like -L, but with the path of the socket.
	args = append([]string{"-u", "-S", filepath.Join(m.sockets, "user"), "-f", "/dev/null"}, args...)
	cmd := exec.Command(m.path, args...)
	cmd.Env = environment("SHV_URL="+m.w.url, "LANG=C.UTF-8", "SHELL=/bin/sh", "PS1="+localPrompt, "HISTFILE=")
	return cmd
}

func (m *tmux) do(args ...string) string {
	m.w.t.Helper()
	out, err := m.command(args...).CombinedOutput()
	if err != nil {
		m.w.t.Fatalf("tmux %q: %v: %s", args, err, out)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// pane is a screen in a window of its own.
type pane struct {
	m  *tmux
	id string
}

// pane runs a shell line on a screen of that size.
func (m *tmux) pane(cols, rows int, line string) *pane {
	m.w.t.Helper()
	id := m.do("new-session", "-d", "-P", "-F", "#{pane_id}", "-c", os.Getenv("HOME"),
		"-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows), line, ";",
		"set-option", "-g", "status", "off", ";",
		"set-option", "-g", "remain-on-exit", "on")
	p := &pane{m: m, id: id}
	p.resize(cols, rows)
	return p
}

// resize changes the size of the window.
func (p *pane) resize(cols, rows int) {
	p.m.w.t.Helper()
	p.m.do("resize-window", "-t", p.id, "-x", strconv.Itoa(cols), "-y", strconv.Itoa(rows))
}

// keys presses keys by their names, such as Enter and C-z.
func (p *pane) keys(names ...string) {
	p.m.w.t.Helper()
	p.m.do(append([]string{"send-keys", "-t", p.id}, names...)...)
}

// text types a text.
func (p *pane) text(text string) {
	p.m.w.t.Helper()
	p.m.do("send-keys", "-t", p.id, "-l", text)
}

// line types a text and Enter.
func (p *pane) line(text string) {
	p.m.w.t.Helper()
	p.text(text)
	p.keys("Enter")
}

var (
	behindLine = regexp.MustCompile(`((?:\x1b\[[0-9;]*m)+)\n`)
	overruled  = regexp.MustCompile(`\x1b\[39m(\x1b\[3[0-7]m)`)
)

// screen returns what is visible, with colours, attributes and the cursor.
func (p *pane) screen() string {
	p.m.w.t.Helper()
	text := p.m.do("capture-pane", "-p", "-e", "-t", p.id) + "\n"
	// Attributes end with a line or begin the next one, depending on whether blanks were
	// written or cleared. That is not visible.
	for behindLine.MatchString(text) {
		text = behindLine.ReplaceAllString(text, "\n$1")
	}
	return overruled.ReplaceAllString(text, "$1") +
		p.m.do("display-message", "-p", "-t", p.id, "size #{pane_width}x#{pane_height} "+
			"cursor #{cursor_x},#{cursor_y} visible #{cursor_flag} other screen #{alternate_on}")
}

// plain returns the text without attributes.
func (p *pane) plain() string {
	p.m.w.t.Helper()
	return p.m.do("capture-pane", "-p", "-t", p.id)
}

// awaits waits until the screen is as wanted, and returns its text.
func (p *pane) awaits(what string, wanted func(text string) bool) (text string) {
	p.m.w.t.Helper()
	defer func() {
		if p.m.w.t.Failed() {
			p.m.w.t.Logf("the screen shows:\n%s", text)
		}
	}()
	eventually(p.m.w.t, patience, what, func() bool {
		text = p.plain()
		return wanted(text)
	})
	return text
}

// shows waits until a text is on the screen.
func (p *pane) shows(text string) string {
	p.m.w.t.Helper()
	return p.awaits(fmt.Sprintf("the screen shows %q", text), func(screen string) bool {
		return strings.Contains(screen, text)
	})
}

// lastLine waits until the last line that is not empty is as wanted.
func (p *pane) lastLine(line string) {
	p.m.w.t.Helper()
	p.awaits(fmt.Sprintf("%q is the last line", line), func(screen string) bool {
		screen = strings.TrimRight(screen, "\n ")
		return screen[strings.LastIndexByte(screen, '\n')+1:] == strings.TrimRight(line, " ")
	})
}

// quotedWord quotes a text as one word of a shell.
func quotedWord(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
