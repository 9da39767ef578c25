package link_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/wire/link"
)

// duplex is one end of a connection whose directions end separately, as with TCP.
type duplex struct {
	net.Conn
	in  *io.PipeReader
	out *io.PipeWriter
}

func duplexPair() (a, b *duplex) {
	fromB, toA := io.Pipe()
	fromA, toB := io.Pipe()
	return &duplex{in: fromB, out: toB}, &duplex{in: fromA, out: toA}
}

func (d *duplex) Read(b []byte) (int, error)  { return d.in.Read(b) }
func (d *duplex) Write(b []byte) (int, error) { return d.out.Write(b) }
func (d *duplex) CloseWrite() error           { return d.out.Close() }

func (d *duplex) Close() error {
	_ = d.in.Close()
	return d.out.Close()
}

// A close while the peer still sends could lose our last frames, such as an exit status.
func TestFinishDeliversEverythingToAPeerThatKeepsSending(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ours, peer := duplexPair()
		l := link.New(ours, link.Options{})
		ended := start(t, l, handler{})

		stop := make(chan struct{})
		sending := make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					sending <- peer.CloseWrite()
					return
				default:
				}
				if _, err := peer.Write(onWire(message(1, 10))); err != nil {
					sending <- err
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()

		const count = 500
		for id := range int64(count) {
			if err := send(l, message(id+1, 20)); err != nil {
				t.Fatal(err)
			}
		}
		finished := make(chan struct{})
		go func() { l.Finish(t.Context(), link.Done); close(finished) }()

		all, err := io.ReadAll(peer)
		if got := ids(t, all); err != nil || !ascending(got, count) {
			t.Errorf("%d of %d frames, %v", len(got), count, err)
		}
		time.Sleep(time.Second)
		select {
		case <-finished:
			t.Error("it did not wait for the peer's end")
		default:
		}
		close(stop)
		if err := <-sending; err != nil {
			t.Errorf("the peer could not send: %v", err)
		}
		<-finished
		<-ended
	})
}

func TestFinishOfAnEndedLinkReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, peer, ended := pipe(t, link.Options{}, handler{})
		fill(t, l, 100_000)
		_ = peer.Close()
		<-ended
		l.Finish(t.Context(), link.Done)
		if cause := l.Cause(); cause == link.Done || cause == link.Open {
			t.Errorf("cause %v", cause)
		}
		synctest.Wait()
	})
}

// A helper once acknowledged data while it finished. That write failed, because the direction was
// closed; so the link ended at once, and the exit status before it never arrived.
func TestFinishTakesNoMoreFrames(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ours, peer := duplexPair()
		l := link.New(ours, link.Options{})
		ended := start(t, l, handler{})
		if err := send(l, message(1, 20)); err != nil {
			t.Fatal(err)
		}
		finished := make(chan struct{})
		go func() { l.Finish(t.Context(), link.Done); close(finished) }()
		synctest.Wait() // nobody has read the frame yet
		if err := send(l, message(2, 20)); err != link.ErrClosed {
			t.Errorf("Send: %v", err)
		}
		if err := sendNow(l, message(3, 20)); err != link.ErrClosed {
			t.Errorf("SendNow: %v", err)
		}
		all, err := io.ReadAll(peer)
		if got := ids(t, all); err != nil || !ascending(got, 1) {
			t.Errorf("frames %v, %v", got, err)
		}
		if err := sendNow(l, message(4, 20)); err != link.ErrClosed {
			t.Errorf("SendNow behind the end: %v", err)
		}
		_ = peer.CloseWrite()
		<-finished
		if cause := <-ended; cause != link.Done { // the peer's close only answered ours
			t.Errorf("cause %v", cause)
		}
	})
}
