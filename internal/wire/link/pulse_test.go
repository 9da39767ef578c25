package link_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"shvtools/internal/test/certtest"
	"shvtools/internal/wire/link"
)

// A peer behind a slow line takes data that the system has held for long. That counts as movement,
// although the link has written nothing.
func TestPulseSeesWhatTheSystemStillBrings(t *testing.T) {
	for _, network := range []string{"tcp", "unix", "tls"} {
		t.Run(network, func(t *testing.T) {
			secure := network == "tls"
			address := "127.0.0.1:0"
			switch network {
			case "unix":
				address = filepath.Join(t.TempDir(), "s")
			case "tls":
				network = "tcp"
			}
			listener, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			far, err := net.Dial(network, listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			near, err := listener.Accept()
			if err != nil {
				t.Fatal(err)
			}
			if tcp, ok := near.(*net.TCPConn); ok {
				_ = tcp.SetWriteBuffer(256 << 10)
			}
			if secure {
				near, far = shakeHands(t, near, far)
			}
			account := new(account)
			l := link.New(near, link.Options{QueueBytes: 64 << 20})
			l.SetAccount(account)
			ended := make(chan struct{})
			go func() { defer close(ended); l.Run(handler{}) }()
			f := link.NewMessage(message(1, 32<<20))
			defer f.Release()
			if err := l.Send(f, nil); err != nil {
				t.Fatal(err)
			}
			still := settled(t, l)
			if n := account.queued.Load(); still.Queued == 0 || n != int64(f.Size()) { // until the whole frame is written
				t.Fatalf("%+v, charged %d", still, n)
			}
			if _, err := io.ReadFull(far, make([]byte, 16<<10)); err != nil {
				t.Fatal(err)
			}
			for began := time.Now(); l.Pulse() == still; {
				if time.Since(began) > deadline {
					t.Fatal("nothing shows")
				}
				_, _ = io.ReadFull(far, make([]byte, 16<<10))
			}
			l.Close(link.Done)
			<-ended
			if n := account.queued.Load(); n != 0 {
				t.Errorf("%d bytes are still charged", n)
			}
		})
	}
}

// shakeHands puts TLS on both ends of a connection.
func shakeHands(t *testing.T, server, client net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	c := certtest.Write(t, t.TempDir(), "c", "h")
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		t.Fatal(err)
	}
	near := tls.Server(server, &tls.Config{Certificates: []tls.Certificate{pair}})
	far := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	done := make(chan error, 1)
	go func() { done <- near.Handshake() }()
	if err := errors.Join(far.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// settled waits until something is written and nothing moves.
func settled(t *testing.T, l *link.Link) link.Pulse {
	t.Helper()
	last, began := l.Pulse(), time.Now()
	for same := 0; same < 20; same++ {
		time.Sleep(5 * time.Millisecond)
		if p := l.Pulse(); p != last || p.Unacked == 0 {
			last, same = p, 0
		}
		if time.Since(began) > deadline {
			t.Fatalf("it never settles: %+v", last)
		}
	}
	return last
}
