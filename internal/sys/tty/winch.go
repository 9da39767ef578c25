package tty

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Resizes gives the size of the terminal f after each change of it, from the
// moment of the call. Who reads late gets the latest size only. The channel
// is closed when ctx ends; the first size is [SizeOf]'s business.
func Resizes(ctx context.Context, f *os.File) <-chan Size {
	// One slot is enough: the size is read after the signal was taken.
	winch := make(chan os.Signal, 1)
	signal.Notify(winch, unix.SIGWINCH)
	sizes := make(chan Size, 1)
	go func() {
		defer close(sizes)
		defer signal.Stop(winch)
		for {
			select {
			case <-ctx.Done():
				return
			case <-winch:
			}
			size, err := SizeOf(f)
			if err != nil {
				continue // the terminal is gone; its reader will see that
			}
			select { // out with a size that nobody took; we alone send
			case <-sizes:
			default:
			}
			sizes <- size
		}
	}()
	return sizes
}
