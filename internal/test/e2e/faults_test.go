package e2e_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"shvtools/internal/shv/login"
)

// withMounts runs a program in a mount namespace in which a script has mounted something.
func withMounts(t *testing.T, script string) func(*exec.Cmd) *exec.Cmd {
	t.Helper()
	enter := []string{"--mount", "--propagation", "private", "sh", "-c", "set -e\n" + script + "\nexec \"$@\"", "sh"}
	probe := append(enter[:len(enter):len(enter)], "true")
	if out, err := exec.Command("unshare", probe...).CombinedOutput(); err != nil {
		t.Skipf("mount namespaces cannot be had here: %v: %s", err, strings.TrimSpace(string(out)))
	}
	return func(cmd *exec.Cmd) *exec.Cmd {
		return exec.Command("unshare", append(enter, append([]string{cmd.Path}, cmd.Args[1:]...)...)...)
	}
}

// A device without free pseudo-terminals refuses a shell with the reason. Everything else
// works.
func TestDeviceWithoutTerminalsStillRunsCommands(t *testing.T) {
	t.Parallel()
	w := setup{under: withMounts(t, `
mount -t devpts -o newinstance,ptmxmode=0666,max=1 devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx`)}.start(t)
	term := w.shell(80, 24)
	for range 2 {
		r := w.on(opts("-tt", "-n"), "true")
		if text := string(r.stderr); r.code != 126 || !strings.Contains(text, "no terminal is left on the device") {
			t.Errorf("a second one: %d, %q", r.code, text)
		}
	}
	w.stillServes()
	term.typeKeys("exit 3\r")
	term.ends(3)
	eventually(t, patience, "there is a terminal again", func() bool { return w.on(opts("-tt", "-n"), "true").code == 0 })
}

// A user without their home or shell gets a working session and a warning.
func TestUserWithoutHomeOrShellGetsASession(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	t.Parallel()
	dir := t.TempDir()
	passwd := "root:x:0:0:root:/root:/bin/sh\npump:x:54322:54322::/home/gone:/bin/gone\n"
	for name, text := range map[string]string{"passwd": passwd, "shvagent.yaml": "rules: [{run-as: pump}]\n"} {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := setup{
		under:        withMounts(t, "mount --bind "+dir+"/passwd /etc/passwd"),
		agentOptions: []string{"--config", dir + "/shvagent.yaml"},
	}.start(t)
	const home = "the home directory /home/gone does not exist; using /"
	r := w.rsh("echo $HOME $PWD $SHELL; id -u")
	if r.code != 0 || string(r.stdout) != "/ / /bin/sh\n54322\n" || !strings.Contains(string(r.stderr), home) {
		t.Errorf("a command: %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	term := w.open(80, 24, w.shvrsh(device))
	term.expect("$ ") // another user does not get the prompt of these tests
	term.typeKeys("echo $((40+2)); exit 3\r")
	term.expect("42\r\n")
	term.ends(3)
	for _, want := range []string{home, "the login shell /bin/gone cannot be run; using /bin/sh"} {
		if shown := term.screen.String(); !strings.Contains(shown, want) {
			t.Errorf("no %q in %q", want, shown)
		}
	}
}

// While the device cannot fork, the agent must answer with the reason, and serve again
// later. The hazard is the runtime of Go, which ends a program that cannot get a thread.
func TestAgentOutlivesATimeWithoutProcesses(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a user without processes takes root")
	}
	t.Parallel()
	// A user of this run alone, because processes of other runs would count too. The
	// limit is that of the agent.
	uid, most := 40000+rand.N[uint32](20000), "80"
	w := newWorld(t)
	if err := os.Chmod(filepath.Dir(w.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(w.dir, int(uid), int(uid)); err != nil {
		t.Fatal(err)
	}
	w.startBroker("tcp://127.0.0.1:0")
	w.setup.agentOptions = []string{"--state-dir", w.newFile("state"), "--sysfs-rootdir", w.dir}
	large := w.newFile("large")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 64<<20); err != nil {
		t.Fatal(err)
	}
	w.setup.under = func(cmd *exec.Cmd) *exec.Cmd {
		limited := exec.Command("prlimit", append([]string{"--nproc=" + most, cmd.Path}, cmd.Args[1:]...)...)
		limited.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return limited
	}
	w.startAgent()
	serves := func(when string) {
		t.Helper()
		if r := w.rsh("echo alive"); r.code != 0 || string(r.stdout) != "alive\n" {
			t.Errorf("%s it serves no session: %d, %q", when, r.code, r.stderr)
		}
	}
	serves("before")
	iot := logInAt(t, w.url, login.DevelopmentUser, login.DevelopmentPassword)
	var crowd []*exec.Cmd
	clear := func() {
		for _, cmd := range crowd {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		crowd = nil
	}
	defer clear()
	for range 80 {
		cmd := exec.Command("sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, cmd)
	}
	var reading sync.WaitGroup // each takes a thread, which waits in a system call
	defer reading.Wait()
	for range 4 {
		reading.Go(func() {
			if got := w.answerTo(iot, device+"/sys/fs/large", "sha1", "null"); !strings.HasPrefix(got, `b"`) {
				t.Errorf("sha1 of a file: %s", got)
			}
		})
	}
	for range 5 {
		w.rsh("true").wantsFailure(t, device, "cannot start a session on the device", "resource temporarily unavailable")
		for _, method := range []string{"runCmd", "runScript"} {
			const want = "error: Failed to start process (file not found, resource error)"
			if got := w.answerTo(iot, device, method, `"true"`); got != want {
				t.Errorf("%s: %s", method, got)
			}
		}
	}
	clear()
	serves("after")
	if got := w.answerTo(iot, device, "runCmd", `["echo",["a"],1]`); got != `[0,"a\n"]` {
		t.Errorf("then runCmd gives %s", got)
	}
}
