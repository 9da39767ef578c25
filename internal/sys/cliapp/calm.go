package cliapp

import (
	"os"
	"syscall"

	"shvtools/internal/sys/timerslack"
)

// Calm begins the program anew, as the same process, with a timer slack that
// spares it the wake-ups of Go's monitor thread (package timerslack). It returns where
// the program has begun so, or cannot; call it before anything is opened. It
// takes some milliseconds, once.
func Calm() {
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
		return // it would begin anew for ever
	}
	_ = syscall.Exec(self, os.Args, os.Environ())
}
