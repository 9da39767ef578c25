package e2e_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

const (
	device = "test/agent"
	// prompt is the prompt of shells under test.
	prompt = "e2e> "
)

// setup describes the world that a test needs.
type setup struct {
	unsafe        bool                            // the journal shows secrets and data too
	helper        string                          // instead of our shvrexec
	agentEnv      []string                        // more environment of the agent
	under         func(agent *exec.Cmd) *exec.Cmd // changes how the agent is started
	noAgent       bool
	agentOptions  []string                    // more options of the agent
	url           string                      // of a broker that the test runs itself
	listen        string                      // URL of our broker; "": a free port on loopback
	brokerOptions []string                    // more options of the broker
	clientURL     func(listens string) string // URL for clients; nil: that of the listener

	brokerStderr, agentStderr *os.File // instead of the log of the test

	released []string // programs that are those of the last release
}

// world is a broker, an agent, and all other programs that a test starts.
type world struct {
	t     *testing.T
	setup setup
	dir   string
	mark  string // variable in the environment of the agent and all below it

	url           string
	broker, agent *process
	restart       func() // starts the broker that was lost; nil: not in this world

	mu  sync.Mutex
	all []*process
}

var worlds atomic.Int64

// newWorld returns a world without programs. The end of the test ends those that it gets.
func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: t.TempDir(), mark: fmt.Sprintf("E2E_WORLD=%d-%d", os.Getpid(), worlds.Add(1))}
	t.Cleanup(w.end)
	return w
}

// start starts a world.
func (s setup) start(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.setup, w.url = s, s.url
	if w.url == "" {
		listen := s.listen
		if listen == "" {
			listen = "tcp://127.0.0.1:0"
		}
		w.startBroker(listen)
	}
	if !s.noAgent {
		w.startAgent()
	}
	return w
}

// end ends all programs, the newest first, and what a failed test has left on the device.
// If the test has failed, it shows what they wrote.
func (w *world) end() {
	// They must not write while the directory is removed.
	defer eventually(w.t, patience, "what is left on the device ends", func() bool {
		left := withVariable(w.mark)
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
	for i := len(w.all) - 1; i >= 0; i-- {
		p := w.all[i]
		p.Stop(w.t)
		p.checkRaces(w.t)
		if w.t.Failed() {
			p.report(w.t)
		}
	}
	if w.t.Failed() {
		lines := strings.SplitAfter(w.journal(), "\n")
		w.t.Logf("journal, at its end:\n%s", strings.Join(lines[max(0, len(lines)-50):], ""))
	}
}

// launch starts a program of the world.
func (w *world) launch(cmd *exec.Cmd) *process {
	w.t.Helper()
	p, err := startProcess(cmd)
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, p)
	return p
}

// startBroker starts the broker, whose first URL becomes that of the world.
func (w *world) startBroker(listen string) {
	w.t.Helper()
	ready := w.newFile("broker.ready")
	cmd := exec.Command(w.program("shvbroker"), "--listen", listen, "--ready-file", ready, "--journal", w.journalFile())
	cmd.Args = append(cmd.Args, w.setup.brokerOptions...)
	if w.setup.unsafe {
		cmd.Args = append(cmd.Args, "--journal-unsafe")
	}
	cmd.Env = environment()
	toFile(&cmd.Stderr, w.setup.brokerStderr)
	w.broker = w.launch(cmd)
	w.url = w.awaitReady(w.broker, ready)
	if w.setup.clientURL != nil {
		w.url = w.setup.clientURL(w.url)
	}
}

func (w *world) startAgent() {
	w.t.Helper()
	w.startAgentAt("--url", w.url)
}

// startAgentAt starts the agent with options that say where the broker is.
func (w *world) startAgentAt(where ...string) {
	w.t.Helper()
	w.startAgentWith(append([]string{"--mount", device}, where...)...)
}

// startAgentWith starts it with options that say where it is mounted, too.
func (w *world) startAgentWith(options ...string) {
	w.t.Helper()
	ready := w.newFile("agent.ready")
	cmd := exec.Command(w.program("shvagent"), "--ready-file", ready, "--socket", w.socket())
	cmd.Args = append(append(cmd.Args, options...), w.setup.agentOptions...)
	if w.setup.helper != "" {
		cmd.Args = append(cmd.Args, "--shvrexec", w.setup.helper)
	}
	if w.setup.under != nil {
		cmd = w.setup.under(cmd)
	}
	cmd.Env = append(environment(), append(w.shellSettings(), w.setup.agentEnv...)...)
	toFile(&cmd.Stderr, w.setup.agentStderr)
	w.agent = w.launch(cmd)
	w.awaitReady(w.agent, ready)
}

// toFile makes file, if there is one, the stream of a program.
func toFile(stream *io.Writer, file *os.File) {
	if file != nil {
		*stream = file
	}
}

// shellSettings makes the device's login shell show prompt, whatever the user's settings
// are, and keeps what is typed out of the user's history.
func (w *world) shellSettings() []string {
	rc := filepath.Join(w.dir, "shrc")
	if err := os.WriteFile(rc, []byte("PS1='"+prompt+"'\n"), 0o644); err != nil {
		w.t.Fatal(err)
	}
	// Quoted so that the output of `env` does not contain the prompt.
	command := "PS1='" + prompt[:1] + "''" + prompt[1:] + "'"
	return []string{w.mark, "ENV=" + rc, "PROMPT_COMMAND=" + command, "HISTFILE="}
}

// awaitReady waits for a ready file and returns its first line.
func (w *world) awaitReady(p *process, file string) string {
	w.t.Helper()
	var text []byte
	eventually(w.t, patience, p.Name+" is ready", func() bool {
		var err error
		text, err = os.ReadFile(file)
		return err == nil || !p.Running()
	})
	line, _, found := strings.Cut(string(text), "\n")
	if !found {
		w.t.Fatalf("%s: no line in its ready file", p.Name)
	}
	return line
}

// socket is the socket with the status of the agent.
func (w *world) socket() string { return filepath.Join(w.dir, "agent.sock") }

func (w *world) journalFile() string { return filepath.Join(w.dir, "journal") }

func (w *world) journal() string {
	text, _ := os.ReadFile(w.journalFile())
	return string(text)
}

// awaitCalls waits until the journal has n calls that open a session.
func (w *world) awaitCalls(n int) {
	w.t.Helper()
	eventually(w.t, patience, strconv.Itoa(n)+" calls in the journal", func() bool {
		return strings.Count(w.journal(), `shvPath:"`+device+`",method:"launchRexec"`) == n
	})
}

// helpers returns the running helpers of the agent.
func (w *world) helpers() []int {
	return w.runByAgent(program("shvrexec"))
}

// guards returns the running guards of the agent.
func (w *world) guards() []int {
	return w.runByAgent(program("shvrexec") + " --guard")
}

func (w *world) runByAgent(command string) []int {
	return processes(func(pid int) bool { return commandLine(pid) == command && parentOf(pid) == w.agent.pid() })
}

// newFile returns the path of a file of the world that does not exist.
func (w *world) newFile(name string) string {
	file := filepath.Join(w.dir, name)
	_ = os.Remove(file)
	return file
}

// environment returns a small environment, without the variables of the tests' caller.
func environment(more ...string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + os.Getenv("HOME"),
		"XDG_CONFIG_HOME=/nonexistent",
		"TERM=dumb",                // no escape sequences
		"GORACE=atexit_sleep_ms=0", // otherwise each program takes a second longer under -race
	}
	return append(env, more...)
}
