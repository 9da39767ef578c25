package rexec

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/session/signames"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
)

// session is one tunnel and its process.
type session struct {
	opts   Options
	client *client.Client
	line   helperline.Line
	spec   ptyproc.Spec
	caller rpc.Address // the call that the tunnel answers
	readID int64       // request id of the messages to this end

	missing []string      // what the account lacks, for the user
	notices <-chan string // texts of the agent, for the user

	opened chan struct{} // closed when end is set
	failed chan error    // capacity 1: the client did not accept the tunnel
	end    *tunnel.End   // set by the read loop

	proc atomic.Pointer[ptyproc.Proc] // nil before the start

	mu   sync.Mutex
	size *ptyproc.Size // the latest size that came before the start; nil: none
}

func newSession(o Options, c *client.Client, line helperline.Line) *session {
	return &session{
		opts:   o,
		client: c,
		line:   line,
		caller: rpc.Address{ID: line.Find.RequestID, Callers: line.Find.CallerIDs},
		opened: make(chan struct{}),
		failed: make(chan error, 1),
	}
}

// prepare decides what to run. Its error is for the caller.
func (s *session) prepare() (err error) {
	s.spec, s.missing, err = command(s.line, s.opts.Environ, s.opts.Self)
	return err
}

// run creates the tunnel and runs the process in it.
func (s *session) run(ctx context.Context) error {
	if err := s.create(ctx); err != nil {
		s.ended(helperline.Ended{Cause: err.Error()})
		return err
	}
	proc, err := ptyproc.Start(s.spec)
	if err != nil {
		return s.notStarted(err)
	}
	defer proc.Close()
	_, _ = s.opts.Out.Write(helperline.AppendStarted(nil, proc.Pid()))
	s.started(proc)

	drained := make(chan struct{})
	go s.carry(proc, drained)
	ended := false // by this end
	select {
	case <-drained:
		return s.report(proc.Wait())
	case <-s.end.Closed():
	case err := <-s.limited():
		ended = true
		s.end.Close(tunnel.Closing{Err: err})
	case <-ctx.Done():
		ended = true
		s.end.Close(tunnel.Closing{Err: s.whyStopped(ctx)})
	}
	cause := s.end.Closing().Err
	s.opts.Log.Info().AnErr("cause", cause).Msg("session cut off")
	var hangup sync.WaitGroup
	hangup.Go(func() { proc.Hangup(hangupGrace) })
	if ended {
		s.tell(cause)
	}
	s.client.Close()
	hangup.Wait()
	if cause == nil {
		cause = errUserClosed
	}
	s.ended(helperline.Ended{Cause: cause.Error()})
	return nil
}

// errUserClosed is the end of a session that the user closes without a reason.
var errUserClosed = errors.New("closed by the user")

// ended reports the end of the session to the agent, with what was carried.
func (s *session) ended(e helperline.Ended) {
	if s.end != nil {
		e.In, e.Out = s.end.Received(tunnel.Stdin), s.end.Sent(tunnel.Stdout)+s.end.Sent(tunnel.Stderr)
	}
	_, _ = s.opts.Out.Write(e.Append(nil))
}

// whyStopped returns, in words for users, why the session was stopped.
func (s *session) whyStopped(ctx context.Context) error {
	cause := context.Cause(ctx)
	var ordered stopOrder
	if errors.Is(cause, errAgentGone) || errors.As(cause, &ordered) {
		return cause
	}
	return fmt.Errorf("stopped on the device: %w", cause)
}

// tell closes the tunnel towards the client with an error.
func (s *session) tell(cause error) {
	_ = s.client.Send(tunnel.CloseWithError(s.peer(), cause))
	s.finish()
}

// finish ends the connection when the last message has been sent, within farewell.
func (s *session) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	s.client.Finish(ctx)
}

// create sends the CreateTunnelRequest and waits for its answer.
func (s *session) create(ctx context.Context) error {
	s.readID = s.client.NewID()
	s.client.Expect(s.readID, s.receive)
	ctl := s.line.Find
	ctl.State, ctl.RequestID = rpc.CreateTunnelRequest, s.readID
	ctl.Forget()
	var key int64
	var result chainpack.Value
	if s.line.Call.Extended {
		answer := tunnel.Ext{Version: tunnel.Version, Window: s.window(), Session: s.name(),
			NoTerminal: s.line.Call.NoTerminal || s.line.Call.Method == "runPtyCmd" && s.spec.Pty == nil}
		key, result = rpc.KeyResult, chainpack.Map(chainpack.F("ext", answer.Value()))
	}
	err := s.client.Send(rpc.AppendTunnel(nil, s.caller, rpc.Meta{WantRevCallers: true, Tunnel: &ctl}, key, result))
	if err != nil {
		return err
	}
	late := time.NewTimer(answerWait)
	defer late.Stop()
	select {
	case <-s.opened:
		return nil
	case err := <-s.failed:
		return err
	case <-late.C:
		return fmt.Errorf("no session: the client did not answer CreateTunnelRequest within %v", answerWait)
	case <-s.client.Done():
		return fmt.Errorf("no session: connection to the broker lost: %w", s.client.Err())
	case <-ctx.Done():
		s.refuse(context.Cause(ctx))
		return context.Cause(ctx)
	}
}

// name is the name of the session in logs. An agent that gives none is one of the base protocol, which
// knows no in-band sessions.
func (s *session) name() string { return cmp.Or(s.line.Session, rpc.SessionName(s.line.Find.Secret)) }

// refuse answers the call with an error, before there is a tunnel.
func (s *session) refuse(cause error) {
	_ = s.client.SendNow(rpc.AppendError(nil, s.caller, rpc.AsError(cause)))
	s.finish()
}

// window is how many bytes of stdin the client may send ahead.
func (s *session) window() int64 {
	if s.spec.Pty != nil {
		return tunnel.PtyWindow
	}
	return tunnel.CommandWindow
}

// receive takes the messages to this end. It runs in the read loop, where the first
// message makes the tunnel, so that none that follows is missed.
func (s *session) receive(m *rpc.Message, f *link.Frame) {
	if s.end != nil {
		s.end.Receive(m, f)
		return
	}
	if m.Tunnel().State != rpc.CreateTunnelResponse {
		select {
		case s.failed <- errors.New("no session: the client did not accept the tunnel"):
		default:
		}
		return
	}
	s.end = tunnel.New(tunnel.Options{
		Link:       s.client.Link(),
		To:         rpc.Address{ID: s.caller.ID, Callers: append(rpc.CallerIDs(nil), m.RevCallers()...)},
		Extended:   s.line.Call.Extended,
		Window:     s.window(),
		PeerWindow: s.line.Call.Ext.Window,
		Direct:     s.write,
		Resize:     s.resize,
		Signal:     s.signal,
		Watch:      tunnel.Watch{Vouched: s.client.Vouched()},
	})
	close(s.opened)
}

// peer returns the address of the client in the tunnel.
func (s *session) peer() rpc.Address { return s.end.To() }

// carry moves bytes both ways until the process has ended and all output is acknowledged.
// It closes drained then.
func (s *session) carry(proc *ptyproc.Proc, drained chan<- struct{}) {
	go func() {
		if s.end.WriteTo(tunnel.Stdin, proc) != nil {
			return
		}
		if s.spec.Pty != nil {
			_, _ = proc.Write([]byte{endOfFile})
		}
		_ = proc.CloseStdin()
	}()
	var outputs sync.WaitGroup
	for i, output := range proc.Outputs() {
		outputs.Go(func() { _ = s.end.ReadFrom(tunnel.Stdout+i, output) })
	}
	outputs.Wait()
	proc.Wait()
	close(drained)
}

// endOfFile is the character that ends input on a terminal, Ctrl-D.
const endOfFile = 4

// report closes the tunnel after the process ended by itself.
func (s *session) report(exit ptyproc.Exit) error {
	ended := helperline.Ended{Signal: exit.Name()}
	if exit.Signal == 0 {
		ended.Exit = &exit.Code
	}
	defer s.ended(ended)
	select {
	case <-s.end.Closed(): // the client is lost
		return nil
	default:
	}
	message := tunnel.CloseSilently(s.peer())
	if s.line.Call.Extended {
		message = tunnel.CloseWithExit(s.peer(), tunnel.Exit{Code: exit.Code, Signal: exit.Name(), Sent: s.sent()})
	}
	_ = s.client.SendNow(message)
	s.finish()
	return nil
}

func (s *session) sent() map[int64]int64 {
	sent := map[int64]int64{tunnel.Stdout: s.end.Sent(tunnel.Stdout)}
	if s.spec.Pty == nil {
		sent[tunnel.Stderr] = s.end.Sent(tunnel.Stderr)
	}
	return sent
}

// notStarted tells the client why its program was not started. A client of the base
// protocol gets the text as output, since it shows nothing else.
func (s *session) notStarted(err error) error {
	var start *ptyproc.StartError
	code := 126 // as a shell returns it for a file that cannot be executed
	if errors.As(err, &start) {
		code = start.Code
	}
	defer s.ended(helperline.Ended{Exit: &code, Cause: err.Error()})
	if s.line.Call.Extended {
		exit := tunnel.Exit{Code: code, Message: err.Error(), Sent: s.sent()}
		_ = s.client.SendNow(tunnel.CloseWithExit(s.peer(), exit))
	} else {
		_ = s.client.SendNow(rpc.AppendResult(nil, s.peer(), chainpack.List(
			chainpack.Int(tunnel.Stderr), chainpack.String(err.Error()+"\r\n"))))
		_ = s.client.SendNow(tunnel.CloseSilently(s.peer()))
	}
	s.finish()
	return nil
}

// started passes on what the client sends to the process from now on, and the size that
// it sent before.
func (s *session) started(proc *ptyproc.Proc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.Store(proc)
	if s.size != nil {
		_ = proc.Resize(*s.size)
	}
}

// write passes input to the process at once, in the read loop, and returns how many bytes
// that took: a keystroke then needs no other goroutine.
func (s *session) write(_ int, b []byte) int {
	proc := s.proc.Load()
	if proc == nil {
		return 0
	}
	n, _ := proc.TryWrite(b)
	return n
}

func (s *session) resize(size tunnel.Size) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = &ptyproc.Size{Cols: clampSize(size.Cols), Rows: clampSize(size.Rows)}
	if proc := s.proc.Load(); proc != nil {
		_ = proc.Resize(*s.size)
	}
}

func (s *session) signal(name string) {
	number, ok := signames.Number(name)
	if proc := s.proc.Load(); ok && proc != nil {
		_ = proc.Signal(number)
	}
}
