package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/shv/login"
	"shvtools/internal/test/proctest"
	"shvtools/internal/wire/client"
)

// counts holds how many of each kind of thing a device and its broker have.
type counts map[string]int

const (
	memory = "KiB of memory of the " // and the program
	// memoryRoom is how much memory may grow, since garbage is collected late. With the
	// race detector it grows by much more.
	memoryRoom = 8 << 10
)

// counts returns the present counts.
func (w *world) counts() counts {
	w.t.Helper()
	c := counts{
		"processes below the agent": len(processes(func(pid int) bool { return parentOf(pid) == w.agent.pid() })),
		"processes of sessions":     len(w.sessionsLeft()),
		"terminals":                 0,
	}
	for _, pid := range withVariable(w.mark) {
		c["terminals"] += masters(pid)
	}
	for _, p := range []*process{w.broker, w.agent} {
		c["descriptors of the "+p.Name] = descriptors(w.t, p.pid())
		c[memory+p.Name] = resident(p.pid())
	}
	var report struct{ Goroutines int }
	if err := json.Unmarshal(w.status("--json").stdout, &report); err == nil { // otherwise it does not answer now
		c["goroutines of the agent"] = report.Goroutines
	} else {
		c["goroutines of the agent"] = 1 << 30
	}
	if n, ok := w.brokerGoroutines(); ok {
		c["goroutines of the broker"] = n
	}
	return c
}

// backTo waits until no count is higher than it was before.
func (w *world) backTo(before counts) {
	w.t.Helper()
	var more []string
	// Each look starts a program and opens connections, which must be gone before the next.
	const pause = 20 * time.Millisecond
	back := proctest.Poll(patience, pause, func() bool {
		now := w.counts()
		more = nil
		for what, n := range before {
			room := 0
			if strings.HasPrefix(what, memory) {
				room = memoryRoom
			}
			if now[what] > n+room && !(race && room > 0) {
				more = append(more, fmt.Sprintf("%d %s, where there were %d", now[what], what, n))
			}
		}
		return len(more) == 0
	})
	if !back {
		w.t.Fatalf("not within %v: %s", patience, strings.Join(more, "; "))
	}
}

// masters returns how many terminals a process has opened as their master.
func masters(pid int) (n int) {
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, _ := os.Readlink(link); strings.HasSuffix(to, "/ptmx") {
			n++
		}
	}
	return n
}

var residentLine = regexp.MustCompile(`(?m)^VmRSS:\s*(\d+) kB$`)

// resident returns the resident memory of a process in KiB.
func resident(pid int) int {
	m := residentLine.FindStringSubmatch(procFile(pid, "status"))
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

var (
	metricsLine   = regexp.MustCompile(`metrics and health are served.*address=(\S+)`)
	goroutineLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)
)

// brokerGoroutines asks the broker for its metrics; ok is false if it serves none.
func (w *world) brokerGoroutines() (n int, ok bool) {
	at := metricsLine.FindStringSubmatch(w.broker.log.String())
	if at == nil {
		return 0, false
	}
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	r, err := c.Get("http://" + at[1] + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	text, _ := io.ReadAll(r.Body)
	m := goroutineLine.FindSubmatch(text)
	if m == nil {
		w.t.Fatalf("no number of goroutines in %q", text)
	}
	n, _ = strconv.Atoi(string(m[1]))
	return n, true
}

// ending is a world whose sessions end in every way.
type ending struct {
	*world
	near, far      *relay // to the broker, of the users and of the device
	user, password string
	inBand         bool
	caller         *client.Client // of runCmd, nil while there is no call
	open           []*openSession
	calls          []string // running commands of runCmd
}

// openSession is a session whose command runs until something ends it.
type openSession struct {
	command string
	shvrsh  *process
	term    *terminal // nil: a command without a terminal
}

// pids returns the process of shvrsh, while it runs.
func (s *openSession) pids() []int {
	if s.term != nil {
		return childrenOf(s.shvrsh.pid(), program("shvrsh"))
	}
	return []int{s.shvrsh.pid()}
}

// begin opens sessions with and without a terminal, and if calls is true starts commands
// of runCmd too. It waits until all of them run.
func (e *ending) begin(sessions int, calls bool) {
	t := e.t
	t.Helper()
	e.open, e.calls = nil, nil
	for i := range sessions {
		s := &openSession{command: marker()}
		if i%2 == 0 {
			s.term = e.world.open(80, 24, e.shvrsh(device))
			s.shvrsh = s.term.shell
		} else {
			s.shvrsh = e.launch(e.shvrsh(device, s.command+"; true"))
		}
		e.open = append(e.open, s)
	}
	if calls {
		for range 2 {
			e.calls = append(e.calls, e.call())
		}
	}
	for _, s := range e.open {
		if s.term != nil {
			s.term.expect(prompt)
			s.term.typeKeys(s.command + "\r")
		}
		awaitStart(t, s.command)
	}
	for _, command := range e.calls {
		awaitStart(t, command)
	}
}

func (e *ending) shvrsh(args ...string) *exec.Cmd {
	cmd := exec.Command(program("shvrsh"), args...)
	cmd.Env = environment("SHV_URL="+e.near.url(), "SHV_USER="+e.user, "SHV_PASSWORD="+e.password)
	return cmd
}

// call calls runCmd with a command that has a child.
func (e *ending) call() (command string) {
	t := e.t
	t.Helper()
	if e.caller == nil {
		e.caller = logInAt(t, e.near.url(), e.user, e.password)
	}
	command = marker()
	runs(t, e.caller, command+"; true")
	return command
}

// over waits until the users' programs and everything that they ran on the device have
// ended.
func (e *ending) over() {
	e.t.Helper()
	for _, s := range e.open {
		s.shvrsh.code(e.t)
	}
	wait := patience
	if e.inBand {
		wait += 45 * time.Second // how long a device keeps the session of a silent user
	}
	for _, s := range e.open {
		awaitEnd(e.t, wait, s.command)
	}
	for _, command := range e.calls {
		awaitEnd(e.t, patience, command)
	}
	if e.caller != nil {
		e.caller.Close()
		e.caller = nil
	}
}

// served waits until the device runs commands.
func (e *ending) served() {
	e.t.Helper()
	eventually(e.t, patience, "the device serves", func() bool { return e.finish(e.shvrsh(device, "true")).code == 0 })
}

// wayToEnd ends all sessions that are open.
type wayToEnd struct {
	name  string
	calls bool // begin starts calls, too
	slow  bool // in band the device notices it late
	end   func(e *ending)
}

var waysToEnd = []wayToEnd{
	{name: "by themselves", calls: true, end: func(e *ending) {
		for _, command := range e.calls {
			e.killCommand(command)
		}
		for _, s := range e.open {
			e.killCommand(s.command)
			if s.term != nil {
				s.term.expect(prompt)
				s.term.typeKeys("exit\r")
			}
		}
	}},
	{name: "terminals hung up", end: func(e *ending) {
		for _, s := range e.open {
			if s.term != nil {
				_ = s.term.master.Close()
			} else {
				s.shvrsh.signal(e.t, syscall.SIGHUP)
			}
		}
	}},
	{name: "shvrsh killed", slow: true, end: func(e *ending) {
		for _, s := range e.open {
			for _, pid := range s.pids() {
				e.killPid(pid)
			}
		}
	}},
	{name: "helpers killed", end: func(e *ending) {
		for _, pid := range e.helpers() {
			e.killPid(pid)
		}
	}},
	{name: "links of the users cut", slow: true, end: func(e *ending) { e.near.cut() }},
	{name: "links of the device cut", calls: true, end: func(e *ending) {
		e.far.cut()
		e.lost()
	}},
	{name: "broker killed", calls: true, end: func(e *ending) {
		e.kill(e.broker)
		e.broker.code(e.t)
		e.restart()
	}},
	{name: "broker stopped", calls: true, end: func(e *ending) {
		e.broker.Stop(e.t)
		e.restart()
	}},
	{name: "agent killed", calls: true, end: func(e *ending) {
		e.kill(e.agent)
		e.agent.code(e.t)
		e.lost()
		e.startAgent()
	}},
	{name: "agent stopped", calls: true, end: func(e *ending) {
		e.agent.Stop(e.t)
		e.startAgent()
	}},
}

// killCommand ends the command of a marker with SIGTERM.
func (e *ending) killCommand(command string) {
	for _, pid := range living(command) {
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

// lost kills the users' programs in band, where they notice the loss of the device late. A
// program that was sending notices it at once, and may have ended.
func (e *ending) lost() {
	if !e.inBand {
		return
	}
	for _, s := range e.open {
		eventually(e.t, patience, "shvrsh ends", func() bool {
			select {
			case <-s.shvrsh.Ended:
				return true
			default:
			}
			for _, pid := range s.pids() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return false
		})
	}
}

// inEveryWay ends sessions in all ways, and checks each time that nothing is left of them.
func (e *ending) inEveryWay() {
	const sessions, rounds = 5, 10
	e.begin(sessions, true) // opens what stays open after the first session
	waysToEnd[0].end(e)
	e.over()
	eventually(e.t, patience, "the sessions end", func() bool { return len(e.sessionsLeft()) == 0 })
	before := e.counts()
	e.t.Logf("before: %v", before)
	n := 1
	if long {
		n = rounds
	}
	for round := range n {
		for _, way := range waysToEnd {
			if way.slow && e.inBand && (!long || round%5 > 0) {
				continue // 45 s
			}
			began := time.Now()
			e.begin(sessions, way.calls)
			way.end(e)
			e.over()
			e.served()
			e.backTo(before)
			e.t.Logf("%s: %v", way.name, time.Since(began).Round(time.Millisecond))
		}
	}
	e.t.Logf("after: %v", e.counts())
}

// newEnding adds relays in front of the broker of a world.
func newEnding(w *world) *ending {
	return &ending{world: w, near: newRelay(w.t), far: newRelay(w.t)}
}

// No process, descriptor, terminal, goroutine or memory may be left, however sessions end.
func TestNothingIsLeftOfSessions(t *testing.T) {
	t.Parallel()
	e := newEnding(newWorld(t))
	e.user, e.password = "eva", "pw-eva"
	// Helpers must use the relay, too.
	file := e.newFile("shvbroker.yaml")
	e.configure(file, configured+fmt.Sprintf(`tunnel: {advertise: [%q]}
metrics: {listen: '127.0.0.1:0'}
drain: {grace: 1s}
`, e.far.url()))
	e.restart = func() {
		e.restartConfigured(file)
		e.near.leadTo(e.url)
		e.far.leadTo(e.url)
		e.url = e.far.url()
	}
	e.restart()
	e.setup = setup{agentOptions: []string{"--user", "device"}, agentEnv: []string{"SHV_PASSWORD=pw-device"}}
	e.startAgent()
	e.inEveryWay()
}

// If the broker knows no tunnels, the agent carries the sessions.
func TestNothingIsLeftOfSessionsInBand(t *testing.T) {
	throughForeign(t, func(t *testing.T, w *world) {
		e := newEnding(w)
		e.user, e.password, e.inBand = login.DevelopmentUser, login.DevelopmentPassword, true
		e.near.leadTo(w.url)
		e.far.leadTo(w.url)
		e.url = e.far.url()
		e.agent.Stop(t)
		e.startAgent()
		e.inEveryWay()
	})
}
