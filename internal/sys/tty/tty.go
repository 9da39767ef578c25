package tty

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Size is the size of a terminal in character cells; 0×0 if it is not set.
type Size struct {
	Cols, Rows uint16
}

// IsTerminal reports whether f is a terminal. A nil or closed file is none.
func IsTerminal(f *os.File) bool {
	is := false
	err := control(f, func(fd int) error {
		is = term.IsTerminal(fd)
		return nil
	})
	return err == nil && is
}

// SizeOf returns the present size of the terminal f. It fails if f is not a terminal.
func SizeOf(f *os.File) (Size, error) {
	var size Size
	err := control(f, func(fd int) error {
		cols, rows, err := term.GetSize(fd)
		size = Size{Cols: uint16(cols), Rows: uint16(rows)}
		return err
	})
	if err != nil {
		return Size{}, fmt.Errorf("cannot read the size of the terminal: %w", err)
	}
	return size, nil
}

// control calls do with the descriptor of f, which is valid during the call. Unlike
// [os.File.Fd] it never changes the descriptor's mode.
func control(f *os.File, do func(fd int) error) error {
	if f == nil {
		return os.ErrInvalid
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	if err := conn.Control(func(fd uintptr) { doErr = do(int(fd)) }); err != nil {
		if errors.Is(err, os.ErrClosed) {
			return os.ErrClosed
		}
		return err
	}
	return doErr
}

// changeMode changes the modes of a terminal and returns the old ones. It does not wait for
// pending output, which a terminal stopped by Ctrl-S would never take.
func changeMode(fd int, change func(*unix.Termios)) (*unix.Termios, error) {
	var mode *unix.Termios
	err := retry(func() (err error) {
		mode, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	if err != nil {
		return nil, err
	}
	before := *mode
	change(mode)
	return &before, setMode(fd, mode)
}

func setMode(fd int, mode *unix.Termios) error {
	return retry(func() error { return unix.IoctlSetTermios(fd, unix.TCSETS, mode) })
}

func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}

// isGone reports whether an error means that the terminal no longer exists.
func isGone(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV)
}
