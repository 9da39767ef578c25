package tty

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// State is a terminal in raw mode and the mode that it had before.
type State struct {
	f *os.File

	mu     sync.Mutex
	before *unix.Termios // nil once restored
}

// MakeRaw makes the terminal f hand over each byte as it comes, Ctrl-C and
// Ctrl-Z included, and show output as it is. Restore undoes it; f must stay
// open until then.
func MakeRaw(f *os.File) (*State, error) {
	s := &State{f: f}
	err := control(f, func(fd int) (err error) {
		s.before, err = changeMode(fd, raw)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("tty: raw mode: %w", err)
	}
	return s, nil
}

// raw is what the older shvrsh sets. It is cfmakeraw and INPCK, which x/term
// leaves on.
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

// Restore puts the mode back that the terminal had before MakeRaw. It may be
// called by any goroutine, any number of times; after the first success it
// does nothing. A terminal that is gone needs no restoring: no error. A nil
// State is allowed.
//
// As with every program, the kernel stops us (SIGTTOU) if the terminal
// belongs to another job at that time.
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
		return fmt.Errorf("tty: restore: %w", err)
	}
	s.before = nil
	return nil
}
