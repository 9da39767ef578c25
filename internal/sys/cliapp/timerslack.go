package cliapp

import (
	"os"
	"syscall"

	"shvtools/internal/sys/timerslack"
)

// ReexecWithTimerSlack re-executes the program, as the same process, with a timer slack
// that spares it the wake-ups of Go's monitor thread (package timerslack). It returns
// once the program has that slack, or cannot have it. Call it before anything is
// opened; it takes some milliseconds, once.
func ReexecWithTimerSlack() {
	if timerslack.Has(timerslack.Calm) {
		timerslack.OnlyMonitor()
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	timerslack.Set(timerslack.Calm)
	if !timerslack.Has(timerslack.Calm) {
		return // otherwise it would re-execute itself forever
	}
	_ = syscall.Exec(self, os.Args, os.Environ())
}
