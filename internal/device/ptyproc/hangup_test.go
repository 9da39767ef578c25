package ptyproc_test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/device/ptyproc"
)

// groupSize counts the living members of a process group.
func groupSize(t testing.TB, pgid int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		s := string(b)
		f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
		if len(f) > 2 && f[0] != "Z" && f[0] != "X" && f[2] == strconv.Itoa(pgid) {
			n++
		}
	}
	return n
}

// noGrace is a grace that a test never waits for.
const noGrace = 2 * deadline

func TestHangupEndsProcess(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := start(t, m, "sleep", "60")
		p.Hangup(noGrace)
		if got := p.Wait(); got.Signal != syscall.SIGHUP {
			t.Errorf("Wait = %+v", got)
		}
		p.Hangup(noGrace) // nothing left
	})
}

func TestHangupKillsWhatIgnoresIt(t *testing.T) {
	const grace = 50 * time.Millisecond
	eachMode(t, func(t *testing.T, m mode) {
		p := shell(t, m, "trap '' HUP; echo ready; while :; do sleep 60; done")
		readUntil(t, p.Outputs()[0], "ready")
		begin := time.Now()
		p.Hangup(grace)
		if took := time.Since(begin); took < grace {
			t.Errorf("killed after %v, before the grace of %v", took, grace)
		}
		if got := p.Wait(); got.Signal != syscall.SIGKILL {
			t.Errorf("Wait = %+v", got)
		}
		if n := groupSize(t, p.Pid()); n != 0 {
			t.Errorf("%d processes left", n)
		}
	})
}

// The leader dies at once, a member of its group doesn't.
func TestHangupKillsTheRestOfTheGroup(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := shell(t, m, "(trap '' HUP; echo ready; while :; do sleep 60; done) & wait")
		readUntil(t, p.Outputs()[0], "ready")
		p.Hangup(50 * time.Millisecond)
		if got := p.Wait(); got.Signal != syscall.SIGHUP {
			t.Errorf("Wait = %+v", got)
		}
		if n := groupSize(t, p.Pid()); n != 0 {
			t.Errorf("%d processes left", n)
		}
	})
}

func TestHangupReachesForegroundGroup(t *testing.T) {
	p := shell(t, modes[1], `set -m; sh -c "trap '' HUP; echo group \$\$; while :; do sleep 60; done"`)
	out := readUntil(t, p.Outputs()[0], "\n")
	pgid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(out, "group ")))
	if err != nil || pgid == p.Pid() {
		t.Fatalf("no group of its own: %q", out)
	}
	p.Hangup(50 * time.Millisecond)
	p.Wait()
	if n := groupSize(t, pgid); n != 0 {
		t.Errorf("%d processes left in the foreground", n)
	}
}

func TestHangupEndsStoppedProcess(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := start(t, m, "sleep", "60")
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "process stopped", func() bool {
			b, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid()) + "/stat")
			return err == nil && strings.Contains(string(b), ") T ")
		})
		p.Hangup(noGrace)
		if got := p.Wait(); got.Signal != syscall.SIGHUP {
			t.Errorf("Wait = %+v", got)
		}
	})
}

// A program that cleans up within the grace is left to it.
func TestHangupWaitsForCleanup(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode) {
		p := shell(t, m, "trap 'sleep 0.05; echo clean; exit 5' HUP; echo ready; while :; do sleep 0.01; done")
		out := p.Outputs()[0]
		readUntil(t, out, "ready")
		p.Hangup(noGrace)
		if got := p.Wait(); got.Code != 5 {
			t.Errorf("Wait = %+v", got)
		}
		if got := readAll(t, out); !strings.Contains(got, "clean") {
			t.Errorf("output = %q", got)
		}
	})
}

// The agent knows the group of a helper's process by its number alone.
func TestHangupGroupEndsAll(t *testing.T) {
	p := shell(t, modes[0], "trap '' HUP; echo ready; sleep 60 | sleep 60")
	readUntil(t, p.Outputs()[0], "ready")
	ptyproc.HangupGroup(p.Pid(), 50*time.Millisecond)
	if got := p.Wait(); got.Signal != syscall.SIGKILL {
		t.Errorf("Wait = %+v", got)
	}
	if n := groupSize(t, p.Pid()); n != 0 {
		t.Errorf("%d processes left", n)
	}
}

// kill(0) and kill(-1) mean everything near us; our own group means us.
func TestHangupGroupSparesUs(t *testing.T) {
	for _, pgid := range []int{-5, -1, 0, 1, unix.Getpgrp()} {
		ptyproc.HangupGroup(pgid, 0)
	}
}
