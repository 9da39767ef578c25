package e2e_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// passed are listening sockets for a broker to inherit, as systemd passes them.
type passed struct {
	names []string
	files []*os.File
	at    []string
}

func (p *passed) add(t *testing.T, name, network, address string) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	_ = l.Close()
	p.names, p.files, p.at = append(p.names, name), append(p.files, f), append(p.at, l.Addr().String())
}

// to returns a command that inherits the sockets.
func (p *passed) to(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, program(name)}, args...)...)
	cmd.Env = environment("LISTEN_FDS="+strconv.Itoa(len(p.files)), "LISTEN_FDNAMES="+strings.Join(p.names, ":"))
	cmd.ExtraFiles = p.files
	return cmd
}

func TestBrokerServesSocketsFromSystemd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var p passed
	p.add(t, "shv", "tcp", "127.0.0.1:0")
	p.add(t, "metrics", "tcp", "127.0.0.1:0")
	p.add(t, "shv", "tcp", "127.0.0.1:0")
	p.add(t, "local", "unix", filepath.Join(w.dir, "broker.sock"))
	file := w.newFile("shvbroker.yaml")
	// The URL has all addresses, but the address of the socket counts.
	w.configure(file, oneUser+`listen:
- {url: 'tcp://0.0.0.0', socket: shv}
- {url: 'unix:/elsewhere', socket: local}
- {url: 'tcp://127.0.0.1:0'}
metrics: {listen: 'socket:metrics'}
`)
	start := func() []string {
		ready := w.newFile("broker.ready")
		w.broker = w.launch(p.to("shvbroker", "--config", file, "--ready-file", ready))
		w.awaitReady(w.broker, ready)
		text, err := os.ReadFile(ready)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(text))
	}
	urls := start()
	want := []string{"tcp://" + p.at[0], "tcp://" + p.at[2], "unix://" + p.at[3]}
	if len(urls) != 4 || strings.Join(urls[:3], " ") != strings.Join(want, " ") {
		t.Fatalf("listening on %q, want %q and one more", urls, want)
	}
	w.startAgentAt("--url", urls[0])
	for _, w.url = range urls {
		w.rsh("true").wants(t, 0, "", "")
	}
	answer, err := http.Get("http://" + p.at[1] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if !strings.Contains(string(text), "shvbroker_clients") {
		t.Errorf("metrics: %s", text)
	}

	// A client that connects while there is no broker waits for the next broker.
	w.kill(w.broker)
	eventually(t, patience, "the broker is dead", func() bool { return !w.broker.Running() })
	w.url = urls[0]
	ended := make(chan result, 1)
	go func() { ended <- w.rsh("true") }()
	eventually(t, patience, "somebody waits", func() bool { return queued(t, p.files[0]) > 0 })
	start()
	// shvrsh may be served, or connect before the agent is back. It must not be refused.
	if r := <-ended; strings.Contains(string(r.stderr), "refused") {
		t.Errorf("while the broker is away: %d, %s", r.code, r.stderr)
	}
	eventually(t, patience, "the agent is back", func() bool { return w.rsh("true").code == 0 })
}

// queued returns how many connections wait to be accepted.
func queued(t *testing.T, socket *os.File) uint8 {
	t.Helper()
	info, err := unix.GetsockoptTCPInfo(int(socket.Fd()), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		t.Fatal(err)
	}
	return uint8(info.Unacked)
}

// The clients of a socket that no listener serves would wait forever, and so would those
// of a socket whose name has a typing error.
func TestSocketsThatDoNotFitTheConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var one, wide, local passed
	one.add(t, "shv", "tcp", "127.0.0.1:0")
	wide.add(t, "shv", "tcp", "0.0.0.0:0")
	local.add(t, "shv", "unix", filepath.Join(w.dir, "s"))
	both := passed{append([]string{"other"}, one.names...), append(local.files, one.files...), nil}
	const near = "tcp://127.0.0.1"
	for _, tt := range []struct {
		name   string
		passed passed
		listen []string
		want   string
	}{
		{"none passed", passed{}, []string{near + "?socket=shv"},
			`no socket "shv" was passed to the broker (LISTEN_FDNAMES), but none`},
		{"another name", one, []string{near + "?socket=svh"},
			`no socket "svh" was passed to the broker (LISTEN_FDNAMES), but "shv": give it that FileDescriptorName`},
		{"nobody asks", one, []string{near + ":0"},
			`the socket "shv" at ` + one.at[0] + ` was passed (LISTEN_FDNAMES), and nothing listens on it: name it by`},
		{"one too many", both, []string{near + "?socket=shv"}, `the socket "other" at `},
		{"asked for twice", one, []string{near + "?socket=shv", near + "?socket=shv"}, `the socket "shv" is asked for twice`},
		{"of another kind", local, []string{near + "?socket=shv"}, "scheme tcp does not fit a socket of type unix"},
		// The URL has loopback, but the address of the socket counts.
		{"wider than the URL", wide, []string{near + "?socket=shv"}, "off loopback everyone on the path could read along"},
		{"names and count", passed{[]string{"a", "b"}, one.files, nil}, []string{near + "?socket=a"},
			"LISTEN_FDNAMES has 2 names for the 1 sockets of LISTEN_FDS"},
	} {
		cmd := tt.passed.to("shvbroker")
		for _, url := range tt.listen {
			cmd.Args = append(cmd.Args, "--listen", url)
		}
		r := w.finish(cmd)
		if text := string(r.stderr); r.code == 0 || strings.Count(text, "\n") != 1 || !strings.Contains(text, tt.want) {
			t.Errorf("%s: exit code %d, %q; want %q", tt.name, r.code, text, tt.want)
		}
	}
}
