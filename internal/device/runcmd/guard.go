package runcmd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"shvtools/internal/device/ptyproc"
	"shvtools/internal/sys/timerslack"
)

const (
	// GuardFlag makes shvrexec the guard of commands.
	GuardFlag = "guard"
	// guardWait is how long a guard may take to read a line.
	guardWait = time.Second
	// guardGrace is how long it may take to end when it has been told to.
	guardGrace = 2*endGrace + time.Second
)

// Guard lets no command outlive us when we are killed and can end none ourselves: a
// process beside us knows the process groups of those that run, and ends them as
// soon as the pipe that we hold is gone. The process is there while commands run.
// All methods may be called concurrently.
type Guard struct {
	program string
	environ []string
	failed  func(error)

	mu      sync.Mutex
	watches int // those that are not over
	groups  map[int]struct{}
	current *guardian // nil: none
	ended   sync.WaitGroup
}

// watch is the care of a Guard for one command, from before its start.
type watch struct {
	guard *Guard
	group int // 0: not started
}

// guardian is one process of a Guard.
type guardian struct {
	cmd   *exec.Cmd
	lines *os.File
	gone  bool // it has ended by itself
}

// NewGuard is one that runs program, which is shvrexec, with that environment.
// failed is told of each command that nobody watches over.
func NewGuard(program string, environ []string, failed func(error)) *Guard {
	return &Guard{program: program, environ: environ, failed: failed, groups: make(map[int]struct{})}
}

// watch has the process ready for a command that is about to start, so that the
// command is there unknown to it for no longer than a line takes.
func (g *Guard) watch() *watch {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watches++
	if g.current == nil {
		_ = g.replace() // over tries again, and tells
	}
	return &watch{guard: g}
}

// over has the process group of the command ended if we do not live until release.
func (w *watch) over(group int) {
	g := w.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	w.group = group
	g.groups[group] = struct{}{}
	if err := g.tell(group); err != nil {
		g.failed(fmt.Errorf("nobody would end commands if this program was killed: %w", err))
	}
}

// release tells that the command is over, or has not started.
func (w *watch) release() {
	g := w.guard
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watches--
	delete(g.groups, w.group)
	p := g.current
	if p == nil {
		return
	}
	if w.group != 0 && p.write(-w.group) != nil {
		p.giveUp() // the next command has another
		g.current = nil
	} else if g.watches == 0 {
		p.end()
		g.current = nil
	}
}

// tell makes the process know a new group; g.mu is held. One that has ended is
// replaced.
func (g *Guard) tell(group int) error {
	if p := g.current; p != nil && !p.gone && p.write(group) == nil {
		return nil
	}
	return g.replace()
}

// replace starts a process that knows all groups, in place of the one that is there;
// g.mu is held.
func (g *Guard) replace() error {
	if g.current != nil {
		g.current.giveUp()
	}
	p, err := g.start()
	g.current = p
	if err != nil {
		return err
	}
	for group := range g.groups {
		if err := p.write(group); err != nil {
			return err
		}
	}
	return nil
}

// start starts the process; g.mu is held.
func (g *Guard) start() (*guardian, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(g.program, "--"+GuardFlag)
	cmd.Env, cmd.Stdin, cmd.Stderr = g.environ, theirs, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // what ends us all must not end it
	if err := timerslack.Start(timerslack.Calm, cmd.Start); err != nil {
		_ = ours.Close()
		return nil, err
	}
	p := &guardian{cmd: cmd, lines: ours}
	g.ended.Go(func() {
		_ = cmd.Wait()
		g.mu.Lock()
		defer g.mu.Unlock()
		p.gone = true
	})
	return p, nil
}

// write tells of a group: that it runs, or, where it is negative, that it does not.
func (p *guardian) write(group int) error {
	_ = p.lines.SetWriteDeadline(time.Now().Add(guardWait))
	_, err := fmt.Fprintln(p.lines, group)
	return err
}

// end lets the process end, and the groups that it still knows.
func (p *guardian) end() { _ = p.lines.Close() }

// giveUp ends it, and none of the groups that it knows.
func (p *guardian) giveUp() {
	_ = p.cmd.Process.Kill()
	_ = p.lines.Close()
}

// Close ends the process, and with it the commands that still run. It waits for
// both, for a while at the most.
func (g *Guard) Close() {
	g.mu.Lock()
	if g.current != nil {
		g.current.end()
		g.current = nil
	}
	g.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		g.ended.Wait()
		close(ended)
	}()
	late := time.NewTimer(guardGrace)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
	}
}

// RunGuard is the life of that process: it reads groups from in, and when that ends
// it ends those that are left as a lost terminal does. Signals that may be meant
// for all of the agent's processes do not end it before that.
func RunGuard(in io.Reader) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	groups := make(map[int]struct{})
	for lines := bufio.NewScanner(in); lines.Scan(); {
		switch group, err := strconv.Atoi(lines.Text()); {
		case err != nil:
		case group < 0:
			delete(groups, -group)
		default:
			groups[group] = struct{}{}
		}
	}
	var ending sync.WaitGroup
	for group := range groups {
		ending.Go(func() { ptyproc.HangupGroup(group, endGrace) })
	}
	ending.Wait()
}
