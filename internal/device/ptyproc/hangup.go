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
	// A process group gives no notice of its end, so it is looked at: soon
	// at first, since most die at once, then less often.
	firstLook = time.Millisecond
	lastLook  = 50 * time.Millisecond

	// killWait is how long the kernel may take to carry out a SIGKILL
	// before we stop watching it.
	killWait = time.Second
)

// Hangup does what the loss of a terminal does, and then makes sure: SIGHUP
// to the process group and, on a pty, to that in the foreground; SIGCONT, so
// that stopped ones get it; SIGKILL to what is left of them after grace. It
// returns when the groups are gone or were killed, and at once where nothing
// is left. Other process groups of the session are not touched: a shell
// with job control hands SIGHUP on to its jobs, or not, as its user wants.
//
// Background jobs without job control are members of the process's group and
// get it even after the process has ended: who wants them to live on after a
// normal end doesn't call it then.
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
	// A shell may have brought another job to the front meanwhile.
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

// HangupGroup does the same for a process group of which only the id is left,
// because the one who started it is gone. An id that can't be that of a
// foreign group (0, 1, our own) is ignored.
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
			_ = unix.Kill(-g, sig) // gone, or another user's: no help for either
		}
	}
}

// awaitGone waits until no living process is left in the groups and reports
// whether that happened within the limit.
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

// groupAlive also looks at who is in the group: a dead member counts for
// kill(2) until its parent has reaped it, and there are first processes of
// containers that never do.
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

// livesIn reads a line of /proc/PID/stat: "pid (name) state ppid pgrp …" with
// the number of threads as 20th; the name may hold anything, parentheses too.
// A zombie with more than one thread has only lost its first.
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
