package ptyproc

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// DefaultSignals gives the processes that are started from now on the default action for
// HUP and INT, even if this process was started to ignore them, as by nohup or in the
// background of a script: signals that a process catches have their default action in its
// children. This process goes on ignoring them, although [signal.Ignored] no longer
// reports so.
func DefaultSignals() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig) // nobody reads it
		}
	}
}

// Signal sends a signal to a process group: on a pty to the foreground group, which Ctrl-C
// would reach; otherwise, or if the terminal has none, to that of the process. After the
// process has ended it returns [os.ErrProcessDone].
func (p *Proc) Signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return os.ErrProcessDone
	}
	if fg := p.foreground(); fg > 0 && fg != p.pid {
		if err := unix.Kill(-fg, sig); err != unix.ESRCH {
			return os.NewSyscallError("kill", err)
		}
	}
	return os.NewSyscallError("kill", unix.Kill(-p.pid, sig))
}

// foreground returns the terminal's foreground process group; 0: none.
func (p *Proc) foreground() int {
	if !p.pty || p.stdin.s.use() != nil {
		return 0
	}
	defer p.stdin.s.done()
	pgid, err := unix.IoctlGetUint32(p.stdin.s.fd, unix.TIOCGPGRP)
	if err != nil || pgid <= 1 {
		return 0
	}
	return int(pgid)
}
