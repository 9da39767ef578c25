package link_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/wirecaptures"
	"shvtools/internal/wire/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// deadline limits each wait outside of a synctest bubble.
const deadline = 20 * time.Second

// message returns a response with an id and a body of some size.
func message(id int64, size int) []byte {
	return rpc.AppendResult(nil, rpc.Address{ID: id}, chainpack.String(string(bytes.Repeat([]byte{byte(id)}, size))))
}

// onWire puts length and protocol byte before a message.
func onWire(message []byte) []byte {
	b := chainpack.AppendUIntData(nil, uint64(len(message)+1))
	return append(append(b, 1), message...)
}

// ids returns the request ids in a stream of frames, and fails if a frame is incomplete.
func ids(t testing.TB, stream []byte) (ids []int64) {
	t.Helper()
	frames, err := wirecaptures.Frames(stream)
	if err != nil {
		t.Error(err)
	}
	for _, f := range frames {
		var m rpc.Message
		if err := m.Parse(f[1:]); err != nil {
			t.Error(err)
		}
		ids = append(ids, m.ID())
	}
	return ids
}

// handler makes a Handler of functions.
type handler struct {
	message func(*rpc.Message, *link.Frame)
	reset   func()
}

func (h handler) Message(m *rpc.Message, f *link.Frame) {
	if h.message != nil {
		h.message(m, f)
	}
}

func (h handler) Reset() {
	if h.reset != nil {
		h.reset()
	}
}

// forward removes one caller id of a frame, as a broker does, and passes it to send.
func forward(send func(*link.Frame) error) func(*rpc.Message, *link.Frame) {
	var head []byte
	return func(m *rpc.Message, f *link.Frame) {
		m.PopCaller()
		head = m.AppendMeta(head[:0])
		f.ReplaceHead(head, len(m.Body()))
		_ = send(f)
	}
}

// script is a connection that provides the given reads, one by one, and then its end. It drops what
// is written.
type script struct {
	net.Conn
	reads [][]byte
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.reads) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.reads[0])
	if s.reads[0] = s.reads[0][n:]; len(s.reads[0]) == 0 {
		s.reads = s.reads[1:]
	}
	return n, nil
}

func (s *script) Write(b []byte) (int, error) { return len(b), nil }
func (s *script) Close() error                { return nil }

// outcome is what a link made of a stream.
type outcome struct {
	messages []string // as bytes
	resets   int
	cause    link.Cause
	err      error
}

func (o outcome) String() string {
	return fmt.Sprintf("%d messages, %d resets, %v", len(o.messages), o.resets, o.err)
}

// read makes a link read until it ends.
func read(o link.Options, reads ...[]byte) outcome { return readOf(&script{reads: reads}, o) }

// readOf is read for a connection.
func readOf(conn net.Conn, o link.Options) (got outcome) {
	l := link.New(conn, o)
	got.cause = l.Run(handler{
		message: func(_ *rpc.Message, f *link.Frame) { got.messages = append(got.messages, string(f.Message())) },
		reset:   func() { got.resets++ },
	})
	got.err = l.Err()
	return got
}

// start runs l until the test ends and returns the cause of its end.
func start(t testing.TB, l *link.Link, h link.Handler) <-chan link.Cause {
	ended := make(chan link.Cause, 1)
	var running sync.WaitGroup
	running.Go(func() { ended <- l.Run(h) })
	t.Cleanup(func() {
		l.Close(link.Done)
		running.Wait()
	})
	return ended
}

// pipe returns a running link and the other end of its connection.
func pipe(t testing.TB, o link.Options, h link.Handler) (l *link.Link, peer net.Conn, ended <-chan link.Cause) {
	ours, peer := net.Pipe()
	l = link.New(ours, o)
	ended = start(t, l, h)
	t.Cleanup(func() { _ = peer.Close() })
	return l, peer, ended
}

// send queues a message.
func send(l *link.Link, message []byte) error {
	f := link.NewMessage(message)
	defer f.Release()
	return l.Send(f, nil)
}

func sendNow(l *link.Link, message []byte) error {
	f := link.NewMessage(message)
	defer f.Release()
	return l.SendNow(f)
}

// fill queues messages until there is no queue space, and returns their number.
func fill(t testing.TB, l *link.Link, size int) (count int64) {
	t.Helper()
	for ; ; count++ {
		switch err := send(l, message(count+1, size)); err {
		case nil:
		case link.ErrQueueFull:
			return count
		default:
			t.Fatal(err)
		}
	}
}

// readIDs reads n frames from a connection and returns their ids.
func readIDs(t testing.TB, from io.Reader, n int) (got []int64) {
	t.Helper()
	var stream []byte
	buf := make([]byte, 64<<10)
	for {
		if frames, _ := wirecaptures.Frames(stream); len(frames) >= n {
			return ids(t, stream)
		}
		k, err := from.Read(buf)
		stream = append(stream, buf[:k]...)
		if err != nil {
			t.Fatalf("%v after %d bytes", err, len(stream))
		}
	}
}

// ascending reports whether got is 1, 2, 3 …
func ascending(got []int64, count int64) bool {
	for i, id := range got {
		if id != int64(i+1) {
			return false
		}
	}
	return int64(len(got)) == count
}
