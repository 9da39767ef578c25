package rsh

import (
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/sys/tty"
)

// suspend gives the terminal back, stops this program until it is continued, and
// takes the terminal again if we had it.
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

// continued makes the terminal ours again after somebody stopped us without
// asking: the user's shell has changed its modes since.
func (s *session) continued() {
	if s.terminal.isRaw() && s.terminal.makeRaw() == nil {
		s.tellSize()
	}
}

// tellSize tells the device the size of our terminal, whose changes nobody tells
// us while we are stopped.
func (s *session) tellSize() {
	if size, err := tty.SizeOf(s.opts.Stdin); err == nil {
		_ = s.end.Resize(tunnel.Size{Cols: int(size.Cols), Rows: int(size.Rows)})
	}
}

// jobControl tells whether our parent can be a shell that continues us. One of
// another session, such as a terminal window that runs shvrsh alone, is none.
func jobControl() bool {
	ours, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	parents, err := unix.Getsid(unix.Getppid())
	return err == nil && parents == ours
}

// stopSelf stops the process and returns when it is continued. The signal goes to
// our own thread, which has therefore stopped before it goes on.
func stopSelf() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return unix.Tgkill(unix.Getpid(), unix.Gettid(), syscall.SIGSTOP)
}
