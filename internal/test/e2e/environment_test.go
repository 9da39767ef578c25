package e2e_test

import (
	"strings"
	"testing"
)

// remoteEnv returns the environment of a process on the device.
func remoteEnv(text string) map[string]string {
	env := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		env[name] = value
	}
	return env
}

func TestSessionsGetACleanEnvironment(t *testing.T) {
	t.Parallel()
	w := setup{agentEnv: []string{"SHV_USER=iot", "SHV_PASSWORD=lub42DUB", "LANG=of_AGENT"}}.start(t)
	ours := []string{
		"LANG=of_USER", "LC_TIME=time_USER", "COLORTERM=colour_USER",
		"SHV_USER=iot", "SHV_PASSWORD=lub42DUB", "LD_LIBRARY_PATH=/nonexistent", "BASH_ENV=/nonexistent", "OTHER=x",
	}
	cmd := w.rshCommand("env; pwd >&2")
	cmd.Env = append(cmd.Env, ours...)
	r := w.finish(cmd)
	env := remoteEnv(string(r.stdout))
	wantsEnv(t, env)
	if env["LANG"] != "of_USER" || env["LC_TIME"] != "time_USER" {
		t.Errorf("the language did not arrive: %q", env)
	}
	if home := strings.TrimSpace(string(r.stderr)); home == "" || home != env["HOME"] {
		t.Errorf("the command runs in %q, not at home in %q", home, env["HOME"])
	}

	shvrsh := w.shvrsh(device)
	shvrsh.Env = append(shvrsh.Env, ours...)
	term := w.open(80, 24, shvrsh)
	term.expect(prompt)
	env = remoteEnv(term.run("env"))
	wantsEnv(t, env)
	if env["TERM"] != "dumb" || env["COLORTERM"] != "colour_USER" {
		t.Errorf("the terminal did not arrive: %q", env)
	}
	term.typeKeys("exit\r")
	term.ends(0)
}

// wantsEnv checks that a session has not what no session may have.
func wantsEnv(t *testing.T, env map[string]string) {
	t.Helper()
	if env["PATH"] == "" || env["USER"] == "" || env["SHELL"] == "" {
		t.Errorf("the environment is incomplete: %q", env)
	}
	for name := range env {
		if strings.HasPrefix(name, "SHV_") || strings.HasPrefix(name, "LD_") || name == "BASH_ENV" || name == "OTHER" {
			t.Errorf("the session has %s", name)
		}
	}
}

// The helper has a large timer slack (package timerslack), which would make the timers of
// the user's programs late.
func TestProgramsDoNotInheritTheTimerSlack(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	const line, want = "cat /proc/self/timerslack_ns", "50000"
	if got := strings.TrimSpace(string(w.rsh(line).stdout)); got != want {
		t.Errorf("a command has a timer slack of %q ns, want %s", got, want)
	}
	term := w.shell(80, 24)
	if got := strings.TrimSpace(term.run(line)); got != want {
		t.Errorf("a program at the terminal has a timer slack of %q ns, want %s", got, want)
	}
	term.typeKeys("exit\r")
	term.ends(0)
}
