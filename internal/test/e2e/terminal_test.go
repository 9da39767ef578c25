package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"shvtools/internal/test/proctest"
)

// underShell runs shvrsh under a user's shell, which has the terminal before and after. It
// records the modes of the terminal at both times.
const underShell = `modes=$1 errors=$2; shift 2
trap : INT
stty -g >"$modes"
"$@" 2>"$errors"
code=$?
stty -g >>"$modes"
exit $code`

// terminal is a user's terminal with shvrsh in the foreground.
type terminal struct {
	w      *world
	master *os.File
	slave  *os.File         // shares its description with shvrsh; blocking
	shell  *process         // the user's shell
	screen *proctest.Record // what the terminal shows
	seen   int              // bytes of the screen that expect has passed

	modes, errors string // files
}

var terminals atomic.Int64

// shell opens a shell on the device, with a terminal of that size, and waits for its prompt.
func (w *world) shell(cols, rows uint16) *terminal {
	w.t.Helper()
	term := w.open(cols, rows, w.shvrsh(device))
	term.expect(prompt)
	return term
}

// open starts shvrsh on a terminal of its own.
func (w *world) open(cols, rows uint16, shvrsh *exec.Cmd) *terminal {
	w.t.Helper()
	name := filepath.Join(w.dir, fmt.Sprintf("terminal%d", terminals.Add(1)))
	term := &terminal{w: w, screen: proctest.NewRecord(), modes: name + ".modes", errors: name + ".errors"}
	term.openPty()
	term.resize(cols, rows)

	cmd := exec.Command("/bin/sh", append([]string{"-c", underShell, "sh", term.modes, term.errors}, shvrsh.Args...)...)
	cmd.Env = shvrsh.Env
	cmd.Stdin, cmd.Stdout = term.slave, term.slave
	if shvrsh.Stdout != nil {
		cmd.Stdout = shvrsh.Stdout
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	term.shell = w.launch(cmd)
	return term
}

func (term *terminal) openPty() {
	t := term.w.t
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	term.master = reopen(t, master, true) // so that Close ends a Read
	term.slave = reopen(t, slave, false)  // as a user's shell has it
	go func() { _, _ = io.Copy(term.screen, term.master) }()
}

// reopen returns a file with the same description as f, non-blocking or not. Package pty
// does not say which of the two its files are.
func reopen(t *testing.T, f *os.File, nonblocking bool) *os.File {
	t.Helper()
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		err = unix.SetNonblock(fd, nonblocking)
	}
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), f.Name())
	t.Cleanup(func() { _ = file.Close() })
	return file
}

// expect waits for a text on the screen, after the texts that were expected before, and
// returns everything up to its end.
func (term *terminal) expect(text string) string {
	term.w.t.Helper()
	shows := func(screen []byte) bool { return bytes.Contains(screen[term.seen:], []byte(text)) }
	if !term.screen.Await(shows, term.shell.Ended) {
		term.w.t.Fatalf("the terminal does not show %q but %q; stderr: %q",
			text, term.screen.Bytes()[term.seen:], term.stderr())
	}
	rest := term.screen.Bytes()[term.seen:]
	end := bytes.Index(rest, []byte(text)) + len(text)
	term.seen += end
	return string(rest[:end])
}

// typeKeys types keys, as the keyboard of the terminal does.
func (term *terminal) typeKeys(keys string) {
	term.w.t.Helper()
	if _, err := term.master.WriteString(keys); err != nil {
		term.w.t.Fatal(err)
	}
}

// run types a line and waits for the next prompt; it returns what the command
// printed.
func (term *terminal) run(line string) string {
	term.w.t.Helper()
	term.typeKeys(line + "\r")
	term.expect(line + "\r\n")
	return strings.TrimSuffix(term.expect(prompt), prompt)
}

// echoes types keys to a program that echoes them, and returns how long each took to be
// seen, the quickest first. The pause after each is that of a user: keys without pauses
// between them would measure a busy connection.
func (term *terminal) echoes(keys int, pause time.Duration) (took []time.Duration) {
	term.w.t.Helper()
	for range keys {
		began := time.Now()
		term.typeKeys("x")
		term.expect("x")
		took = append(took, time.Since(began))
		time.Sleep(pause) // that of a hand, between two keys
	}
	slices.Sort(took)
	return took
}

// begin types a command that reads the terminal, and waits until it runs: the line editor
// of the shell has other modes.
func (term *terminal) begin(command string) {
	term.w.t.Helper()
	term.typeKeys("echo be''gun; " + command + "\r")
	term.expect("begun\r\n")
}

// sleeps types a command that runs until it is ended, and returns its marker.
func (term *terminal) sleeps() string {
	term.w.t.Helper()
	command := marker()
	term.typeKeys(command + "\r")
	awaitStart(term.w.t, command)
	return command
}

// interrupts starts a command, ends it with Ctrl-C, and waits for the prompt.
func (term *terminal) interrupts() {
	term.w.t.Helper()
	command := term.sleeps()
	term.typeKeys("\x03")
	term.expect(prompt)
	awaitEnd(term.w.t, patience, command)
}

// endsInBand checks with ~i that the shell runs in band, and ends it.
func (term *terminal) endsInBand() {
	term.w.t.Helper()
	term.typeKeys("\r~i")
	eventually(term.w.t, patience, "~i says how", func() bool {
		return strings.Contains(term.stderr(), "the broker has no tunnels")
	})
	term.typeKeys("\rexit 5\r")
	term.ends(5)
}

func (term *terminal) resize(cols, rows uint16) {
	term.w.t.Helper()
	size := unix.Winsize{Col: cols, Row: rows}
	if err := unix.IoctlSetWinsize(int(term.slave.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		term.w.t.Fatal(err)
	}
}

// mode returns the present modes of the terminal.
func (term *terminal) mode() unix.Termios {
	term.w.t.Helper()
	mode, err := unix.IoctlGetTermios(int(term.slave.Fd()), unix.TCGETS)
	if err != nil {
		term.w.t.Fatal(err)
	}
	return *mode
}

// nonblocking reports whether the user's terminal is non-blocking.
func (term *terminal) nonblocking() bool {
	term.w.t.Helper()
	flags, err := unix.FcntlInt(term.slave.Fd(), unix.F_GETFL, 0)
	if err != nil {
		term.w.t.Fatal(err)
	}
	return flags&unix.O_NONBLOCK != 0
}

// shvrsh waits until shvrsh runs on the terminal, and returns its process.
func (term *terminal) shvrsh() int {
	term.w.t.Helper()
	var pids []int
	eventually(term.w.t, patience, "shvrsh runs", func() bool {
		pids = childrenOf(term.shell.pid(), program("shvrsh"))
		return len(pids) == 1
	})
	return pids[0]
}

func (term *terminal) stderr() string {
	text, _ := os.ReadFile(term.errors)
	return string(text)
}

// ends waits for the end of shvrsh. It checks the exit code, and that the terminal is as
// it was before.
func (term *terminal) ends(code int) {
	t := term.w.t
	t.Helper()
	if got := term.shell.code(t); got != code {
		t.Errorf("shvrsh ended with %d, want %d; stderr: %q", got, code, term.stderr())
	}
	term.restored(t)
}

func (term *terminal) restored(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(term.modes)
	if err != nil {
		t.Fatal(err)
	}
	modes := strings.Fields(string(text))
	if len(modes) != 2 || modes[0] != modes[1] {
		t.Errorf("modes of the terminal before and after: %q", modes)
	}
	if term.nonblocking() {
		t.Error("the terminal was left non-blocking")
	}
}
