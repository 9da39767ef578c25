// Package proctest starts programs for tests, records what they write, and waits for
// what can be seen of them. Only tests import it.
package proctest

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for something that should happen at once. It
// allows for a machine that is busy with other work, and for the race detector.
const Patience = 30 * time.Second

// Until waits for limit at most until done reports true, and returns whether it did. It
// looks often, so done must be cheap. For what cannot be waited for otherwise, such as
// files and processes.
func Until(limit time.Duration, done func() bool) bool {
	return Poll(limit, 2*time.Millisecond, done)
}

// Poll is Until with a pause between two looks. It looks at least once, and also once
// after the limit has passed, since the test itself may have been stopped until then.
func Poll(limit, pause time.Duration, done func() bool) bool {
	for start := time.Now(); ; time.Sleep(pause) {
		late := time.Since(start) > limit
		if done() {
			return true
		}
		if late {
			return false
		}
	}
}

// Process is a running program.
type Process struct {
	Name  string // the last element of its path
	Cmd   *exec.Cmd
	Ended chan struct{} // closed when it is reaped; Cmd.ProcessState is valid then
}

// Start starts a program. Its stdout and stderr go to output unless cmd sets them.
func Start(cmd *exec.Cmd, output io.Writer) (*Process, error) {
	p := &Process{Name: filepath.Base(cmd.Path), Cmd: cmd, Ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = output
	}
	if cmd.Stderr == nil {
		cmd.Stderr = output
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	go func() {
		_ = cmd.Wait() // ProcessState has the result
		close(p.Ended)
	}()
	return p, nil
}

// Running reports whether the program has not been reaped yet.
func (p *Process) Running() bool {
	select {
	case <-p.Ended:
		return false
	default:
		return true
	}
}

// State describes the program for a log: how it ended, or that it runs.
func (p *Process) State() string {
	if p.Running() {
		return "running"
	}
	return p.Cmd.ProcessState.String()
}

// Stop ends the program with SIGTERM. If that does not end it within Patience, Stop
// kills it and fails the test.
func (p *Process) Stop(t testing.TB) {
	t.Helper()
	if !p.Running() {
		return
	}
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	_ = p.Cmd.Process.Signal(syscall.SIGCONT) // a test may have stopped it
	select {
	case <-p.Ended:
	case <-time.After(Patience):
		t.Errorf("%s did not end on SIGTERM", p.Name)
		_ = p.Cmd.Process.Kill()
		<-p.Ended
	}
}
