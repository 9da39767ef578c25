package core

import "shvtools/internal/wire/link"

// aside calls f on a stack of its own and waits for it. What is done once in the
// life of a connection, such as its login, would otherwise leave it with a stack
// twice as large as it needs. A panic of f is the caller's.
func aside(f func()) {
	done := make(chan *link.PanicError)
	go func() {
		var failed *link.PanicError
		defer func() {
			if p := recover(); p != nil {
				failed = link.AsPanic(p)
			}
			done <- failed
		}()
		f()
	}()
	if failed := <-done; failed != nil {
		panic(failed)
	}
}
