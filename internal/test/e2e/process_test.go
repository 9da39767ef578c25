package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what should come at once. It is meant for
// a machine that is busy with other things, and the race detector.
const patience = 30 * time.Second

// process is a program that a test has started.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   *record       // what it writes, unless the test takes it elsewhere
	ended chan struct{} // closed when it is reaped
}

func startProcess(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, log: newRecord(), ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.log
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		_ = cmd.Wait() // ProcessState says it all
		close(p.ended)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	if sig == syscall.SIGSTOP { // which takes effect a little later
		eventually(t, patience, p.name+" is stopped", func() bool {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
			return strings.Contains(string(stat), ") T ")
		})
	}
}

// code waits for the end and gives the exit code, -1 after a signal.
func (p *process) code(t testing.TB) int {
	t.Helper()
	return p.codeWithin(t, patience)
}

func (p *process) codeWithin(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		t.Fatalf("%s did not end within %v", p.name, limit)
	}
	return p.cmd.ProcessState.ExitCode()
}

// says waits for a line of its log with each of the parts, and gives it.
func (p *process) says(t testing.TB, parts ...string) (line string) {
	t.Helper()
	said := func(log []byte) bool {
		for text := range strings.Lines(string(log)) {
			missing := slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
			if !missing && strings.HasSuffix(text, "\n") {
				line = text
				return true
			}
		}
		return false
	}
	if !p.log.await(said, p.ended) {
		t.Fatalf("%s does not say %q", p.name, parts)
	}
	return line
}

// stop ends the process, if it must with SIGKILL.
func (p *process) stop(t testing.TB) {
	if !p.running() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // a test may have stopped it
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("%s did not end on SIGTERM", p.name)
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// report shows the log of the process in that of the test.
func (p *process) report(t testing.TB) {
	state := "running"
	if !p.running() {
		state = p.cmd.ProcessState.String()
	}
	t.Logf("%s (pid %d, %s) wrote:\n%s", p.name, p.pid(), state, p.log)
}

// checkRaces fails the test for a report of the race detector.
func (p *process) checkRaces(t testing.TB) {
	if bytes.Contains(p.log.bytes(), []byte("WARNING: DATA RACE")) {
		t.Errorf("%s has a data race", p.name)
	}
}
