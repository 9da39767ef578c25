package ptyproc

import (
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ptyTail bounds what is read from a pty after the process has ended, in bytes. The kernel
// holds 12 to 20 KiB between the two ends (measured), so all output of the process fits;
// the bound is for background jobs that write on and on.
const ptyTail = 64 << 10

// Output reads one stream of the process: all output on a terminal, or standard output or
// standard error on pipes. Its methods may be called concurrently.
type Output struct {
	s     *stream
	ended *atomic.Bool // whether the process has ended; set before s is woken
	tty   bool

	mu   sync.Mutex // serialises readers
	tail int        // bytes that may still be read; -1: the process has not ended
	eof  bool
}

func newOutput(s *stream, ended *atomic.Bool, tty bool) *Output {
	return &Output{s: s, ended: ended, tty: tty, tail: -1}
}

// Read blocks until there is output. It returns [io.EOF] when nothing can write any more,
// and also when the process has ended and its output is read: background jobs that still
// hold the other end do not keep the session open. After Close it returns [os.ErrClosed].
//
// A terminal that all programs have closed is not at its end while the process lives: it
// may open /dev/tty again.
func (o *Output) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.eof {
		return 0, io.EOF
	}
	if err := o.s.use(); err != nil {
		return 0, err
	}
	defer o.s.done()
	for {
		if o.s.closed.Load() {
			return 0, os.ErrClosed
		}
		// Asked before the read: only a stream that is empty after the process has
		// ended is at its end.
		ended := o.ended.Load()
		if ended {
			b = o.limit(b)
			if len(b) == 0 {
				return o.finish()
			}
		}
		n, err := unix.Read(o.s.fd, b)
		switch {
		case n > 0:
			if ended {
				o.tail -= n
			}
			return n, nil
		case err == nil, err == unix.EIO: // EIO: a hung-up terminal
			return o.finish()
		case err == unix.EINTR:
		case err != unix.EAGAIN:
			return 0, os.NewSyscallError("read", err)
		case !ended:
			if err := o.s.wait(unix.POLLIN); err != nil {
				return 0, os.NewSyscallError("poll", err)
			}
		case !o.s.ready(unix.POLLIN): // poll moves what a pty has in its queue
			return o.finish()
		}
	}
}

// limit cuts b to what the ended process can have written.
func (o *Output) limit(b []byte) []byte {
	if o.tail < 0 {
		o.tail = ptyTail
		if !o.tty {
			// Exact: what the process wrote is in the pipe.
			if n, err := unix.IoctlGetUint32(o.s.fd, unix.TIOCINQ); err == nil {
				o.tail = int(n)
			}
		}
	}
	return b[:min(len(b), o.tail)]
}

func (o *Output) finish() (int, error) {
	o.eof = true
	return 0, io.EOF
}

// Close ends reading, also a pending Read. The process gets SIGPIPE if it writes to a
// closed pipe, and blocks on a terminal that nothing reads. Close may be called many times.
func (o *Output) Close() error {
	o.s.close()
	return nil
}
