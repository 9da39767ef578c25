package tty_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
)

// childEnv names what the test binary does when a test runs it as a child:
// with a terminal for its standard streams, as a user's program has.
const childEnv = "TTY_TEST_CHILD"

// children holds these programs; they report on standard output.
var children = map[string]func() error{
	"flags":    childFlags,
	"raw":      childRaw,
	"gone":     childGone,
	"resizes":  childResizes,
	"password": childPassword,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		if err := children[name](); err != nil {
			fmt.Println("child failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const deadline = 30 * time.Second

// child is a running child process, with its output that was not read yet.
type child struct {
	*ptyproc.Proc
	out  *ptyproc.Output
	left []byte
}

// run starts a child on a terminal of 80×24, or on pipes. A watchdog ends it.
func run(t *testing.T, name string, onPty bool) *child {
	t.Helper()
	spec := ptyproc.Spec{Path: os.Args[0], Env: append(os.Environ(),
		childEnv+"="+name,
		"GORACE=atexit_sleep_ms=0", // else each child takes a second under -race
	)}
	if onPty {
		spec.Pty = &ptyproc.Size{Cols: 80, Rows: 24}
	}
	p, err := ptyproc.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(deadline, func() {
		t.Errorf("child %s: no progress for %v", name, deadline)
		_ = unix.Kill(-p.Pid(), unix.SIGKILL)
		_ = p.Close()
	})
	t.Cleanup(func() {
		p.Hangup(0)
		p.Wait()
		_ = p.Close()
		watchdog.Stop()
	})
	return &child{Proc: p, out: p.Outputs()[0]}
}

// until returns what was printed since the last call, up to and with want.
func (c *child) until(t *testing.T, want string) string {
	t.Helper()
	buf := make([]byte, 4096)
	for {
		if i := bytes.Index(c.left, []byte(want)); i >= 0 {
			got := string(c.left[:i+len(want)])
			c.left = c.left[i+len(want):]
			return got
		}
		n, err := c.out.Read(buf)
		c.left = append(c.left, buf[:n]...)
		if n == 0 {
			t.Fatalf("Read: %v after %q, want %q", err, c.left, want)
		}
	}
}

func (c *child) send(t *testing.T, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

// succeeds waits for the end.
func (c *child) succeeds(t *testing.T) {
	t.Helper()
	if got := c.Wait(); got != (ptyproc.Exit{}) {
		t.Errorf("child ended with %+v", got)
	}
}

// modes describes the present modes of standard input.
func modes() string {
	m, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%x %x %x %x %x", m.Iflag, m.Oflag, m.Cflag, m.Lflag, m.Cc)
}
