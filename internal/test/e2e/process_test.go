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

	"shvtools/internal/test/proctest"
)

const patience = proctest.Patience

// process is a program that a test has started.
type process struct {
	*proctest.Process
	log *proctest.Record // what it writes, unless the test takes it elsewhere
}

func startProcess(cmd *exec.Cmd) (*process, error) {
	log := proctest.NewRecord()
	p, err := proctest.Start(cmd, log)
	if err != nil {
		return nil, err
	}
	return &process{p, log}, nil
}

func (p *process) pid() int { return p.Cmd.Process.Pid }

func (p *process) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s: %v", p.Name, err)
	}
	if sig == syscall.SIGSTOP { // it takes effect a little later
		eventually(t, patience, p.Name+" is stopped", func() bool {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
			return strings.Contains(string(stat), ") T ")
		})
	}
}

// code waits for the end and returns the exit code; -1 after a signal.
func (p *process) code(t testing.TB) int {
	t.Helper()
	return p.codeWithin(t, patience)
}

func (p *process) codeWithin(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.Ended:
	case <-time.After(limit):
		t.Fatalf("%s did not end within %v", p.Name, limit)
	}
	return p.Cmd.ProcessState.ExitCode()
}

// says waits for a line of the log with each of the parts, and returns it.
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
	if !p.log.Await(said, p.Ended) {
		t.Fatalf("%s does not say %q", p.Name, parts)
	}
	return line
}

// report copies the log of the process to that of the test.
func (p *process) report(t testing.TB) {
	t.Logf("%s (pid %d, %s) wrote:\n%s", p.Name, p.pid(), p.State(), p.log)
}

// checkRaces fails the test for a report of the race detector.
func (p *process) checkRaces(t testing.TB) {
	if bytes.Contains(p.log.Bytes(), []byte("WARNING: DATA RACE")) {
		t.Errorf("%s has a data race", p.Name)
	}
}
