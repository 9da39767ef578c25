package cliapp

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

func defaultSignals() []os.Signal { return []os.Signal{syscall.SIGINT, syscall.SIGTERM} }

// notifyContext returns a context that the first of signals cancels, with a
// signalError as its cause. After that the signals have their default effect again, so
// that a second one ends a program that hangs in its clean-up.
//
// A signal that was ignored when the program started stays ignored, as nohup and the
// `&` of a shell script want it.
func notifyContext(parent context.Context, signals []os.Signal) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	var wanted []os.Signal
	for _, s := range signals {
		if !signal.Ignored(s) {
			wanted = append(wanted, s)
		}
	}
	if len(wanted) == 0 { // for Notify, none means all
		return ctx, func() { cancel(nil) }
	}
	received := make(chan os.Signal, 1) // never closed
	signal.Notify(received, wanted...)
	var watch sync.WaitGroup
	watch.Go(func() {
		defer signal.Stop(received)
		select {
		case s := <-received:
			cancel(signalError{Signal: s})
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel(nil)
		watch.Wait()
	}
}
