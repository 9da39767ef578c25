package tty_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
	"shvtools/internal/sys/tty"
)

func TestNoTerminalIsNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	for name, f := range map[string]*os.File{"pipe": r, "closed": file, "nil": nil} {
		if tty.IsTerminal(f) {
			t.Errorf("%s is a terminal", name)
		}
		if _, err := tty.SizeOf(f); err == nil {
			t.Errorf("%s has a size", name)
		}
		if s, err := tty.MakeRaw(f); err == nil || s.Restore() != nil {
			t.Errorf("%s in raw mode", name)
		}
	}
}

// The flags are those of the shell too, which shares the description.
func TestUsersDescriptorsKeepTheirFlags(t *testing.T) {
	c := run(t, "flags", true)
	c.until(t, "password: ")
	c.send(t, "secret\n")
	c.until(t, "all the same")
	c.succeeds(t)
}

func childFlags() error {
	flags := func() (f [3]int) {
		for i := range f {
			f[i], _ = unix.FcntlInt(uintptr(i), unix.F_GETFL, 0)
		}
		return f
	}
	before := flags()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tty.Resizes(ctx, os.Stdin)
	for _, f := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		if !tty.IsTerminal(f) {
			return errors.New("not a terminal")
		}
		if s, err := tty.SizeOf(f); err != nil || s != (tty.Size{Cols: 80, Rows: 24}) {
			return fmt.Errorf("size %v, %w", s, err)
		}
		state, err := tty.MakeRaw(f)
		if err != nil {
			return err
		}
		if now := flags(); now != before {
			return fmt.Errorf("flags %v in raw mode, %v before", now, before)
		}
		if err := state.Restore(); err != nil {
			return err
		}
	}
	if pw, err := tty.ReadPassword("password: "); err != nil || pw != "secret" {
		return fmt.Errorf("password %q, %w", pw, err)
	}
	if now := flags(); now != before || before[0]&unix.O_NONBLOCK != 0 {
		return fmt.Errorf("flags %v after, %v before", now, before)
	}
	fmt.Println("all the same")
	return nil
}

func TestRawModeIsTheOneOfTheProtocolAndComesBack(t *testing.T) {
	c := run(t, "raw", true)
	c.until(t, "raw\n") // no carriage return: OPOST is off
	c.send(t, "\x03")   // not a signal, and not kept until a line end
	c.until(t, "key 3")
	c.until(t, "restored\r\n")
	c.succeeds(t)
}

func childRaw() error {
	// INPCK isn't touched by cfmakeraw.
	m, err := unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return err
	}
	m.Iflag |= unix.INPCK | unix.ISTRIP
	if err := unix.IoctlSetTermios(0, unix.TCSETS, m); err != nil {
		return err
	}
	before := modes()
	state, err := tty.MakeRaw(os.Stdin)
	if err != nil {
		return err
	}
	m, err = unix.IoctlGetTermios(0, unix.TCGETS)
	if err != nil {
		return err
	}
	off := m.Lflag&(unix.ISIG|unix.IEXTEN|unix.ECHO|unix.ICANON) | m.Oflag&unix.OPOST |
		m.Iflag&(unix.BRKINT|unix.IGNBRK|unix.INPCK|unix.ISTRIP|unix.IXON|unix.PARMRK|unix.ICRNL|unix.IGNCR|unix.INLCR)
	if off != 0 || m.Cc[unix.VMIN] != 1 || m.Cc[unix.VTIME] != 0 {
		return fmt.Errorf("not raw: %+v", m)
	}
	fmt.Print("raw\n")
	key := make([]byte, 8)
	n, err := os.Stdin.Read(key)
	if err != nil || n != 1 {
		return fmt.Errorf("read %d, %w", n, err)
	}
	fmt.Print("key ", key[0])

	// From several goroutines, several times; the first one wins.
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = state.Restore() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if now := modes(); now != before {
		return fmt.Errorf("modes %s after, %s before", now, before)
	}
	// A late Restore doesn't undo what others set since then.
	if _, err := tty.MakeRaw(os.Stdin); err != nil {
		return err
	}
	changed := modes()
	if err := state.Restore(); err != nil || modes() != changed {
		return fmt.Errorf("second Restore had an effect, %w", err)
	}
	m.Oflag |= unix.OPOST
	if err := unix.IoctlSetTermios(0, unix.TCSETS, m); err != nil {
		return err
	}
	fmt.Print("restored\n")
	return nil
}

// A window that was closed must not turn the end into an error, or a hang.
func TestRestoreOnATerminalThatIsGone(t *testing.T) {
	done := filepath.Join(t.TempDir(), "done")
	t.Setenv("TTY_TEST_FILE", done)
	c := run(t, "gone", true)
	c.until(t, "ready")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c.succeeds(t)
	if b, err := os.ReadFile(done); err != nil || string(b) != "restored" {
		t.Errorf("report %q, %v", b, err)
	}
}

func childGone() error {
	ignoreHangup()
	state, err := tty.MakeRaw(os.Stdin)
	if err != nil {
		return err
	}
	fmt.Print("ready")
	if n, err := os.Stdin.Read(make([]byte, 1)); n != 0 {
		return fmt.Errorf("read %d, %w", n, err)
	}
	report := "restored"
	if err := errors.Join(state.Restore(), state.Restore()); err != nil {
		report = err.Error()
	}
	return os.WriteFile(os.Getenv("TTY_TEST_FILE"), []byte(report), 0o600)
}

func TestResizesGiveTheLatestSize(t *testing.T) {
	c := run(t, "resizes", true)
	c.until(t, "ready")
	for cols := range uint16(50) {
		if err := c.Resize(ptyproc.Size{Cols: 100 + cols, Rows: 40}); err != nil {
			t.Fatal(err)
		}
	}
	c.send(t, "\n")
	c.until(t, "latest {149 40}")
	if err := c.Resize(ptyproc.Size{Cols: 200, Rows: 60}); err != nil {
		t.Fatal(err)
	}
	c.until(t, "next {200 60}")
	c.until(t, "closed")
	c.succeeds(t)
}

func childResizes() error {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	sizes := tty.Resizes(ctx, os.Stdin)
	fmt.Print("ready")
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil { // nobody reads sizes meanwhile
		return err
	}
	for s := range sizes {
		if s.Cols == 149 {
			fmt.Print("latest ", s)
			break
		}
	}
	for s := range sizes {
		if s.Cols == 200 {
			fmt.Print("next ", s)
			break
		}
	}
	cancel()
	for range sizes {
	}
	fmt.Print("closed")
	return nil
}

func TestResizesEndWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	sizes := tty.Resizes(ctx, os.Stdin)
	cancel()
	select {
	case _, ok := <-sizes:
		if ok {
			t.Error("a size without a resize")
		}
	case <-time.After(deadline):
		t.Error("channel not closed")
	}
}
