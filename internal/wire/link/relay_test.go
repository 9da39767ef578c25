package link_test

import (
	"io"
	"net"
	"testing"
	"time"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// tcpPair is a connection over loopback. Relay itself writes to sockets only.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if a, err = net.Dial("tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(deadline))
	}
	return a, b
}

// relay makes a link that passes on what it reads to another link. It returns the far ends of both
// and the two links.
func relay(t *testing.T, o link.Options) (source, target net.Conn, from, to *link.Link) {
	out, target := tcpPair(t)
	_ = out.(*net.TCPConn).SetWriteBuffer(16 << 10) // soon full, so that a write is cut short
	_ = target.(*net.TCPConn).SetReadBuffer(64 << 10)
	to = link.New(out, o)
	start(t, to, handler{})
	in, source := tcpPair(t)
	from = link.New(in, link.Options{})
	pass := forward(func(f *link.Frame) error { return to.Relay(f, nil, from) })
	start(t, from, handler{message: func(m *rpc.Message, f *link.Frame) {
		if m.ID() == 13 {
			panic("unlucky")
		}
		pass(m, f)
	}})
	return source, target, from, to
}

// At first the target reads nothing, so that writes are cut short within a frame.
func TestRelayedFramesKeepTheirOrderWhenWritesAreCutShort(t *testing.T) {
	for name, sizes := range map[string][]int{
		"small":    {1, 100, 4000, 2222, 3},
		"all":      {1, 100, 9 << 10, 4000, 70 << 10},
		"one size": {5 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			source, target, _, _ := relay(t, link.Options{QueueBytes: 64 << 20})
			const first = 14
			var stream []byte
			var count int
			for ; len(stream) < 2<<20; count++ {
				stream = append(stream, onWire(message(int64(count+first), sizes[count%37%len(sizes)]))...)
			}
			if _, err := source.Write(stream); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(stream))
			if n, err := io.ReadFull(target, got); err != nil {
				t.Fatalf("%v after %d of %d bytes", err, n, len(stream))
			}
			for i, id := range ids(t, got) {
				if id != int64(i+first) {
					t.Fatalf("message %d of %d has id %d", i, count, id)
				}
			}
		})
	}
}

// What was read before the end of a link must reach its target, and the target must go on: its
// queue must not stay taken by a link that has ended.
func TestRelayedFramesSurviveTheEndOfTheirLink(t *testing.T) {
	for name, last := range map[string][]byte{
		"bad frame":          {0},
		"panic":              onWire(message(13, 1)),
		"end of the stream":  nil,
		"frame that is huge": {0xf4, 1, 1, 1, 1, 1, 1, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			source, target, from, to := relay(t, link.Options{})
			if _, err := source.Write(append(onWire(message(1, 10)), last...)); err != nil {
				t.Fatal(err)
			}
			if last == nil {
				_ = source.Close()
			}
			if got := readIDs(t, target, 1); got[0] != 1 {
				t.Errorf("got %v", got)
			}
			<-from.Done()
			if err := send(to, message(2, 10)); err != nil {
				t.Fatal(err)
			}
			if got := readIDs(t, target, 1); got[0] != 2 {
				t.Errorf("got %v", got)
			}
		})
	}
}
