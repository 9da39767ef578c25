package inband

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
)

// wire is a sender whose pieces a test can look at.
type wire struct {
	sender
	sent []piece // guarded by mu
}

func newWire(batch int) *wire {
	w := new(wire)
	w.init(batch, func(p *piece) { w.sent = append(w.sent, *p) })
	return w
}

// took returns what was sent since the last call.
func (w *wire) took() []piece {
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := w.sent
	w.sent = nil
	return sent
}

func (w *wire) data(b []byte) { _ = w.put(piece{channel: tunnel.Stdin, data: b}, false) }

func TestNoMoreThanEightAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(10)
		defer w.close()
		w.data(make([]byte, 200))
		if n := len(w.took()); n != maxUnacked {
			t.Errorf("%d were sent", n)
		}
		w.ack(tunnel.Stdin, 30)
		if n := len(w.took()); n != 3 {
			t.Errorf("%d more were sent for 3 acknowledged", n)
		}
	})
}

func TestLostPieceIsSentAgainAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(10)
		defer w.close()
		w.data([]byte("x"))
		w.took()
		time.Sleep(resendAfter - time.Millisecond)
		if n := len(w.took()); n != 0 {
			t.Errorf("%d too soon", n)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if again := w.took(); len(again) != 1 || again[0].at != 0 || string(again[0].data) != "x" {
			t.Errorf("%+v", again)
		}
		w.ack(tunnel.Stdin, 1)
		time.Sleep(time.Hour)
		if n := len(w.took()); n != 0 {
			t.Errorf("%d after all was acknowledged", n)
		}
	})
}

// The answer to a piece after a lost one reveals the loss, so the resend does not wait for a
// second.
func TestGapIsFilledAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(10)
		defer w.close()
		w.data(make([]byte, 40))
		w.took()
		w.ack(tunnel.Stdin, 10)
		for range 3 { // the answers to all of them say the same
			w.gap(tunnel.Stdin, 10)
		}
		if again := w.took(); len(again) != 3 || again[0].at != 10 {
			t.Errorf("%+v", again)
		}
	})
}

// A path with more than a second of latency must not carry everything twice for ever.
func TestSlowPathIsLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const round = 3 * time.Second
		w := newWire(10)
		defer w.close()
		sent := 0
		for i := range 20 {
			w.data([]byte("0123456789"))
			time.Sleep(round)
			sent += len(w.took())
			w.ack(tunnel.Stdin, int64(10*(i+1)))
		}
		if sent > 20+10 {
			t.Errorf("20 pieces were sent %d times", sent)
		}
	})
}

func TestControlIsSentBeforeDataThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(10)
		defer w.close()
		w.data(make([]byte, 200))
		control := chainpack.Map(chainpack.F("signal", chainpack.String("INT")))
		eof := chainpack.Map(chainpack.F("eof", chainpack.List(chainpack.Int(0), chainpack.Int(200))))
		_ = w.put(piece{channel: tunnel.Control, control: eof}, false)
		_ = w.put(piece{channel: tunnel.Control, control: control}, false)
		w.took()
		var order []chainpack.Value
		for acked := int64(10); acked <= 200; acked += 10 {
			w.ack(tunnel.Stdin, acked)
			for _, p := range w.took() {
				if p.channel == tunnel.Control {
					order = append(order, p.control)
				} else if len(order) == 2 {
					t.Error("data behind its end")
				}
			}
		}
		if len(order) != 2 || !order[0].Equal(control) || !order[1].Equal(eof) {
			t.Errorf("%v", order)
		}
	})
}

// An eof that arrives before all of its channel counts as a gap.
func TestEndWaitsForItsChannel(t *testing.T) {
	var r receiver
	total := chainpack.List(chainpack.Int(0), chainpack.Int(3))
	eof := piece{channel: tunnel.Control, control: chainpack.Map(chainpack.F("eof", total))}
	for _, step := range []struct {
		p    piece
		want place
	}{
		{piece{channel: tunnel.Stdin, at: 1, data: []byte("bc")}, ahead},
		{eof, ahead},
		{piece{channel: tunnel.Stdin, at: 0, data: []byte("a")}, fits},
		{piece{channel: tunnel.Stdin, at: 0, data: []byte("a")}, again},
		{eof, ahead},
		{piece{channel: tunnel.Stdin, at: 0, data: []byte("abc")}, fits},
		{eof, fits},
		{eof, again},
	} {
		if got := r.take(&step.p); got != step.want {
			t.Errorf("%+v: %d, want %d", step.p, got, step.want)
		}
	}
	if r.taken[tunnel.Stdin] != 3 || r.taken[tunnel.Control] != 1 {
		t.Errorf("taken %v", r.taken)
	}
}

// FuzzPiecesArrive checks that everything arrives once and in order, whatever pieces and answers
// are lost.
func FuzzPiecesArrive(f *testing.F) {
	f.Add([]byte{}, uint8(5), uint16(100))
	f.Add([]byte{0xff, 0x0f, 0x55}, uint8(1), uint16(300))
	f.Add(bytes.Repeat([]byte{0xfe, 0xef}, 20), uint8(30), uint16(999))
	f.Fuzz(func(t *testing.T, losses []byte, batch uint8, size uint16) {
		lost := func(n int) bool { return n/8 < len(losses) && losses[n/8]&(1<<(n%8)) != 0 }
		w := newWire(int(batch) + 1)
		defer w.close()
		want := noise(int(size), batch)
		var r receiver
		var got []byte
		for n, left := 0, want; len(got) < len(want); {
			if len(left) > 0 {
				k := min(len(left), 1+n%37)
				w.data(left[:k])
				left = left[k:]
			}
			sent := w.took()
			if len(sent) == 0 && len(left) == 0 {
				w.late()
			}
			for _, p := range sent {
				end := p.end()
				if n += 2; lost(n) {
					continue
				}
				if r.take(&p) == fits {
					got = append(got, p.data...)
				}
				if lost(n + 1) {
					continue
				}
				w.ack(tunnel.Stdin, r.taken[tunnel.Stdin])
				if r.taken[tunnel.Stdin] < end {
					w.gap(tunnel.Stdin, r.taken[tunnel.Stdin])
				}
			}
		}
		if !bytes.Equal(got, want) {
			t.Error(describe(got, want))
		}
	})
}
