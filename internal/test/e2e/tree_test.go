package e2e_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// treeAccess has users for brokers, devices and operators.
const treeAccess = `allow-plaintext: true
access:
  users:
    kid: {password: !Plain pw-kid, roles: [broker]}
    device: {password: !Plain pw-device, roles: [devices]}
    eva: {password: !Plain pw-eva, roles: [operators]}
    boss: {password: !Plain pw-boss, roles: [bosses]}
  roles:
    broker: {access: [{shvRI: "**", grant: bws}], mount-points: ["**"]}
    devices: {access: [{shvRI: "**", grant: bws}], mount-points: ["test/**"]}
    operators: {access: [{shvRI: "**", grant: cmd}]}
    bosses: {access: [{shvRI: "test/**", grant: none}, {shvRI: "**", grant: su}]}
`

// treeBroker is a broker in a tree.
type treeBroker struct {
	name      string
	ns        namespace
	listen    string
	advertise string // "": nothing is advertised
	up        string // URL of the parent broker; "": none
	mount     string // mount point at the parent
	export    string // the root that the parent sees; "": everything
	options   []string
	released  bool // by the program of the last release
}

// startTreeBroker starts a broker of a tree, and returns the URL of its listener.
func (w *world) startTreeBroker(b treeBroker) (*process, string) {
	w.t.Helper()
	text := fmt.Sprintf("name: %s\nlisten: [{url: %q}]\n%s", b.name, b.listen, treeAccess)
	if b.advertise != "" {
		text += fmt.Sprintf("tunnel: {advertise: [%q]}\n", b.advertise)
	}
	if b.up != "" {
		w.configure(filepath.Join(w.dir, "kid"), "pw-kid\n")
		allow := ""
		if plain(b.up) != nil {
			allow = ", allow-plaintext: true"
		}
		text += fmt.Sprintf(`connections:
- name: up
  enabled: true
  connection_settings: {exported_shv_root: %q}
  client: {url: %q, user: kid, password-file: kid, mount: %s, reconnect_interval: 1s%s}
`, b.export, b.up, b.mount, allow)
	}
	file := filepath.Join(w.dir, b.name+".yaml")
	w.configure(file, text)
	ready := w.newFile(b.name + ".ready")
	path := program("shvbroker")
	if b.released {
		path = filepath.Join(releaseBin, "shvbroker")
	}
	cmd := exec.Command(path, "--config", file, "--ready-file", ready, "--log-level", "debug")
	cmd.Args = append(cmd.Args, b.options...)
	cmd.Env = environment()
	p := w.launch(b.ns.in(cmd))
	return p, w.awaitReady(p, ready)
}

// plain is the environment that lets a client connect to a broker that is not on its machine
// without encryption.
func plain(url string) []string {
	if strings.HasPrefix(url, "tcp://127.") {
		return nil
	}
	return []string{"SHV_ALLOW_PLAINTEXT=1"}
}

func (w *world) startTreeAgent(ns namespace, url string) {
	w.t.Helper()
	ready := w.newFile("agent.ready")
	cmd := exec.Command(program("shvagent"), "--url", url, "--user", "device", "--mount", device, "--ready-file", ready)
	cmd.Env = append(append(environment("SHV_PASSWORD=pw-device"), w.shellSettings()...), plain(url)...)
	w.agent = w.launch(ns.in(cmd))
	w.awaitReady(w.agent, ready)
}

// eva returns shvrsh of a user in a tree, not started.
func (w *world) eva(ns namespace, args ...string) *exec.Cmd {
	cmd := exec.Command(program("shvrsh"), args...)
	cmd.Env = append(environment("SHV_URL="+w.url, "SHV_USER=eva", "SHV_PASSWORD=pw-eva"), plain(w.url)...)
	return ns.in(cmd)
}

// awaitTree waits until the device runs commands.
func (w *world) awaitTree(ns namespace, path string) {
	w.t.Helper()
	eventually(w.t, patience, "the device is found at "+path, func() bool {
		return w.finish(w.eva(ns, path, "true")).code == 0
	})
}

const treeDevice = "m/s/" + device

// tower is three brokers in one network. Helpers connect to the lowest, so tunnels pass
// all three.
type tower struct {
	*world
	ns                  namespace
	brokers             []treeBroker // the topmost first
	top, middle, bottom *process
}

func newTower(t *testing.T) *tower {
	t.Helper()
	w := &tower{world: newWorld(t), ns: newNamespace(t, "tower")}
	w.brokers = []treeBroker{
		{name: "top", ns: w.ns, listen: "tcp://127.0.0.1:1001"},
		{name: "middle", ns: w.ns, listen: "tcp://127.0.0.1:1002", up: "tcp://127.0.0.1:1001", mount: "m"},
		{name: "bottom", ns: w.ns, listen: "tcp://127.0.0.1:1003", up: "tcp://127.0.0.1:1002", mount: "s",
			advertise: "tcp://127.0.0.1:1003"},
	}
	w.top, w.url = w.startTreeBroker(w.brokers[0])
	w.middle, _ = w.startTreeBroker(w.brokers[1])
	var url string
	w.bottom, url = w.startTreeBroker(w.brokers[2])
	w.startTreeAgent(w.ns, url)
	w.awaitTree(w.ns, treeDevice)
	return w
}

func TestSessionsThroughThreeBrokers(t *testing.T) {
	t.Parallel()
	w := newTower(t)
	term := w.open(80, 24, w.eva(w.ns, treeDevice))
	term.expect(prompt)
	if got := term.run("echo $((40+2))"); got != "42\r\n" {
		t.Errorf("the shell printed %q", got)
	}
	term.typeKeys("exit 3\r")
	term.ends(3)
	data := make([]byte, 5<<20)
	_, _ = rand.Read(data)
	cmd := w.eva(w.ns, treeDevice, "cat; echo err >&2; exit 7")
	cmd.Stdin = bytes.NewReader(data)
	r := w.finish(cmd)
	if r.code != 7 || !bytes.Equal(r.stdout, data) || string(r.stderr) != "err\n" {
		t.Errorf("exit code %d, %d bytes, stderr %q", r.code, len(r.stdout), r.stderr)
	}
}

// Through an exported root, and past a rule that forbids a mount point, nobody gets a shell by a
// number, whatever else they may do.
func TestNoShellByANumber(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ns := newNamespace(t, "exporting")
	top := treeBroker{name: "top", ns: ns, listen: "tcp://127.0.0.1:1001"}
	below := treeBroker{name: "below", ns: ns, listen: "tcp://127.0.0.1:1002", up: "tcp://127.0.0.1:1001", mount: "m",
		export: "test"}
	_, w.url = w.startTreeBroker(top)
	_, url := w.startTreeBroker(below)
	w.startTreeAgent(ns, url)
	exported := "m/" + strings.TrimPrefix(device, "test/")
	w.awaitTree(ns, exported)
	boss := func(url, path string) result {
		cmd := exec.Command(program("shvrsh"), path, "echo in")
		cmd.Env = environment("SHV_URL="+url, "SHV_USER=boss", "SHV_PASSWORD=pw-boss")
		return w.finish(ns.in(cmd))
	}
	if r := boss(w.url, exported); r.code != 0 || string(r.stdout) != "in\n" {
		t.Fatalf("what is exported: %d, %s%s", r.code, r.stdout, r.stderr)
	}
	for id := 1; id < 6; id++ {
		for _, format := range []string{".broker/client/%d", ".broker/clients/%d/app"} {
			path := fmt.Sprintf(format, id)
			for url, path := range map[string]string{w.url: "m/" + path, url: path} {
				if r := boss(url, path); r.code != 255 || len(r.stdout) > 0 {
					t.Errorf("%s at %s: %d, %s%s", path, url, r.code, r.stdout, r.stderr)
				}
			}
		}
	}
}

// The death of any broker on the way must end both halves of a session at once. When the
// broker is back, shells work again.
func TestBrokersThatDieEndBothHalvesOfAShell(t *testing.T) {
	t.Parallel()
	w := newTower(t)
	for i, victim := range []**process{&w.top, &w.middle, &w.bottom} {
		term := w.open(80, 24, w.eva(w.ns, treeDevice))
		term.expect(prompt)
		command := marker()
		term.typeKeys(command + "\r")
		awaitStart(t, command)
		began := time.Now()
		w.kill(*victim)
		term.ends(255)
		wantsLine(t, term.stderr(), device, "connection ") // the reason of the end
		awaitEnd(t, patience, command)
		// Far more than it takes, and far less than silence takes to be noticed.
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: it took %v", w.brokers[i].name, took)
		}
		*victim, _ = w.startTreeBroker(w.brokers[i])
		w.awaitTree(w.ns, treeDevice)
	}
}

// A suspended user must not delay others, and must find the shell alive.
func TestSuspendedUserInATreeDoesNotDelayOthers(t *testing.T) {
	t.Parallel()
	w := newTower(t)
	away := w.open(80, 24, w.eva(w.ns, treeDevice))
	away.expect(prompt)
	away.typeKeys("yes | head -c 1000000; echo do''ne\r")
	away.expect("y\r\n")
	stopped := away.shvrsh()
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r := w.finish(w.eva(w.ns, treeDevice, "head -c 20000000 /dev/zero"))
	if r.code != 0 || len(r.stdout) != 20000000 {
		t.Errorf("exit code %d, %d bytes, stderr %q", r.code, len(r.stdout), r.stderr)
	}
	_ = syscall.Kill(stopped, syscall.SIGCONT)
	away.expect("done\r\n")
	away.typeKeys("exit 0\r")
	away.ends(0)
}

// Bulk data in one tunnel must not delay the keys in another.
func TestBulkOnASharedLinkDoesNotDelayKeys(t *testing.T) {
	w := newTower(t)
	term := w.open(80, 24, w.eva(w.ns, treeDevice))
	term.begin("cat")
	term.typeKeys("ready\r")
	term.expect("ready\r\nready\r\n")
	echoes := func() (p50, p99 time.Duration) {
		const keys = 300
		took := term.echoes(keys, 2*time.Millisecond)
		return took[keys/2], took[keys*99/100]
	}
	quiet50, quiet99 := echoes()
	bulk := w.eva(w.ns, treeDevice, "while :; do head -c 1000000 /dev/zero; sleep 0.02; done")
	var flowed atomic.Int64
	bulk.Stdout = writerFunc(func(b []byte) (int, error) {
		flowed.Add(int64(len(b)))
		return len(b), nil
	})
	p := w.launch(bulk)
	eventually(t, patience, "bulk flows", func() bool { return flowed.Load() > 5_000_000 })
	busy50, busy99 := echoes()
	p.Stop(t)
	t.Logf("a key takes %v, %v (p99); beside bulk %v, %v", quiet50, quiet99, busy50, busy99)
	// Seven programs and other tests share the cores here. internal/wire/link measures the
	// delay of the link alone.
	if busy50-quiet50 > 10*time.Millisecond {
		t.Errorf("bulk delays keys by %v", busy50-quiet50)
	}
	term.typeKeys("\x03")
	term.expect(prompt)
	term.typeKeys("exit 0\r")
	term.ends(0)
}

// The child broker is private. Of the public brokers above it, helpers must use the one
// that is nearest to the user. The device reaches only that one and its own broker.
func TestHelpersGoToTheNearestPublicBroker(t *testing.T) {
	t.Parallel()
	for _, chosen := range []string{"top", "middle"} {
		t.Run(chosen, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			user, top, middle := newNamespace(t, "user"), newNamespace(t, "top"), newNamespace(t, "middle")
			child, dev := newNamespace(t, "child"), newNamespace(t, "device")
			cable(t, user, "10.1.0.1", top, "10.1.0.2")
			cable(t, top, "10.2.0.1", middle, "10.2.0.2")
			cable(t, middle, "10.3.0.1", child, "10.3.0.2")
			cable(t, child, "10.4.0.1", dev, "10.4.0.2")
			public := map[string]string{"middle": "tcp://203.0.113.5"}
			if chosen == "top" {
				cable(t, dev, "203.0.113.2", top, "203.0.113.1")
				public["top"] = "tcp://203.0.113.1"
			} else {
				cable(t, dev, "203.0.113.6", middle, "203.0.113.5")
			}
			w.startTreeBroker(treeBroker{name: "top", ns: top, listen: "tcp://0.0.0.0:3755", advertise: public["top"]})
			w.url = "tcp://10.1.0.2"
			w.startTreeBroker(treeBroker{
				name: "middle", ns: middle, listen: "tcp://0.0.0.0:3755", advertise: public["middle"],
				up: "tcp://10.2.0.1", mount: "m",
			})
			w.startTreeBroker(treeBroker{
				name: "child", ns: child, listen: "tcp://10.4.0.1:3755", up: "tcp://10.3.0.1", mount: "s",
			})
			w.startTreeAgent(dev, "tcp://10.4.0.1")
			w.awaitTree(user, treeDevice)
			// The sockets of the helper show to which broker it connected.
			where := `cat /proc/$PPID/net/tcp | awk '$4=="01"{print $3}' | sort`
			r := w.finish(w.eva(user, treeDevice, where))
			want := map[string]string{"top": "017100CB:0EAB", "middle": "057100CB:0EAB"}[chosen]
			if r.code != 0 || !strings.Contains(string(r.stdout), want) {
				t.Errorf("exit code %d, connections to %q, want one to %s; stderr %q", r.code, r.stdout, want, r.stderr)
			}
			term := w.open(80, 24, w.eva(user, treeDevice))
			term.expect(prompt)
			if got := term.run("echo $((40+2))"); got != "42\r\n" {
				t.Errorf("the shell printed %q", got)
			}
			term.typeKeys("exit 5\r")
			term.ends(5)
		})
	}
}

// A broker that would be its own parent must report that, and go on serving.
func TestLoopOfBrokersIsReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ns := newNamespace(t, "loop")
	const one, two, three = "tcp://127.0.0.1:1001", "tcp://127.0.0.1:1002", "tcp://127.0.0.1:1003"
	_, w.url = w.startTreeBroker(treeBroker{name: "one", ns: ns, listen: one, up: two, mount: "c"})
	w.startTreeBroker(treeBroker{name: "two", ns: ns, listen: two, up: one, mount: "c"})
	self, _ := w.startTreeBroker(treeBroker{name: "self", ns: ns, listen: three, up: three, mount: "c"})
	told := func(ps ...*process) func() bool {
		return func() bool {
			return slices.ContainsFunc(ps, func(p *process) bool {
				return strings.Contains(p.log.String(), "a loop of brokers")
			})
		}
	}
	eventually(t, patience, "the loop of one is told", told(self))
	eventually(t, patience, "the loop of two is told", told(w.all[0], w.all[1]))
	for range 40 { // takes a while, in which messages must not go round
		w.finish(w.eva(ns, treeDevice, "true")).wantsFailure(t, "no such device")
	}
	for _, p := range w.all {
		if n := strings.Count(p.log.String(), "\n"); n > 200 {
			t.Errorf("%d lines of log", n)
		}
	}
}
