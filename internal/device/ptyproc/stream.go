package ptyproc

import (
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// stream is one direction of traffic: a non-blocking descriptor of this process, and an
// eventfd that ends waits for it. On a pty each direction has its own duplicate of the
// master, so that a stream always owns its descriptor.
//
// The eventfd is written when the process ends and on close, and never read: from then on
// no wait blocks, and flags say what happened.
type stream struct {
	closed atomic.Bool

	// mu is held for reading while fd or wake is used, also while waiting, and for
	// writing to close them, so that a descriptor number is never used when it may mean
	// another file.
	mu   sync.RWMutex
	fd   int
	wake int
}

// newStream takes over fd and makes it non-blocking. On failure it closes fd.
func newStream(fd int) (*stream, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &stream{fd: fd, wake: wake}, nil
}

// use pins the descriptors until done is called. It fails with os.ErrClosed.
func (s *stream) use() error {
	s.mu.RLock()
	if s.closed.Load() {
		s.mu.RUnlock()
		return os.ErrClosed
	}
	return nil
}

func (s *stream) done() { s.mu.RUnlock() }

// wakeUp ends all present and later waits.
func (s *stream) wakeUp() {
	if s.use() != nil {
		return
	}
	defer s.done()
	s.signalWake()
}

// signalWake must be called with mu held, for reading or writing, or by close.
func (s *stream) signalWake() {
	one := [8]byte{1, 1, 1, 1, 1, 1, 1} // not 0 in any byte order
	for {
		if _, err := unix.Write(s.wake, one[:]); err != unix.EINTR {
			return // EAGAIN: the counter is full, and so readable
		}
	}
}

// close ends pending uses, waits for their end and closes the descriptors. It may be called
// many times.
func (s *stream) close() {
	if s.closed.Swap(true) {
		return
	}
	s.signalWake()
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = unix.Close(s.fd)
	_ = unix.Close(s.wake)
}

// wait blocks until there are events on the descriptor, an error or a hang-up, or a
// wake-up. It must be called between use and done.
func (s *stream) wait(events int16) error {
	fds := [2]unix.PollFd{
		{Fd: int32(s.fd), Events: events},
		{Fd: int32(s.wake), Events: unix.POLLIN},
	}
	for {
		if _, err := unix.Poll(fds[:], -1); err != unix.EINTR {
			return err
		}
	}
}

// ready reports whether wait would return at once, wake-ups apart.
func (s *stream) ready(events int16) bool {
	fds := [1]unix.PollFd{{Fd: int32(s.fd), Events: events}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != unix.EINTR {
			return err == nil && n > 0
		}
	}
}
