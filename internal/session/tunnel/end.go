package tunnel

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// The channels of a tunnel (spec.md 8.6, protocol.md 3).
const (
	Stdin   = 0
	Stdout  = 1
	Stderr  = 2
	Control = 3

	channels = 3 // that carry data
)

// MaxData is the limit for the data of one frame in bytes.
const MaxData = 32 << 10

// maxItems bounds the values of a message that is not data. Known messages have a few.
const maxItems = 1 << 10

// What is held for a slow consumer if the peer knows no window. When it is full, the connection is not
// read, which slows the peer down. A helper that does not read does not notice either that its user is
// gone, so its buffer is larger and its patience limited.
const (
	clientBuffer   = 256 << 10
	helperBuffer   = 4 << 20
	helperPatience = 30 * time.Second
)

// ErrClosed is returned by methods that send after the end of the tunnel.
var ErrClosed = errors.New("tunnel closed")

// Carrier carries the frames of a tunnel, in order and without loss: a link to a broker that knows
// tunnels, or an inband.User. Its methods are those of link.Link and keep its contracts.
type Carrier interface {
	Send(*link.Frame, *link.Flow) error // a tunnel passes no flow
	SendNow(*link.Frame) error
	Done() <-chan struct{}
	Err() error
	PeerGone() bool
}

// Options of an End.
type Options struct {
	Link Carrier
	To   rpc.Address // where messages to the other end go

	// ErrorEnds makes an error that comes instead of data end the tunnel. It marks a client, which
	// takes output only; a helper, which takes stdin only, ignores such errors (spec.md 8.4).
	ErrorEnds bool

	Extended   bool  // both ends agreed on the additions
	Window     int64 // bytes that this end promised to hold, per channel
	PeerWindow int64 // bytes that the other end promised to hold, per channel; 0: no limit

	// Direct, if set, takes as much of a channel's data as it can without waiting, and returns how
	// much.
	Direct func(channel int, data []byte) int
	// Resize and Signal, if set, take what the client asks for. The read loop calls them and
	// Direct, so they must not wait.
	Resize func(Size)
	Signal func(name string)

	Watch Watch
}

// End is one end of a tunnel. All methods may be called concurrently, except that only the read
// loop calls Receive, and that ReadFrom and WriteTo run at most once at a time for a channel.
type End struct {
	opts     Options
	head     []byte // the beginning of a data frame, up to the List
	in       [channels]inbox
	out      [channels]sendWindow
	received atomic.Uint64 // messages, which the watch compares

	closeOnce sync.Once
	closed    chan struct{}
	closing   Closing // set before closed is closed
}

// New makes an end and watches its peer from then on. It lives until it receives CloseTunnel, its
// link ends, or Close is called.
func New(o Options) *End {
	e := &End{opts: o, closed: make(chan struct{})}
	window, peer := o.Window, o.PeerWindow
	var patience time.Duration
	if !o.Extended {
		window, peer = clientBuffer, 0
		if !o.ErrorEnds {
			window, patience = helperBuffer, helperPatience
		}
	}
	for i := range channels {
		e.in[i].init(window, o.Extended, patience)
		e.out[i].init(peer)
	}
	e.head = rpc.AppendResponseHead(nil, o.To, rpc.Meta{})
	e.head = append(e.head, chainpack.ByteIMap)
	e.head = chainpack.AppendInt(e.head, rpc.KeyResult)
	e.head = append(e.head, chainpack.ByteList)
	go e.watch()
	return e
}

// Closed returns a channel that is closed when the tunnel has ended.
func (e *End) Closed() <-chan struct{} { return e.closed }

// Closing waits for the end of the tunnel and returns how it ended.
func (e *End) Closing() Closing {
	<-e.closed
	return e.closing
}

// Close ends the tunnel at this end and sends nothing.
func (e *End) Close(c Closing) {
	e.closeOnce.Do(func() {
		e.closing = c
		close(e.closed)
		for i := range channels {
			e.in[i].end()
			e.out[i].close()
		}
	})
}

// post queues a message without waiting. If the queue is full, the link ends for that elsewhere.
func (e *End) post(message []byte) {
	f := link.NewMessage(message)
	defer f.Release()
	_ = e.opts.Link.Send(f, nil)
}

// sendMessage sends a message. It may wait for the connection.
func (e *End) sendMessage(message []byte) error {
	f := link.NewMessage(message)
	defer f.Release()
	return e.opts.Link.SendNow(f)
}

// Receive takes a message of the tunnel: data, control or CloseTunnel. Only the read loop calls it.
// Without the additions, it waits while the consumer of the channel is behind.
func (e *End) Receive(m *rpc.Message, f *link.Frame) {
	e.received.Add(1)
	if m.Tunnel().State == rpc.CloseTunnel {
		e.Close(closingOf(m))
		return
	}
	channel, data, ok := ParseData(m.Body())
	if ok && channel >= 0 && channel < channels {
		if e.consumes(int(channel)) {
			e.data(int(channel), data, f)
		}
		return
	}
	content, err := m.ContentWithin(maxItems)
	if err != nil {
		return
	}
	if content.Error != nil && e.opts.ErrorEnds {
		e.Close(Closing{Err: content.Error})
	}
	if content.Key != rpc.KeyResult || content.Value.Len() < 2 {
		return
	}
	if channel, ok := content.Value.At(0).AsInt(); ok && channel == Control {
		e.control(content.Value.At(1))
	}
}

// consumes reports whether data on a channel is for this end. The rest is dropped, as helpers do
// (spec.md 8.6): nobody would ever take it, and the connection would not be read any more.
func (e *End) consumes(channel int) bool { return (channel != Stdin) == e.opts.ErrorEnds }

func (e *End) data(channel int, data []byte, f *link.Frame) {
	in := &e.in[channel]
	if e.opts.Direct != nil {
		data = data[in.direct(data, func(b []byte) int { return e.opts.Direct(channel, b) }):]
	}
	if len(data) > 0 && in.put(data, f) {
		e.Close(Closing{Err: in.overrunError(channel)})
	}
}

// ParseData reads the body of a data frame, `i{2:[channel,String]}`, without building values. A
// bare String counts as channel 0, as the C++ helper does it (spec.md 8.6). data aliases body.
func ParseData(body []byte) (channel int64, data []byte, ok bool) {
	s := chainpack.NewScanner(body, chainpack.Limits{})
	if s.Enter(chainpack.ByteIMap) != nil {
		return 0, nil, false
	}
	if key, err := s.Int(); err != nil || key != rpc.KeyResult {
		return 0, nil, false
	}
	schema, err := s.Peek()
	if err != nil {
		return 0, nil, false
	}
	if schema == chainpack.ByteList {
		if s.Enter(chainpack.ByteList) != nil {
			return 0, nil, false
		}
		if channel, err = s.Int(); err != nil {
			return 0, nil, false
		}
		if schema, err = s.Peek(); err != nil {
			return 0, nil, false
		}
	}
	if schema != chainpack.ByteString && schema != chainpack.ByteBlob {
		return 0, nil, false
	}
	data, err = s.Bytes()
	return channel, data, err == nil
}

// acked takes an ack of the peer.
func (e *End) acked(channel, total int64) {
	if channel >= 0 && channel < channels {
		e.out[channel].ack(total)
	}
}

// ended takes the peer's end of a channel.
func (e *End) ended(channel, total int64) {
	if channel < 0 || channel >= channels {
		return
	}
	in := &e.in[channel]
	if came := in.total(); came != total {
		e.Close(Closing{Err: fmt.Errorf("%d of %d bytes on channel %d were lost on the way", total-came, total, channel)})
		return
	}
	in.end()
}

// ReadFrom sends all of r on a channel. It returns nil when r ends, the error of r, or ErrClosed
// when the tunnel has ended.
func (e *End) ReadFrom(channel int, r io.Reader) error {
	out := &e.out[channel]
	size := MaxData
	if out.window > 0 {
		// Up to half a window may be consumed but not acknowledged. A frame larger than the
		// other half could wait for an ack that never becomes due.
		size = int(max(min(out.window/2, MaxData), 1))
	}
	var head []byte
	for {
		f := link.NewFrame(MaxData)
		n, err := r.Read(f.Room(size))
		if n > 0 {
			if !out.take(int64(n)) {
				f.Release()
				return ErrClosed
			}
			head = append(head[:0], e.head...)
			head = chainpack.AppendInt(head, int64(channel))
			head = chainpack.AppendStringHeader(head, n)
			f.Wrap(head, n, dataTail)
			if e.opts.Link.SendNow(f) != nil {
				f.Release()
				return ErrClosed
			}
		}
		f.Release()
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// Insert adds a text of this program to what a channel carries. It never waits, and returns false
// if the window has no space.
func (e *End) Insert(channel int, text string) bool {
	if !e.out[channel].tryTake(int64(len(text))) {
		return false
	}
	message := append([]byte(nil), e.head...)
	message = chainpack.AppendInt(message, int64(channel))
	message = append(chainpack.AppendString(message, text), dataTail...)
	e.post(message)
	return true
}

var dataTail = []byte{chainpack.ByteTerm, chainpack.ByteTerm}

// SendEOF tells the other end that a channel has ended. It may wait for the connection.
func (e *End) SendEOF(channel int) error {
	return e.send("eof", pairValue(int64(channel), e.out[channel].total()))
}

// WriteTo writes what arrives on a channel to w and acknowledges it when it is written. It returns
// nil when the channel or the tunnel has ended and everything is written. If w fails, WriteTo drops
// the rest of the channel and returns the error at its end.
func (e *End) WriteTo(channel int, w io.Writer) error {
	var failed error
	in := &e.in[channel]
	for {
		c, ok := in.next()
		if !ok {
			return failed
		}
		if failed == nil {
			if _, failed = w.Write(c.data); failed != nil {
				in.drop()
			}
		}
		if due := in.done(c); due > 0 {
			_ = e.send("ack", pairValue(int64(channel), due)) // the watch finds a lost link
		}
	}
}

// Sent returns how many bytes were sent on a channel.
func (e *End) Sent(channel int) int64 { return e.out[channel].total() }

// Received returns how many bytes arrived on a channel.
func (e *End) Received(channel int) int64 { return e.in[channel].total() }

// To returns where messages to the other end go.
func (e *End) To() rpc.Address { return e.opts.To }
