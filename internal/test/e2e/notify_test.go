package e2e_test

import (
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// supervisor is a notify socket like that of systemd.
type supervisor struct {
	t    *testing.T
	told chan string
}

// supervised starts a supervisor, and returns the environment of a program that uses it.
func supervised(w *world) (s *supervisor, environ []string) {
	w.t.Helper()
	socket := filepath.Join(w.dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = conn.Close() })
	s = &supervisor{w.t, make(chan string, 10_000)} // a socket itself holds only a few
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			s.told <- string(buf[:n])
		}
	}()
	return s, []string{"NOTIFY_SOCKET=" + socket, "WATCHDOG_USEC=200000"}
}

// hears waits for a message with all these parts, and returns the messages before it.
func (s *supervisor) hears(parts ...string) (before []string) {
	s.t.Helper()
	late := time.After(patience)
	for {
		select {
		case text := <-s.told:
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) }) {
				return before
			}
			before = append(before, text)
		case <-late:
			s.t.Fatalf("was not told %q but %q", parts, before)
		}
	}
}

// A device must start without its broker, and systemd must show why it is not reachable.
func TestAgentReportsItsStateToSystemd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.startBroker("tcp://127.0.0.1:0")
	url := w.url
	w.broker.Stop(t)
	systemd, environ := supervised(w)
	cmd := exec.Command(program("shvagent"), "--mount", device, "--url", url, "--socket", w.socket(), "--drain", "1m")
	cmd.Env = append(environment(environ...), w.shellSettings()...)
	w.agent = w.launch(cmd)
	systemd.hears("READY=1", "STATUS=connecting to "+url)
	systemd.hears("STATUS=not connected: ")
	systemd.hears("WATCHDOG=1")
	w.startBroker(url)
	systemd.hears("STATUS=connected to " + url + " as client ")
	// systemd would accept messages of a session as those of the agent.
	w.rsh("echo $NOTIFY_SOCKET$WATCHDOG_USEC").wants(t, 0, "\n", "")
	systemd.hears("WATCHDOG=1")
	w.agent.signal(t, syscall.SIGHUP)
	systemd.hears("RELOADING=1", "MONOTONIC_USEC=")
	systemd.hears("READY=1", "STATUS=connected to "+url)
	w.agent.signal(t, syscall.SIGTERM)
	systemd.hears("STOPPING=1", "EXTEND_TIMEOUT_USEC=80000000")
	w.agent.code(t)
}

func TestBrokerReportsItsStateToSystemd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	systemd, environ := supervised(w)
	cmd := exec.Command(program("shvbroker"), "--listen", "tcp://127.0.0.1:0",
		"--drain-grace", "1m", "--drain-spread", "5s")
	cmd.Env = environment(environ...)
	w.broker = w.launch(cmd)
	if before := systemd.hears("READY=1"); len(before) > 0 {
		t.Errorf("before it was ready it told %q", before)
	}
	systemd.hears("WATCHDOG=1")
	w.broker.signal(t, syscall.SIGHUP)
	systemd.hears("RELOADING=1", "MONOTONIC_USEC=")
	systemd.hears("READY=1")
	w.broker.signal(t, syscall.SIGTERM)
	systemd.hears("STOPPING=1", "EXTEND_TIMEOUT_USEC=80000000")
	w.broker.code(t)
}
