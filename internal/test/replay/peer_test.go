package replay

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/wire/transport"
)

// deadline limits each wait for one of our programs, in real time.
const deadline = 20 * time.Second

// server plays the recorded broker to our programs.
type server struct {
	t        *testing.T
	listener *net.TCPListener
	url      transport.URL
	port     int64
}

func serve(t *testing.T) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	u := transport.ListenURL(l)
	port, err := strconv.ParseInt(u.Port, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return &server{t: t, listener: l.(*net.TCPListener), url: u, port: port}
}

// peer plays to one of our programs what a recorded connection received, and compares
// what the program sends with the recording.
type peer struct {
	t      *testing.T
	conn   net.Conn
	in     *bufio.Reader
	events []event // the rest of the recording, one message each

	// ours returns what our program sends instead of a recorded message; ok is false if
	// it sends nothing. Nil: it sends the same.
	ours func(v chainpack.Value) (chainpack.Value, bool)
	// theirs returns what is sent to our program instead of a recorded message.
	theirs func(v chainpack.Value) chainpack.Value
}

// accept waits for our program and plays a recorded connection to it.
func (s *server) accept(scenario, conn string) *peer {
	s.t.Helper()
	_ = s.listener.SetDeadline(time.Now().Add(deadline))
	c, err := s.listener.Accept()
	if err != nil {
		s.t.Fatalf("our program does not connect: %v", err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	p := &peer{t: s.t, conn: c, in: bufio.NewReader(c)}
	for _, e := range one(s.t, scenario, conn) {
		for i, frame := range e.frames {
			p.events = append(p.events, event{conn: conn, kind: e.kind, frames: [][]byte{frame}, number: e.number + i})
		}
	}
	return p
}

// play plays the next n recorded messages.
func (p *peer) play(n int) {
	p.t.Helper()
	for ; n > 0; n-- {
		e := p.due()
		recorded, ok := message(e.frames[0])
		if !ok {
			p.t.Fatalf("%s: recorded frame %d is no message", e.conn, e.number)
		}
		if e.kind == receives {
			p.tell(recorded)
			continue
		}
		want := recorded
		if p.ours != nil {
			if want, ok = p.ours(recorded); !ok {
				continue
			}
		}
		p.expect(want)
	}
}

// due removes and returns the next recorded message.
func (p *peer) due() event {
	p.t.Helper()
	if len(p.events) == 0 {
		p.t.Fatal("the recording is at its end")
	}
	e := p.events[0]
	p.events = p.events[1:]
	return e
}

// data removes the next recorded message and returns the tunnel bytes that it carries.
func (p *peer) data() string {
	p.t.Helper()
	e := p.due()
	v, _ := message(e.frames[0])
	result, _ := v.GetInt(2)
	text, ok := result.At(1).AsString()
	if !ok {
		p.t.Fatalf("recorded frame %d of %s carries no data: %s", e.number, e.conn, show(e.frames[0]))
	}
	return text
}

// tell sends a message to our program.
func (p *peer) tell(v chainpack.Value) {
	p.t.Helper()
	if p.theirs != nil {
		v = p.theirs(v)
	}
	if _, err := p.conn.Write(appendFrame(nil, payload(v))); err != nil {
		p.t.Fatalf("cannot send %s: %v", cpon.String(v), err)
	}
}

// say is tell for a message in CPON.
func (p *peer) say(text string) {
	p.t.Helper()
	p.tell(parse(p.t, text))
}

// next returns the next message of our program.
func (p *peer) next() chainpack.Value {
	p.t.Helper()
	v, open := p.nextOrEnd()
	if !open {
		p.t.Fatal("our program has closed the connection")
	}
	return v
}

// nextOrEnd is next, but also accepts the end of the connection.
func (p *peer) nextOrEnd() (v chainpack.Value, open bool) {
	p.t.Helper()
	_ = p.conn.SetReadDeadline(time.Now().Add(deadline))
	frame, err := readFrame(p.in)
	if err == io.EOF {
		return v, false
	}
	if err != nil {
		p.t.Fatalf("no message of our program: %v", err)
	}
	v, ok := message(frame)
	if !ok {
		p.t.Fatalf("our program sent what is no message: % x", frame)
	}
	if path, _ := tag(v, 9); path.Equal(chainpack.String(".broker/currentClient")) {
		// Our agent asks where it is mounted; the recorded agents did not.
		id, _ := tag(v, 8)
		p.say(`<1:1,8:` + cpon.String(id) + `>i{3:i{1:2,2:"not here"}}`)
		return p.nextOrEnd()
	}
	return unidentified(v), true
}

// unidentified drops the empty user id with which our shvrsh asks brokers to add its
// user.
func unidentified(v chainpack.Value) chainpack.Value {
	if id, ok := tag(v, 16); !ok || !id.Equal(chainpack.String("")) {
		return v
	}
	var meta []chainpack.Entry
	for _, e := range v.Meta() {
		if e.Key != chainpack.IntKey(16) {
			meta = append(meta, e)
		}
	}
	return v.WithMeta(meta...)
}

// expect compares the next message of our program; "*" stands for any String.
func (p *peer) expect(want chainpack.Value) {
	p.t.Helper()
	if got := p.next(); !matches(want, got) {
		p.t.Fatalf("\n got %s\nwant %s", cpon.String(got), cpon.String(want))
	}
}

// expectEnd checks that our program closes the connection without another message, and
// closes it too.
func (p *peer) expectEnd() {
	p.t.Helper()
	if v, open := p.nextOrEnd(); open {
		p.t.Fatalf("too much: %s", cpon.String(v))
	}
	_ = p.conn.Close()
}

// running is one of our programs.
type running[T any] struct {
	t      *testing.T
	result chan T
	cancel context.CancelFunc
}

// start runs f until the end of the test at the latest.
func start[T any](t *testing.T, f func(ctx context.Context) T) *running[T] {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running[T]{t: t, result: make(chan T, 1), cancel: cancel}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.result <- f(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(deadline):
			t.Error("our program does not end")
		}
	})
	return r
}

// wait returns the result of the program.
func (r *running[T]) wait() T {
	r.t.Helper()
	select {
	case result := <-r.result:
		return result
	case <-time.After(deadline):
		r.t.Fatal("our program does not return")
		panic("unreachable")
	}
}
