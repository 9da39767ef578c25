package rsh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"shvtools/internal/session/inband"
	"shvtools/internal/session/signames"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/tty"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
)

// session is one shell or command.
type session struct {
	opts   Options
	local  bool // a terminal on our side too, which is made raw
	client *client.Client
	size   tty.Size    // at the call
	output *tty.Writer // of the terminal on stdout; nil: stdout is none
	screen screen
	readID int64
	began  time.Time

	opened   chan struct{} // closed when end is set
	failed   chan error    // the call was answered by something else
	extended bool          // the helper knows the additions; set before opened
	end      *tunnel.End   // set by the read loop, before opened
	byTunnel bool          // a tunnel carries it; set before opened

	mu      sync.Mutex
	inBand  *inband.User // what else carries it; set by the read loop
	running *tunnel.End  // that signals go to; nil before and after
	signals int          // that were passed on
	raw     *tty.State   // nil: the terminal is as the user had it
	over    bool         // the terminal is the user's again, for good
}

// run calls the agent and carries the session.
func (s *session) run(ctx context.Context) (code int, err error) {
	var resizes <-chan tty.Size
	if s.local {
		resizes = tty.Resizes(ctx, s.opts.Stdin) // before the first look at the size
		s.size, _ = tty.SizeOf(s.opts.Stdin)
	}
	if output, err := tty.NewWriter(s.opts.Stdout); err == nil {
		s.output, s.screen.terminal = output, output // left open: the read loop may use it until we end
	}
	s.opts.Log.Debug().Str("device", s.opts.Path).Bool("terminal", s.opts.TTY).Msg("calling the device")
	if err := s.open(ctx); err != nil {
		return 0, s.describe(err)
	}
	s.opts.Log.Debug().Str("with", s.way()).Msg("the device answers")
	if s.local {
		if err := s.makeRaw(); err != nil {
			return 0, err
		}
		defer s.giveBack()
	}
	if err := s.accept(); err != nil {
		return 0, s.describe(err)
	}
	s.began = time.Now()
	failed := s.carry(ctx, resizes)
	s.giveBack()
	end := s.end.Closing()
	s.opts.Log.Debug().Int64("typed", s.end.Sent(tunnel.Stdin)).Int64("shown", s.end.Received(tunnel.Stdout)).
		Stringer("took", time.Since(s.began).Round(time.Millisecond)).Msg("the session is over")
	if failed != nil && end.Err == nil {
		return 0, failed
	}
	code, err = s.outcome(end)
	if err == nil && s.local && !s.opts.Quiet {
		s.screen.say(s.farewell(end))
	}
	return code, err
}

// farewell says who ended the session.
func (s *session) farewell(end tunnel.Closing) string {
	if end.Exit != nil && end.Exit.Signal != "" {
		return fmt.Sprintf("Session on %s ended: the remote program was killed by %s.", s.opts.Path, end.Exit.Signal)
	}
	return fmt.Sprintf("Session on %s closed.", s.opts.Path)
}

// makeRaw lets each key go to the device, unless the session is over.
func (s *session) makeRaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return nil
	}
	raw, err := tty.MakeRaw(s.opts.Stdin)
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	if s.raw == nil {
		s.raw = raw // else it is the user's modes that s.raw knows
	}
	s.screen.setRaw(true)
	return nil
}

// restore gives the terminal back to the user, and tells whether we had it.
func (s *session) restore() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw == nil {
		return false
	}
	s.screen.setRaw(false)
	_ = s.raw.Restore() // a terminal that is gone needs none
	s.raw = nil
	return true
}

// giveBack is restore at the end of the session; it may be called many times.
func (s *session) giveBack() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.restore()
}

// open calls launchRexec and waits for the CreateTunnelRequest.
func (s *session) open(ctx context.Context) error {
	s.opened, s.failed = make(chan struct{}), make(chan error, 1)
	s.readID = s.client.NewID()
	s.client.Expect(s.readID, s.receive)
	method, wait := s.opts.Method, s.opts.OpenTimeout
	if method == "" {
		method = "launchRexec"
	}
	if wait == 0 {
		wait = openWait
	}
	if err := s.client.Send(rpc.AppendIdentified(nil, s.readID, s.opts.Path, method, s.call())); err != nil {
		return err
	}
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case <-s.opened:
		return nil
	case err := <-s.failed:
		return s.elsewise(err)
	case <-s.client.Done():
		select {
		case err := <-s.failed: // the answer came just before the end
			return err
		default:
			return s.client.Err()
		}
	case <-late.C:
		return fmt.Errorf("no answer within %v", wait)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// receive takes the responses to the call. The end of the tunnel is made in the
// read loop, so that nothing that follows is missed.
func (s *session) receive(m *rpc.Message, f *link.Frame) {
	switch {
	case s.end != nil && s.inBand != nil && !s.byTunnel:
		s.inBand.Receive(m, f)
		return
	case s.end != nil:
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
	if id, ok := inband.OfferOf(content.Value); ok && content.Key == rpc.KeyResult {
		s.attach(id)
		return
	}
	switch {
	case err != nil:
		err = fmt.Errorf("unreadable answer: %w", err)
	case content.Error != nil:
		err = content.Error
	case m.Tunnel().State == rpc.FindTunnelRequest:
		// Which is for a broker; one that does not know it takes it for a result.
		err = errors.New("the broker knows no tunnels, and the agent there cannot do without them")
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
	to := rpc.Address{ID: writeID, Callers: append(rpc.CallerIDs(nil), m.RevCallers()...)}
	s.byTunnel = true
	s.makeEnd(s.client.Link(), to, content.Value)
}

// makeEnd makes our end of a session whose helper answered the offer.
func (s *session) makeEnd(carrier tunnel.Carrier, to rpc.Address, answer chainpack.Value) {
	ext, extended := tunnel.ExtOf(answer)
	s.extended = extended
	watch := s.opts.Watch
	if s.local {
		watch.Stuck = s.stuck
	}
	s.end = tunnel.New(tunnel.Options{
		Link:       carrier,
		To:         to,
		ErrorEnds:  true,
		Extended:   extended,
		Window:     s.window(),
		PeerWindow: ext.Window,
		Direct:     s.show,
		Watch:      watch,
	})
	close(s.opened)
}

// stuck shows that nothing comes from the device any more.
func (s *session) stuck(silent time.Duration) {
	text := ""
	if silent > 0 {
		text = fmt.Sprintf("[shvrsh: nothing from %s for %d s", s.opts.Path, int(silent.Seconds()))
		if s.opts.Escape != 0 {
			text += "; Enter " + s.escape() + ". ends the session"
		}
		text += "]"
	}
	if size, err := tty.SizeOf(s.opts.Stdin); err == nil && size.Cols > 0 {
		text = text[:min(len(text), int(size.Cols))] // one line, on narrow terminals too
	}
	s.screen.stuck(text)
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

// accept sends the CreateTunnelResponse, upon which the helper starts.
func (s *session) accept() error {
	if !s.byTunnel {
		s.inBand.Begin()
		return nil
	}
	ctl := rpc.TunnelCtl{State: rpc.CreateTunnelResponse}
	return s.client.Send(rpc.AppendTunnel(nil, s.end.To(), rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, 0, chainpack.Null()))
}

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

func (s *session) setRunning(end *tunnel.End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = end
}

// signalled takes a signal that our program got: a remote command gets it in our
// place, once. A second one, and any that cannot be passed on, ends us.
func (s *session) signalled(sig os.Signal, cancel context.CancelCauseFunc) {
	switch sig {
	case syscall.SIGTSTP:
		s.suspend()
		return
	case syscall.SIGCONT:
		s.continued()
		return
	}
	s.mu.Lock()
	end := s.running
	name := forwarded[sig]
	pass := end != nil && !closed(end) && !s.local && s.extended && name != "" && s.signals == 0
	if pass {
		s.signals++
	}
	s.mu.Unlock()
	if pass && end.Signal(name) == nil {
		return
	}
	cancel(errSignal{sig})
}

func closed(end *tunnel.End) bool {
	select {
	case <-end.Closed():
		return true
	default:
		return false
	}
}

// signalCode is the exit code for a remote command that a signal ended.
func signalCode(name string) int {
	if number, ok := signames.Number(name); ok {
		return 128 + int(number)
	}
	return 255
}
