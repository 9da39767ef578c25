package tunnel

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// A peer of the base protocol gets nothing that it does not know.
func TestBaseProtocolHasNoControlChannel(t *testing.T) {
	bubbled(t, client(false), func(t *testing.T, r *raw) {
		var out counter
		go func() { _ = r.WriteTo(Stdout, &out) }()
		for range 64 {
			r.data(Stdout, make([]byte, MaxData)) // acks would be due
		}
		_ = r.SendEOF(Stdin)
		_ = r.Resize(Size{80, 24})
		_ = r.Signal("INT")
		r.quiet(10 * time.Minute) // pings, too
		synctest.Wait()
		if out != 64*MaxData {
			t.Errorf("%d bytes", out)
		}
		select {
		case <-r.Closed():
			t.Error("a quiet peer was taken for dead")
		default:
		}
	})
}

func TestBaseProtocolHoldsASlowConsumersPeerBack(t *testing.T) {
	bubbled(t, client(false), func(t *testing.T, r *raw) {
		g := newGate()
		go func() { _ = r.WriteTo(Stdout, g) }()
		sent := make(chan int, 1000)
		go func() {
			for i := range 100 {
				r.data(Stdout, make([]byte, MaxData))
				sent <- i
			}
		}()
		synctest.Wait()
		if n := len(sent) * MaxData; n > clientBuffer+3*MaxData {
			t.Fatalf("%d bytes were taken from the connection", n)
		}
		for range 100 {
			g.open <- struct{}{}
		}
		synctest.Wait()
		if len(sent) != 100 || len(g.bytes) != 100*MaxData {
			t.Errorf("%d frames, %d bytes", len(sent), len(g.bytes))
		}
	})
}

// flood sends on a channel until that fails.
func flood(r *raw, channel int64) {
	frame := link.NewMessage(rpc.AppendResult(nil, rpc.Address{ID: 7},
		chainpack.List(chainpack.Int(channel), chainpack.String(strings.Repeat("x", MaxData)))))
	wire := append(chainpack.AppendUIntData(nil, uint64(len(frame.Payload()))), frame.Payload()...)
	for err := error(nil); err == nil; {
		_, err = r.conn.Write(wire)
	}
}

// The loss of the user is reported after the data. A helper that waited for its program for ever
// would never see it.
func TestHelperGivesUpAProgramThatDoesNotRead(t *testing.T) {
	bubbled(t, helper(false), func(t *testing.T, r *raw) {
		begun := time.Now()
		go flood(r, Stdin)
		if c := r.Closing(); c.Err == nil || !strings.Contains(c.Err.Error(), "has not read its input") {
			t.Errorf("%+v", c)
		}
		if took := time.Since(begun); took != helperPatience {
			t.Errorf("after %v", took)
		}
	})
}

// A read loop that waits for a consumer returns when the tunnel ends.
func TestBaseProtocolWaitEndsWithTheTunnel(t *testing.T) {
	bubbled(t, client(false), func(t *testing.T, r *raw) {
		go flood(r, Stdout)
		synctest.Wait()
		r.link.Close(link.Done)
		if c := r.Closing(); c.Err == nil {
			t.Errorf("%+v", c)
		}
		for range 3 { // what came is still there, and then the end
			var out counter
			if err := r.WriteTo(Stdout, &out); err != nil {
				t.Error(err)
			}
		}
	})
}

// Data that is not for this end once filled its inbox, and then the connection was not read any
// more.
func TestChannelsOfTheOtherDirectionAreIgnored(t *testing.T) {
	for _, extended := range []bool{false, true} {
		for name, tt := range map[string]struct {
			o        Options
			channels []int64
		}{
			"client": {client(extended), []int64{Stdin, 4, 99, -1}},
			"helper": {helper(extended), []int64{Stdout, Stderr, 4, 99, -1}},
		} {
			t.Run(fmt.Sprintf("%s/extended %v", name, extended), func(t *testing.T) {
				bubbled(t, tt.o, func(t *testing.T, r *raw) {
					for _, channel := range tt.channels {
						for range 2 * helperBuffer / MaxData {
							r.data(channel, make([]byte, MaxData))
						}
					}
					r.send(`<8:7,15:<1:3>i{1:5}>i{2:null}`)
					if c := r.Closing(); c.Err != nil || c.Exit != nil {
						t.Errorf("%+v", c)
					}
				})
			})
		}
	}
}

func TestFormsOfData(t *testing.T) {
	for _, tt := range []struct{ name, body, want string }{
		{"String", `2:[0,"x"]`, "x"},
		{"bare String", `2:"x"`, "x"},
		{"Blob", `2:[0,b"x"]`, "x"},
		{"bare Blob", `2:b"x"`, "x"},
		{"UInt channel", `2:[0u,"x"]`, "x"},
		{"reserved third item", `2:[0,"x",77]`, "x"},
		{"empty", `2:[0,""]`, ""},
		{"no data", `2:[0]`, ""},
		{"nothing", ``, ""},
		{"Null", `2:null`, ""},
		{"channel alone", `2:0`, ""},
		{"empty List", `2:[]`, ""},
		{"String channel", `2:["x","y"]`, ""},
		{"error at a helper", `3:i{1:8}`, ""},
		{"Map", `2:{"x":1}`, ""},
		{"control that is none", `2:[3,"x"]`, ""},
		{"control with nonsense", `2:[3,{"ack":1,"eof":[0],"resize":["x","y"],"signal":5,"ping":null,"new":{}}]`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbled(t, helper(true), func(t *testing.T, r *raw) {
				var out bytes.Buffer
				go func() { _ = r.WriteTo(Stdin, &out) }()
				r.send(`<8:7>i{%s}`, tt.body)
				r.send(`<8:7>i{2:[0,"."]}`)
				synctest.Wait()
				if out.String() != tt.want+"." {
					t.Errorf("got %q", out.String())
				}
			})
		})
	}
}

func TestUnreadableBodiesAreIgnored(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		for _, body := range [][]byte{{0x8a}, {0xfc},
			{0x8a, 0x42, 0x88, 0x41, 0x86, 0x7f, 'x'}, {0x8a, 0x42, 0x88, 0x41, 0x86}} {
			r.sendMessage(append([]byte{0x8b, 0x48, 0x47, 0xff}, body...))
		}
		r.send(`<8:7>i{2:[3,{"ping":5}]}`)
		r.expect(`<1:1,8:7>i{2:[3,{"pong":5}]}`)
	})
}
