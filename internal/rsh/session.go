package rsh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"shvtools/internal/chainpack"
	"shvtools/internal/client"
	"shvtools/internal/link"
	"shvtools/internal/ptyproc"
	"shvtools/internal/rpc"
	"shvtools/internal/tty"
	"shvtools/internal/tunnel"
)

// session is one shell or command.
type session struct {
	opts   Options
	pty    bool // a terminal on both sides
	client *client.Client
	size   tty.Size // at the call
	readID int64

	opened   chan struct{} // closed when end is set
	failed   chan error    // the call was answered by something else
	extended bool          // the helper knows the additions; set before opened
	end      *tunnel.End   // set by the read loop, before opened

	mu      sync.Mutex
	running *tunnel.End // that signals go to; nil before and after
	signals int         // that were passed on
}

// run calls the agent and carries the session.
func (s *session) run(ctx context.Context) (code int, err error) {
	var resizes <-chan tty.Size
	if s.pty {
		resizes = tty.Resizes(ctx, s.opts.Stdin) // before the first look at the size
		s.size, _ = tty.SizeOf(s.opts.Stdin)
	}
	if err := s.open(ctx); err != nil {
		return 0, describe(s.opts.Path, err)
	}
	if s.pty {
		raw, err := tty.MakeRaw(s.opts.Stdin)
		if err != nil {
			return 0, fmt.Errorf("terminal: %w", err)
		}
		defer raw.Restore()
	}
	if err := s.accept(); err != nil {
		return 0, describe(s.opts.Path, err)
	}
	failed := s.carry(ctx, resizes)
	end := s.end.Closing()
	if failed != nil && end.Err == nil {
		return 0, failed
	}
	return s.outcome(end)
}

// open calls launchRexec and waits for the CreateTunnelRequest.
func (s *session) open(ctx context.Context) error {
	s.opened, s.failed = make(chan struct{}), make(chan error, 1)
	s.readID = s.client.NewID()
	s.client.Expect(s.readID, s.receive)
	if err := s.client.Request(s.readID, s.opts.Path, "launchRexec", s.call()); err != nil {
		return err
	}
	late := time.NewTimer(openWait)
	defer late.Stop()
	select {
	case <-s.opened:
		return nil
	case err := <-s.failed:
		return err
	case <-s.client.Done():
		select {
		case err := <-s.failed: // the answer came just before the end
			return err
		default:
			return s.client.Err()
		}
	case <-late.C:
		return fmt.Errorf("no answer within %v", openWait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive takes the responses to the call. The end of the tunnel is made in the
// read loop, so that nothing that follows is missed.
func (s *session) receive(m *rpc.Message, f *link.Frame) {
	if s.end != nil {
		s.end.Receive(m, f)
		return
	}
	content, err := m.Content()
	if err == nil && content.Key == rpc.KeyDelay {
		return
	}
	if m.Tunnel().State == rpc.CreateTunnelRequest && m.Has(rpc.TagRevCallerIDs) {
		s.create(m, content)
		return
	}
	switch {
	case err != nil:
		err = fmt.Errorf("unreadable answer: %w", err)
	case content.Error != nil:
		err = content.Error
	default:
		err = errors.New("what answers there is no agent: it offered no tunnel")
	}
	select {
	case s.failed <- err:
	default:
	}
}

// create makes our end of the tunnel that m asks for.
func (s *session) create(m *rpc.Message, content rpc.Content) {
	writeID := m.Tunnel().RequestID
	if writeID == 0 {
		writeID = s.readID
	}
	ext, extended := tunnel.ExtOf(content.Value)
	s.extended = extended
	window := int64(tunnel.CommandWindow)
	if s.pty {
		window = tunnel.PtyWindow
	}
	s.end = tunnel.New(tunnel.Options{
		Link:       s.client.Link(),
		To:         rpc.Address{ID: writeID, Callers: append(rpc.CallerIDs(nil), m.RevCallers()...)},
		ErrorEnds:  true,
		Extended:   extended,
		Window:     window,
		PeerWindow: ext.Window,
	})
	close(s.opened)
}

// accept sends the CreateTunnelResponse, upon which the helper starts.
func (s *session) accept() error {
	ctl := rpc.TunnelCtl{State: rpc.CreateTunnelResponse}
	return s.client.Send(rpc.AppendTunnel(nil, s.end.To(), rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, 0, chainpack.Null()))
}

// carry moves bytes both ways until the tunnel has ended and all that came is
// written. Its error is about our own side.
func (s *session) carry(ctx context.Context, resizes <-chan tty.Size) error {
	s.setRunning(s.end)
	defer s.setRunning(nil)
	go s.sendStdin()
	go func() {
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
	}()
	stop := context.AfterFunc(ctx, func() { s.end.Close(tunnel.Closing{Err: context.Cause(ctx)}) })
	defer stop()

	var outputs sync.WaitGroup
	var failed [2]error
	for i, f := range []*os.File{s.opts.Stdout, s.opts.Stderr} {
		outputs.Go(func() {
			if err := s.end.WriteTo(tunnel.Stdout+i, f); err != nil {
				failed[i] = fmt.Errorf("cannot write the output: %w", err)
			}
		})
	}
	outputs.Wait()
	return errors.Join(failed[0], failed[1])
}

// sendStdin carries our stdin to the device. It is left behind at the end, in a
// read that only the user could end.
func (s *session) sendStdin() {
	in := io.Reader(s.opts.Stdin)
	if !s.extended && !s.pty {
		// The end of input cannot be told there, so a program that waits for it
		// would wait for ever.
		in = refuseData{s.opts.Stdin, s.end}
	}
	err := s.end.ReadFrom(tunnel.Stdin, in)
	if errors.Is(err, tunnel.ErrClosed) {
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

func (s *session) setRunning(end *tunnel.End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = end
}

// signalled takes a signal that our program got: a remote command gets it in our
// place, once. A second one, and any that cannot be passed on, ends us.
func (s *session) signalled(sig os.Signal, cancel context.CancelCauseFunc) {
	s.mu.Lock()
	end := s.running
	name := forwarded[sig]
	pass := end != nil && !s.pty && s.extended && name != "" && s.signals == 0
	if pass {
		s.signals++
	}
	s.mu.Unlock()
	if pass && end.Signal(name) == nil {
		return
	}
	cancel(errSignal{sig})
}

// signalCode is the exit code for a remote command that a signal ended.
func signalCode(name string) int {
	if number, ok := ptyproc.SignalNumber(name); ok {
		return 128 + int(number)
	}
	return 255
}
