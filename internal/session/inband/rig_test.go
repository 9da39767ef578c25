package inband

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
)

const (
	mount = "test/agent/"
	id    = "secret"
	// user is the id of the caller at the broker: the Python broker counts from 0.
	user = 0
)

// passes reports whether the broker passes on message n of one direction, counted from 0.
type passes func(n int) bool

func all(int) bool { return true }

// everyNth drops every n-th message.
func everyNth(n int) passes { return func(i int) bool { return i%n != n-1 } }

// bursts drops count messages after each span of them, but for at most 10 s: a queue that
// overflowed has space again soon, even if little is sent.
func bursts(span, count int) passes {
	var began time.Time
	return func(i int) bool {
		at := i % (span + count)
		if at == span {
			began = time.Now()
		}
		return at < span || time.Since(began) > 10*time.Second
	}
}

// broker is a broker that knows no tunnels and loses messages, except the first few, which do not
// belong to this package.
type broker struct {
	t            *testing.T
	user, device *link.Link
	toDevice     passes
	toUser       passes
	busy         bool // every 4th call is answered by error 13

	mu     sync.Mutex
	calls  int
	answer int
	muted  bool // nothing passes any more, and nobody is told
}

func (b *broker) mute() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.muted = true
}

// counted counts a message and reports whether it passes.
func (b *broker) counted(n *int, pass passes) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n++
	return !b.muted && pass(*n-1)
}

type fromUser struct{ *broker }

func (b fromUser) Reset() {}
func (b fromUser) Message(m *rpc.Message, f *link.Frame) {
	if !b.counted(&b.calls, b.toDevice) || !b.clean(f) {
		return
	}
	b.mu.Lock()
	full := b.busy && b.calls%4 == 0
	b.mu.Unlock()
	if full {
		f := link.NewMessage(rpc.AppendError(nil, rpc.Address{ID: m.ID()}, rpc.Errorf(rpc.CodeTryAgainLater, "full")))
		defer f.Release()
		_ = b.user.Send(f, nil)
		return
	}
	m.PushCaller(user)
	m.SetAccess(rpc.AccessCommand)
	m.SetPath(m.Path()[len(mount):])
	b.pass(m, f, b.device)
}

type fromDevice struct{ *broker }

func (b fromDevice) Reset() {}
func (b fromDevice) Message(m *rpc.Message, f *link.Frame) {
	if !b.counted(&b.answer, b.toUser) || !b.clean(f) {
		return
	}
	if caller, ok := m.PopCaller(); !ok || caller != user {
		b.t.Errorf("a response to caller %d, %v", caller, ok)
		return
	}
	b.pass(m, f, b.user)
}

func (b *broker) pass(m *rpc.Message, f *link.Frame, to *link.Link) {
	f.ReplaceHead(m.AppendMeta(nil), len(m.Body()))
	_ = to.Send(f, nil)
}

// clean decodes the whole message like the Python broker, which drops messages with a String that
// is not UTF-8.
func (b *broker) clean(f *link.Frame) bool {
	v, _, err := chainpack.Decode(f.Message(), chainpack.Limits{})
	if err != nil || !isText(v) {
		b.t.Errorf("a message that the broker cannot read: %v", err)
		return false
	}
	return true
}

func isText(v chainpack.Value) bool {
	if s, ok := v.AsString(); ok {
		return utf8.ValidString(s)
	}
	for _, item := range v.Items() {
		if !isText(item) {
			return false
		}
	}
	for _, e := range v.Entries() {
		if !isText(e.Value) {
			return false
		}
	}
	return true
}

// world is a user and a device with a session between them.
type world struct {
	*broker
	session *Session
	call    rpc.Address
	userEnd *client.Client
	carrier *User
	end     *tunnel.End // of the user

	helper  *client.Client
	program *tunnel.End // of the helper
	created chan struct{}
	opened  chan struct{}
	failed  chan error
	ended   chan struct{} // the session is
}

const callID = 3

// begin opens a session through a broker. It must be called in a bubble.
func begin(t *testing.T, toDevice, toUser passes) *world {
	w := &world{
		broker: &broker{t: t, toDevice: toDevice, toUser: toUser},
		call:   rpc.Address{ID: callID, Callers: rpc.CallerIDs{user}},
		opened: make(chan struct{}), created: make(chan struct{}),
		failed: make(chan error, 1), ended: make(chan struct{}),
	}
	var running sync.WaitGroup
	userConn, brokerUser := net.Pipe()
	deviceConn, brokerDevice := net.Pipe()
	w.user, w.device = link.New(brokerUser, link.Options{}), link.New(brokerDevice, link.Options{})
	running.Go(func() { w.user.Run(fromUser{w.broker}) })
	running.Go(func() { w.device.Run(fromDevice{w.broker}) })

	var agent *client.Client
	tree := new(node.Tree)
	tree.AddDynamic(Node, func(rest string) ([]node.Method, []string, bool) {
		if rest != id {
			return nil, nil, false
		}
		return w.session.Methods(), nil, true
	})
	helperConn, agentConn := net.Pipe()
	w.session = NewSession(SessionOptions{
		Call:   w.call,
		Batch:  CommandBatch,
		Send:   func(b []byte) error { return agent.Send(b) },
		Attach: func() { running.Go(func() { w.session.Start(agentConn) }); w.help(helperConn) },
		Ended:  func() { close(w.ended) },
	})
	agent = client.Direct(deviceConn, client.Options{Serve: tree})
	w.userEnd = client.Direct(userConn, client.Options{})
	for w.userEnd.NewID() < callID {
	}
	attached := make(chan struct{})
	w.userEnd.Expect(callID, func(m *rpc.Message, f *link.Frame) { <-attached; w.carrier.Receive(m, f) })
	w.carrier = Attach(UserOptions{
		Client: w.userEnd,
		Path:   mount + Node + "/" + id,
		Ext:    tunnel.Ext{Version: 1},
		Batch:  CommandBatch,
		Opened: func(answer chainpack.Value) {
			<-attached
			ext, _ := tunnel.ExtOf(answer)
			w.end = tunnel.New(tunnel.Options{Link: w.carrier, ErrorEnds: true, Extended: true,
				Window: tunnel.CommandWindow, PeerWindow: ext.Window})
			close(w.opened)
		},
		Failed:  func(err error) { w.failed <- err },
		Deliver: func(m *rpc.Message, f *link.Frame) { w.end.Receive(m, f) },
	})
	close(attached)
	t.Cleanup(func() {
		w.carrier.end(nil)
		w.session.End()
		w.userEnd.Close()
		agent.Close()
		if w.helper != nil {
			w.helper.Close()
		}
		w.user.Close(link.Done)
		w.device.Close(link.Done)
		running.Wait()
	})
	return w
}

// help acts as the helper: it creates the tunnel, as package rexec does.
func (w *world) help(conn net.Conn) {
	w.helper = client.Direct(conn, client.Options{})
	readID := w.helper.NewID()
	w.helper.Expect(readID, func(m *rpc.Message, f *link.Frame) {
		if w.program != nil {
			w.program.Receive(m, f)
			return
		}
		if m.Tunnel().State != rpc.CreateTunnelResponse {
			w.t.Errorf("the helper got State %d first", m.Tunnel().State)
			return
		}
		w.program = tunnel.New(tunnel.Options{Link: w.helper.Link(), To: rpc.Address{ID: callID}, Extended: true,
			Window: tunnel.CommandWindow, PeerWindow: tunnel.CommandWindow})
		close(w.created)
	})
	answer := tunnel.Ext{Version: 1, Window: tunnel.CommandWindow, Session: "s1"}
	_ = w.helper.Send(rpc.AppendTunnel(nil, rpc.Address{ID: callID},
		rpc.Meta{WantRevCallers: true, Tunnel: &rpc.TunnelCtl{State: rpc.CreateTunnelRequest, RequestID: readID}},
		rpc.KeyResult, chainpack.Map(chainpack.F("ext", answer.Value()))))
}

// open waits until both ends are there.
func (w *world) open() {
	w.t.Helper()
	wait(w.t, "attach", w.opened)
	w.carrier.Begin()
	wait(w.t, "the helper's tunnel", w.created)
}

func wait(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Hour):
		t.Fatalf("waited for %s", what)
	}
}

// exits makes the helper report the end of its program.
func (w *world) exits(e tunnel.Exit) {
	e.Sent = map[int64]int64{tunnel.Stdout: w.program.Sent(tunnel.Stdout), tunnel.Stderr: w.program.Sent(tunnel.Stderr)}
	_ = w.helper.Send(tunnel.CloseWithExit(rpc.Address{ID: callID}, e))
}

// noise returns bytes that are not text and differ at each place.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func describe(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("byte %d is wrong (%d bytes, want %d)", i, len(got), len(want))
		}
	}
	return fmt.Sprintf("%d bytes, want %d", len(got), len(want))
}
