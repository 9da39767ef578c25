package interop_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"shvtools/internal/test/proctest"
)

const lowDevice = "test/low/test/device"

// deviceAt starts a device of pyshv that is mounted at test/device.
func deviceAt(t *testing.T, url string) {
	t.Helper()
	startPeer(t, "device.py", url+"&devmount=test/device").awaitEvents("mounted", 1)
}

// pause is the time between two calls that ask for a change.
const pause = 20 * time.Millisecond

// spans uses a device and an agent at the lower broker of a tree, through the upper one.
// It logs in at url as user, who has all rights.
func spans(t *testing.T, url, user, password string) {
	t.Helper()
	c := connected(t, withQueries(url, "user="+user, "password="+password))
	found := proctest.Poll(patience, pause, func() bool {
		return c.do("call", args{"path": lowDevice + "/value", "method": "get"}).Error == nil
	})
	if !found {
		t.Fatal("the device below is not found")
	}
	var names []string
	c.must("ls", args{"path": "test/low/test"}, &names)
	if slices.Sort(names); !slices.Equal(names, []string{"agent", "device"}) {
		t.Errorf("ls below: %v", names)
	}
	c.fails("call", args{"path": lowDevice, "method": "nosuch"}, 2)
	c.wants("subscribe", args{"ri": "test/low/**:*:chng"}, "true")
	// The subscription reaches the broker below only after its answer.
	value := 0
	signalled := proctest.Poll(patience, pause, func() bool {
		value++
		c.must("call", args{"path": lowDevice + "/value", "method": "set", "param": value}, nil)
		return len(c.eventsNow("signal")) > 0
	})
	if !signalled {
		t.Fatal("no signal comes from below")
	}
	if got := c.eventsNow("signal")[0].String(); got[:len("signal "+lowDevice)] != "signal "+lowDevice {
		t.Errorf("the signal is %q", got)
	}
	cmd := exec.Command(program("shvrsh"), "--url", url, "--user", user, "test/low/test/agent", "echo out; exit 7")
	cmd.Env = environment(t.TempDir(), "SHV_PASSWORD="+password)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 || string(out) != "out\n" {
		t.Errorf("in band: %v, %q", err, out)
	}
}

func TestPyshvBrokerBelowOurs(t *testing.T) {
	covers(t, theirBroker+" below", "shvbroker above", "calls, errors, ls, signals, a command in band")
	above := startBroker(t)
	_, below := startTheirBroker(t, theirConfig+fmt.Sprintf(`
[[connect]]
url = "%s&devmount=test/low"
role = "all"
subscriptions = ["**:*:*"]
`, above.login()), logAll...)
	startAgent(t, below, "device", "d-secret")
	deviceAt(t, withQueries(below, "user=device", "password=d-secret"))
	spans(t, above.listens[0], "iot", "lub42DUB")
}

func TestPyshvBrokerAboveOurs(t *testing.T) {
	covers(t, theirBroker+" above", "shvbroker below", "calls, errors, ls, signals, a command in band; no loop is seen")
	_, above := startTheirBroker(t, theirConfig, logAll...)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"password": "d-secret\n",
		"low.yaml": fmt.Sprintf(`
listen: [{url: "tcp://127.0.0.1:0"}]
access:
  users: {iot: {password: !Plain lub42DUB, roles: [all]}}
  roles: {all: {access: [{shvRI: "**", grant: su}], mount-points: ["test/**"]}}
connections:
- name: up
  enabled: true
  client: {url: %q, user: device, password-file: password, mount: test/low,
    heartbeat_interval: 1s, reconnect_interval: 1s}
`, above),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	below := startBroker(t, "--config", filepath.Join(dir, "low.yaml"))
	startAgent(t, below.listens[0], "iot", "lub42DUB")
	deviceAt(t, below.login())
	spans(t, above, "user", "u-secret")
}
