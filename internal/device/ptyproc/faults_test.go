package ptyproc_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"shvtools/internal/device/ptyproc"
	"shvtools/internal/test/nstest"
)

// descriptors counts those that are open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// wantsStartError compares a failure with the text and the cause that the user and
// the log get.
func wantsStartError(t *testing.T, err error, text string, cause error) {
	t.Helper()
	var start *ptyproc.StartError
	if !errors.As(err, &start) || start.Code != 126 || err.Error() != text || !errors.Is(err, cause) {
		t.Errorf("got %v, want %s", err, text)
	}
}

func TestNoTerminalsLeft(t *testing.T) {
	nstest.Terminals(t, "2")
	first, second := shell(t, modes[1], "cat"), shell(t, modes[1], "cat")
	before := descriptors(t)
	for range 3 {
		_, err := ptyproc.Start(ptyproc.Spec{Path: "true", Env: testEnv, Pty: &ptyproc.Size{}})
		wantsStartError(t, err, "true: no terminal is left on the device: no space left on device", syscall.ENOSPC)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	if got := readAll(t, shell(t, modes[0], "echo without one").Outputs()[0]); got != "without one\n" {
		t.Errorf("a command came to %q", got)
	}
	first.Hangup(0)
	first.Wait()
	_ = first.Close()
	if got := lines(readAll(t, shell(t, modes[1], "echo room again").Outputs()[0])); got != "room again\n" {
		t.Errorf("a shell came to %q", got)
	}
	write(t, second, "still here\n")
	readUntil(t, second.Outputs()[0], "still here")
}

func TestNoProcessesLeft(t *testing.T) {
	room := nstest.CrowdedUser(t)
	eachRefused := func(m mode) {
		_, err := ptyproc.Start(ptyproc.Spec{Path: "true", Env: testEnv, Pty: m.pty, Dir: "/"})
		wantsStartError(t, err, "true: no process can be started on the device: resource temporarily unavailable",
			syscall.EAGAIN)
	}
	before := descriptors(t)
	for _, m := range modes { // not in goroutines of their own, which are root's
		eachRefused(m)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	room()
	p, err := ptyproc.Start(ptyproc.Spec{Path: "id", Argv: []string{"id", "-u"}, Env: testEnv, Dir: "/"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := readAll(t, p.Outputs()[0]); got != "54321\n" {
		t.Errorf("then it came to %q", got)
	}
}
