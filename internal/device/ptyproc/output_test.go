package ptyproc_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
)

// Output that is still in the kernel's buffers when the process ends is easily lost: on a
// pty it may still be in a work queue.
func TestOutputBeforeExitIsNeverLost(t *testing.T) {
	var seq strings.Builder
	for i := 1; i <= 5000; i++ {
		fmt.Fprintln(&seq, i)
	}
	tests := []struct {
		name, script, want string
		n                  int
	}{
		{"printf", "printf tail", "tail", 300},
		{"lines", "echo one; echo two", "one\ntwo\n", 300},
		{"seq", "exec seq 1 5000", seq.String(), 40},
	}
	eachMode(t, func(t *testing.T, m mode) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				times(t, tt.n, func(t *testing.T) {
					p := shell(t, m, tt.script)
					if got := lines(readAll(t, p.Outputs()[0])); got != tt.want {
						t.Errorf("got %d bytes %.40q, want %d", len(got), got, len(tt.want))
					}
					p.Wait()
					_ = p.Close()
				})
			})
		}
	})
}

// The same if reading starts only after the end is known.
func TestOutputReadAfterExitIsWhole(t *testing.T) {
	want := strings.Repeat("0123456789abcdef", 200) // fits into every buffer
	eachMode(t, func(t *testing.T, m mode) {
		times(t, 100, func(t *testing.T) {
			p := start(t, m, "printf", "%s", want)
			p.Wait()
			if got := readAll(t, p.Outputs()[0]); got != want {
				t.Errorf("got %d bytes, want %d", len(got), len(want))
			}
			_ = p.Close()
		})
	})
}

func TestBackgroundJobNeitherDelaysEOFNorDies(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := shell(t, m, jobControl(m)+"sleep 60 & echo $!")
		out := readAll(t, p.Outputs()[0])
		pid, err := strconv.Atoi(strings.TrimSpace(out))
		if err != nil {
			t.Fatalf("no pid in %q", out)
		}
		defer unix.Kill(pid, unix.SIGKILL)
		if m.pty == nil {
			readAll(t, p.Outputs()[1])
		}
		if got := p.Wait(); got != (ptyproc.Exit{}) {
			t.Errorf("Wait = %+v", got)
		}
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		eventually(t, "background job sleeps", func() bool {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil {
				t.Fatalf("background job is gone: %v", err)
			}
			return strings.Contains(string(stat), "(sleep) S")
		})
	})
}

// jobControl gives background jobs a process group of their own, as an
// interactive shell does: on a pty the kernel sends SIGHUP to the one in the
// foreground when the shell ends.
func jobControl(m mode) string {
	if m.pty == nil {
		return ""
	}
	return "set -m; "
}

// A job that writes without end must not keep the session open either.
func TestChattyBackgroundJobDoesNotDelayEOF(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := shell(t, m, jobControl(m)+"echo first; yes & echo $! >&2; exit 3")
		out := p.Outputs()
		if m.pty == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(readUntil(t, out[1], "\n")))
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Kill(pid, unix.SIGKILL)
		}
		got := readAll(t, out[0])
		if !strings.HasPrefix(got, "first") {
			t.Errorf("output starts with %.20q", got)
		}
		if got := p.Wait(); got.Code != 3 {
			t.Errorf("Wait = %+v", got)
		}
		_ = p.Close() // on a pty yes ends by this
	})
}

func TestStdoutAndStderrStayApart(t *testing.T) {
	p := shell(t, modes[0], "echo out; echo err >&2; echo out2")
	outs := p.Outputs()
	if len(outs) != 2 {
		t.Fatalf("%d outputs, want 2", len(outs))
	}
	if got := readAll(t, outs[0]); got != "out\nout2\n" {
		t.Errorf("stdout = %q", got)
	}
	if got := readAll(t, outs[1]); got != "err\n" {
		t.Errorf("stderr = %q", got)
	}
}

func TestPtyHasOneOutput(t *testing.T) {
	p := shell(t, modes[1], "echo out; echo err >&2")
	outs := p.Outputs()
	if len(outs) != 1 {
		t.Fatalf("%d outputs, want 1", len(outs))
	}
	if got := lines(readAll(t, outs[0])); got != "out\nerr\n" {
		t.Errorf("output = %q", got)
	}
}

// Closing the terminal and opening /dev/tty again used to be EIO in between.
func TestPtyThatIsClosedForAMomentIsNotAtItsEnd(t *testing.T) {
	p := shell(t, modes[1], "exec <&- >&- 2>&-; sleep 0.05; echo back >/dev/tty")
	if got := lines(readAll(t, p.Outputs()[0])); got != "back\n" {
		t.Errorf("output = %q", got)
	}
}

func TestCloseUnblocksRead(t *testing.T) {
	closers := map[string]func(*ptyproc.Proc) error{
		"Proc":   (*ptyproc.Proc).Close,
		"Output": func(p *ptyproc.Proc) error { return p.Outputs()[0].Close() },
	}
	for name, closeIt := range closers {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m mode) {
				p := shell(t, m, "echo ready; exec sleep 60")
				out := p.Outputs()[0]
				readUntil(t, out, "\n")
				if m.pty != nil {
					// With os.File and Fd a resize broke this.
					if err := p.Resize(ptyproc.Size{Cols: 81, Rows: 25}); err != nil {
						t.Fatal(err)
					}
				}
				result := make(chan error, 1)
				go func() {
					_, err := out.Read(make([]byte, 10))
					result <- err
				}()
				eventually(t, "reader in poll", func() bool { return inPoll(t) })
				if err := closeIt(p); err != nil {
					t.Errorf("Close: %v", err)
				}
				select {
				case err := <-result:
					if !errors.Is(err, os.ErrClosed) {
						t.Errorf("Read = %v, want os.ErrClosed", err)
					}
				case <-time.After(deadline):
					t.Fatal("Read still blocked")
				}
				if _, err := out.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
					t.Errorf("Read after Close = %v", err)
				}
			})
		})
	}
}

// inPoll reports whether a thread of this process is in poll(2).
func inPoll(t testing.TB) bool {
	dirs, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		b, err := os.ReadFile("/proc/self/task/" + d.Name() + "/wchan")
		if err == nil && strings.Contains(string(b), "poll") && !strings.Contains(string(b), "ep_poll") {
			return true
		}
	}
	return false
}

func TestEOFIsSticky(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := shell(t, m, "echo x")
		readAll(t, p.Outputs()[0])
		for range 3 {
			if n, err := p.Outputs()[0].Read(make([]byte, 8)); n != 0 || err != io.EOF {
				t.Fatalf("Read = %d, %v", n, err)
			}
		}
	})
}

// Everything at once, for the race detector.
func TestConcurrentUseDuringClose(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		for range 20 {
			p := shell(t, m, "exec cat")
			var wg sync.WaitGroup
			for _, o := range p.Outputs() {
				wg.Go(func() { _, _ = io.Copy(io.Discard, o) })
			}
			wg.Go(func() {
				for {
					if _, err := p.Write([]byte("some text\n")); err != nil {
						return
					}
				}
			})
			wg.Go(func() { _, _ = p.TryWrite([]byte("x")) })
			wg.Go(func() { _ = p.Resize(ptyproc.Size{Cols: 10, Rows: 10}) })
			wg.Go(func() { _ = p.Signal(unix.SIGCONT) })
			wg.Go(func() { p.Hangup(time.Second) })
			wg.Go(func() { _ = p.Close() })
			wg.Go(func() { _ = p.Close() })
			wg.Go(func() { p.Wait() })
			wg.Wait()
		}
	})
}
