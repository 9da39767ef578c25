package agent_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"shvtools/internal/device/agent"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline is for each wait, in real time.
const deadline = 30 * time.Second

// brokerSide is an agent and the broker that the test is for it. Its Peer is that of the
// agent's latest connection.
type brokerSide struct {
	*world.Peer
	t        *testing.T
	dir      string // of the test
	listener *net.TCPListener
	stop     func() // ends the agent and waits for it
}

// options are those of a test's agent.
func options(t *testing.T) agent.Options {
	return agent.Options{
		MountPoint: "test/agent",
		Environ:    []string{"PATH=" + os.Getenv("PATH"), "FROM_AGENT=yes", "SHV_LOG_LEVEL=warn"},
		Version:    "1.2.3",
		GitCommit:  "abc",
		ScriptDir:  filepath.Join(t.TempDir(), "scripts"),
		Helper:     "/nonexistent/shvrexec",
		Log:        zerolog.New(zerolog.NewTestWriter(t)),
	}
}

// loggedIn starts an agent and lets it log in.
func loggedIn(t *testing.T, o agent.Options) *brokerSide {
	t.Helper()
	w := started(t, o)
	w.accept()
	return w
}

// started starts an agent, which connects.
func started(t *testing.T, o agent.Options) *brokerSide {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &brokerSide{t: t, dir: t.TempDir(), listener: l.(*net.TCPListener)}
	o.Brokers = []agent.Broker{{URL: transport.ListenURL(l)}}
	if o.InForce != nil {
		o.InForce.Replace(agent.Terms{Policy: o.Policy, Brokers: o.Brokers})
	}
	w.stop = runAgent(t, o)
	t.Cleanup(func() {
		w.stop()
		_ = l.Close()
	})
	return w
}

// runAgent runs one until stop is called.
func runAgent(t *testing.T, o agent.Options) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- agent.Run(ctx, o) }()
	stopped := false
	return func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(deadline):
			t.Error("the agent does not stop")
		}
	}
}

// accept takes the next connection of the agent, and its login.
func (w *brokerSide) accept() {
	w.t.Helper()
	w.greet()
	w.Send(`<1:1,8:2>i{2:{"clientId":1}}`)
	for id := range 2 { // where it is mounted, in both dialects
		w.Value()
		w.Send(`<1:1,8:%d>i{3:i{1:2}}`, 3+id)
	}
}

// greet takes the next connection of the agent up to its login, request 2.
func (w *brokerSide) greet() {
	w.t.Helper()
	_ = w.listener.SetDeadline(time.Now().Add(deadline))
	conn, err := w.listener.Accept()
	if err != nil {
		w.t.Fatalf("the agent does not connect: %v", err)
	}
	w.Peer = world.NewPeer(w.t, conn)
	w.Value() // hello
	w.Send(`<1:1,8:1>i{2:{"nonce":"1"}}`)
	w.Value()
}

// answer returns the next message that is not a signal.
func (w *brokerSide) answer() string {
	w.t.Helper()
	for {
		v := w.Value()
		if _, ok := chainpack.Lookup(v.Meta(), chainpack.IntKey(rpc.TagRequestID)); ok {
			return cpon.String(v)
		}
	}
}

// signal gives the next message, which must be a signal.
func (w *brokerSide) signal() chainpack.Value {
	w.t.Helper()
	v := w.Value()
	if _, ok := chainpack.Lookup(v.Meta(), chainpack.IntKey(rpc.TagRequestID)); ok {
		w.t.Fatalf("no signal: %s", cpon.String(v))
	}
	return v
}

// request sends a call of caller 7 with all rights.
func (w *brokerSide) request(id int, path, method, param string) {
	w.t.Helper()
	w.Send(`<1:1,8:%d,9:%s,10:%q,11:7,17:63>i{1:%s}`, id, cpon.String(chainpack.String(path)), method, param)
}

// expect compares the next answer with the body of one to caller 7.
func (w *brokerSide) expect(id int, body string) {
	w.t.Helper()
	if got, want := w.answer(), fmt.Sprintf("<1:1,8:%d,11:7>%s", id, body); got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// check is a request and its answer.
func (w *brokerSide) check(id int, path, method, param, body string) {
	w.t.Helper()
	w.request(id, path, method, param)
	w.expect(id, body)
}

// sleeper runs a script as request id, which writes the id of its process group and then
// waits, and returns the group.
func (w *brokerSide) sleeper(id int) (group int) {
	w.t.Helper()
	file := filepath.Join(w.dir, "pid"+strconv.Itoa(id))
	w.request(id, "", "runCmd", fmt.Sprintf(`["sh",["-c","echo $$ >> %s; sleep 1000 & sleep 1000; wait"]]`, file))
	world.Eventually(w.t, "the command runs", func() bool {
		text, _ := os.ReadFile(file)
		group, _ = strconv.Atoi(strings.TrimSpace(string(text)))
		return strings.HasSuffix(string(text), "\n")
	})
	return group
}

// living returns the processes of a group, without those that only wait to be reaped.
func living(t *testing.T, group int) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		t.Fatalf("no processes in /proc: %v", err)
	}
	for _, file := range files {
		stat, _ := os.ReadFile(file)
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 2 && f[0] != "Z" && f[2] == strconv.Itoa(group) {
			pids = append(pids, file)
		}
	}
	return pids
}
