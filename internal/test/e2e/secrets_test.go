package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"shvtools/internal/shv/chainpack"
)

// unprivileged makes the agent run as a user of its own, as on a device without root.
func unprivileged(t *testing.T, w *world) {
	t.Helper()
	if os.Geteuid() != 0 {
		return // it does anyway
	}
	// The directories of a test belong to root alone.
	for dir := w.dir; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	w.setup.under = func(agent *exec.Cmd) *exec.Cmd {
		agent.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return agent
	}
}

// Whoever has a session as the agent's own user must not read the agent's password from it.
func TestASessionReadsNoSecretOfItsAgent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	unprivileged(t, w)
	w.startBroker("tcp://127.0.0.1:0")
	w.setup.agentEnv = []string{"SHV_USER=iot", "SHV_PASSWORD=lub42DUB", "LISTEN_PID=1", "LISTEN_FDS=2",
		"LISTEN_FDNAMES=a:b", "CREDENTIALS_DIRECTORY=/secret", "HOME=/"}
	config := w.newFile("shvagent.yaml")
	write(t, config, []byte("rules: [{shell: /bin/sh, dir: /}]\n"), 0o644)
	w.setup.agentOptions = []string{"--config", config, "--state-dir", filepath.Join(w.dir, "state")}
	w.startAgent()
	agent := strconv.Itoa(w.agent.pid())
	if os.Geteuid() == 0 && procFile(w.agent.pid(), "environ") == "" {
		t.Fatal("the test reads no environment: is the agent gone?")
	}
	script := `for f in environ mem maps auxv; do cat /proc/` + agent + `/$f && echo read; done
cat /proc/$PPID/environ && echo read
ls /proc/` + agent + `/fd && echo read
id -u; env`
	r := w.rsh(script)
	env := string(r.stdout)
	if r.code != 0 || strings.Contains(env, "read\n") || strings.Contains(env, "lub42DUB") {
		t.Errorf("%d, %q, %q", r.code, r.stdout, r.stderr)
	}
	for name := range remoteEnv(env) {
		if strings.HasPrefix(name, "SHV_") || strings.HasPrefix(name, "LISTEN_") || name == "CREDENTIALS_DIRECTORY" {
			t.Errorf("the session has %s", name)
		}
	}
	// What it is not to break: terminals, commands with limits, scripts, and guards.
	if o := w.sessionOf(logInAt(t, w.url, "iot", "lub42DUB"), param("runPtyCmd",
		chainpack.List(text("tty"), chainpack.Int(80), chainpack.Int(24)))); !strings.Contains(o.stdout, "/dev/pts/") {
		t.Errorf("%+v", o)
	}
	c := logInAt(t, w.url, "iot", "lub42DUB")
	for method, param := range map[string]string{
		"runCmd": `["sh",["-c","cat /proc/` + agent + `/environ; echo done; env"],1]`, "runScript": `["echo done; env",1]`,
	} {
		got, err := callOf(c, device, method, param)
		out, _ := got.At(1).AsString()
		if err != nil || !strings.HasPrefix(out, "done\n") || strings.Contains(out, "lub42DUB") ||
			strings.Contains(out, "LISTEN_") {
			t.Errorf("%s: %q, %v", method, out, err)
		}
	}
	// A core dump or debugger of what the user runs must go on working.
	w.rsh("cat /proc/self/environ >/dev/null && sleep 0 & wait; cat /proc/$$/environ | tr '\\0' '\\n' | grep -c ^PATH=").
		wants(t, 0, "1\n", "")
}
