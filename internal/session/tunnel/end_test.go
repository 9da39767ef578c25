package tunnel

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestEndOfAChannelCounts(t *testing.T) {
	for _, tt := range []struct {
		name  string
		total int64
		lost  bool
	}{{"right", 5, false}, {"too few came", 6, true}, {"too many came", 4, true}, {"negative", -5, true}} {
		t.Run(tt.name, func(t *testing.T) {
			bubbled(t, client(true), func(t *testing.T, r *raw) {
				var out bytes.Buffer
				done := make(chan error, 1)
				go func() { done <- r.WriteTo(Stdout, &out) }()
				r.data(Stdout, []byte("hello"))
				r.send(`<8:7>i{2:[3,{"eof":[1,%d]}]}`, tt.total)
				if err := <-done; err != nil {
					t.Error(err)
				}
				if out.String() != "hello" || r.Received(Stdout) != 5 {
					t.Errorf("got %q", out.String())
				}
				if tt.lost {
					if c := r.Closing(); c.Err == nil || !strings.Contains(c.Err.Error(), "lost on the way") {
						t.Errorf("%+v", c)
					}
					return
				}
				r.data(Stdout, []byte("after the end"))
				r.data(Stderr, []byte("another channel"))
				synctest.Wait()
				if out.String() != "hello" || r.Received(Stderr) != 15 {
					t.Error("the end was not the end, or that of more than its channel")
				}
			})
		})
	}
}

// A decoded value takes many times the memory of its bytes.
func TestMessagesOfVeryManyValuesAreNotRead(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		r.send(`<8:7>i{2:[3,{"eof":[1,5],"more":[%s]}]}`, strings.Repeat("1,", 2*maxItems))
		synctest.Wait()
		r.send(`<8:7,15:<1:3>i{1:5}>i{2:null}`)
		if c := r.Closing(); c.Err != nil {
			t.Errorf("%+v", c)
		}
	})
}

func TestSendEOFTellsTheTotal(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		go func() {
			_ = r.ReadFrom(Stdin, strings.NewReader("abc"))
			_ = r.SendEOF(Stdin)
			_ = r.Resize(Size{80, 24})
			_ = r.Signal("INT")
		}()
		r.expect(`<1:1,8:7>i{2:[0,"abc"]}`)
		r.expect(`<1:1,8:7>i{2:[3,{"eof":[0,3]}]}`)
		r.expect(`<1:1,8:7>i{2:[3,{"resize":[80,24]}]}`)
		r.expect(`<1:1,8:7>i{2:[3,{"signal":"INT"}]}`)
		if n := r.Sent(Stdin); n != 3 {
			t.Errorf("%d sent", n)
		}
	})
}

func TestHelperHearsResizesAndSignals(t *testing.T) {
	var heard []string
	o := helper(true)
	o.Resize = func(s Size) { heard = append(heard, fmt.Sprint(s.Cols, "x", s.Rows)) }
	o.Signal = func(name string) { heard = append(heard, name) }
	bubbled(t, o, func(t *testing.T, r *raw) {
		r.send(`<8:7>i{2:[3,{"resize":[80,24],"signal":"TERM"}]}`)
		r.send(`<8:7>i{2:[3,{"resize":[81u,25u]}]}`)
		synctest.Wait()
		if got := strings.Join(heard, " "); got != "80x24 TERM 81x25" {
			t.Errorf("heard %s", got)
		}
	})
}

func TestShortWayKeepsTheOrder(t *testing.T) {
	var out bytes.Buffer
	room := 0
	o := helper(true)
	o.Direct = func(_ int, b []byte) int {
		n := min(room, len(b))
		room -= n
		out.Write(b[:n])
		return n
	}
	bubbled(t, o, func(t *testing.T, r *raw) {
		g := newGate()
		go func() {
			_ = r.WriteTo(Stdin, writerFunc(func(b []byte) (int, error) { <-g.open; return out.Write(b) }))
		}()
		room = 4
		r.data(Stdin, []byte("ab"))   // all at once
		r.data(Stdin, []byte("cdef")) // half of it, the rest waits
		synctest.Wait()
		if got := out.String(); got != "abcd" {
			t.Errorf("written at once: %q", got)
		}
		room = 100
		r.data(Stdin, []byte("gh")) // must not pass by what waits
		synctest.Wait()
		if got := out.String(); got != "abcd" {
			t.Errorf("passed by: %q", got)
		}
		g.open <- struct{}{}
		g.open <- struct{}{}
		synctest.Wait()
		r.data(Stdin, []byte("ij"))
		synctest.Wait()
		if got := out.String(); got != "abcdefghij" || r.Received(Stdin) != 10 {
			t.Errorf("got %q, %d received", got, r.Received(Stdin))
		}
		// An ack comes for what goes the short way too.
		room = 10 * window
		for range 4 {
			r.data(Stdin, make([]byte, window/4))
			select {
			case g.open <- struct{}{}:
			default:
			}
		}
		if _, ok := r.read(patience); !ok {
			t.Fatal("no ack")
		}
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestPeerThatIsSilentForLongIsDead(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		begun := time.Now()
		for i := 1; i < pingCount; i++ {
			r.expect(`<1:1,8:7>i{2:[3,{"ping":%d}]}`, 15*i)
			if at := time.Since(begun); at != time.Duration(i)*pingEvery {
				t.Errorf("ping %d after %v", i, at)
			}
		}
		if c := r.Closing(); c.Err == nil || !strings.Contains(c.Err.Error(), "no sign of life") {
			t.Errorf("%+v", c)
		}
		if took := time.Since(begun); took != pingCount*pingEvery {
			t.Errorf("after %v", took)
		}
	})
}

func TestPongsKeepAQuietPeerAlive(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		for range 100 {
			r.expect(`<1:1,8:7>i{2:[3,{"ping":15}]}`)
			r.send(`<8:7>i{2:[3,{"pong":1}]}`)
		}
	})
}

// A single byte must not cost a frame or a chunk.
func TestSingleBytesCostLittleMemory(t *testing.T) {
	o := client(true)
	o.Window = CommandWindow
	bubbled(t, o, func(t *testing.T, r *raw) {
		before := heap()
		one := []byte{'x'}
		const n = 200_000
		for range n {
			r.data(Stdout, one)
		}
		synctest.Wait()
		if grown := heap() - before; grown > 4*n {
			t.Errorf("%d bytes cost %d", n, grown)
		}
		var out counter
		go func() { _ = r.WriteTo(Stdout, &out) }()
		synctest.Wait()
		if out != n {
			t.Errorf("%d bytes came", out)
		}
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // pools keep what they have for one more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
