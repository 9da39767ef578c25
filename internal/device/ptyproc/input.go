package ptyproc

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ErrStdinClosed is the error of a write that nothing will read: the process has closed its
// standard input, or has ended.
var ErrStdinClosed = errors.New("ptyproc: the process closed its standard input")

// input writes to the process's standard input.
type input struct {
	s     *stream
	ended *atomic.Bool // whether the process has ended; set before s is woken

	mu sync.Mutex // held for a whole Write, so that the bytes of two Writes do not mix
}

// write1 tries once. It returns 0, nil for a full pipe or terminal. It must be called
// between use and done.
func (in *input) write1(b []byte) (int, error) {
	for {
		if in.s.closed.Load() {
			return 0, os.ErrClosed
		}
		if in.ended.Load() {
			return 0, ErrStdinClosed
		}
		n, err := unix.Write(in.s.fd, b)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		case unix.EPIPE, unix.EIO:
			return 0, ErrStdinClosed
		default:
			return 0, os.NewSyscallError("write", err)
		}
	}
}

func (in *input) write(b []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.s.use(); err != nil {
		return 0, err
	}
	defer in.s.done()
	sent := 0
	for sent < len(b) {
		n, err := in.write1(b[sent:])
		sent += n
		if err != nil {
			return sent, err
		}
		if n > 0 {
			continue // short: try the rest before waiting
		}
		if err := in.s.wait(unix.POLLOUT); err != nil {
			return sent, os.NewSyscallError("poll", err)
		}
	}
	return sent, nil
}

func (in *input) tryWrite(b []byte) (int, error) {
	if len(b) == 0 || !in.mu.TryLock() {
		return 0, nil // a pending Write comes first
	}
	defer in.mu.Unlock()
	if err := in.s.use(); err != nil {
		return 0, err
	}
	defer in.s.done()
	return in.write1(b)
}
