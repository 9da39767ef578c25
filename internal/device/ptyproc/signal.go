package ptyproc

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// DefaultSignals has what we start from now on heed HUP and INT, even where we were
// started to ignore them ourselves, by nohup or in the background of a script: what
// a program catches, its children have by default. We go on ignoring them, although
// [signal.Ignored] no longer says so.
func DefaultSignals() {
	for _, sig := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig) // nobody reads it
		}
	}
}

// Signal sends a signal to a process group: on a pty to the one in the
// foreground, which is what Ctrl-C would reach, and otherwise, or where the
// terminal has none, to that of the process. After the process has ended it
// returns [os.ErrProcessDone].
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

// foreground is the terminal's foreground process group; 0: none.
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
