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

// SessionOptions of a Session.
type SessionOptions struct {
	Call   rpc.Address            // that asked for the session; responses to it carry the output
	Batch  int                    // bytes of output in one response
	Send   func(msg []byte) error // to the broker; must not wait
	Attach func()                 // called once, at the first attach
	Ended  func()                 // called once, when nobody can call the session any more
}

// Session is the device's end: it serves the methods of one offered node and
// talks to the helper. All methods may be called concurrently.
type Session struct {
	opts SessionOptions
	out  sender

	mu          sync.Mutex
	attached    bool          // the user has called attach
	waiting     []rpc.Address // calls of attach that have no answer yet
	answer      chainpack.Value
	refusal     *rpc.Error // in the place of answer
	helper      *link.Link // nil before Start
	readID      int64      // of what goes to the helper; 0: it has created no tunnel yet
	accepted    bool       // the helper was told that the user has accepted
	in          receiver
	closing     []byte // CloseTunnel, once the helper has ended
	closingSent bool   // CloseTunnel was sent
	repeats     int
	ended       bool

	silence *time.Timer // hangs up
	repeat  *time.Timer // sends CloseTunnel again; nil before
}

// NewSession makes the end of a session that is offered for a call. It waits for
// an attach, and ends by End or by itself after 45 s without a call.
func NewSession(o SessionOptions) *Session {
	s := &Session{opts: o}
	s.out.init(o.Batch, s.transmit)
	s.silence = time.AfterFunc(silentLimit, s.End)
	return s
}

// Methods are those of the node. To strangers they do not exist.
func (s *Session) Methods() []node.Method {
	return []node.Method{
		{Name: "attach", Flags: node.FlagNotIdem, Param: "{?}", Result: "{?}", Access: rpc.AccessBrowse, Call: s.forCaller(s.attach)},
		{Name: "write", Flags: node.FlagNotIdem, Param: "[?]", Result: "i", Access: rpc.AccessBrowse, Call: s.forCaller(s.write)},
		{Name: "close", Flags: node.FlagNotIdem, Access: rpc.AccessBrowse, Call: s.forCaller(s.close)},
	}
}

type method = func(*node.Request) (chainpack.Value, error)

// forCaller is a method that only who asked for the session may call.
func (s *Session) forCaller(call method) method {
	return func(r *node.Request) (chainpack.Value, error) {
		if !slices.Equal(r.From.Callers, s.opts.Call.Callers) {
			return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
		}
		return call(r)
	}
}

// resetSilence notes a sign of life of the user; mu is held.
func (s *Session) resetSilence() { s.silence.Reset(silentLimit) }

// attach begins the session, and tells again how it began when the first answer
// was lost.
func (s *Session) attach(r *node.Request) (chainpack.Value, error) {
	if _, ok := tunnel.ExtOf(r.Param); !ok {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "attach needs a param {\"ext\": {\"version\": 1, …}}")
	}
	s.mu.Lock()
	first := !s.attached
	s.attached = true
	s.resetSilence()
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

// answerAttach answers all calls of attach; mu is held.
func (s *Session) answerAttach(result chainpack.Value, refusal *rpc.Error) {
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

// Refuse answers attach with an error. It is of the kind that no broker uses to
// refuse a call for lack of rights.
func (s *Session) Refuse(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse(cause)
}

// refuse is Refuse with mu held.
func (s *Session) refuse(cause error) {
	s.answerAttach(chainpack.Value{}, rpc.Errorf(rpc.CodeException, "%v", cause))
}

// Start talks to the helper on conn until the helper ends. It takes conn over
// and returns when it is closed.
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
	s.refuse(errHelperGone)
	s.closeWith(rpc.KeyError, rpc.AsError(errHelperGone).Value())
}

var errHelperGone = errors.New("the device restarted or lost its connection")

// Message takes a message of the helper; it is the link's. It waits while much
// output is waiting to be sent.
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

// tunnelMessage takes the helper's wish to make or to close the tunnel.
func (s *Session) tunnelMessage(m *rpc.Message) {
	content, err := m.Content()
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Tunnel().State == rpc.CloseTunnel {
		s.closeWith(content.Key, content.Value)
		return
	}
	if _, ok := tunnel.ExtOf(content.Value); !ok {
		s.refuse(errors.New("the device's shvrexec is too old for a broker without tunnels"))
		return
	}
	s.readID = m.Tunnel().RequestID
	s.answerAttach(content.Value, nil)
}

// Reset is the link's; a helper sends none.
func (s *Session) Reset() {}

// transmit sends one piece of output.
func (s *Session) transmit(p *piece) {
	// A queue that is full counts as a loss: the piece is sent again.
	_ = s.opts.Send(rpc.AppendResult(nil, s.opts.Call, chainpack.List(chainpack.Int(p.channel), p.payload(), chainpack.Int(p.at))))
}

// write takes input, and the acknowledgement of output.
func (s *Session) write(r *node.Request) (chainpack.Value, error) {
	p, ok := pieceFrom(r.Param.At(0), r.Param.At(1), r.Param.At(2))
	if !ok || p.channel != tunnel.Stdin && p.channel != tunnel.Control {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "write needs a param [0, offset, Blob] or [3, number, Map]")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.readID == 0 || s.ended {
		return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
	}
	s.resetSilence()
	if !s.accepted {
		s.accepted = true
		s.accept()
	}
	if got, ok := p.control.Get("got"); ok {
		for _, e := range got.Entries() {
			if total, isInt := e.Value.AsInt(); isInt && e.Key.IsInt() {
				s.out.ack(e.Key.Int(), total)
			}
		}
		s.sendClosing()
	} else if s.in.take(&p) == fits {
		s.toHelper(&p)
	}
	return chainpack.Int(s.in.taken[p.channel]), nil
}

// accept tells the helper that the user is there; mu is held.
func (s *Session) accept() {
	f := link.NewMessage(rpc.AppendTunnel(nil, rpc.Address{ID: s.readID},
		rpc.Meta{WantRevCallers: true, Tunnel: &rpc.TunnelCtl{State: rpc.CreateTunnelResponse}}, 0, chainpack.Value{}))
	defer f.Release()
	_ = s.helper.Send(f, nil) // its end shows in Start
}

// toHelper hands input on; mu is held.
func (s *Session) toHelper(p *piece) {
	f := p.frame(rpc.Address{ID: s.readID})
	defer f.Release()
	if s.helper.Send(f, nil) == link.ErrQueueFull {
		// Far more than the window that the helper has promised.
		s.helper.Close(link.SlowPeer)
	}
}

// closeWith notes how the session ended, the first time; mu is held.
func (s *Session) closeWith(key int64, value chainpack.Value) {
	if s.closing != nil || s.ended || s.readID == 0 {
		return
	}
	s.closing = rpc.AppendTunnel(nil, s.opts.Call, rpc.Meta{Tunnel: &rpc.TunnelCtl{State: rpc.CloseTunnel}}, key, value)
	s.repeat = time.AfterFunc(closeEvery, s.repeatClosing)
	s.sendClosing()
}

// sendClosing sends CloseTunnel behind the last output; mu is held.
func (s *Session) sendClosing() {
	if sent, _ := s.out.state(); s.closing != nil && sent && !s.closingSent {
		s.closingSent = true
		_ = s.opts.Send(s.closing)
		s.repeat.Reset(closeEvery)
	}
}

// repeatClosing repeats CloseTunnel until the user calls close. Repeats count when
// the user has all output, before which it can do nothing with a CloseTunnel.
func (s *Session) repeatClosing() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if _, acked := s.out.state(); acked && s.closingSent {
		if s.repeats == closeRepeats {
			s.end()
			return
		}
		s.repeats++
	}
	s.closingSent = false
	s.sendClosing()
	s.repeat.Reset(closeEvery)
}

// close is the user's word that it has all, or wants no more.
func (s *Session) close(*node.Request) (chainpack.Value, error) {
	s.End()
	return chainpack.Null(), nil
}

// Stop ends the session and hangs up, and tells the user why, once.
func (s *Session) Stop(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse(cause)
	s.closeWith(rpc.KeyError, rpc.AsError(cause).Value())
	if s.closing != nil && !s.closingSent {
		_ = s.opts.Send(s.closing)
	}
	s.end()
}

// End ends the session and hangs up; nothing is told to the user. A call of
// attach that waits is answered by an error.
func (s *Session) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

func (s *Session) end() {
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
