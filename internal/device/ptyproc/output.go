package ptyproc

import (
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ptyTail is the most that is read from a pty once the process has ended.
// The kernel holds 12 to 20 KiB between the two ends (measured), so all that
// the process wrote is within; the limit is for background jobs that write
// on and on.
const ptyTail = 64 << 10

// Output is what comes from the process on one stream: everything of a
// terminal, or standard output or standard error of pipes.
type Output struct {
	s     *stream
	ended *atomic.Bool // of the process; set before s is woken
	tty   bool

	mu   sync.Mutex // serialises readers
	tail int        // bytes that may still be read; -1 until the end was seen
	eof  bool
}

func newOutput(s *stream, ended *atomic.Bool, tty bool) *Output {
	return &Output{s: s, ended: ended, tty: tty, tail: -1}
}

// Read blocks until there is output. It returns [io.EOF] when nobody can write
// any more, and also once the process has ended and all that it wrote was
// read, though a background job may still hold the other end: who waited
// for such jobs would keep a user's session open for as long as they live.
// After Close it returns [os.ErrClosed].
//
// A terminal that all programs closed is not at its end as long as the
// process lives, which may open /dev/tty again.
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
		// Asked before the read: only what is empty after the end is at
		// its end.
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

// limit cuts b to what the process can have left behind.
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

// Close gives up reading; a pending Read ends. The process gets SIGPIPE when
// it writes to a closed pipe, and comes to a halt on a terminal that nobody
// reads. It may be called many times, at any time.
func (o *Output) Close() error {
	o.s.close()
	return nil
}
