package ptyproc_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
)

// rawCat is a terminal that gives back each byte as it came.
const rawCat = "stty raw -echo; echo ready; exec cat"

// A terminal takes about 4 KiB at a time from us when its program is slow;
// the rest must wait, not vanish.
func TestLongPasteIntoSlowReaderArrivesWhole(t *testing.T) {
	const script = "stty raw -echo; echo ready; read x; exec cat"
	p := shell(t, modes[1], script)
	out := p.Outputs()[0]
	readUntil(t, out, "ready\n")

	paste := bytes.Repeat([]byte("all work and no play makes jack a dull boy "), 1000)
	written := make(chan error, 1)
	go func() {
		n, err := p.Write(append([]byte("go\n"), paste...))
		if err == nil && n != len(paste)+3 {
			err = errors.New("short write without an error")
		}
		written <- err
	}()
	var got []byte
	buf := make([]byte, 61) // slow: cat comes to a halt again and again
	for len(got) < len(paste) {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("Read: %v after %d of %d bytes", err, len(got), len(paste))
		}
		got = append(got, buf[:n]...)
	}
	if err := <-written; err != nil {
		t.Fatalf("Write: %v", err)
	}
	if !bytes.Equal(got, paste) {
		t.Error("paste came back changed")
	}
}

func TestStdinEOFReachesProcess(t *testing.T) {
	p := start(t, modes[0], "cat")
	write(t, p, "text")
	if err := p.CloseStdin(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, p.Outputs()[0]); got != "text" {
		t.Errorf("output = %q", got)
	}
	if got := p.Wait(); got != (ptyproc.Exit{}) {
		t.Errorf("Wait = %+v", got)
	}
	if _, err := p.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after CloseStdin = %v, want os.ErrClosed", err)
	}
}

func TestCloseStdinLeavesPtyOpen(t *testing.T) {
	p := shell(t, modes[1], rawCat)
	readUntil(t, p.Outputs()[0], "ready\n")
	if err := p.CloseStdin(); err != nil {
		t.Fatal(err)
	}
	write(t, p, "still here")
	readUntil(t, p.Outputs()[0], "still here")
}

func TestStdinClosedByProcessIsAnErrorNotAHang(t *testing.T) {
	p := shell(t, modes[0], "exec <&-; echo closed; exec sleep 60")
	readUntil(t, p.Outputs()[0], "closed")
	_, err := p.Write(make([]byte, 1<<20))
	if !errors.Is(err, ptyproc.ErrStdinClosed) {
		t.Errorf("Write = %v, want ErrStdinClosed", err)
	}
	if _, err = p.TryWrite([]byte("x")); !errors.Is(err, ptyproc.ErrStdinClosed) {
		t.Errorf("TryWrite = %v, want ErrStdinClosed", err)
	}
}

// pending starts a Write that can't end, and waits until it waits.
func pending(t *testing.T, p *ptyproc.Proc) <-chan error {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		_, err := p.Write(make([]byte, 1<<20))
		result <- err
	}()
	eventually(t, "writer in poll", func() bool { return inPoll(t) })
	return result
}

func TestPendingWriteEnds(t *testing.T) {
	tests := []struct {
		name string
		do   func(*ptyproc.Proc) error
		want error
		pty  bool // also on a pty
	}{
		{"Close", (*ptyproc.Proc).Close, os.ErrClosed, true},
		{"CloseStdin", (*ptyproc.Proc).CloseStdin, os.ErrClosed, false},
		{"exit", func(p *ptyproc.Proc) error { return p.Signal(unix.SIGKILL) }, ptyproc.ErrStdinClosed, true},
	}
	eachMode(t, func(t *testing.T, m mode) {
		for _, tt := range tests {
			if m.pty != nil && !tt.pty {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				script := "echo ready; exec sleep 60"
				if m.pty != nil {
					script = "stty raw -echo; " + script // or the line editor drops the excess
				}
				p := shell(t, m, script)
				readUntil(t, p.Outputs()[0], "ready\n")
				result := pending(t, p)
				if err := tt.do(p); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-result:
					if !errors.Is(err, tt.want) {
						t.Errorf("Write = %v, want %v", err, tt.want)
					}
				case <-time.After(deadline):
					t.Fatal("Write still blocked")
				}
			})
		}
	})
}

// A background job may hold the other end of stdin after the process has ended, and never read.
func TestPendingWriteEndsWithProcessThoughJobHoldsStdin(t *testing.T) {
	p := shell(t, modes[0], "exec 3<&0; sleep 60 <&3 & echo ready; read x; exit 0")
	readUntil(t, p.Outputs()[0], "ready\n")
	if _, err := p.Write(bytes.Repeat([]byte("\n"), 1<<20)); !errors.Is(err, ptyproc.ErrStdinClosed) {
		t.Errorf("Write = %v, want ErrStdinClosed", err)
	}
}

func TestTryWriteNeverBlocksNorOvertakes(t *testing.T) {
	p := start(t, modes[0], "sleep", "60")
	chunk := []byte(strings.Repeat("x", 4096))
	total := 0
	for {
		n, err := p.TryWrite(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		if total += n; total > 16<<20 {
			t.Fatal("pipe without a bottom")
		}
	}
	if total == 0 {
		t.Error("nothing fit into an empty pipe")
	}
	result := pending(t, p)
	if n, err := p.TryWrite([]byte("x")); n != 0 || err != nil {
		t.Errorf("TryWrite behind a pending Write = %d, %v", n, err)
	}
	_ = p.Close()
	<-result
	if _, err := p.TryWrite([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("TryWrite after Close = %v", err)
	}
}

func TestTryWriteReachesProcess(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := start(t, m, "cat")
		if n, err := p.TryWrite([]byte("hello\n")); n != 6 || err != nil {
			t.Fatalf("TryWrite = %d, %v", n, err)
		}
		readUntil(t, p.Outputs()[0], "hello")
	})
}
