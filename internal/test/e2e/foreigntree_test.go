package e2e_test

import (
	"bytes"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

// The mount point of the child broker in a tree with a foreign broker, and that of the
// device in the tree.
const (
	lowMount  = "test/low"
	lowDevice = lowMount + "/" + device
)

// oneUser configures a user who has all rights, including that of a child broker.
const oneUser = `access:
  users: {iot: {password: !Plain lub42DUB, roles: [broker]}}
  roles: {broker: {access: [{shvRI: "**", grant: su}], mount-points: ["test/**"]}}
`

// start starts the broker with more configuration, and returns its URL.
func (f foreign) start(t *testing.T, w *world, more string) string {
	t.Helper()
	program, port := f.find(t), freePort(t)
	config := filepath.Join(w.dir, f.file)
	if err := os.WriteFile(config, append(fmt.Appendf(nil, f.config, port), more...), 0o644); err != nil {
		t.Fatal(err)
	}
	p := w.launch(exec.Command(program, "--config", config))
	address := fmt.Sprintf("127.0.0.1:%d", port)
	eventually(t, patience, f.name+" listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil || !p.Running()
	})
	return "tcp://" + address
}

// inForeignTrees runs a test with each foreign broker, both as the child and as the parent
// of one of ours. The user is at the parent, the device at the child.
func inForeignTrees(t *testing.T, test func(t *testing.T, w *world)) {
	for _, f := range foreigners {
		t.Run(f.name+" below", func(t *testing.T) {
			f.find(t)
			w := newWorld(t)
			w.configuredBroker("listen: [{url: \"tcp://127.0.0.1:0\"}]\n" + oneUser)
			host := strings.TrimPrefix(w.url, "tcp://")
			w.startAgentAt("--url", f.start(t, w, fmt.Sprintf(f.up, host)))
			test(t, w)
		})
		t.Run(f.name+" above", func(t *testing.T) {
			f.find(t)
			w := newWorld(t)
			above := f.start(t, w, "")
			w.configure(filepath.Join(w.dir, "password"), "lub42DUB\n")
			config := w.newFile("low.yaml")
			w.configure(config, oneUser+fmt.Sprintf(`listen: [{url: "tcp://127.0.0.1:0"}]
connections:
- name: up
  enabled: true
  client: {url: %q, user: iot, password-file: password, mount: %s, reconnect_interval: 1s}
`, above, lowMount))
			ready := w.newFile("low.ready")
			cmd := exec.Command(program("shvbroker"), "--config", config, "--ready-file", ready)
			cmd.Env = environment()
			w.broker = w.launch(cmd)
			w.startAgentAt("--url", w.awaitReady(w.broker, ready))
			w.url = above
			test(t, w)
		})
	}
}

func TestSessionsInBandInForeignTrees(t *testing.T) {
	inForeignTrees(t, func(t *testing.T, w *world) {
		eventually(t, patience, "the device is found", func() bool { return w.finish(w.shvrsh(lowDevice, "true")).code == 0 })
		w.finish(w.shvrsh(lowDevice, "echo out; echo err >&2; exit 7")).wants(t, 7, "out\n", "err\n")
		data := make([]byte, 10<<20)
		rand.New(rand.NewSource(1)).Read(data)
		cmd := w.shvrsh(lowDevice, "cat")
		cmd.Stdin = bytes.NewReader(data)
		if r := w.finish(cmd); r.code != 0 || !bytes.Equal(r.stdout, data) {
			t.Errorf("exit code %d, %d bytes came back, stderr %q", r.code, len(r.stdout), r.stderr)
		}
		term := w.open(91, 31, w.shvrsh(lowDevice))
		term.expect(prompt)
		if got := term.run("stty size"); got != "31 91\r\n" {
			t.Errorf("size: %q", got)
		}
		term.interrupts()
		term.endsInBand()
	})
}

func TestSignalsInForeignTrees(t *testing.T) {
	inForeignTrees(t, func(t *testing.T, w *world) {
		u, err := transport.ParseURL(w.url)
		if err != nil {
			t.Fatal(err)
		}
		came := make(chan string, 1)
		c, err := client.Dial(t.Context(), client.Options{
			URL:   u,
			Login: client.Login{User: "iot", Password: "lub42DUB"},
			Signal: func(m *rpc.Message) {
				select {
				case came <- string(m.Path()) + ":" + string(m.Method()):
				default:
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if v, err := callOf(c, ".broker/currentClient", "subscribe", fmt.Sprintf("%q", lowMount+"/**:*:cmdlog")); err != nil {
			t.Fatalf("%v, %v", v, err)
		}
		eventually(t, patience, "a signal comes from below", func() bool {
			_, _ = callOf(c, lowDevice, "runCmd", `"true"`) // the device may not be mounted yet
			return len(came) > 0
		})
		if got := <-came; got != lowDevice+":cmdlog" {
			t.Errorf("the signal is %s", got)
		}
	})
}
