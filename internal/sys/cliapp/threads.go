package cliapp

import (
	"runtime"
	"sync"
)

// SpareThreads makes the runtime start n more threads, which it keeps and uses when it
// needs one. A Go program crashes if the system refuses it a thread; with spare
// threads a daemon survives a time in which the device can start no processes.
func SpareThreads(n int) {
	var started, ended sync.WaitGroup
	release := make(chan struct{})
	started.Add(n)
	for range n {
		ended.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread() // otherwise the thread ends with its goroutine
			started.Done()
			<-release
		})
	}
	started.Wait()
	close(release)
	ended.Wait()
}
