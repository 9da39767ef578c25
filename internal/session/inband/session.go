package inband

import (
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// SessionOptions are the options of a Session.
type SessionOptions struct {
	Call   rpc.Address            // the call that asked for the session; responses to it carry the output
	Batch  int                    // bytes of output in one response
	Send   func(msg []byte) error // sends to the broker; must not wait
	Attach func()                 // called once, at the first attach
	Ended  func()                 // called once, when the session has ended
}

// Session is the device's end: it serves the methods of one offered node and talks to the helper.
// All methods may be called concurrently.
type Session struct {
	opts SessionOptions
	out  sender

	mu          sync.Mutex
	attached    bool          // the user has called attach
	waiting     []rpc.Address // unanswered calls of attach
	answer      chainpack.Value
	refusal     *rpc.Error // replaces answer
	helper      *link.Link // nil before Start
	readID      int64      // request id of messages to the helper; 0: it has not created its tunnel yet
	accepted    bool       // CreateTunnelResponse was sent to the helper
	in          receiver
	closing     []byte // CloseTunnel, once the helper has ended
	closingSent bool   // CloseTunnel was sent
	repeats     int
	ended       bool

	silence *time.Timer // hangs up
	repeat  *time.Timer // sends CloseTunnel again; nil before
}

// NewSession returns the end of a session that is offered for a call. It waits for an attach. It
// ends by End, Stop, or 45 s after the last call of the user.
func NewSession(o SessionOptions) *Session {
	s := &Session{opts: o}
	s.out.init(o.Batch, s.transmit)
	s.silence = time.AfterFunc(silentLimit, s.End)
	return s
}

// Methods returns the methods of the node. For other callers than that of the call, they do not
// exist.
func (s *Session) Methods() []node.Method {
	return []node.Method{
		{Name: "attach", Flags: node.FlagNotIdem, Param: "{?}", Result: "{?}", Access: rpc.AccessBrowse,
			Call: s.forCaller(s.attach)},
		{Name: "write", Flags: node.FlagNotIdem, Param: "[?]", Result: "i", Access: rpc.AccessBrowse,
			Call: s.forCaller(s.write)},
		{Name: "close", Flags: node.FlagNotIdem, Access: rpc.AccessBrowse, Call: s.forCaller(s.close)},
	}
}

type method = func(*node.Request) (chainpack.Value, error)

// forCaller returns a method that only the caller of the call may use.
func (s *Session) forCaller(call method) method {
	return func(r *node.Request) (chainpack.Value, error) {
		if !slices.Equal(r.From.Callers, s.opts.Call.Callers) {
			return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
		}
		return call(r)
	}
}

// resetSilenceLocked notes a sign of life of the user.
func (s *Session) resetSilenceLocked() { s.silence.Reset(silentLimit) }

// attach begins the session. It repeats its answer if the first one was lost.
func (s *Session) attach(r *node.Request) (chainpack.Value, error) {
	if _, ok := tunnel.ExtOf(r.Param); !ok {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam,
			`attach: invalid param (want {"ext": {"version": 1, …}})`)
	}
	s.mu.Lock()
	first := !s.attached
	s.attached = true
	s.resetSilenceLocked()
	defer func() {
		s.mu.Unlock()
		if first {
			s.opts.Attach()
		}
	}()
	switch {
	case s.refusal != nil:
		return chainpack.Value{}, s.refusal
	case !s.answer.IsNull():
		return s.answer, nil
	case s.ended:
		return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
	case len(s.waiting) >= maxUnacked:
		return chainpack.Value{}, rpc.Errorf(rpc.CodeTryAgainLater, "the session is being opened")
	}
	s.waiting = append(s.waiting, r.From)
	return chainpack.Value{}, node.ErrLater
}

// answerAttachLocked answers all calls of attach.
func (s *Session) answerAttachLocked(result chainpack.Value, refusal *rpc.Error) {
	if s.refusal != nil || !s.answer.IsNull() {
		return
	}
	s.answer, s.refusal = result, refusal
	for _, to := range s.waiting {
		if refusal != nil {
			_ = s.opts.Send(rpc.AppendError(nil, to, refusal))
		} else {
			_ = s.opts.Send(rpc.AppendResult(nil, to, result))
		}
	}
	s.waiting = nil
}

// Refuse answers attach with an error. Its code differs from those by which brokers deny a call.
func (s *Session) Refuse(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseLocked(cause)
}

// refuseLocked is Refuse with mu held.
func (s *Session) refuseLocked(cause error) {
	s.answerAttachLocked(chainpack.Value{}, rpc.Errorf(rpc.CodeException, "%v", cause))
}

// Start talks to the helper on conn until the helper ends. It takes over conn, and returns when
// that is closed.
func (s *Session) Start(conn net.Conn) {
	l := link.New(conn, link.Options{})
	s.mu.Lock()
	s.helper = l
	if s.ended {
		l.Close(link.Done)
	}
	s.mu.Unlock()
	l.Run(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseLocked(errHelperGone)
	s.closeWithLocked(rpc.KeyError, rpc.AsError(errHelperGone).Value())
}

var errHelperGone = errors.New("the session's process on the device was lost")

// Message takes a message of the helper. The link calls it. It waits while too much output waits to
// be sent.
func (s *Session) Message(m *rpc.Message, _ *link.Frame) {
	if m.Kind() != rpc.Response {
		return
	}
	switch m.Tunnel().State {
	case rpc.CreateTunnelRequest, rpc.CloseTunnel:
		s.tunnelMessage(m)
		return
	}
	s.mu.Lock()
	created := s.readID != 0
	s.mu.Unlock()
	if p, ok := fromFrame(m); ok && created {
		if s.out.put(p, true) == link.ErrQueueFull {
			s.End()
		}
		return
	}
	if content, err := m.Content(); err == nil && content.Error != nil && !created {
		s.Refuse(content.Error)
	}
}

// tunnelMessage takes the helper's request to create or close the tunnel.
func (s *Session) tunnelMessage(m *rpc.Message) {
	content, err := m.Content()
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Tunnel().State == rpc.CloseTunnel {
		s.closeWithLocked(content.Key, content.Value)
		return
	}
	if _, ok := tunnel.ExtOf(content.Value); !ok {
		s.refuseLocked(errors.New("the device's shvrexec is too old for a broker without tunnels"))
		return
	}
	s.readID = m.Tunnel().RequestID
	s.answerAttachLocked(content.Value, nil)
}

// Reset does nothing: a helper sends no reset.
func (s *Session) Reset() {}

// transmit sends one piece of output.
func (s *Session) transmit(p *piece) {
	// A full queue counts as a loss: the piece is sent again.
	output := chainpack.List(chainpack.Int(p.channel), p.payload(), chainpack.Int(p.at))
	_ = s.opts.Send(rpc.AppendResult(nil, s.opts.Call, output))
}

// write takes input, or the acknowledgement of output.
func (s *Session) write(r *node.Request) (chainpack.Value, error) {
	p, ok := pieceFrom(r.Param.At(0), r.Param.At(1), r.Param.At(2))
	if !ok || p.channel != tunnel.Stdin && p.channel != tunnel.Control {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam,
			"write: invalid param (want [0, offset, Blob] or [3, number, Map])")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readID == 0 || s.ended {
		return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
	}
	s.resetSilenceLocked()
	if !s.accepted {
		s.accepted = true
		s.acceptLocked()
	}
	if got, ok := p.control.Get("got"); ok {
		for _, e := range got.Entries() {
			if total, isInt := e.Value.AsInt(); isInt && e.Key.IsInt() {
				s.out.ack(e.Key.Int(), total)
			}
		}
		s.sendClosingLocked()
	} else if s.in.take(&p) == fits {
		s.toHelperLocked(&p)
	}
	return chainpack.Int(s.in.taken[p.channel]), nil
}

// acceptLocked tells the helper that the user has accepted.
func (s *Session) acceptLocked() {
	f := link.NewMessage(rpc.AppendTunnel(nil, rpc.Address{ID: s.readID},
		rpc.Meta{WantRevCallers: true, Tunnel: &rpc.TunnelCtl{State: rpc.CreateTunnelResponse}}, 0, chainpack.Value{}))
	defer f.Release()
	_ = s.helper.Send(f, nil) // Start sees if the helper has ended
}

// toHelperLocked passes input on.
func (s *Session) toHelperLocked(p *piece) {
	f := p.frame(rpc.Address{ID: s.readID})
	defer f.Release()
	if s.helper.Send(f, nil) == link.ErrQueueFull {
		// The user sent far more than the window that the helper promised.
		s.helper.Close(link.SlowPeer)
	}
}

// closeWithLocked notes how the session ended, the first time it is called.
func (s *Session) closeWithLocked(key int64, value chainpack.Value) {
	if s.closing != nil || s.ended || s.readID == 0 {
		return
	}
	s.closing = rpc.AppendTunnel(nil, s.opts.Call, rpc.Meta{Tunnel: &rpc.TunnelCtl{State: rpc.CloseTunnel}}, key, value)
	s.repeat = time.AfterFunc(closeEvery, s.repeatClosing)
	s.sendClosingLocked()
}

// sendClosingLocked sends CloseTunnel when all output was sent.
func (s *Session) sendClosingLocked() {
	if sent, _ := s.out.state(); s.closing != nil && sent && !s.closingSent {
		s.closingSent = true
		_ = s.opts.Send(s.closing)
		s.repeat.Reset(closeEvery)
	}
}

// repeatClosing repeats CloseTunnel until the user calls close. Repeats count only when the user
// has all output, since it cannot use a CloseTunnel before.
func (s *Session) repeatClosing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if _, acked := s.out.state(); acked && s.closingSent {
		if s.repeats == closeRepeats {
			s.endLocked()
			return
		}
		s.repeats++
	}
	s.closingSent = false
	s.sendClosingLocked()
	s.repeat.Reset(closeEvery)
}

// close is the method by which the user says that it has everything, or wants no more.
func (s *Session) close(*node.Request) (chainpack.Value, error) {
	s.End()
	return chainpack.Null(), nil
}

// Stop ends the session, hangs up, and sends the cause to the user once.
func (s *Session) Stop(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuseLocked(cause)
	s.closeWithLocked(rpc.KeyError, rpc.AsError(cause).Value())
	if s.closing != nil && !s.closingSent {
		_ = s.opts.Send(s.closing)
	}
	s.endLocked()
}

// End ends the session and hangs up without a message to the user. A waiting call of attach gets an
// error.
func (s *Session) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked()
}

// endLocked is End with mu held.
func (s *Session) endLocked() {
	if s.ended {
		return
	}
	for _, to := range s.waiting {
		_ = s.opts.Send(rpc.AppendError(nil, to, rpc.Errorf(rpc.CodeMethodNotFound, "the session was opened in another way")))
	}
	s.waiting = nil
	s.ended = true
	s.silence.Stop()
	if s.repeat != nil {
		s.repeat.Stop()
	}
	s.out.close()
	if s.helper != nil {
		s.helper.Close(link.Done)
	}
	s.opts.Ended()
}
