package link

// Aside calls f on a stack of its own and waits for it. What happens once in the life of
// a connection, such as its login, would otherwise leave the read loop with a stack twice
// as large as it needs. A panic of f becomes one of the caller.
func Aside(f func()) {
	done := make(chan *PanicError)
	go func() {
		var failed *PanicError
		defer func() {
			if p := recover(); p != nil {
				failed = AsPanic(p)
			}
			done <- failed
		}()
		f()
	}()
	if failed := <-done; failed != nil {
		panic(failed)
	}
}
