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
	// ErrNoTerminal is matched by the error of ReadPassword in a process without a
	// controlling terminal.
	ErrNoTerminal = errors.New("no terminal to ask for a password")

	// ErrInterrupted is the error of ReadPassword if a signal ends it.
	ErrInterrupted = errors.New("interrupted")

	errTooLong = errors.New("the password is too long")
)

// maxPassword is the longest password, in bytes.
const maxPassword = 4096

// ReadPassword shows prompt on the controlling terminal, whatever the standard streams are,
// and reads a line there without echo. The result does not contain the line end; the end of
// input (Ctrl-D on an empty line) is [io.EOF].
//
// SIGINT, SIGTERM, SIGHUP and SIGQUIT end it with [ErrInterrupted] and the terminal
// restored. They are not delivered otherwise unless the program has asked for them. Ctrl-Z
// is part of the line: suspending this program would leave the shell without echo. Only one
// call may run at a time.
func ReadPassword(prompt string) (string, error) {
	// An open file description of its own, which may be non-blocking.
	f, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoTerminal, errors.Unwrap(err))
	}
	defer f.Close()

	q := &question{f: f}
	stop := q.watch()
	defer stop()
	if err := q.hide(); err != nil {
		return "", fmt.Errorf("cannot turn the echo off: %w", err)
	}
	defer q.show()
	if _, err := io.WriteString(f, prompt); err != nil {
		return "", err
	}
	line, err := readLine(f)
	_, _ = io.WriteString(f, "\n") // the one that was typed is not shown
	if q.interrupted.Load() {
		return "", ErrInterrupted
	}
	return line, err
}

// question is a terminal whose echo is off until show.
type question struct {
	f           *os.File
	interrupted atomic.Bool

	mu     sync.Mutex
	before *unix.Termios // nil until echo is off
	over   bool          // echo is restored for good
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

// hidden sets line mode without echo and without suspending.
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

// watch ends the read when a signal comes. It turns the echo off again after this program
// was stopped and continued: a shell has had the terminal meanwhile.
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

// readLine reads up to a line end; the end of input counts as one if anything was typed. It
// reads a line that is too long to its end, too: otherwise whatever reads the terminal next
// would show or run the rest.
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
