package cliapp

import (
	"runtime"
	"sync"
)

// SpareThreads has the runtime start n threads beside those that it has; it keeps
// them, and takes them when it needs one. A program of Go ends at once where the
// system has no thread for it: a service that is to survive the time in which a
// device has no processes left needs none then.
func SpareThreads(n int) {
	var started, ended sync.WaitGroup
	release := make(chan struct{})
	started.Add(n)
	for range n {
		ended.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread() // else the thread would end with us
			started.Done()
			<-release
		})
	}
	started.Wait()
	close(release)
	ended.Wait()
}
