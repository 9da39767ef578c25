package broker

// aside calls f on a stack of its own and waits for it. What is done once in the
// life of a connection, such as its login, would otherwise leave it with a stack
// twice as large as it needs. A panic of f is the caller's.
func aside(f func()) {
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	if p := <-done; p != nil {
		panic(p)
	}
}
