package tunnel

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// patience is the deadline of every wait, in the virtual time of a bubble.
const patience = time.Hour

// handler passes all messages of a link to an end.
type handler struct{ end *End }

func (h *handler) Message(m *rpc.Message, f *link.Frame) { h.end.Receive(m, f) }
func (h *handler) Reset()                                {}

// raw is the other end, driven by hand. Messages are written in CPON, and those of the end have the
// id 7.
type raw struct {
	*End
	t    *testing.T
	link *link.Link
	conn net.Conn
	in   *bufio.Reader
}

// start makes an end with a raw peer, in a bubble.
func start(t *testing.T, o Options) *raw {
	t.Helper()
	ours, theirs := net.Pipe()
	r := &raw{t: t, conn: ours, in: bufio.NewReader(ours)}
	r.End, r.link = attach(t, theirs, o)
	t.Cleanup(func() { _ = ours.Close() })
	return r
}

// attach makes an end on a connection.
func attach(t *testing.T, conn net.Conn, o Options) (*End, *link.Link) {
	l := link.New(conn, link.Options{})
	o.Link, o.To = l, rpc.Address{ID: 7}
	e := New(o)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Run(&handler{e})
	}()
	t.Cleanup(func() {
		e.Close(Closing{})
		l.Close(link.Done)
		<-done
	})
	return e, l
}

func (r *raw) send(format string, args ...any) {
	r.t.Helper()
	v, err := cpon.Parse(fmt.Appendf(nil, format, args...), chainpack.Limits{})
	if err != nil {
		r.t.Fatalf("test message %s: %v", fmt.Sprintf(format, args...), err)
	}
	r.sendMessage(chainpack.Append(nil, v))
}

func (r *raw) sendMessage(message []byte) {
	r.t.Helper()
	b := append(chainpack.AppendUIntData(nil, uint64(len(message)+1)), 1)
	_ = r.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := r.conn.Write(append(b, message...)); err != nil {
		r.t.Fatalf("send: %v", err)
	}
}

// data sends n bytes on a channel.
func (r *raw) data(channel int64, b []byte) {
	r.t.Helper()
	r.sendMessage(rpc.AppendResult(nil, rpc.Address{ID: 7},
		chainpack.List(chainpack.Int(channel), chainpack.String(string(b)))))
}

// read returns the content of the next message; ok is false if none arrives within the time.
func (r *raw) read(wait time.Duration) (chainpack.Value, bool) {
	r.t.Helper()
	_ = r.conn.SetReadDeadline(time.Now().Add(wait))
	head, err := r.in.Peek(1)
	for n := 2; err == nil; n++ {
		if length, used, bad := chainpack.UIntData(head); bad == nil {
			_, _ = r.in.Discard(used)
			b := make([]byte, length)
			if _, err := io.ReadFull(r.in, b); err != nil {
				r.t.Fatalf("half a frame: %v", err)
			}
			v, _, err := chainpack.Decode(b[1:], chainpack.Limits{})
			if err != nil {
				r.t.Fatalf("frame %x: %v", b, err)
			}
			return v, true
		}
		head, err = r.in.Peek(n)
	}
	if !os.IsTimeout(err) && err != io.EOF {
		r.t.Fatalf("read: %v", err)
	}
	return chainpack.Value{}, false
}

func (r *raw) expect(format string, args ...any) {
	r.t.Helper()
	v, ok := r.read(patience)
	if want := fmt.Sprintf(format, args...); !ok || cpon.String(v) != want {
		r.t.Fatalf("got  %s\nwant %s", cpon.String(v), want)
	}
}

// quiet checks that nothing arrives for some time.
func (r *raw) quiet(wait time.Duration) {
	r.t.Helper()
	if v, ok := r.read(wait); ok {
		r.t.Fatalf("unexpected: %s", cpon.String(v))
	}
}

// total reads data of a channel until nothing arrives for a second.
func (r *raw) total(channel int64) (n int) {
	r.t.Helper()
	for {
		v, ok := r.read(time.Second)
		if !ok {
			return n
		}
		result, _ := v.GetInt(rpc.KeyResult)
		c, _ := result.At(0).AsInt()
		text, isText := result.At(1).AsString()
		if c != channel || !isText || len(text) > MaxData {
			r.t.Fatalf("unexpected: %.200s", cpon.String(v))
		}
		n += len(text)
	}
}

// bubbled runs a test in virtual time with an end and its raw peer.
func bubbled(t *testing.T, o Options, f func(t *testing.T, r *raw)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, start(t, o)) })
}

// gate is a consumer that takes n writes for each permission.
type gate struct {
	open  chan struct{}
	bytes []byte
}

func newGate() *gate { return &gate{open: make(chan struct{}, 1000)} }

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.bytes = append(g.bytes, b...)
	return len(b), nil
}
