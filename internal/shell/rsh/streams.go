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

// carry moves bytes both ways until the tunnel has ended and all output is written. Its
// error is about shvrsh's own streams.
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
		// Do not wait for the output: its reader may have stopped for good.
		s.end.Close(tunnel.Closing{Err: context.Cause(ctx)})
		return nil
	}
}

// guard runs f, and turns a panic into the end of the session: a panic would otherwise
// end the program with the terminal in raw mode.
func (s *session) guard(f func()) {
	defer func() {
		if cause := recover(); cause != nil {
			s.end.Close(tunnel.Closing{Err: fmt.Errorf("internal error: panic: %v", cause)})
		}
	}()
	f()
}

// output is stdout or stderr. A failed write ends the session, since nobody would see
// further output.
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

// sendSizes sends each new size of the terminal to the device.
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

// sendStdin carries stdin to the device. At the end of the session it may remain in a
// read that only the user could end.
func (s *session) sendStdin() {
	in := io.Reader(s.opts.Stdin)
	switch {
	case s.local:
		in = &keyboard{session: s, escapes: escapes{char: s.opts.Escape}}
	case !s.extended && !s.opts.TTY:
		// Older devices cannot be told the end of input, so a program that waits for
		// it would wait for ever.
		in = refuseData{s.opts.Stdin, s.end}
	}
	err := s.end.ReadFrom(tunnel.Stdin, in)
	if errors.Is(err, tunnel.ErrClosed) {
		return
	}
	if s.local {
		// A terminal in raw mode has no end of input: it was hung up. SIGHUP may be
		// ignored, as under nohup.
		s.end.Close(tunnel.Closing{Err: errors.New("the terminal was closed")})
		return
	}
	_ = s.end.SendEOF(tunnel.Stdin) // a stdin that cannot be read counts as empty
}

// refuseData reads from a stdin that must be empty, and ends the session otherwise.
type refuseData struct {
	r   io.Reader
	end *tunnel.End
}

func (r refuseData) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	if n > 0 {
		r.end.Close(tunnel.Closing{Err: errors.New("cannot send stdin: the device is too old to be told the end of input; " +
			"use -n or </dev/null")})
		return 0, tunnel.ErrClosed
	}
	return 0, err
}

// show writes small output to the user's terminal at once, in the read loop, and
// returns how much of it is written: an echo then needs no other goroutine.
func (s *session) show(channel int, data []byte) int {
	if s.output == nil || channel != tunnel.Stdout || len(data) > maxDirect {
		return 0
	}
	s.screen.moving()
	return s.output.TryWrite(data)
}

// maxDirect bounds the output that show writes, in bytes. A flood is better written by
// a goroutine of its own while more of it is read.
const maxDirect = 4 << 10
