package ptyproc

import (
	"os"
	"strconv"
	"sync"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// files are the descriptors of a process that is about to start.
type files struct {
	child   [3]int // descriptors 0, 1 and 2 of the child; blocking
	stdin   *stream
	outputs []*stream

	// slave is the slave of a pty, which stays open: otherwise a process that closes
	// its terminal for a moment would look like the end of the output. -1: pipes.
	slave int
}

// closeChild closes the descriptors that only the child needs.
func (f *files) closeChild() {
	for i, fd := range f.child {
		if fd >= 0 && fd != f.slave {
			_ = unix.Close(fd)
		}
		f.child[i] = -1
	}
}

func (f *files) closeAll() {
	f.closeChild()
	if f.stdin != nil {
		f.stdin.close()
	}
	for _, s := range f.outputs {
		s.close()
	}
	if f.slave >= 0 {
		_ = unix.Close(f.slave)
		f.slave = -1
	}
}

// openPipes creates three pipes. Each end is an open file description of its own, so the
// parent's can be non-blocking without affecting the child.
func openPipes() (f *files, err error) {
	f = &files{child: [3]int{-1, -1, -1}, slave: -1}
	defer func() {
		if err != nil {
			f.closeAll()
		}
	}()
	for i := range f.child {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			return nil, os.NewSyscallError("pipe", err)
		}
		ours := p[0]
		f.child[i] = p[1]
		if i == 0 {
			ours, f.child[i] = p[1], p[0]
		}
		s, err := newStream(ours)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			f.stdin = s
		} else {
			f.outputs = append(f.outputs, s)
		}
	}
	return f, nil
}

// openPty creates a terminal of the given size. It belongs to uid; -1: to this process's
// user.
func openPty(size Size, uid int) (f *files, err error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, err
	}
	// Close the os.Files at once: each call of their Fd may change the mode of the
	// terminal, on which both ends rely.
	defer master.Close()
	defer slave.Close()

	f = &files{child: [3]int{-1, -1, -1}, slave: -1}
	defer func() {
		if err != nil {
			f.closeAll()
		}
	}()
	if f.slave, err = dup(slave); err != nil {
		return nil, err
	}
	f.child = [3]int{f.slave, f.slave, f.slave}
	// os.OpenFile has made it non-blocking for everything that shares it.
	if err := unix.SetNonblock(f.slave, false); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := setUTF8(f.slave); err != nil {
		return nil, err
	}
	if uid >= 0 {
		// Like login: the user may then open the terminal by its name. The terminal
		// also works if this is not permitted.
		_ = unix.Fchown(f.slave, uid, -1)
	}
	if f.stdin, err = dupStream(master); err != nil {
		return nil, err
	}
	out, err := dupStream(master)
	if err != nil {
		return nil, err
	}
	f.outputs = []*stream{out}
	if size.isSet() {
		if err := setSize(f.stdin.fd, size); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// setUTF8 makes Backspace erase a whole UTF-8 character.
func setUTF8(fd int) error {
	modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return os.NewSyscallError("tcgetattr", err)
	}
	modes.Iflag |= unix.IUTF8
	return os.NewSyscallError("tcsetattr", unix.IoctlSetTermios(fd, unix.TCSETS, modes))
}

func dupStream(file *os.File) (*stream, error) {
	fd, err := dup(file)
	if err != nil {
		return nil, err
	}
	return newStream(fd)
}

func dup(file *os.File) (fd int, err error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd = -1
	ctlErr := conn.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3)
	})
	if ctlErr != nil {
		return -1, ctlErr
	}
	return fd, os.NewSyscallError("fcntl", err)
}

func setSize(fd int, s Size) error {
	ws := unix.Winsize{Col: s.Cols, Row: s.Rows}
	return os.NewSyscallError("ioctl", unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &ws))
}

// hideInherited marks the descriptors that this process was started with close-on-exec.
// Those that Go opens already are, but those of a careless parent would reach the user's
// program.
var hideInherited = sync.OnceFunc(func() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
})
