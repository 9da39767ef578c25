// Package timerslack sets the timer slack of threads: by how much the system may be
// late in ending their sleeps, which is 50 µs unless somebody says otherwise.
//
// Go's runtime has a monitor thread that sleeps 20 µs at a time, again and again,
// for some milliseconds after each thing that the program did, and then has to be
// woken by the next one. Where a key's echo passes three Go programs on a machine
// of two cores, those wake-ups cost a fifth of its time. A slack of a millisecond
// lets the monitor sleep through. A thread passes its slack on to the threads and
// processes that it starts, and exec keeps it; so a program must have it from its
// beginning, since its monitor is there before main.
//
// It is not a scheduler: priorities and cores are left alone.
package timerslack

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Calm is the slack for the monitor threads of our own programs.
	Calm = time.Millisecond
	// System is Linux's own, for programs of others.
	System = 50 * time.Microsecond
)

// Has tells whether the calling thread has a slack of d at least.
func Has(d time.Duration) bool {
	now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	return err == nil && time.Duration(now) >= d
}

// Set gives the calling thread a slack of d. A kernel that refuses it costs
// nothing but time.
func Set(d time.Duration) { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d), 0, 0, 0) }

// OnlyMonitor gives the calling thread, and those that it will start, the system's
// slack back. A program that began with more calls it first thing in main, when
// hardly any thread but the monitor is there: the scheduler's own short sleeps, and
// timers, then are as short as ever.
func OnlyMonitor() { Set(System) }

// Start calls start, which starts a process, on a thread from which the process
// gets a slack of d. The thread has its own back afterwards.
func Start(d time.Duration, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err == nil {
		defer Set(time.Duration(own))
	}
	Set(d)
	return start()
}
