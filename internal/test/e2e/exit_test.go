package e2e_test

import (
	"strings"
	"testing"
)

func TestExitCodeOfTheRemoteCommandIsReturned(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, tt := range []struct {
		command string
		code    int
		stderr  string
	}{
		{"true", 0, ""},
		{"exit 7", 7, ""},
		{"exit 255", 255, ""},
		{"/etc/passwd", 126, "denied"},
		{"/nonexistent/program", 127, "no such file"},
		{"kill -TERM $$", 128 + 15, ""},
		{"kill -KILL $$", 128 + 9, ""},
		{"kill -INT $$", 128 + 2, ""},
		{"exit 143", 143, ""},
	} {
		r := w.rsh(tt.command)
		text := strings.ToLower(string(r.stderr))
		talks := tt.stderr == "" && text != ""
		if r.code != tt.code || len(r.stdout) > 0 || talks || !strings.Contains(text, tt.stderr) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q; want %d, nothing, %q",
				tt.command, r.code, r.stdout, r.stderr, tt.code, tt.stderr)
		}
	}
}

func TestWordsAreJoinedAsBySSH(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.rsh("echo", "a  b", "'$HOME'").wants(t, 0, "a b $HOME\n", "")
	w.rsh("echo", "'a  b'", `"c  d"`).wants(t, 0, "a  b c  d\n", "")
	w.rsh("echo", "x;", "echo", "y").wants(t, 0, "x\ny\n", "")
	w.rsh("--", "echo", "-n", "-v").wants(t, 0, "-v", "")
}

// If shvrsh fails to open a session, -v shows which step was the last.
func TestVerboseReportsEachStep(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	r := w.finish(w.shvrsh("-v", device, "echo out; exit 3"))
	if r.code != 3 || string(r.stdout) != "out\n" {
		t.Errorf("exit code %d, stdout %q", r.code, r.stdout)
	}
	rest := string(r.stderr)
	for _, step := range []string{
		"connecting broker=" + w.url, "logged in clientId=",
		"opening a session device=" + device, "session opened", "session ended",
	} {
		_, behind, ok := strings.Cut(rest, step)
		if !ok {
			t.Errorf("no %q in %q", step, rest)
			continue
		}
		rest = behind
	}
	w.finish(w.shvrsh("-v", "-q", device, "true")).wants(t, 0, "", "")
}
