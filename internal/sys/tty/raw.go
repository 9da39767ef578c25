package tty

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// State is a terminal in raw mode, with the modes that it had before.
type State struct {
	f *os.File

	mu     sync.Mutex
	before *unix.Termios // nil once restored
}

// MakeRaw puts the terminal f into raw mode: each byte is read as it comes, Ctrl-C and
// Ctrl-Z included, and output is shown unchanged. Restore undoes it; f must stay open until
// then.
func MakeRaw(f *os.File) (*State, error) {
	s := &State{f: f}
	err := control(f, func(fd int) (err error) {
		s.before, err = changeMode(fd, raw)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot set the terminal to raw mode: %w", err)
	}
	return s, nil
}

// raw sets the modes that the C++ shvrsh sets (spec.md 8.10): those of cfmakeraw(3), and
// INPCK off, which x/term leaves on.
func raw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.INPCK | unix.ISTRIP |
		unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag &^= unix.CSIZE | unix.PARENB
	t.Cflag |= unix.CS8
	t.Cc[unix.VMIN] = 1
	t.Cc[unix.VTIME] = 0
}

// Restore sets the modes that the terminal had before MakeRaw. It may be called concurrently
// and many times; after the first success it does nothing. It returns nil for a terminal that
// no longer exists, and for a nil State.
//
// As for every program, the kernel stops this one (SIGTTOU) if the terminal belongs to
// another job at that time.
func (s *State) Restore() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before == nil {
		return nil
	}
	err := control(s.f, func(fd int) error { return setMode(fd, s.before) })
	if err != nil && !isGone(err) {
		return fmt.Errorf("cannot restore the terminal: %w", err)
	}
	s.before = nil
	return nil
}
