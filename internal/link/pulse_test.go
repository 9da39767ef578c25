package link_test

import (
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"shvtools/internal/link"
)

// A peer behind a slow line takes data that the system has had for long: that is
// something that moves, though the link has written nothing.
func TestPulseSeesWhatTheSystemStillBrings(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
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
			gauge := new(link.Gauge)
			l := link.New(near, link.Options{QueueBytes: 64 << 20, Gauge: gauge})
			ended := make(chan struct{})
			go func() { defer close(ended); l.Run(handler{}) }()
			f := link.NewMessage(message(1, 32<<20))
			defer f.Release()
			if err := l.Send(f); err != nil {
				t.Fatal(err)
			}
			still := settled(t, l)
			if still.Queued == 0 || still.Unacked == 0 || gauge.Bytes() != int64(still.Queued) {
				t.Fatalf("%+v, gauge %d", still, gauge.Bytes())
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
			if n := gauge.Bytes(); n != 0 {
				t.Errorf("the gauge still counts %d bytes", n)
			}
		})
	}
}

// settled waits until nothing moves.
func settled(t *testing.T, l *link.Link) link.Pulse {
	t.Helper()
	last, began := l.Pulse(), time.Now()
	for same := 0; same < 20; same++ {
		time.Sleep(5 * time.Millisecond)
		if p := l.Pulse(); p != last {
			last, same = p, 0
		}
		if time.Since(began) > deadline {
			t.Fatal("it never settles")
		}
	}
	return last
}
