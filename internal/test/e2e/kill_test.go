package e2e_test

import (
	"syscall"
	"testing"
	"time"
)

// told is how long a killed process may remain unnoticed by the others.
const told = 2 * time.Second

// victims are the processes of a session. kill ends one of them, and revive makes the
// world serve again.
var victims = []struct {
	name   string
	kill   func(w *world, shvrsh int)
	why    string // part of the text of shvrsh
	revive func(w *world)
}{
	{"broker", func(w *world, _ int) { w.kill(w.broker) }, "connection closed by the peer",
		func(w *world) {
			w.broker.code(w.t) // its port may be in use until then
			w.startBroker(w.url)
			w.broker.says(w.t, "device mounted", "mount="+device)
		}},
	{"agent", func(w *world, _ int) { w.kill(w.agent) }, "the agent on the device was lost",
		func(w *world) { w.startAgent() }},
	{"helper", func(w *world, _ int) { w.killHelper() }, "the device restarted or lost its connection",
		func(*world) {}},
	{"shvrsh", func(w *world, shvrsh int) { w.killPid(shvrsh) }, "",
		func(*world) {}},
}

func (w *world) kill(p *process) {
	w.t.Helper()
	p.signal(w.t, syscall.SIGKILL)
}

func (w *world) killPid(pid int) {
	w.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) killHelper() {
	w.t.Helper()
	helpers := w.helpers()
	if len(helpers) != 1 {
		w.t.Fatalf("helpers: %v", helpers)
	}
	w.killPid(helpers[0])
}

func TestKilledInTheMiddleOfAShell(t *testing.T) {
	for _, victim := range victims {
		t.Run(victim.name, func(t *testing.T) {
			w := setup{}.start(t)
			term := w.shell(80, 24)
			command := term.sleeps()

			start := time.Now()
			victim.kill(w, term.shvrsh())
			if victim.why != "" {
				term.ends(255)
				wantsLine(t, term.stderr(), device, victim.why)
			} else {
				term.shell.code(t)
			}
			w.allGone(start, command)
			victim.revive(w)
			w.stillServes()
		})
	}
}

func TestKilledInTheMiddleOfACommand(t *testing.T) {
	for _, victim := range victims {
		t.Run(victim.name, func(t *testing.T) {
			w := setup{}.start(t)
			command := marker()
			// The command has a child with the same pipes.
			p, _ := w.started("echo ready; " + command + "; true")
			awaitStart(t, command)

			start := time.Now()
			victim.kill(w, p.pid())
			if code := p.code(t); victim.why != "" {
				if code != 255 {
					t.Errorf("exit code %d", code)
				}
				wantsLine(t, p.log.String(), device, victim.why)
			}
			w.allGone(start, command)
			victim.revive(w)
			w.stillServes()
		})
	}
}

// allGone checks that the remote command and all helpers end in time.
func (w *world) allGone(start time.Time, command string) {
	w.t.Helper()
	eventually(w.t, told-time.Since(start), command+" and the helper end", func() bool {
		return len(living(command)) == 0 && len(w.sessionsLeft()) == 0
	})
}

// sessionsLeft returns the processes that the agent has started, directly or not.
func (w *world) sessionsLeft() []int {
	agent := w.agent.pid()
	var left []int
	for _, pid := range withVariable(w.mark) {
		if pid != agent {
			left = append(left, pid)
		}
	}
	return left
}
