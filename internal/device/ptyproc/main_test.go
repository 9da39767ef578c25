package ptyproc_test

import (
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
)

func TestMain(m *testing.M) {
	// A descriptor without close-on-exec, as a careless parent leaves it.
	if _, err := unix.Dup(2); err != nil {
		panic(err)
	}
	ptyproc.DefaultSignals()
	goleak.VerifyTestMain(m)
}

// deadline bounds each test's wait for its process.
const deadline = 30 * time.Second

var testEnv = []string{"PATH=" + os.Getenv("PATH"), "TERM=xterm", "LC_ALL=C", "HOME=/"}

// mode is one of the two ways of running a process; tests of what they have
// in common run in both.
type mode struct {
	name string
	pty  *ptyproc.Size
}

var modes = []mode{{"pipes", nil}, {"pty", &ptyproc.Size{Cols: 80, Rows: 24}}}

// times runs a test n times, or until it fails, each time with a watchdog of its own.
func times(t *testing.T, n int, f func(t *testing.T)) {
	for i := range n {
		if !t.Run(strconv.Itoa(i), f) {
			return
		}
	}
}

func eachMode(t *testing.T, f func(t *testing.T, m mode)) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { f(t, m) })
	}
}

// start starts a program that is gone at the end of the test. If the test
// hangs on it, a watchdog ends the wait; if even that doesn't help, a second
// one ends the tests rather than leave them hanging.
func start(t testing.TB, m mode, argv ...string) *ptyproc.Proc {
	t.Helper()
	p, err := ptyproc.Start(ptyproc.Spec{Path: argv[0], Argv: argv, Env: testEnv, Pty: m.pty})
	if err != nil {
		t.Fatalf("Start(%q): %v", argv, err)
	}
	bark := time.AfterFunc(deadline, func() {
		t.Errorf("%q: no progress for %v", argv, deadline)
		_ = unix.Kill(-p.Pid(), unix.SIGKILL)
		_ = p.Close()
	})
	bite := time.AfterFunc(2*deadline, func() { panic("test hangs: " + strings.Join(argv, " ")) })
	t.Cleanup(func() {
		p.Hangup(10 * time.Millisecond)
		p.Wait()
		_ = p.Close()
		bark.Stop()
		bite.Stop()
	})
	return p
}

func shell(t testing.TB, m mode, script string) *ptyproc.Proc {
	t.Helper()
	return start(t, m, "sh", "-c", script)
}

// readAll reads one stream to its end.
func readAll(t testing.TB, o *ptyproc.Output) string {
	t.Helper()
	b, err := io.ReadAll(o)
	if err != nil {
		t.Fatalf("Read: %v after %q", err, b)
	}
	return string(b)
}

// readUntil reads until the output contains want, and returns it all.
func readUntil(t testing.TB, o *ptyproc.Output, want string) string {
	t.Helper()
	var got []byte
	buf := make([]byte, 4096)
	for !strings.Contains(string(got), want) {
		n, err := o.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Fatalf("Read: %v after %q, want %q", err, got, want)
		}
	}
	return string(got)
}

func write(t testing.TB, p *ptyproc.Proc, s string) {
	t.Helper()
	if n, err := p.Write([]byte(s)); err != nil || n != len(s) {
		t.Fatalf("Write of %d bytes = %d, %v", len(s), n, err)
	}
}

// eventually polls for a condition that gives no notice.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", deadline, what)
		}
	}
}

// lines undoes what a terminal does to line ends.
func lines(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
