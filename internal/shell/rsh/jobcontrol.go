package rsh

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/sys/tty"
)

// suspend gives the terminal back, stops shvrsh until it is continued, and takes the
// terminal again if the session had it.
func (s *session) suspend() {
	if !jobControl() {
		return
	}
	taken := s.terminal.restore()
	_ = stopSelf()
	if !taken {
		return
	}
	if err := s.terminal.makeRaw(); err != nil {
		s.end.Close(tunnel.Closing{Err: err})
		return
	}
	s.tellSize()
}

// continued takes the terminal again after a signal stopped and continued shvrsh: the
// user's shell has changed its modes meanwhile.
func (s *session) continued() {
	if s.terminal.isRaw() && s.terminal.makeRaw() == nil {
		s.tellSize()
	}
}

// tellSize sends the size of the terminal to the device. A stopped shvrsh misses its
// changes.
func (s *session) tellSize() {
	if size, err := tty.SizeOf(s.opts.Stdin); err == nil {
		_ = s.end.Resize(tunnel.Size{Cols: int(size.Cols), Rows: int(size.Rows)})
	}
}

// jobControl reports whether the parent process can be a shell that continues shvrsh. A
// parent in another session, such as a terminal window that runs shvrsh alone, cannot.
func jobControl() bool {
	ours, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	parents, err := unix.Getsid(unix.Getppid())
	return err == nil && parents == ours
}

// stopSelf stops the process and returns when it is continued. The signal goes to the
// calling thread, which therefore cannot go on before it is stopped.
func stopSelf() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return unix.Tgkill(unix.Getpid(), unix.Gettid(), syscall.SIGSTOP)
}
