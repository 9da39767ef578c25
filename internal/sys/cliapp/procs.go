package cliapp

import (
	"os"
	"runtime"
)

// minProcs is the least number of threads that run Go code at once in programs whose
// goroutines mostly block in system calls.
const minProcs = 8

// PreferWakeups lets a goroutine continue at once when its system call returns.
// Otherwise it may wait until one of the cores' slots is free; the echo of a key then
// takes a tenth longer. It is for programs with one session. GOMAXPROCS in the
// environment takes precedence.
func PreferWakeups() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(minProcs, runtime.NumCPU()))
	}
}
