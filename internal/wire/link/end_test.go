package link_test

import (
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

func TestFirstCauseWins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, peer, ended := pipe(t, link.Options{}, handler{})
		l.Close(link.SlowPeer)
		l.Close(link.Shutdown)
		_ = peer.Close()
		if cause := <-ended; cause != link.SlowPeer || l.Cause() != link.SlowPeer || l.Err().Error() != "peer too slow" {
			t.Errorf("%v, %v, %v", cause, l.Cause(), l.Err())
		}
	})
}

func TestOneCauseOfManyAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, peer, ended := pipe(t, link.Options{}, handler{})
		var group sync.WaitGroup
		seen := make([]link.Cause, 8)
		for i := range seen {
			group.Go(func() {
				l.Close(link.SlowPeer + link.Cause(i))
				seen[i] = l.Cause()
			})
		}
		group.Go(func() { _ = peer.Close() })
		group.Wait()
		cause := <-ended
		for _, c := range seen {
			if c != cause {
				t.Errorf("causes %v, ended by %v", seen, cause)
			}
		}
	})
}

func TestPanicInAHandlerEndsItsLinkAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other, otherPeer, _ := pipe(t, link.Options{}, handler{})
		l, peer, ended := pipe(t, link.Options{}, handler{message: func(*rpc.Message, *link.Frame) { panic("of a handler") }})
		if _, err := peer.Write(onWire(message(1, 1))); err != nil {
			t.Fatal(err)
		}
		var bug *link.PanicError
		if cause := <-ended; cause != link.Bug || !errors.As(l.Err(), &bug) {
			t.Fatalf("%v, %v", cause, l.Err())
		}
		if bug.Value != "of a handler" || !strings.Contains(string(bug.Stack), "end_test.go") ||
			strings.Contains(l.Err().Error(), "end_test.go") {
			t.Errorf("%v, %s", l.Err(), bug.Stack)
		}
		if err := send(other, message(1, 1)); err != nil {
			t.Error(err)
		}
		readIDs(t, otherPeer, 1)
	})
}

func TestEveryCauseHasItsOwnWords(t *testing.T) {
	seen := map[string]bool{}
	for c := link.Open; c <= link.Bug; c++ {
		if text := c.String(); text == "" || text == "unknown" || seen[text] {
			t.Errorf("%d is %q", c, text)
		}
		seen[c.String()] = true
	}
	for _, c := range []link.Cause{-1, link.Bug + 1} {
		if c.String() != "unknown" {
			t.Errorf("%d is %q", c, c)
		}
	}
}

func TestSilentPeerIsGivenUpAndAnotherNot(t *testing.T) {
	const limit = 100 * time.Second
	for _, test := range []struct {
		name  string
		every time.Duration // between frames, 0: none
		until time.Duration // of the frames
	}{
		{"silent from the start", 0, 0},
		{"a frame now and then", 99 * time.Second, 990 * time.Second},
		{"many frames", time.Second, 500 * time.Second},
		{"one frame", 10 * time.Second, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				l, peer, ended := pipe(t, link.Options{}, handler{})
				l.SetIdle(limit)
				began := time.Now()
				for test.every > 0 && time.Since(began) < test.until {
					time.Sleep(test.every)
					if _, err := peer.Write(onWire(message(1, 1))); err != nil {
						t.Fatalf("after %v: %v", time.Since(began), err)
					}
				}
				last := time.Now()
				cause := <-ended
				if took := time.Since(last); cause != link.IdleTimeout || took < limit || took > limit*5/4 {
					t.Errorf("%v after %v", cause, took)
				}
			})
		})
	}
}

func TestIdleWatchIsChangedAndSwitchedOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, _, ended := pipe(t, link.Options{}, handler{})
		l.SetIdle(time.Second)
		l.SetIdle(0)
		time.Sleep(time.Hour)
		if l.Cause() != link.Open {
			t.Fatalf("switched off: %v", l.Cause())
		}
		began := time.Now()
		l.SetIdle(time.Minute)
		if cause := <-ended; cause != link.IdleTimeout || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", cause, time.Since(began))
		}
		l.SetIdle(time.Minute) // of a login that came just before the end
		synctest.Wait()
	})
}

func TestSilenceIsToldToAQuarterOfItsLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, peer, _ := pipe(t, link.Options{}, handler{})
		l.SetIdle(40 * time.Second)
		time.Sleep(21 * time.Second)
		if silent, limit := l.Silence(); silent != 20*time.Second || limit != 40*time.Second {
			t.Errorf("%v of %v", silent, limit)
		}
		if _, err := peer.Write(onWire(message(1, 1))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if silent, _ := l.Silence(); silent != 0 {
			t.Errorf("%v after a frame", silent)
		}
		l.SetIdle(0)
		if silent, limit := l.Silence(); silent != 0 || limit != 0 {
			t.Errorf("%v of %v without a limit", silent, limit)
		}
	})
}

// panickyWriter panics, as a bug would.
type panickyWriter struct{ net.Conn }

func (panickyWriter) Write([]byte) (int, error) { panic("of a writer") }

func TestPanicInTheWriteLoopEndsItsLinkAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		other, otherPeer, _ := pipe(t, link.Options{}, handler{})
		ours, peer := net.Pipe()
		defer peer.Close()
		l := link.New(panickyWriter{ours}, link.Options{})
		ended := start(t, l, handler{})
		if err := send(l, message(1, 1)); err != nil {
			t.Fatal(err)
		}
		var bug *link.PanicError
		if cause := <-ended; cause != link.Bug || !errors.As(l.Err(), &bug) || bug.Value != "of a writer" {
			t.Fatalf("%v, %v", cause, l.Err())
		}
		if err := send(l, message(2, 1)); err != link.ErrClosed {
			t.Errorf("Send after it: %v", err)
		}
		if err := send(other, message(1, 1)); err != nil {
			t.Fatal(err)
		}
		if got := readIDs(t, otherPeer, 1); got[0] != 1 {
			t.Errorf("the other link: %v", got)
		}
	})
}
