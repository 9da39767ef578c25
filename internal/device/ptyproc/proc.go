package ptyproc

import (
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"shvtools/internal/sys/timerslack"
)

// ErrNoPty is the error of Resize for a process on pipes.
var ErrNoPty = errors.New("ptyproc: the process has no terminal")

// Proc is a started process. All methods may be called concurrently and at any time.
type Proc struct {
	// Set by Start.
	pid     int // also the id of its session and process group
	pty     bool
	stdin   *input
	outputs []*Output
	done    chan struct{} // closed when the process has been reaped

	ended atomic.Bool // set before the streams are woken and done is closed

	mu        sync.Mutex
	slave     int  // -1 without a pty and after Close
	reaped    bool // pid may now mean another process
	groupGone bool // no member was left when the leader was reaped
	exit      Exit // constant once done is closed
}

// Start starts a process as the leader of a new session and process group; a pty becomes
// its controlling terminal. An error is a *[StartError].
//
// The process inherits the signals that this process ignores, but not those that it
// catches. Call Close in any case, also after the process has ended.
func Start(spec Spec) (*Proc, error) {
	if err := checkDir(spec.Dir); err != nil {
		return nil, err
	}
	env := spec.environ()
	path, err := lookup(spec.Path, spec.Dir, spec.searchEnv(env))
	if err != nil {
		return nil, err
	}
	argv := spec.argv()
	if spec.Via != nil {
		path, argv = spec.Via(path, argv)
	}
	f, err := open(spec)
	if err != nil {
		return nil, openError(spec.Path, err)
	}
	hideInherited()
	fds := []uintptr{uintptr(f.child[0]), uintptr(f.child[1]), uintptr(f.child[2])}
	if spec.Handed != nil {
		fds = append(fds, spec.Handed.Fd())
	}
	var pid int
	err = timerslack.Start(timerslack.System, func() (err error) {
		pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
			Dir:   spec.Dir,
			Env:   env,
			Files: fds,
			Sys: &syscall.SysProcAttr{
				Setsid:     true,
				Setctty:    spec.Pty != nil,
				Ctty:       0, // a descriptor of the child
				Credential: spec.Credential,
			},
		})
		return err
	})
	if err != nil {
		f.closeAll()
		return nil, execError(spec.Path, err)
	}
	f.closeChild()
	p := &Proc{pid: pid, pty: spec.Pty != nil, slave: f.slave, done: make(chan struct{})}
	p.stdin = &input{s: f.stdin, ended: &p.ended}
	for _, s := range f.outputs {
		p.outputs = append(p.outputs, newOutput(s, &p.ended, p.pty))
	}
	go p.reap()
	return p, nil
}

func open(spec Spec) (*files, error) {
	if spec.Pty == nil {
		return openPipes()
	}
	uid := -1
	if spec.Credential != nil {
		uid = int(spec.Credential.Uid)
	}
	return openPty(*spec.Pty, uid)
}

// reap waits for the end of the process. It reaps the process with the lock held, so that a
// signal never goes to another process with the same id.
func (p *Proc) reap() {
	var info unix.Siginfo
	for unix.Waitid(unix.P_PID, p.pid, &info, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.mu.Lock()
	var ws syscall.WaitStatus
	var err error
	for {
		if _, err = syscall.Wait4(p.pid, &ws, 0, nil); err != syscall.EINTR {
			break
		}
	}
	p.reaped = true
	p.groupGone = unix.Kill(-p.pid, 0) == unix.ESRCH
	if p.exit = exitOf(ws); err != nil {
		p.exit = Exit{Code: codeUnknown}
	}
	p.mu.Unlock()

	p.ended.Store(true)
	p.stdin.s.wakeUp()
	for _, o := range p.outputs {
		o.s.wakeUp()
	}
	close(p.done)
}

// Pid returns the id of the process, of its session and of its process group.
func (p *Proc) Pid() int { return p.pid }

// Outputs returns the streams of the process: one on a pty; standard output and standard
// error on pipes. Each must be read or closed; otherwise the process blocks.
func (p *Proc) Outputs() []*Output { return p.outputs }

// Write writes all of b to the process's standard input, and waits while the process does
// not read. It fails with [ErrStdinClosed] if the process has closed its standard input or
// ended, and with [os.ErrClosed] after Close or CloseStdin. The bytes of concurrent Writes
// do not mix.
func (p *Proc) Write(b []byte) (int, error) { return p.stdin.write(b) }

// TryWrite writes what fits now, and never waits. It may write nothing, as it does while a
// Write is pending. Errors are those of Write.
func (p *Proc) TryWrite(b []byte) (int, error) { return p.stdin.tryWrite(b) }

// CloseStdin ends the process's standard input on pipes. On a pty, which stays open for
// output, it does nothing: write the VEOF character (normally 4, Ctrl-D) at the start of a
// line instead.
func (p *Proc) CloseStdin() error {
	if !p.pty {
		p.stdin.s.close()
	}
	return nil
}

// Resize sets the size of the terminal. The foreground process group gets SIGWINCH if that
// is a change. A Size that is not set is ignored.
func (p *Proc) Resize(s Size) error {
	if !p.pty {
		return ErrNoPty
	}
	if !s.isSet() {
		return nil
	}
	if err := p.stdin.s.use(); err != nil {
		return err
	}
	defer p.stdin.s.done()
	return setSize(p.stdin.s.fd, s)
}

// Wait blocks until the process has ended and has been reaped. Output may still be unread.
func (p *Proc) Wait() Exit {
	<-p.done
	return p.exit
}

// Done returns a channel that is closed when the process has ended and has been reaped.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Close closes this process's ends; pending Reads and Writes end. Close kills nothing
// itself, but a process that loses its terminal gets SIGHUP, and one that writes to a
// closed pipe SIGPIPE. It may be called many times.
func (p *Proc) Close() error {
	p.stdin.s.close()
	for _, o := range p.outputs {
		o.s.close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slave >= 0 {
		err := unix.Close(p.slave)
		p.slave = -1
		return os.NewSyscallError("close", err)
	}
	return nil
}
