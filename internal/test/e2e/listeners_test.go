package e2e_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/test/certtest"
)

// overTLS starts a world whose broker serves ssl only, with a certificate for a name that
// the broker itself does not know.
func overTLS(t *testing.T) setup { return secured(t, "ssl") }

func secured(t *testing.T, scheme string) setup {
	t.Helper()
	c := certtest.Write(t, t.TempDir(), "broker", "localhost")
	return setup{
		listen:        scheme + "://127.0.0.1:0",
		brokerOptions: []string{"--tls-cert", c.Cert, "--tls-key", c.Key},
		clientURL: func(listens string) string {
			return strings.Replace(listens, "127.0.0.1", "localhost", 1) + "?ca=" + c.Cert
		},
	}
}

func overSocket(t *testing.T) setup {
	t.Helper()
	return setup{listen: "unix:" + filepath.Join(t.TempDir(), "broker.sock")}
}

func overSerial(*testing.T) setup    { return setup{listen: "tcps://127.0.0.1:0"} }
func overWebSocket(*testing.T) setup { return setup{listen: "ws://127.0.0.1:0"} }

func overSecureWebSocket(t *testing.T) setup { return secured(t, "wss") }

func TestSessionsOverAllTransports(t *testing.T) {
	t.Parallel()
	for name, world := range map[string]func(*testing.T) setup{
		"ssl": overTLS, "tcps": overSerial, "ws": overWebSocket, "wss": overSecureWebSocket, "unix": overSocket,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := world(t).start(t)
			if !strings.HasPrefix(w.url, name+":") {
				t.Fatalf("the broker is at %s", w.url)
			}
			term := w.shell(80, 24)
			if got := term.run("echo $((40+2))"); got != "42\r\n" {
				t.Errorf("the shell printed %q", got)
			}
			term.resize(100, 30)
			term.typeKeys(`until [ "$(stty size)" = "30 100" ]; do sleep 0.02; done; exit 3` + "\r")
			term.ends(3)

			// The address of the session and its secret must be in no argv.
			w.rsh("ps -o args= -p $PPID").wants(t, 0, program("shvrexec")+"\n", "")
			data := make([]byte, 5<<20)
			_, _ = rand.Read(data)
			r := w.rshWith(bytes.NewReader(data), "cat; echo err >&2; exit 7")
			if r.code != 7 || !bytes.Equal(r.stdout, data) || string(r.stderr) != "err\n" {
				t.Errorf("exit code %d, %d bytes, stderr %q", r.code, len(r.stdout), r.stderr)
			}
			if strings.Contains(w.journal(), "lub42DUB") {
				t.Error("the journal shows the password")
			}
		})
	}
}

// Agent and user may use different listeners of a broker. A session uses the listener of
// its agent.
func TestAllListenersOfOneBroker(t *testing.T) {
	t.Parallel()
	s := secured(t, "ssl")
	for _, url := range []string{
		"wss://127.0.0.1:0", "ws://127.0.0.1:0", "tcps://127.0.0.1:0", "tcp://127.0.0.1:0", overSocket(t).listen,
	} {
		s.brokerOptions = append(s.brokerOptions, "--listen", url)
	}
	s.noAgent = true
	w := s.start(t)
	text, err := os.ReadFile(filepath.Join(w.dir, "broker.ready"))
	listeners := strings.Fields(string(text))
	if err != nil || len(listeners) != 6 {
		t.Fatalf("the broker listens on %q, %v", listeners, err)
	}
	for i, listener := range listeners {
		if strings.Contains(listener, "127.0.0.1") {
			listeners[i] = s.clientURL(listener)
		}
	}
	data := make([]byte, 1<<20)
	_, _ = rand.Read(data)
	for i, listener := range listeners {
		w.url = listener
		w.startAgentAt("--url", listener)
		for _, user := range []string{listener, listeners[(i+1)%len(listeners)]} {
			w.url = user
			r := w.rshWith(bytes.NewReader(data), "cat; exit 7")
			if r.code != 7 || !bytes.Equal(r.stdout, data) || len(r.stderr) > 0 {
				t.Errorf("agent at %s, user at %s: exit code %d, %d bytes, stderr %q",
					listener, user, r.code, len(r.stdout), r.stderr)
			}
		}
		w.agent.Stop(t)
	}
}

// A client that cannot verify the broker must report that, and must not send a password.
func TestUnverifiedBrokersAreRefused(t *testing.T) {
	t.Parallel()
	w := overTLS(t).start(t)
	trusted := w.url
	other := certtest.Write(t, t.TempDir(), "other", "localhost")
	plain, _, _ := strings.Cut(trusted, "?")
	for query, why := range map[string]string{
		"":                            "unknown authority",
		"?ca=" + other.Cert:           "unknown authority",
		"?ca=/nonexistent/ca":         "/nonexistent/ca",
		"?ca=" + other.Key:            "holds none",
		"?crl=x&ca=" + other.Cert:     "revocation list",
		"?verify=no&ca=" + other.Cert: "verify",
	} {
		w.url = plain + query
		w.rsh("true").wantsFailure(t, why)
	}
	w.url = plain + "?verify=false"
	r := w.rsh("true")
	if r.code != 0 || !r.stderrHas("warning: ", "verify=false") {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	w.url = strings.Replace(trusted, "localhost", "127.0.0.1", 1)
	w.rsh("true").wantsFailure(t, "127.0.0.1")
	w.url = strings.Replace(plain, "ssl:", "tcp:", 1)
	w.rsh("true").wantsFailure(t, "")
}

// A killed broker leaves its socket, which the next broker must replace.
func TestBrokerReplacesTheSocketOfADeadOne(t *testing.T) {
	t.Parallel()
	s := overSocket(t)
	w := s.start(t)
	second := call(w, "shvbroker", "--listen", s.listen)
	if second.code != 1 || !strings.Contains(string(second.stderr), "another program listens") {
		t.Errorf("a second broker: %d, %q", second.code, second.stderr)
	}
	w.rsh("true").wants(t, 0, "", "")
	w.kill(w.broker)
	eventually(t, patience, "the broker is dead", func() bool { return !w.broker.Running() })
	if _, err := os.Stat(strings.TrimPrefix(s.listen, "unix:")); err != nil {
		t.Fatal(err)
	}
	w.startBroker(s.listen)
	eventually(t, patience, "the agent is back", func() bool { return w.rsh("true").code == 0 })
}
