// Package timerslack sets the timer slack of threads: how late the kernel may end their
// sleeps, 50 µs by default (prctl(2), PR_SET_TIMERSLACK).
//
// For some milliseconds after each activity of the program, the monitor thread of Go's
// runtime sleeps for 20 µs at a time. If the echo of a key passes three Go programs on a
// machine with two cores, these wake-ups take a fifth of its time. With a slack of a
// millisecond the monitor sleeps through. Threads pass their slack on to the threads and
// processes that they start, and exec keeps it. The monitor thread exists before main, so a
// program must be started with the slack.
//
// The package does not touch priorities or the choice of cores. It is no part of the
// protocol. Linux only.
package timerslack

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// Calm is the slack for the monitor threads of our own programs.
	Calm = time.Millisecond
	// System is the default of Linux, for other programs.
	System = 50 * time.Microsecond
)

// Has reports whether the calling thread has a slack of at least d.
func Has(d time.Duration) bool {
	now, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	return err == nil && time.Duration(now) >= d
}

// Set gives the calling thread a slack of d. It ignores errors, which cost only time.
func Set(d time.Duration) { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(d), 0, 0, 0) }

// OnlyMonitor sets the slack of the calling thread, and of those that it will start, to
// System. A program that was started with more slack calls it first in main, when hardly any
// thread exists but the monitor: timers and the scheduler's own short sleeps are then as
// precise as usual.
func OnlyMonitor() { Set(System) }

// Start calls start, which starts a process, so that the process gets a slack of d. The
// slack of the calling thread does not change.
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
