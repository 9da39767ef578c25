package inband

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
)

// UserOptions are the options of a User.
type UserOptions struct {
	Client *client.Client
	Path   string // path of the session's node
	Ext    tunnel.Ext
	Batch  int // bytes of input in one call
	// Opened takes the helper's answer, Failed the error of attach. The read loop calls one of
	// them, once.
	Opened func(result chainpack.Value)
	Failed func(error)
	// Deliver takes what the device sends, as frames of a tunnel. The read loop calls it.
	Deliver func(*rpc.Message, *link.Frame)
}

// User is the user's end of a session and the carrier of its tunnel.End. All methods may be called
// concurrently, except that only the read loop calls Receive.
type User struct {
	opts UserOptions
	out  sender

	// Owned by the read loop.
	in      receiver
	closing *closing
	frame   rpc.Message // the message that is delivered

	mu        sync.Mutex
	attached  bool
	acks      int // unanswered calls that acknowledge
	ackDue    bool
	got       chainpack.Value // totals for the next of them
	alive     *time.Timer
	done      chan struct{}
	err       error         // set before done is closed
	isDone    bool          // done is closed
	closeSent bool          // close was called
	left      chan struct{} // closed when that was answered
}

// closing is a CloseTunnel that waits for the output before it.
type closing struct {
	message []byte
	sent    map[int64]int64
}

const (
	// maxAckCalls is how many unanswered acknowledgements there may be: one more than what keeps
	// the device sending while one is answered.
	maxAckCalls = 2
	// answerWait is how long to wait for the answer to a call.
	answerWait = 30 * time.Second
	// anyID is the request id of frames that do not leave the program.
	anyID = 1
)

var errGone = errors.New("the session on the device has ended")

// Attach begins a session on the offered node. The session ends with the Client's link.
func Attach(o UserOptions) *User {
	u := &User{opts: o, done: make(chan struct{}), left: make(chan struct{}), got: new(receiver).totals()}
	u.out.init(o.Batch, u.transmit)
	u.alive = time.AfterFunc(callEvery, u.keepAlive)
	u.attach()
	go func() {
		select {
		case <-o.Client.Done():
			u.end(o.Client.Err())
		case <-u.done:
		}
	}()
	return u
}

// attach calls attach until it is answered.
func (u *User) attach() {
	u.mu.Lock()
	stop := u.attached || u.isDone
	u.mu.Unlock()
	if stop {
		return
	}
	again := time.AfterFunc(resendAfter, u.attach)
	param := chainpack.Map(chainpack.F("ext", u.opts.Ext.Value()))
	u.call("attach", param, answerWait, func(content rpc.Content, err error) {
		again.Stop()
		u.mu.Lock()
		first := !u.attached && !u.isDone
		u.attached = true
		u.mu.Unlock()
		switch {
		case !first:
		case err != nil:
			u.opts.Failed(err)
		default:
			u.opts.Opened(content.Value)
		}
	})
}

// call calls a method of the session. The read loop calls answered, at most once, and not for an
// answer that comes after wait.
func (u *User) call(method string, param chainpack.Value, wait time.Duration, answered func(rpc.Content, error)) {
	c := u.opts.Client
	id := c.NewID()
	late := time.AfterFunc(wait, func() { c.Forget(id) })
	c.Expect(id, func(m *rpc.Message, _ *link.Frame) {
		content, err := m.Content()
		switch {
		case err == nil && content.Key == rpc.KeyDelay:
			return
		case err == nil && content.Error != nil:
			err = content.Error
		}
		late.Stop()
		c.Forget(id)
		// An echo follows right after an answer, and the Rust broker leaves Nagle's
		// algorithm on, so the echo would wait for the acknowledgement of the answer.
		c.Link().AckNow()
		if content.Error != nil && content.Error.Code == rpc.CodeTryAgainLater {
			return // a queue on the way is full, which counts as a loss
		}
		answered(content, err)
	})
	// A full queue counts as a loss; another goroutine sees the end of the link.
	_ = c.Request(id, u.opts.Path, method, param)
}

// Begin tells the device that the user is ready: the program may start. It does not wait.
func (u *User) Begin() { u.acknowledge() }

// transmit calls write for one piece of input.
func (u *User) transmit(p *piece) {
	channel, end := p.channel, p.end()
	u.write(p.channel, p.at, p.payload(), answerWait, func(total int64) {
		u.out.ack(channel, total)
		if total < end {
			u.out.gap(channel, total)
		}
	})
}

func (u *User) write(channel, at int64, payload chainpack.Value, wait time.Duration, answered func(total int64)) {
	param := chainpack.List(chainpack.Int(channel), chainpack.Int(at), payload)
	u.call("write", param, wait, func(content rpc.Content, err error) {
		total, ok := content.Value.AsInt()
		switch {
		case err != nil:
			// Brokers name the path in errors, but the name of the node is a secret.
			text := strings.ReplaceAll(err.Error(), u.opts.Path[strings.LastIndexByte(u.opts.Path, '/')+1:], "…")
			u.end(fmt.Errorf("%w: %s", errGone, text))
		case !ok:
			u.end(fmt.Errorf("%w: unreadable answer to write", errGone))
		default:
			answered(total)
		}
	})
}

// acknowledge tells the device which output has arrived. A call that is not answered in time does
// not delay the next one.
func (u *User) acknowledge() {
	u.mu.Lock()
	if u.isDone || u.acks >= maxAckCalls {
		u.ackDue = true
		u.mu.Unlock()
		return
	}
	u.acks++
	u.ackDue = false
	got := u.got
	u.alive.Reset(callEvery)
	u.mu.Unlock()
	var once sync.Once
	answered := func() {
		once.Do(func() {
			u.mu.Lock()
			u.acks--
			due := u.ackDue
			u.mu.Unlock()
			if due {
				u.acknowledge()
			}
		})
	}
	late := time.AfterFunc(resendAfter, answered)
	u.write(tunnel.Control, u.out.controls(), chainpack.Map(chainpack.F("got", got)), answerWait, func(int64) {
		late.Stop()
		answered()
	})
}

// keepAlive calls the device, which would hang up otherwise.
func (u *User) keepAlive() {
	u.mu.Lock()
	over := u.isDone
	if !over {
		u.alive.Reset(callEvery)
	}
	u.mu.Unlock()
	if !over {
		u.acknowledge()
	}
}

// Receive takes a response to the call that asked for the session.
func (u *User) Receive(m *rpc.Message, _ *link.Frame) {
	if u.ended() {
		return
	}
	content, err := m.Content()
	if err != nil {
		return
	}
	if m.Tunnel().State == rpc.CloseTunnel {
		u.takeClose(content)
		return
	}
	list := content.Value
	p, ok := pieceFrom(list.At(0), list.At(2), list.At(1))
	if !ok || p.channel == tunnel.Stdin {
		return // a repeated offer
	}
	if u.in.take(&p) == fits {
		f := p.frame(rpc.Address{ID: anyID})
		u.deliver(f)
		f.Release()
	}
	u.mu.Lock()
	u.got = u.in.totals()
	u.mu.Unlock()
	u.acknowledge()
	u.tryClose()
}

// takeClose takes a CloseTunnel. It takes effect when all output before it has arrived.
func (u *User) takeClose(content rpc.Content) {
	if content.Key == 0 {
		content.Key, content.Value = rpc.KeyResult, chainpack.Null()
	}
	u.closing = &closing{
		message: rpc.AppendTunnel(nil, rpc.Address{ID: anyID},
			rpc.Meta{Tunnel: &rpc.TunnelCtl{State: rpc.CloseTunnel}}, content.Key, content.Value),
		sent: make(map[int64]int64),
	}
	sent, _ := content.Value.Get("sent")
	for _, e := range sent.Entries() {
		total, ok := e.Value.AsInt()
		if ok && (e.Key == chainpack.IntKey(tunnel.Stdout) || e.Key == chainpack.IntKey(tunnel.Stderr)) {
			u.closing.sent[e.Key.Int()] = total
		}
	}
	u.tryClose()
}

func (u *User) tryClose() {
	if u.closing == nil {
		return
	}
	for channel, total := range u.closing.sent {
		if u.in.taken[channel] < total {
			return
		}
	}
	f := link.NewMessage(u.closing.message)
	defer f.Release()
	u.deliver(f)
	u.close()
}

// deliver passes a frame to the end of the tunnel.
func (u *User) deliver(f *link.Frame) {
	if u.frame.Parse(f.Message()) == nil {
		u.opts.Deliver(&u.frame, f)
	}
}

// close tells the device that the session is over. It does not wait.
func (u *User) close() {
	u.mu.Lock()
	told := u.closeSent
	u.closeSent = true
	u.mu.Unlock()
	u.end(link.ErrClosed)
	if !told {
		u.call("close", chainpack.Null(), answerWait, func(rpc.Content, error) { close(u.left) })
	}
}

// Leave ends the session and tells the device. It waits until the device has answered, the link has
// ended, or ctx ends.
func (u *User) Leave(ctx context.Context) {
	u.close()
	select {
	case <-u.left:
	case <-u.opts.Client.Done():
	case <-ctx.Done():
	}
}

func (u *User) end(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.isDone {
		return
	}
	u.isDone, u.err = true, err
	u.alive.Stop()
	u.out.close()
	close(u.done)
}

func (u *User) ended() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// Send queues a frame of the tunnel. It never waits. The flow is not used.
func (u *User) Send(f *link.Frame, _ *link.Flow) error { return u.send(f, false) }

// SendNow sends a frame of the tunnel. It waits while too much waits to be sent.
func (u *User) SendNow(f *link.Frame) error { return u.send(f, true) }

func (u *User) send(f *link.Frame, wait bool) error {
	var m rpc.Message
	if err := m.Parse(f.Message()); err != nil {
		return err
	}
	p, ok := fromFrame(&m)
	if !ok {
		return nil
	}
	return u.out.put(p, wait)
}

// Done returns a channel that is closed when the session or its link has ended.
func (u *User) Done() <-chan struct{} { return u.done }

// Err describes the end of the session, nil before that.
func (u *User) Err() error {
	if !u.ended() {
		return nil
	}
	return u.err
}

// PeerGone reports whether the broker has closed the connection, as link.PeerGone does.
func (u *User) PeerGone() bool { return u.opts.Client.Link().PeerGone() }
