package ptyproc

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

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
