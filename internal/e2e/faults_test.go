package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// withMounts makes a program run where a script has mounted what only it sees.
func withMounts(t *testing.T, script string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	enter := []string{"--mount", "--propagation", "private", "sh", "-c", "set -e\n" + script + "\nexec \"$@\"", "sh"}
	probe := append(enter[:len(enter):len(enter)], "true")
	if out, err := exec.Command("unshare", probe...).CombinedOutput(); err != nil {
		t.Skipf("mount namespaces cannot be had here: %v: %s", err, strings.TrimSpace(string(out)))
	}
	return exec.Command("unshare", append(enter, append([]string{cmd.Path}, cmd.Args[1:]...)...)...)
}

// A device on which all pseudo-terminals are taken refuses one more shell, says
// why, and does all else.
func TestDeviceWithoutTerminals(t *testing.T) {
	t.Parallel()
	w := setup{mounts: `
mount -t devpts -o newinstance,ptmxmode=0666,max=1 devpts /dev/pts
mount --bind /dev/pts/ptmx /dev/ptmx`}.start(t)
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

// Who has lost his home or his shell can still be helped, and is told.
func TestUserWithoutHomeOrShell(t *testing.T) {
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
	w := setup{mounts: "mount --bind " + dir + "/passwd /etc/passwd", agentUser: []string{"--config", dir + "/shvagent.yaml"}}.start(t)
	const home = "the home directory /home/gone is not there, / stands in"
	r := w.rsh("echo $HOME $PWD $SHELL; id -u")
	if r.code != 0 || string(r.stdout) != "/ / /bin/sh\n54322\n" || !strings.Contains(string(r.stderr), home) {
		t.Errorf("a command: %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	term := w.open(80, 24, w.shvrsh(device))
	term.expect("$ ") // our prompt is not passed on to another user
	term.typeKeys("echo $((40+2)); exit 3\r")
	term.ends(3)
	for _, want := range []string{home, "the login shell /bin/gone cannot be run, /bin/sh stands in", "42\r\n"} {
		if shown := term.screen.String(); !strings.Contains(shown, want) {
			t.Errorf("no %q in %q", want, shown)
		}
	}
}
