package cliapp

import (
	"os"
	"syscall"

	"shvtools/internal/sys/slack"
)

// Calm begins the program anew, as the same process, with a timer slack that
// spares it the wake-ups of Go's monitor thread (package slack). It returns where
// the program has begun so, or cannot; call it before anything is opened. It
// takes some milliseconds, once.
func Calm() {
	if slack.Has(slack.Calm) {
		slack.OnlyMonitor()
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	slack.Set(slack.Calm)
	if !slack.Has(slack.Calm) {
		return // it would begin anew for ever
	}
	_ = syscall.Exec(self, os.Args, os.Environ())
}
