package tty

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Writer writes to a terminal without ever waiting for it. It has an open file description
// of its own, so that the user's stays blocking. It is never closed.
type Writer struct {
	fd int
}

// NewWriter returns a Writer for the terminal f. It fails if f is not a terminal.
func NewWriter(f *os.File) (*Writer, error) {
	if !IsTerminal(f) {
		return nil, fmt.Errorf("%s is not a terminal", f.Name())
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &Writer{fd: -1}
	var failed error
	err = raw.Control(func(fd uintptr) {
		path := fmt.Sprintf("/proc/self/fd/%d", fd)
		w.fd, failed = unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	return w, failed
}

// TryWrite writes what the terminal takes now, and returns how many bytes that is; 0 after an
// error, which an ordinary write will return.
func (w *Writer) TryWrite(b []byte) int {
	n, err := unix.Write(w.fd, b)
	if err != nil {
		return 0
	}
	return n
}
