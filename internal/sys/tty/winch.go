package tty

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Resizes returns a channel that receives the size of the terminal f after each change from
// now on. A late reader gets only the latest size. The channel is closed when ctx ends. The
// present size is not sent; see [SizeOf].
func Resizes(ctx context.Context, f *os.File) <-chan Size {
	// One slot is enough: the size is read after the signal is taken.
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
				continue // the terminal no longer exists; its reader notices
			}
			select { // drop a size that was not read; there is no other sender
			case <-sizes:
			default:
			}
			sizes <- size
		}
	}()
	return sizes
}
