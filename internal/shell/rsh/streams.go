package rsh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/sys/tty"
)

// carry moves bytes both ways until the tunnel has ended and all that came is
// written. Its error is about our own side.
func (s *session) carry(ctx context.Context, resizes <-chan tty.Size) error {
	s.setRunning(s.end)
	defer s.setRunning(nil)
	go s.guard(s.sendStdin)
	go s.guard(func() { s.sendSizes(resizes) })

	var outputs sync.WaitGroup
	var failed [2]error
	for i, f := range []*os.File{s.opts.Stdout, s.opts.Stderr} {
		outputs.Go(func() {
			s.guard(func() { failed[i] = s.end.WriteTo(tunnel.Stdout+i, output{f, s}) })
		})
	}
	written := make(chan struct{})
	go func() {
		outputs.Wait()
		close(written)
	}()
	select {
	case <-written:
		return errors.Join(failed[0], failed[1])
	case <-ctx.Done():
		// No waiting for the output: whoever reads it may have stopped for good.
		s.end.Close(tunnel.Closing{Err: context.Cause(ctx)})
		return nil
	}
}

// guard runs f. A panic in a goroutine of ours would end the program with the
// terminal in raw mode, so it ends the session instead.
func (s *session) guard(f func()) {
	defer func() {
		if cause := recover(); cause != nil {
			s.end.Close(tunnel.Closing{Err: fmt.Errorf("internal error: panic: %v", cause)})
		}
	}()
	f()
}

// output is one of our own streams. Its failure ends the session, since nobody
// would see what the device still has to say.
type output struct {
	f       *os.File
	session *session
}

func (o output) Write(b []byte) (int, error) {
	o.session.screen.moving()
	n, err := o.f.Write(b)
	if err != nil {
		err = fmt.Errorf("cannot write the output: %w", err)
		o.session.end.Close(tunnel.Closing{Err: err})
	}
	return n, err
}

// sendSizes tells the device each new size of our terminal.
func (s *session) sendSizes(resizes <-chan tty.Size) {
	for {
		select {
		case size, ok := <-resizes:
			if !ok {
				return
			}
			_ = s.end.Resize(tunnel.Size{Cols: int(size.Cols), Rows: int(size.Rows)})
		case <-s.end.Closed():
			return
		}
	}
}

// sendStdin carries our stdin to the device. It is left behind at the end, in a
// read that only the user could end.
func (s *session) sendStdin() {
	in := io.Reader(s.opts.Stdin)
	switch {
	case s.local:
		in = &keyboard{session: s, escapes: escapes{char: s.opts.Escape}}
	case !s.extended && !s.opts.TTY:
		// The end of input cannot be told there, so a program that waits for it
		// would wait for ever.
		in = refuseData{s.opts.Stdin, s.end}
	}
	err := s.end.ReadFrom(tunnel.Stdin, in)
	if errors.Is(err, tunnel.ErrClosed) {
		return
	}
	if s.local {
		// A terminal in raw mode has no end of input: it was hung up, which we
		// may have been told to ignore, as by nohup.
		s.end.Close(tunnel.Closing{Err: errors.New("the terminal is gone")})
		return
	}
	_ = s.end.SendEOF(tunnel.Stdin) // a stdin that cannot be read is an empty one
}

// refuseData is a stdin that must be empty.
type refuseData struct {
	r   io.Reader
	end *tunnel.End
}

func (r refuseData) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if n > 0 {
		r.end.Close(tunnel.Closing{Err: errors.New("the device's shvrexec cannot be told the end of input: give no stdin (</dev/null)")})
		return 0, tunnel.ErrClosed
	}
	return 0, err
}

// show is the short way of an echo to the user's terminal.
func (s *session) show(channel int, data []byte) int {
	if s.output == nil || channel != tunnel.Stdout || len(data) > maxDirect {
		return 0
	}
	s.screen.moving()
	return s.output.TryWrite(data)
}

// maxDirect is up to what size output takes the short way: a flood is better
// written by a goroutine of its own, while the next of it is read.
const maxDirect = 4 << 10
