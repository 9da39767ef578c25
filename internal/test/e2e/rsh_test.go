package e2e_test

import (
	"bytes"
	"io"
	"os/exec"
	"strings"
	"testing"

	"shvtools/internal/test/proctest"
)

// result is the result of a run of a program.
type result struct {
	code           int
	stdout, stderr []byte
}

// rsh runs a command on the device, with nothing on stdin.
func (w *world) rsh(words ...string) result {
	w.t.Helper()
	return w.rshWith(nil, words...)
}

// rshWith runs a command on the device.
func (w *world) rshWith(stdin io.Reader, words ...string) result {
	w.t.Helper()
	cmd := w.rshCommand(words...)
	cmd.Stdin = stdin
	return w.finish(cmd)
}

// rshCommand returns shvrsh with a command for the device, not started.
func (w *world) rshCommand(words ...string) *exec.Cmd {
	return w.shvrsh(append([]string{device}, words...)...)
}

// shvrsh returns shvrsh for the world's broker, not started.
func (w *world) shvrsh(args ...string) *exec.Cmd {
	cmd := exec.Command(w.program("shvrsh"), args...)
	cmd.Env = environment("SHV_URL=" + w.url)
	return cmd
}

// finish runs cmd to its end. The result has no stdout or stderr that cmd already sets.
func (w *world) finish(cmd *exec.Cmd) result {
	w.t.Helper()
	stdout, stderr := proctest.NewRecord(), proctest.NewRecord()
	if cmd.Stdout == nil {
		cmd.Stdout = stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = stderr
	}
	p := w.launch(cmd)
	// Some carry much data, and programs with the race detector are slow.
	r := result{code: p.codeWithin(w.t, 4*patience), stdout: stdout.Bytes(), stderr: stderr.Bytes()}
	if bytes.Contains(r.stderr, []byte("DATA RACE")) {
		w.t.Errorf("shvrsh has a data race:\n%s", r.stderr)
	}
	return r
}

// stdoutHas reports whether stdout contains each of the parts.
func (r result) stdoutHas(parts ...string) bool { return hasAll(string(r.stdout), parts) }

// stderrHas reports whether stderr contains each of the parts.
func (r result) stderrHas(parts ...string) bool { return hasAll(string(r.stderr), parts) }

// wants compares all of a result.
func (r result) wants(t testing.TB, code int, stdout, stderr string) {
	t.Helper()
	if r.code != code || string(r.stdout) != stdout || string(r.stderr) != stderr {
		t.Errorf("exit code %d, stdout %q, stderr %q; want %d, %q, %q", r.code, r.stdout, r.stderr, code, stdout, stderr)
	}
}

// wantsFailure checks a failure of shvrsh itself: 255, and one line on stderr that
// contains each of the texts.
func (r result) wantsFailure(t testing.TB, texts ...string) {
	t.Helper()
	if r.code != 255 || len(r.stdout) != 0 {
		t.Errorf("exit code %d, stdout %q; want 255 and nothing", r.code, r.stdout)
	}
	wantsLine(t, string(r.stderr), texts...)
}

// wantsLine checks that text is one line of shvrsh with each of the parts.
func wantsLine(t testing.TB, text string, parts ...string) {
	t.Helper()
	if !strings.HasPrefix(text, "shvrsh: ") || strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("stderr is %q, want one line of shvrsh", text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("stderr is %q, want %q in it", text, part)
		}
	}
}

// stillServes checks that broker and agent run a new command.
func (w *world) stillServes() {
	w.t.Helper()
	w.rsh("echo", "alive").wants(w.t, 0, "alive\n", "")
}
