package link

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// tryWriter writes to a connection without waiting. It belongs to the goroutine that took the
// queue.
type tryWriter struct {
	raw syscall.RawConn // nil: the connection is not a socket of Go's poller
	fn  func(fd uintptr) bool
	b   []byte
	n   int
	err error
}

func (w *tryWriter) init(raw syscall.RawConn) {
	w.raw = raw
	w.fn = w.attempt // once: a closure for each write would be an allocation
}

func (w *tryWriter) usable() bool { return w.raw != nil }

// write writes what the system takes now; writing less than all is not an error.
func (w *tryWriter) write(b []byte) (int, error) {
	w.b, w.n, w.err = b, 0, nil
	err := w.raw.Write(w.fn)
	w.b = nil
	if err != nil {
		return w.n, err
	}
	return w.n, w.err
}

func (w *tryWriter) attempt(fd uintptr) bool {
	for {
		n, err := unix.Write(int(fd), w.b)
		switch err {
		case nil:
			w.n = n
		case unix.EINTR:
			continue
		case unix.EAGAIN:
		default:
			w.err = err
		}
		return true // never wait for the descriptor
	}
}
