package ptyproc

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A process group gives no notice of its end, so it is polled: quickly at first,
	// since most end at once, then less often.
	firstLook = time.Millisecond
	lastLook  = 50 * time.Millisecond

	// killWait is how long to wait for the kernel to carry out a SIGKILL.
	killWait = time.Second
)

// Hangup does what the loss of a terminal does, and then makes sure of it: it sends SIGHUP
// to the process group and, on a pty, to the foreground group; SIGCONT, so that stopped
// processes receive it; and SIGKILL to what is left after grace. It returns when the
// groups have ended or were killed, and at once if nothing is left. It does not touch other
// process groups of the session: a shell with job control passes SIGHUP on to its jobs or
// not, as its user wants.
//
// Background jobs without job control belong to the process's group and are ended even
// after the process itself: do not call Hangup if they may live on.
func (p *Proc) Hangup(grace time.Duration) {
	p.mu.Lock()
	var groups []int
	if !p.groupGone {
		groups = append(groups, p.pid)
	}
	if !p.reaped {
		if fg := p.foreground(); fg > 0 && fg != p.pid {
			groups = append(groups, fg)
		}
	}
	signalGroups(groups, unix.SIGHUP, unix.SIGCONT)
	p.mu.Unlock()

	if awaitGone(groups, grace) {
		return
	}
	// A shell may have brought another job to the foreground meanwhile.
	p.mu.Lock()
	if !p.reaped {
		if fg := p.foreground(); fg > 0 && !slices.Contains(groups, fg) {
			groups = append(groups, fg)
		}
	}
	signalGroups(groups, unix.SIGKILL)
	p.mu.Unlock()
	awaitGone(groups, killWait)
}

// HangupGroup is Hangup for a process group of which only the id is known, since the
// process that started it has ended. It ignores 0, 1 and the group of this process.
func HangupGroup(pgid int, grace time.Duration) {
	if pgid <= 1 || pgid == unix.Getpgrp() {
		return
	}
	groups := []int{pgid}
	signalGroups(groups, unix.SIGHUP, unix.SIGCONT)
	if awaitGone(groups, grace) {
		return
	}
	signalGroups(groups, unix.SIGKILL)
	awaitGone(groups, killWait)
}

func signalGroups(groups []int, sigs ...syscall.Signal) {
	for _, g := range groups {
		for _, sig := range sigs {
			_ = unix.Kill(-g, sig) // fails if it has ended or belongs to another user
		}
	}
}

// awaitGone waits until no living process is left in the groups, and reports whether that
// happened within limit.
func awaitGone(groups []int, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for pause := firstLook; anyAlive(groups); pause = min(2*pause, lastLook) {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		time.Sleep(min(pause, left))
	}
	return true
}

func anyAlive(groups []int) bool {
	return slices.ContainsFunc(groups, groupAlive)
}

// groupAlive reports whether a living process is in the group. It looks at each member,
// since kill(2) counts a dead one until its parent reaps it, which the first process of
// some containers never does.
func groupAlive(pgid int) bool {
	if unix.Kill(-pgid, 0) == unix.ESRCH {
		return false
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return true
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return true
	}
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err == nil && livesIn(stat, pgid) {
			return true
		}
	}
	return false
}

// livesIn reports whether a line of /proc/PID/stat is that of a living process in the
// group: "pid (name) state ppid pgrp …", with the number of threads as field 20. The name
// may hold parentheses. A zombie with several threads has only lost its first.
func livesIn(stat []byte, pgid int) bool {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return false
	}
	f := bytes.Fields(stat[i+1:])
	if len(f) < 18 || string(f[2]) != strconv.Itoa(pgid) {
		return false
	}
	switch f[0][0] {
	case 'X':
		return false
	case 'Z':
		return string(f[17]) != "0" && string(f[17]) != "1"
	}
	return true
}
