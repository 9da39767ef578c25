package tunnel

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/wire/link"
)

const window = 64 << 10

// client and helper return the options of the two ends.
func client(extended bool) Options {
	return Options{ErrorEnds: true, Extended: extended, Window: window}
}

func helper(extended bool) Options { return Options{Extended: extended, Window: window} }

// endless is a source without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func TestSenderStopsAtTheWindow(t *testing.T) {
	for _, tt := range []struct{ peer, step int64 }{
		{4096, 2048}, {5000, 2500}, {60000, 30000}, {PtyWindow, MaxData}, {CommandWindow, MaxData},
	} {
		t.Run(fmt.Sprint(tt.peer), func(t *testing.T) {
			o := helper(true)
			o.PeerWindow = tt.peer
			bubbled(t, o, func(t *testing.T, r *raw) {
				go func() { _ = r.ReadFrom(Stdout, endless{}) }()
				got := int64(r.total(Stdout))
				if got > tt.peer || got <= tt.peer-tt.step {
					t.Fatalf("%d bytes without an ack", got)
				}
				r.send(`<8:7>i{2:[3,{"ack":[1,%d]}]}`, got+1) // more than was sent: ignored
				r.send(`<8:7>i{2:[3,{"ack":[2,%d]}]}`, got)   // another channel
				r.send(`<8:7>i{2:[3,{"ack":[9,%d]}]}`, got)   // no channel
				r.quiet(time.Second)
				r.send(`<8:7>i{2:[3,{"ack":[1,%d]}]}`, got)
				if more := int64(r.total(Stdout)); more != got {
					t.Errorf("%d bytes after an ack of all", more)
				}
				r.send(`<8:7>i{2:[3,{"ack":[1,%d]}]}`, got) // an old one
				r.quiet(time.Second)
			})
		})
	}
}

func TestNoWindowIsNoLimit(t *testing.T) {
	bubbled(t, helper(true), func(t *testing.T, r *raw) {
		go func() { _ = r.ReadFrom(Stdout, io.LimitReader(endless{}, 8<<20)) }()
		if n := r.total(Stdout); n != 8<<20 {
			t.Errorf("%d bytes", n)
		}
	})
}

// A sender that had sent a little once waited for ever. Up to half a window may be consumed without
// an ack, so a read of a whole window never fits.
func TestSmallWindowNeverStalls(t *testing.T) {
	for _, peer := range []int64{4096, 4097, 6000, 40000, 65535} {
		t.Run(fmt.Sprint(peer), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, h := client(true), helper(true)
				c.Window, h.PeerWindow = peer, peer
				p := join(t, c, h)
				done := make(chan int64, 1)
				go func() {
					var n counter
					_ = p.client.WriteTo(Stdout, &n)
					done <- int64(n)
				}()
				const total = 1 << 20
				if err := p.helper.ReadFrom(Stdout, &ragged{left: total}); err != nil {
					t.Error(err)
				}
				_ = p.helper.SendEOF(Stdout)
				if n := <-done; n != total {
					t.Errorf("%d bytes", n)
				}
			})
		})
	}
}

func TestAckAfterHalfAWindow(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		g := newGate()
		go func() { _ = r.WriteTo(Stdout, g) }()
		r.data(Stdout, make([]byte, window/2-1))
		r.quiet(time.Second)
		g.open <- struct{}{}
		r.quiet(time.Second) // below half
		r.data(Stdout, make([]byte, 1))
		g.open <- struct{}{}
		r.expect(`<1:1,8:7>i{2:[3,{"ack":[1,%d]}]}`, window/2)
		r.data(Stdout, make([]byte, window))
		r.quiet(time.Second) // it was not written yet
		g.open <- struct{}{}
		r.expect(`<1:1,8:7>i{2:[3,{"ack":[1,%d]}]}`, window+window/2)
	})
}

func TestOverrunEndsTheTunnel(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		r.data(Stdout, make([]byte, window))
		r.data(Stderr, make([]byte, window)) // each channel has its own
		synctest.Wait()
		select {
		case <-r.Closed():
			t.Fatal("closed within the window")
		default:
		}
		r.data(Stdout, make([]byte, 1))
		if c := r.Closing(); c.Err == nil || !strings.Contains(c.Err.Error(), "more than its window") {
			t.Errorf("%+v", c)
		}
		r.quiet(time.Second)
	})
}

func TestConsumerThatFailsDropsAndStillAcks(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		broken := errors.New("broken pipe")
		done := make(chan error, 1)
		writes := 0
		go func() {
			done <- r.WriteTo(Stdout, writerFunc(func([]byte) (int, error) { writes++; return 0, broken }))
		}()
		for i := range 8 {
			r.data(Stdout, make([]byte, window/2))
			r.expect(`<1:1,8:7>i{2:[3,{"ack":[1,%d]}]}`, (i+1)*window/2)
		}
		r.send(`<8:7>i{2:[3,{"eof":[1,%d]}]}`, 4*window)
		if err := <-done; err != broken || writes != 1 {
			t.Errorf("%v after %d writes", err, writes)
		}
	})
}

// A window counts data only. The rest of a frame would be held beside it, up to 16 MiB for each 2
// KiB of the window.
func TestLittleDataHoldsNoLargeFrame(t *testing.T) {
	for _, tt := range []struct {
		data, more int
		held       bool
	}{{copyBelow, 0, false}, {copyBelow + 1, 100, true}, {copyBelow + 1, 2 * copyBelow, false},
		{MaxData, 1 << 20, false}, {MaxData, 100, true}} {
		f := link.NewMessage(make([]byte, tt.data+tt.more))
		data := f.Message()[:tt.data]
		data[0], data[tt.data-1] = 'a', 'z'
		var in inbox
		in.init(CommandWindow, true, 0)
		for range 2 {
			if in.put(data, f) {
				t.Fatal("too much")
			}
		}
		f.Release()
		for range in.chunks {
			c, _ := in.next()
			if (c.frame != nil) != tt.held {
				t.Errorf("%d bytes in a frame of %d: held %v", tt.data, f.Size(), !tt.held)
			}
			if c.data[0] != 'a' || c.data[len(c.data)-1] != 'z' {
				t.Errorf("%d bytes in a frame of %d: other bytes", tt.data, f.Size())
			}
			in.done(c)
		}
		if in.consumed != int64(2*tt.data) {
			t.Errorf("%d of %d bytes", in.consumed, 2*tt.data)
		}
	}
}
