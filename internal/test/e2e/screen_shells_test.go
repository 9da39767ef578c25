package e2e_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// smallShells are shells of devices without bash, by their name.
func smallShells(t *testing.T) map[string]string {
	t.Helper()
	shells := map[string]string{"sh": "/bin/sh"}
	if busybox, err := exec.LookPath("busybox"); err == nil {
		ash := filepath.Join(t.TempDir(), "ash")
		if err := os.Symlink(busybox, ash); err != nil {
			t.Fatal(err)
		}
		shells["ash"] = ash
	} else {
		t.Log("without BusyBox, which is not installed")
	}
	return shells
}

func TestShellOfTheUsersChoice(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for name, path := range smallShells(t) {
		yaml := "hosts:\n  other: {url: \"" + w.url + "\", path: " + device + ", shell: " + path + "}\n"
		term := w.open(80, 24, w.configured(w.shvrsh("other"), yaml))
		term.expect(prompt)
		if got := term.run("echo $0 $((40+2))"); got != "-"+name+" 42\r\n" {
			t.Errorf("%s says %q", path, got)
		}
		term.typeKeys("exit 3\r")
		term.ends(3)
	}
}

func TestMissingShellIsReported(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	yaml := "hosts:\n  other: {url: \"" + w.url + "\", path: " + device + ", shell: /bin/nosuch}\n"
	term := w.open(80, 24, w.configured(w.shvrsh("other"), yaml))
	term.ends(127)
	if !strings.Contains(term.stderr(), "/bin/nosuch") {
		t.Errorf("stderr %q", term.stderr())
	}
}

// The user of the device has a small login shell, in an /etc/passwd of the test.
func TestDeviceWithoutBash(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespace of our own: %v: %s", err, out)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range smallShells(t) {
		dir := t.TempDir()
		passwd, helper := filepath.Join(dir, "passwd"), filepath.Join(dir, "helper")
		write(t, passwd, []byte(me.Username+":x:"+me.Uid+":"+me.Gid+"::"+dir+":"+path+"\n"), 0o644)
		script := "#!/bin/sh\n" +
			"exec unshare -m /bin/sh -c 'mount --bind " + passwd + " /etc/passwd && exec " + program("shvrexec") + "'\n"
		write(t, helper, []byte(script), 0o755)

		w := setup{helper: helper, agentEnv: []string{"SHELL=/bin/bash"}}.start(t)
		term := w.shell(80, 24)
		if got := term.run("echo $0 $SHELL; pwd"); got != "-"+name+" "+path+"\r\n"+dir+"\r\n" {
			t.Errorf("%s: a shell says %q", path, got)
		}
		term.typeKeys("exit\r")
		term.ends(0)
		w.rsh("echo", "$0", "$((40+2))").wants(t, 0, name+" 42\n", "")
	}
}
