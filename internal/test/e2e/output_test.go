package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestStreamsAreApartAndBinaryClean(t *testing.T) {
	t.Parallel()
	size := 8 << 20
	if long {
		size = 200 << 20
	}
	w := setup{}.start(t)
	in, out, diag := sha256.New(), sha256.New(), sha256.New()
	random := io.LimitReader(rand.NewChaCha8([32]byte{1}), int64(size))
	cmd := w.rshCommand("tee /dev/stderr")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = io.TeeReader(random, in), out, diag
	if r := w.finish(cmd); r.code != 0 {
		t.Errorf("exit code %d", r.code)
	}
	if want := in.Sum(nil); !bytes.Equal(out.Sum(nil), want) || !bytes.Equal(diag.Sum(nil), want) {
		t.Errorf("what went in is %x, stdout %x, stderr %x", want, out.Sum(nil), diag.Sum(nil))
	}
	w.rsh("echo out; echo err >&2").wants(t, 0, "out\n", "err\n")
}

func TestOutputJustBeforeTheExitArrives(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	const size = 300_000
	for range 10 {
		r := w.rsh(fmt.Sprintf("head -c %d /dev/zero >&2; head -c %d /dev/zero; echo end; exit 3", size, size))
		if r.code != 3 || len(r.stderr) != size || len(r.stdout) != size+len("end\n") {
			t.Errorf("exit code %d, %d and %d bytes", r.code, len(r.stdout), len(r.stderr))
		}
	}
}

func TestBackgroundJobLivesOnAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	command := marker()
	w.rsh(command+" & echo started").wants(t, 0, "started\n", "")
	pid := awaitStart(t, command) // it has the pipes, and outlives the session
	eventually(t, patience, "the helper ends", func() bool { return len(w.helpers()) == 0 })
	if len(living(command)) != 1 {
		t.Error("the background job did not survive the helper")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

// `shvrsh test/agent COMMAND | head -1`
func TestClosedOutputEndsTheRemoteCommand(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	command := "yes " + strings.ReplaceAll(marker(), " ", "-")
	cmd := w.rshCommand("exec", command)
	cmd.Args = append([]string{"/bin/sh", "-c", `"$@" | head -1`, "sh"}, cmd.Args...)
	cmd.Path = "/bin/sh"
	r := w.finish(cmd)
	if want := strings.TrimPrefix(command, "yes ") + "\n"; r.code != 0 || string(r.stdout) != want {
		t.Errorf("head ended with %d and printed %q, want %q", r.code, r.stdout, want)
	}
	awaitEnd(t, patience, command)
}

// A full disk must cause a failure, and must end the remote command.
func TestUnwritableOutputIsAFailure(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	command := "yes " + strings.ReplaceAll(marker(), " ", "-")
	cmd := w.rshCommand("exec", command)
	cmd.Stdout = full
	w.finish(cmd).wantsFailure(t, "cannot write the output", "no space left")
	awaitEnd(t, patience, command)
}

// A signal must end shvrsh even if the reader of its output is stopped.
func TestSignalsEndAStuckShvrsh(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	r, out, err := os.Pipe() // it is not read
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	command := "yes " + strings.ReplaceAll(marker(), " ", "-")
	cmd := w.rshCommand("trap '' INT TERM; exec", command)
	cmd.Stdout = out
	p := w.launch(cmd)
	_ = out.Close()
	awaitStart(t, command)
	// The first signal is for the command, which ignores it.
	eventually(t, patience, "shvrsh ends", func() bool {
		_ = p.Cmd.Process.Signal(syscall.SIGTERM)
		return !p.Running()
	})
	if code := p.code(t); code != 255 {
		t.Errorf("exit code %d", code)
	}
	wantsLine(t, p.log.String(), "terminated")
	awaitEnd(t, patience, command)
}
