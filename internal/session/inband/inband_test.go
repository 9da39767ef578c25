package inband

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// losses are the patterns by which a broker drops messages, for calls and for responses.
var losses = []struct {
	name             string
	toDevice, toUser passes
}{
	{"none", all, all},
	{"every 3rd call", everyNth(3), all},
	{"every 3rd response", all, everyNth(3)},
	{"every 5th and 7th", everyNth(5), everyNth(7)},
	{"bursts", bursts(40, 16), bursts(50, 20)},
}

func TestTenMegabytesEachWayArriveWhole(t *testing.T) {
	const size = 10 << 20
	for _, tt := range losses {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := begin(t, tt.toDevice, tt.toUser)
				w.open()
				in, out := noise(size, 1), noise(size, 2)
				var gotIn, gotOut bytes.Buffer
				var program, user sync.WaitGroup
				program.Go(func() { _ = w.program.ReadFrom(tunnel.Stdout, bytes.NewReader(out)) })
				program.Go(func() { _ = w.program.WriteTo(tunnel.Stdin, &gotIn) }) // until its eof
				user.Go(func() {
					_ = w.end.ReadFrom(tunnel.Stdin, bytes.NewReader(in))
					_ = w.end.SendEOF(tunnel.Stdin)
				})
				user.Go(func() { _ = w.end.WriteTo(tunnel.Stdout, &gotOut) })
				program.Wait()
				w.exits(tunnel.Exit{Code: 7})
				user.Wait()
				if end := w.end.Closing(); end.Exit == nil || end.Exit.Code != 7 {
					t.Errorf("ended with %+v", end)
				}
				if !bytes.Equal(gotIn.Bytes(), in) {
					t.Error("input: " + describe(gotIn.Bytes(), in))
				}
				if !bytes.Equal(gotOut.Bytes(), out) {
					t.Error("output: " + describe(gotOut.Bytes(), out))
				}
				wait(t, "the end of the session", w.ended)
			})
		})
	}
}

// A shell: each line is echoed before the next is typed. A signal and a size reach the helper once.
func TestShellThroughLosses(t *testing.T) {
	for _, tt := range losses {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := begin(t, tt.toDevice, tt.toUser)
				w.open()
				echoes := make(chan string, 1000)
				go func() { _ = w.program.WriteTo(tunnel.Stdin, echo{w.program}) }()
				go func() { _ = w.end.WriteTo(tunnel.Stdout, sink(echoes)) }()
				for i := range 50 {
					line := strings.Repeat("x", i+1) + "\xff\r"
					if err := w.end.ReadFrom(tunnel.Stdin, strings.NewReader(line)); err != nil {
						t.Fatal(err)
					}
					for got := ""; got != line; {
						select {
						case text := <-echoes:
							got += text
						case <-time.After(time.Minute):
							t.Fatalf("typed %q, got %q", line, got)
						}
					}
				}
				w.exits(tunnel.Exit{Signal: "TERM"})
				if end := w.end.Closing(); end.Exit == nil || end.Exit.Signal != "TERM" {
					t.Errorf("ended with %+v", end)
				}
			})
		})
	}
}

// echo writes what it gets to stdout.
type echo struct{ end *tunnel.End }

func (e echo) Write(b []byte) (int, error) {
	return len(b), e.end.ReadFrom(tunnel.Stdout, bytes.NewReader(b))
}

type sink chan string

func (s sink) Write(b []byte) (int, error) {
	s <- string(b)
	return len(b), nil
}

// No timer delays the echo of a key.
func TestKeystrokeTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		echoes := make(chan string, 10)
		go func() { _ = w.program.WriteTo(tunnel.Stdin, echo{w.program}) }()
		go func() { _ = w.end.WriteTo(tunnel.Stdout, sink(echoes)) }()
		began := time.Now()
		for range 20 {
			_ = w.end.ReadFrom(tunnel.Stdin, strings.NewReader("x"))
			<-echoes
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("20 echoes took %v", took)
		}
	})
}

func TestManyKeysTypedAtOnceAreFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		w.mute() // nothing is answered for now
		before := w.calls
		for range 5000 {
			_ = w.end.ReadFrom(tunnel.Stdin, strings.NewReader("x"))
		}
		synctest.Wait()
		if calls := w.calls - before; calls > maxUnacked {
			t.Errorf("%d calls", calls)
		}
		w.carrier.out.mu.Lock()
		defer w.carrier.out.mu.Unlock()
		if n := len(w.carrier.out.waiting); n != 1 {
			t.Errorf("%d pieces wait", n)
		}
	})
}

func TestUserWhoClosesHangsUpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		began := time.Now()
		w.end.Close(tunnel.Closing{})
		w.carrier.Leave(t.Context())
		<-w.program.Closed()
		wait(t, "the end of the session", w.ended)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestSilentUserIsHungUpAfter45Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		time.Sleep(10 * time.Minute) // the session is kept by calls alone
		select {
		case <-w.program.Closed():
			t.Fatalf("a quiet session ended: %v", w.program.Closing().Err)
		default:
		}
		w.mute()
		time.Sleep(29 * time.Second)
		select {
		case <-w.ended:
			t.Fatal("hung up too soon")
		default:
		}
		time.Sleep(16*time.Second + time.Millisecond)
		synctest.Wait()
		select {
		case <-w.program.Closed():
		default:
			t.Error("not hung up")
		}
		wait(t, "the end of the session", w.ended)
	})
}

func TestHelperThatDiesEndsTheSessionWithAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		began := time.Now()
		w.helper.Close()
		if end := w.end.Closing(); end.Err == nil || !strings.Contains(end.Err.Error(), "process on the device was lost") {
			t.Errorf("ended with %+v", end)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// The broker answers for a device that is gone, and for an agent that was restarted and does not
// know the session.
func TestErrorOfWriteEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		w.session.End() // the helper is hung up, and the node is gone
		_ = w.end.ReadFrom(tunnel.Stdin, strings.NewReader("x"))
		end := w.end.Closing()
		if end.Err == nil || !strings.Contains(end.Err.Error(), "has ended") || strings.Contains(end.Err.Error(), id) {
			t.Errorf("ended with %+v", end)
		}
	})
}

func TestBrokerThatIsLostEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		w.user.Close(link.Done)
		if end := w.end.Closing(); end.Err == nil {
			t.Errorf("ended with %+v", end)
		}
	})
}

func closed(end *tunnel.End) bool {
	select {
	case <-end.Closed():
		return true
	default:
		return false
	}
}

func TestAgentThatStopsSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		began := time.Now()
		w.session.Stop(errors.New("the agent stops"))
		if end := w.end.Closing(); end.Err == nil || !strings.Contains(end.Err.Error(), "the agent stops") {
			t.Errorf("ended with %+v", end)
		}
		<-w.program.Closed()
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// Our own broker answers calls that find a full queue with error 13.
func TestFullQueueOnTheWayIsALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		w.mu.Lock()
		w.busy = true
		w.mu.Unlock()
		in := noise(2<<20, 1)
		var got bytes.Buffer
		var program sync.WaitGroup
		program.Go(func() { _ = w.program.WriteTo(tunnel.Stdin, &got) })
		_ = w.end.ReadFrom(tunnel.Stdin, bytes.NewReader(in))
		_ = w.end.SendEOF(tunnel.Stdin)
		program.Wait()
		if !bytes.Equal(got.Bytes(), in) {
			t.Error(describe(got.Bytes(), in))
		}
	})
}

// Only the caller of the call finds the node.
func TestStrangerFindsNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		for _, callers := range []rpc.CallerIDs{nil, {1}, {0, 0}, {1, 0}} {
			for _, m := range w.session.Methods() {
				_, err := m.Call(&node.Request{Path: Node + "/" + id, Method: m.Name, From: rpc.Address{ID: 9, Callers: callers}})
				if refused, ok := err.(*rpc.Error); !ok || refused.Code != rpc.CodeMethodNotFound {
					t.Errorf("%s for callers %v: %v", m.Name, callers, err)
				}
			}
		}
		_ = w.end.ReadFrom(tunnel.Stdin, strings.NewReader("x")) // it did not end for them
		synctest.Wait()
		if closed(w.program) {
			t.Error("the session has ended")
		}
	})
}

func TestCloseTunnelIsRepeated(t *testing.T) {
	for lost := range closeRepeats + 1 {
		synctest.Test(t, func(t *testing.T) {
			var armed bool
			var drops int
			w := begin(t, all, func(int) bool {
				if armed && drops < lost {
					drops++
					return false
				}
				return true
			})
			w.open()
			synctest.Wait()
			w.mu.Lock()
			armed = true
			w.mu.Unlock()
			w.exits(tunnel.Exit{Code: 3})
			if end := w.end.Closing(); end.Exit == nil || end.Exit.Code != 3 {
				t.Errorf("%d lost: ended with %+v", lost, end)
			}
		})
	}
}

func TestOffers(t *testing.T) {
	if id, ok := OfferOf(Offer("x1")); !ok || id != "x1" {
		t.Errorf("%q, %v", id, ok)
	}
	for _, v := range []chainpack.Value{
		chainpack.Null(),
		chainpack.Int(1),
		chainpack.Map(chainpack.F("ext", chainpack.Map(chainpack.F("inband", chainpack.String("x"))))),
		chainpack.Map(chainpack.F("ext", chainpack.Map(chainpack.F("version", chainpack.Int(1))))),
		Offer(""),
	} {
		if id, ok := OfferOf(v); ok {
			t.Errorf("an offer of %q", id)
		}
	}
	if a, b := NewID(), NewID(); len(a) != 32 || a == b {
		t.Errorf("%s, %s", a, b)
	}
}

// A caller must not be able to crash the agent, or to send the helper anything but frames of a
// tunnel.
func TestWriteRefusesNonsense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t, all, all)
		w.open()
		blob := chainpack.Blob([]byte("x"))
		for _, param := range []chainpack.Value{
			chainpack.Null(),
			chainpack.List(),
			chainpack.List(chainpack.Int(0), chainpack.Int(0)),
			chainpack.List(chainpack.Int(0), chainpack.Int(-1), blob),
			chainpack.List(chainpack.Int(0), chainpack.Int(0), chainpack.String("x")),
			chainpack.List(chainpack.Int(1), chainpack.Int(0), blob),
			chainpack.List(chainpack.Int(4), chainpack.Int(0), blob),
			chainpack.List(chainpack.Int(-1), chainpack.Int(0), blob),
			chainpack.List(chainpack.Int(3), chainpack.Int(0), blob),
		} {
			_, err := w.userEnd.Call(t.Context(), mount+Node+"/"+id, "write", param)
			if refused, ok := err.(*rpc.Error); !ok || refused.Code != rpc.CodeInvalidParam {
				t.Errorf("%v: %v", param, err)
			}
		}
	})
}
