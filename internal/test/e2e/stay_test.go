package e2e_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/login"
)

// status runs `shvagent status`.
func (w *world) status(args ...string) result {
	w.t.Helper()
	return call(w, "shvagent", append([]string{"--socket", w.socket(), "status"}, args...)...)
}

func TestStatusShowsConnectionAndSessions(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	p, _ := w.started("echo ready; exec sleep 60")
	r := w.status()
	for _, part := range []string{
		"device: " + device + ", shvagent ",
		"connected to " + w.url + " as client 1 for ",
		"sessions: 1\n  iot: commands for ",
	} {
		if r.code != 0 || !r.stdoutHas(part) {
			t.Errorf("no %q: %d, %s%s", part, r.code, r.stdout, r.stderr)
		}
	}
	if info, err := os.Stat(w.socket()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	p.Stop(t)
	w.broker.Stop(t)
	eventually(t, patience, "the loss is told", func() bool {
		r = w.status("--json")
		return r.code == 3 && r.stdoutHas(`"connected":false`, `"lastError":"`)
	})
	w.agent.Stop(t)
	if _, err := os.Stat(w.socket()); err == nil {
		t.Error("the socket is left")
	}
}

// silent returns the URL of a broker that accepts connections and never answers.
func silent(t *testing.T) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return "tcp://" + l.Addr().String()
}

// refusing returns the URL of an address on which nothing listens during the test.
func refusing(t *testing.T) (url string) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("tcp://127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
}

// A broker that is down, or that accepts and never answers, costs only its timeout.
func TestBrokersTakeTurns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startBroker("tcp://127.0.0.1:0")
	config, file := w.newFile("shvagent.yaml"), w.newFile("conn/status")
	w.configure(config, fmt.Sprintf(`connection: {timeout: 1s, url: ['%s', '%s', '%s']}
conn-status-update-interval: 1s
`, refusing(t), silent(t), w.url))
	good := w.url
	w.startAgentAt("--config", config, "--conn-status-file", file)
	w.stillServes()
	content := func() string { text, _ := os.ReadFile(file); return string(text) }
	eventually(t, patience, "the file says 1", func() bool { return content() == "1" })
	w.broker.Stop(t)
	eventually(t, patience, "the file says 0", func() bool { return content() == "0" })
	w.startBroker(good)
	eventually(t, 2*patience, "the file says 1 again", func() bool { return content() == "1" })
	w.stillServes()
}

// Options of one URL must not apply to another URL. They take precedence over those of the
// file.
func TestOptionsOfOneURLDoNotApplyToAnother(t *testing.T) {
	t.Parallel()
	s := overTLS(t)
	s.noAgent = true
	w := s.start(t)
	config := w.newFile("shvagent.yaml")
	address, _, _ := strings.Cut(w.url, "?")
	other := address + "?devmount=test/other" // without an authority
	for _, tt := range []struct{ urls, place, options string }{
		{other + "', '" + w.url + "&devmount=" + device + "&devid=d7", device, ""},
		{"unix:" + w.dir + "/none?devmount=test/other', '" + w.url, "test/all", ""},
		{w.url + "&devmount=test/other", "test/flag", "test/flag"},
	} {
		w.configure(config, "connection: {mount: test/all, url: ['"+tt.urls+"']}\n")
		options := []string{"--config", config}
		if tt.options != "" {
			options = append(options, "--mount", tt.options)
		}
		w.startAgentWith(options...)
		// The helper must use TLS because its agent does.
		w.finish(w.shvrsh(tt.place, "echo alive")).wants(t, 0, "alive\n", "")
		if r := w.status(); !r.stdoutHas("device: "+tt.place+",") && !r.stdoutHas("device: "+tt.place+" ") {
			t.Errorf("the status is %q", r.stdout)
		}
		w.agent.Stop(t)
	}
	own := `"device":{"deviceId":"d7","mountPoint":"` + device + `"}`
	if text := w.journal(); !strings.Contains(text, own) || strings.Contains(text, "test/other") {
		t.Error("the logins have another place or id")
	}
}

func TestSecondAgentOnTheSamePoint(t *testing.T) {
	t.Parallel()
	w := setup{agentEnv: []string{"WHICH=first"}}.start(t)
	first := w.agent
	w.setup.agentEnv = []string{"WHICH=second"}
	w.startAgent()
	if got := string(w.rsh("echo $WHICH").stdout); got != "second\n" {
		t.Errorf("%q answers", got)
	}
	w.agent.says(t, "another agent uses it")
	w.agent.Stop(t)
	eventually(t, patience, "the first one is called again", func() bool {
		return string(w.rsh("echo $WHICH").stdout) == "first\n"
	})
	w.agent = first
}

func TestStopOfTheAgentDrains(t *testing.T) {
	t.Parallel()
	w := setup{agentOptions: []string{"--drain", "1h"}}.start(t)
	file := w.newFile("go-on")
	p, out := w.started("echo ready; until [ -e " + file + " ]; do sleep 0.02; done; echo done; exit 7")
	w.agent.signal(t, syscall.SIGTERM)
	eventually(t, patience, "new sessions are refused", func() bool {
		return strings.Contains(string(w.rsh("true").stderr), "is stopping and accepts no new sessions")
	})
	if !strings.Contains(string(w.status().stdout), "stopping: no new sessions") {
		t.Error("the status does not tell")
	}
	p.says(t, "the agent on this device is stopping; this session ends in 1h0m0s")
	write(t, file, nil, 0o644)
	if code := p.code(t); code != 7 || out.String() != "ready\ndone\n" {
		t.Errorf("the session came to %d, %q", code, out)
	}
	if code := w.agent.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// The agent waits for calls as for shells, and their answers arrive.
func TestStopOfTheAgentWaitsForCalls(t *testing.T) {
	t.Parallel()
	served := t.TempDir()
	w := setup{agentOptions: []string{"--drain", "1h", "--sysfs-rootdir", served}}.start(t)
	c := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	file, command := w.newFile("go-on"), marker()
	answer := make(chan string, 1)
	go func() {
		script := command + "; until [ -e " + file + " ]; do sleep 0.02; done; echo done"
		v, err := callOf(c, device, "runCmd", `["sh",["-c","`+script+`"],1]`)
		answer <- fmt.Sprint(cpon.String(v), err)
	}()
	pid := awaitStart(t, command)
	w.agent.signal(t, syscall.SIGTERM)
	for _, call := range [][3]string{
		{device, "runCmd", `"true"`}, {device, "runScript", `"true"`}, {device + "/sys/fs/f", "write", `"x"`},
	} {
		eventually(t, patience, call[1]+" is refused", func() bool {
			_, err := callOf(c, call[0], call[1], call[2])
			return err != nil && strings.Contains(err.Error(), "is stopping and accepts no new calls")
		})
	}
	if v, err := callOf(c, device, "appName", "null"); err != nil {
		t.Errorf("appName: %s, %v", cpon.String(v), err)
	}
	w.killPid(pid)
	write(t, file, nil, 0o644)
	if got := <-answer; got != `[0,"done\n"]<nil>` {
		t.Errorf("the call came to %s", got)
	}
	if code := w.agent.code(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// A caller whose call is ended gets the reason.
func TestSecondSignalEndsCalls(t *testing.T) {
	t.Parallel()
	w := setup{agentOptions: []string{"--drain", "1h"}}.start(t)
	c := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	command, answer := marker(), make(chan error, 1)
	go func() {
		_, err := callOf(c, device, "runCmd", `["sh",["-c","`+command+`; true"],1]`)
		answer <- err
	}()
	awaitStart(t, command)
	w.agent.signal(t, syscall.SIGTERM)
	w.agent.says(t, "stopping: waiting for sessions and calls")
	w.agent.signal(t, syscall.SIGTERM)
	if err := <-answer; err == nil || !strings.Contains(err.Error(), "the agent on the device was stopped") {
		t.Errorf("the caller was told %v", err)
	}
	w.agent.code(t)
	awaitEnd(t, patience, command)
}

func TestSecondSignalStopsTheAgentAtOnce(t *testing.T) {
	t.Parallel()
	for _, options := range [][]string{{"--drain", "1h"}, nil} {
		w := setup{agentOptions: options}.start(t)
		command := marker()
		p, _ := w.started("echo ready; " + command + "; true")
		awaitStart(t, command)
		w.agent.signal(t, syscall.SIGTERM)
		if options != nil {
			w.agent.says(t, "stopping: waiting for sessions")
			w.agent.signal(t, syscall.SIGTERM)
		}
		if code := p.code(t); code != 255 || !strings.Contains(p.log.String(), "the agent on the device was stopped") {
			t.Errorf("%q: exit code %d, %q", options, code, p.log)
		}
		if code := w.agent.code(t); code != 0 {
			t.Errorf("%q: the agent ends with %d", options, code)
		}
		awaitEnd(t, patience, command)
	}
}
