package tty

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

var (
	// ErrNoTerminal is returned by ReadPassword for a process without a
	// controlling terminal.
	ErrNoTerminal = errors.New("no terminal to ask for a password on")

	// ErrInterrupted is returned by ReadPassword when a signal ended it.
	ErrInterrupted = errors.New("interrupted")

	errTooLong = errors.New("tty: password is too long")
)

// maxPassword bounds what is taken from the terminal, in bytes.
const maxPassword = 4096

// ReadPassword shows prompt on the terminal of the session, whatever the
// standard streams are, and reads a line there without showing it. The line
// end isn't part of the result; the end of input (Ctrl-D on an empty line)
// is [io.EOF].
//
// SIGINT, SIGTERM, SIGHUP and SIGQUIT end it with [ErrInterrupted] after the
// terminal was restored, and are not delivered otherwise unless the program
// asked for them itself. Ctrl-Z is part of the line, because a shell that
// suspended us would be left without echo. One call at a time.
func ReadPassword(prompt string) (string, error) {
	// A description of our own: that it is non-blocking concerns nobody else.
	f, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoTerminal, errors.Unwrap(err))
	}
	defer f.Close()

	q := &question{f: f}
	stop := q.watch()
	defer stop()
	if err := q.hide(); err != nil {
		return "", fmt.Errorf("tty: echo off: %w", err)
	}
	defer q.show()
	if _, err := io.WriteString(f, prompt); err != nil {
		return "", err
	}
	line, err := readLine(f)
	_, _ = io.WriteString(f, "\n") // in place of the one that wasn't shown
	if q.interrupted.Load() {
		return "", ErrInterrupted
	}
	return line, err
}

// question is a terminal whose echo is off for a while.
type question struct {
	f           *os.File
	interrupted atomic.Bool

	mu     sync.Mutex
	before *unix.Termios // nil until echo is off
	over   bool          // echo is as the user had it, and stays so
}

func (q *question) hide() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.over {
		return nil
	}
	return control(q.f, func(fd int) error {
		before, err := changeMode(fd, hidden)
		if q.before == nil {
			q.before = before
		}
		return err
	})
}

// hidden is line mode without echo, and without a way to suspend us.
func hidden(t *unix.Termios) {
	t.Lflag &^= unix.ECHO
	t.Lflag |= unix.ICANON | unix.ISIG
	t.Iflag |= unix.ICRNL
	t.Cc[unix.VSUSP] = 0 // _POSIX_VDISABLE
}

func (q *question) show() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.over = true
	if q.before != nil {
		_ = control(q.f, func(fd int) error { return setMode(fd, q.before) })
	}
}

// watch ends the read when a signal comes, and turns the echo off again
// after somebody stopped us and a shell had the terminal meanwhile.
func (q *question) watch() (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGCONT)
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-quit:
				return
			case sig := <-signals:
				if sig == unix.SIGCONT {
					_ = q.hide()
					continue
				}
				q.interrupted.Store(true)
				_ = q.f.SetReadDeadline(time.Now())
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(quit)
		wg.Wait()
	}
}

// readLine reads up to a line end, which a terminal in line mode delivers
// with its line; the end of input counts as one if anything was typed. An
// endless line is read to its end too, or the rest of it would be shown, and
// run, by whoever reads the terminal next.
func readLine(r io.Reader) (string, error) {
	var line []byte
	buf := make([]byte, 512)
	defer clear(buf)
	for {
		n, err := r.Read(buf)
		i := bytes.IndexByte(buf[:n], '\n')
		if i >= 0 {
			n = i
		}
		if len(line) <= maxPassword {
			line = append(line, buf[:n]...)
		}
		switch {
		case i < 0 && err == nil:
		case i < 0 && (err != io.EOF || len(line) == 0):
			return "", err
		case len(line) > maxPassword:
			return "", errTooLong
		default:
			return strings.TrimSuffix(string(line), "\r"), nil
		}
	}
}
