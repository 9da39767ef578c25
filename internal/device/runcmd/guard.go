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
	// GuardFlag makes shvrexec call RunGuard.
	GuardFlag = "guard"
	// guardWait is how long a guard may take to read a line.
	guardWait = time.Second
	// guardGrace is how long a guard may take to end.
	guardGrace = 2*endGrace + time.Second
)

// Guard ends commands if this process is killed and cannot end them itself. A second
// process knows the process groups of the running commands and ends them as soon as the
// pipe from this process is closed. It exists only while commands run. All methods may be
// called concurrently.
type Guard struct {
	program string
	environ []string
	failed  func(error)

	mu      sync.Mutex
	watches int // not released yet
	groups  map[int]struct{}
	current *guardian // nil: none
	ended   sync.WaitGroup
}

// watch is a Guard's watch over one command, from before its start to its end.
type watch struct {
	guard *Guard
	group int // 0: not started
}

// guardian is one process of a Guard.
type guardian struct {
	cmd   *exec.Cmd
	lines *os.File
	gone  bool // ended by itself
}

// NewGuard returns a Guard whose process is program, the path of shvrexec, with the given
// environment. failed is called for each command that runs without a guard.
func NewGuard(program string, environ []string, failed func(error)) *Guard {
	return &Guard{program: program, environ: environ, failed: failed, groups: make(map[int]struct{})}
}

// watch makes sure that the process exists before a command starts, so that it learns of
// the command as soon as a line can reach it.
func (g *Guard) watch() *watch {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watches++
	if g.current == nil {
		_ = g.replaceLocked() // over tries again and reports the error
	}
	return &watch{guard: g}
}

// over has the process group of the started command ended if this process dies before
// release.
func (w *watch) over(group int) {
	g := w.guard
	g.mu.Lock()
	w.group = group
	g.groups[group] = struct{}{}
	err := g.tellLocked(group)
	g.mu.Unlock()
	if err != nil {
		g.failed(fmt.Errorf("commands would outlive this process if it is killed: %w", err))
	}
}

// release ends the watch: the command has ended, or has not started.
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

// tellLocked sends a new group to the process, and replaces a process that has ended.
func (g *Guard) tellLocked(group int) error {
	if p := g.current; p != nil && !p.gone && p.write(group) == nil {
		return nil
	}
	return g.replaceLocked()
}

// replaceLocked starts a new process that knows all groups, and gives the old one up.
func (g *Guard) replaceLocked() error {
	if g.current != nil {
		g.current.giveUp()
	}
	p, err := g.startLocked()
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

// startLocked starts a process that knows no groups.
func (g *Guard) startLocked() (*guardian, error) {
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	cmd := exec.Command(g.program, "--"+GuardFlag)
	cmd.Env, cmd.Stdin, cmd.Stderr = g.environ, theirs, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a signal to the agent's process group must not end it
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

// write sends a line: a group that runs, or the negative number of one that has ended.
func (p *guardian) write(group int) error {
	_ = p.lines.SetWriteDeadline(time.Now().Add(guardWait))
	_, err := fmt.Fprintln(p.lines, group)
	return err
}

// end makes the process end the groups that it still knows, and itself.
func (p *guardian) end() { _ = p.lines.Close() }

// giveUp ends the process, and none of the groups that it knows.
func (p *guardian) giveUp() {
	_ = p.cmd.Process.Kill()
	_ = p.lines.Close()
}

// Close ends the process, and with it the commands that still run. It waits for both, but
// not longer than guardGrace.
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

// RunGuard is the process of a Guard: it reads groups from in until that ends, and then
// hangs up those that are left, as a lost terminal does. It ignores signals that may be
// meant for all of the agent's processes.
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
