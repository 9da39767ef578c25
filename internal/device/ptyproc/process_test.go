package ptyproc_test

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
)

func TestResizeIsSeenByProcess(t *testing.T) {
	p := shell(t, modes[1], "stty size; trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.01; done")
	out := p.Outputs()[0]
	if got := readUntil(t, out, "ready"); !strings.HasPrefix(got, "24 80") {
		t.Errorf("size at start: %q", got)
	}
	if err := p.Resize(ptyproc.Size{}); err != nil {
		t.Errorf("Resize to nothing: %v", err)
	}
	if err := p.Resize(ptyproc.Size{Cols: 132, Rows: 50}); err != nil {
		t.Fatal(err)
	}
	readUntil(t, out, "50 132")
	p.Wait()
	_ = p.Close()
	if err := p.Resize(ptyproc.Size{Cols: 1, Rows: 1}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Resize after Close = %v", err)
	}
}

func TestPtyWithoutSizeHasNone(t *testing.T) {
	p := shell(t, mode{"pty", &ptyproc.Size{Cols: 80}}, "stty size")
	if got := lines(readAll(t, p.Outputs()[0])); got != "0 0\n" {
		t.Errorf("stty size: %q", got)
	}
}

func TestResizeOfPipesIsAnError(t *testing.T) {
	p := start(t, modes[0], "cat")
	if err := p.Resize(ptyproc.Size{Cols: 80, Rows: 24}); !errors.Is(err, ptyproc.ErrNoPty) {
		t.Errorf("Resize = %v", err)
	}
}

func TestProcessLeadsItsOwnSession(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := start(t, m, "sleep", "60")
		if sid, err := unix.Getsid(p.Pid()); err != nil || sid != p.Pid() {
			t.Errorf("session %d, %v, want %d", sid, err, p.Pid())
		}
		if pgid, err := unix.Getpgid(p.Pid()); err != nil || pgid != p.Pid() {
			t.Errorf("group %d, %v, want %d", pgid, err, p.Pid())
		}
	})
	p := shell(t, modes[1], "tty </dev/tty && test -t 0 && test -t 1 && test -t 2 && echo yes")
	if got := readAll(t, p.Outputs()[0]); !strings.Contains(got, "yes") {
		t.Errorf("no controlling terminal: %q", got)
	}
}

// Our own parent's files must not reach the user's program; TestMain left one.
func TestProcessInheritsNoExtraDescriptors(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := start(t, m, "ls", "-1", "/proc/self/fd")
		got := strings.Fields(readAll(t, p.Outputs()[0]))
		if want := []string{"0", "1", "2", "3"}; !slices.Equal(got, want) { // 3: the directory
			t.Errorf("descriptors %v, want %v", got, want)
		}
	})
}

// Shells complain about, and programs lose output on, a non-blocking stdio.
func TestProcessStdioIsBlocking(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := shell(t, m, "cat /proc/$$/fdinfo/0 /proc/$$/fdinfo/1 /proc/$$/fdinfo/2")
		n := 0
		for line := range strings.Lines(readAll(t, p.Outputs()[0])) {
			value, ok := strings.CutPrefix(line, "flags:")
			if !ok {
				continue
			}
			flags, err := strconv.ParseUint(strings.TrimSpace(value), 8, 32)
			if err != nil {
				t.Fatal(err)
			}
			if n++; flags&unix.O_NONBLOCK != 0 {
				t.Errorf("descriptor %d is non-blocking", n-1)
			}
		}
		if n != 3 {
			t.Errorf("%d descriptors seen", n)
		}
	})
}

func TestCredentialOwnsProcessAndTerminal(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Skip(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	p, err := ptyproc.Start(ptyproc.Spec{
		Path: "sh", Argv: []string{"sh", "-c", "id -u; exec 3<>$(tty) && echo opened"}, Env: testEnv,
		Dir: "/", Pty: &ptyproc.Size{}, Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, want := lines(readAll(t, p.Outputs()[0])), fmt.Sprintf("%d\nopened\n", uid); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Wait()
}

// Ctrl-C must reach what runs in front, not the shell behind it.
func TestSignalReachesForegroundGroup(t *testing.T) {
	p := shell(t, modes[1],
		`set -m; sh -c "trap 'echo got it; exit 7' INT; echo ready; while :; do sleep 0.01; done"; echo code $?`)
	out := p.Outputs()[0]
	readUntil(t, out, "ready")
	if err := p.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := lines(readUntil(t, out, "code")); !strings.Contains(got, "got it\ncode") {
		t.Errorf("got %q", got)
	}
	if got := p.Wait(); got != (ptyproc.Exit{}) {
		t.Errorf("shell ended with %+v", got)
	}
}

func TestSignalReachesWholeGroupOnPipes(t *testing.T) {
	p := shell(t, modes[0], "sleep 60 | sleep 60")
	// The shell must have started both, or the second one is missed.
	eventually(t, "three processes", func() bool { return groupSize(t, p.Pid()) == 3 })
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if got := p.Wait(); got.Signal != syscall.SIGTERM {
		t.Errorf("Wait = %+v", got)
	}
	eventually(t, "group gone", func() bool { return groupSize(t, p.Pid()) == 0 })
}

func TestDescriptorsDoNotLeak(t *testing.T) {
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	once := func(m mode) {
		p := shell(t, m, "echo x")
		readAll(t, p.Outputs()[0])
		p.Wait()
		_ = p.Close()
		_ = p.Close()
		if _, err := ptyproc.Start(ptyproc.Spec{Path: "/dev/null/x", Pty: m.pty}); err == nil {
			t.Error("started")
		}
		if _, err := ptyproc.Start(ptyproc.Spec{Path: "sh", Argv: []string{"\x00"}, Env: testEnv, Pty: m.pty}); err == nil {
			t.Error("started")
		}
	}
	eachMode(t, func(t *testing.T, m mode) {
		once(m)
		before := count()
		for range 50 {
			once(m)
		}
		if after := count(); after > before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}
