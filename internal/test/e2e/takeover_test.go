package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const fleet = `listen: [{url: "tcp://127.0.0.1:0"}]
metrics: {listen: "127.0.0.1:0"}
access:
  users:
    pump7: {password: !Plain pw-pump7, roles: [devices]}
    pump8: {password: !Plain pw-pump8, roles: [devices]}
    mal: {password: !Plain pw-mal, roles: [anywhere]}
    eva: {password: !Plain pw-eva, roles: [operators]}
  roles:
    devices: {mount-points: ["site/{user}"]}
    anywhere: {mount-points: ["site/**"]}
    operators: {access: [{shvRI: "**:*", grant: cmd}]}
`

// agentOf starts an agent of a user, which may fail to mount.
func (w *world) agentOf(user, mount string) (p *process, socket string) {
	w.t.Helper()
	socket = filepath.Join(w.t.TempDir(), "agent.sock")
	cmd := exec.Command(program("shvagent"), "--url", w.url, "--user", user,
		"--mount", mount, "--socket", socket)
	cmd.Env = append(environment(), "SHV_PASSWORD=pw-"+user)
	return w.launch(cmd), socket
}

func (w *world) statusAt(socket string, args ...string) result {
	w.t.Helper()
	return call(w, "shvagent", append([]string{"--socket", socket, "status"}, args...)...)
}

// Two devices with one mount point: both ends say so, and the one that is not called does not
// fight for it.
func TestTwoDevicesWithOneMountPointAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configuredBroker(fleet)
	metrics := metricsOf(t, w.broker)
	first, at := w.agentOf("pump7", "site/pump7")
	first.says(t, "connected")
	second, _ := w.agentOf("pump7", "site/pump7")
	second.says(t, "connected")
	first.says(t, "mount point taken over", "site/pump7", "client 2 at 127.0.0.1:")
	eventually(t, patience, "the status tells", func() bool {
		r := w.statusAt(at)
		return r.code == 0 && r.stdoutHas("not called: client 2 at 127.0.0.1:", "another mount point")
	})
	if r := w.statusAt(at, "--json"); !r.stdoutHas(`"connected":true`, `"replaced":"client 2 at`) {
		t.Errorf("--json: %s", r.stdout)
	}
	w.broker.says(t, "mount point taken over, and its device still answers", "site/pump7", "WRN")
	eventually(t, patience, "the metric counts", func() bool {
		_, text := scrape(t, metrics, "/metrics")
		return strings.Contains(text, `shvbroker_takeovers_total{result="taken"} 1`)
	})
	second.Stop(t)
	first.says(t, "mount point given back")
	eventually(t, patience, "it is called again", func() bool { return !w.statusAt(at).stdoutHas("not called") })
	if n := strings.Count(string(first.log.String()), "taken over"); n != 1 {
		t.Errorf("it lost its place %d times", n)
	}
}

func TestTakeoverIsRefusedWhereItMustBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.configuredBroker("takeover: refuse-alive\n" + fleet)
	first, at := w.agentOf("pump7", "site/pump7")
	first.says(t, "connected")
	second, _ := w.agentOf("pump7", "site/pump7")
	second.says(t, "mount point site/pump7 is taken: a device of the same user is connected there")
	_, text := scrape(t, metricsOf(t, w.broker), "/metrics")
	if !strings.Contains(text, `shvbroker_takeovers_total{result="refused"}`) ||
		strings.Contains(text, `shvbroker_takeovers_total{result="refused"} 0`) {
		t.Error("not counted")
	}
	if r := w.statusAt(at); r.code != 0 || r.stdoutHas("not called") {
		t.Errorf("the first one: %s", r.stdout)
	}
	_ = syscall.Kill(first.pid(), syscall.SIGKILL)
	second.says(t, "connected")
}

// Each device is itself: its place is its user's, whoever comes first.
func TestDeviceStaysOutOfThePlacesOfOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.configuredBroker(fleet)
	const denied = "did not mount this device at site/pump7: its user may not mount there"
	foreign, _ := w.agentOf("pump8", "site/pump7")
	foreign.says(t, denied)
	mal, _ := w.agentOf("mal", "site/pump7/sys")
	mal.says(t, "connected")
	device, _ := w.agentOf("pump7", "site/pump7")
	device.says(t, "connected")
	w.broker.says(t, "mount point lost", "site/pump7/sys", "user=mal")
	mal.says(t, "mount point site/pump7/sys is taken by another user's device")
	above, _ := w.agentOf("mal", "site")
	above.says(t, "mount point site is taken by another user's device")
	w.broker.says(t, "mount point refused", "holder=pump7", "user=mal")
	c := w.logIn("pump7")
	if _, err := callOf(c, ".broker/currentClient", "changePassword", `["pw-pump7","other"]`); err == nil ||
		!strings.Contains(err.Error(), "by an administrator only") {
		t.Errorf("the password of all its devices: %v", err)
	}
	w.configure(file, strings.Replace(fleet, "{user}", "{usr}", 1))
	r := call(w, "shvbroker", "--config", file, "--check-config")
	if r.code == 0 || !strings.Contains(string(r.stderr), "no variable {usr}") {
		t.Errorf("%d: %s", r.code, r.stderr)
	}
}
