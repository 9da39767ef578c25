package tty

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Writer writes to a terminal without ever waiting for it. It has an open file
// description of its own, so that the user's stays as it is.
type Writer struct {
	fd int
}

// NewWriter makes a Writer for the terminal f; it fails where f is none.
func NewWriter(f *os.File) (*Writer, error) {
	if !IsTerminal(f) {
		return nil, fmt.Errorf("%s is no terminal", f.Name())
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

// TryWrite writes what the terminal takes now and gives how much that is. After
// an error, that is nothing: whoever writes the ordinary way will see it.
func (w *Writer) TryWrite(b []byte) int {
	n, err := unix.Write(w.fd, b)
	if err != nil {
		return 0
	}
	return n
}
