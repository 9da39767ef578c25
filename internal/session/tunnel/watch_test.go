package tunnel

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/wire/link"
)

// told collects the calls of Stuck.
type told struct {
	mu      sync.Mutex
	seconds []int
}

func (s *told) stuck(silent time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seconds = append(s.seconds, int(silent/time.Second))
}

// take returns the calls since the last take.
func (s *told) take() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.seconds = nil }()
	return s.seconds
}

func (s *told) wants(t *testing.T, when string, want ...int) {
	t.Helper()
	synctest.Wait()
	if got := s.take(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: told %v, want %v", when, got, want)
	}
}

// keys sends some input, which the peer does not answer.
func (r *raw) keys(text string) {
	r.t.Helper()
	go func() { _ = r.ReadFrom(Stdin, strings.NewReader(text)) }()
	r.expect(`<1:1,8:7>i{2:[0,"%s"]}`, text)
}

// swallow reads everything that the end sends, until the test ends.
func (r *raw) swallow() {
	go func() { _, _ = io.Copy(io.Discard, r.in) }()
}

// Five seconds pass without an answer to a key, and five without one to a ping.
func TestStuckIsToldWhenAKeyIsNotAnswered(t *testing.T) {
	var s told
	o := client(true)
	o.Watch.Stuck = s.stuck
	bubbled(t, o, func(t *testing.T, r *raw) {
		time.Sleep(2500 * time.Millisecond)
		r.data(Stdout, []byte("prompt"))
		time.Sleep(time.Second)
		r.keys("x")
		begun := time.Now()
		r.expect(`<1:1,8:7>i{2:[3,{"ping":5}]}`)
		if took := time.Since(begun); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("asked after %v", took)
		}
		s.wants(t, "asked")
		time.Sleep(4900 * time.Millisecond)
		s.wants(t, "not yet overdue")
		time.Sleep(2 * time.Second)
		s.wants(t, "overdue", 10, 11)
		r.send(`<8:7>i{2:[3,{"pong":5}]}`)
		time.Sleep(time.Second)
		s.wants(t, "answered", 0)
		time.Sleep(10 * time.Second)
		s.wants(t, "later")
	})
}

// The usual case: the link is lost between two keystrokes.
func TestStuckIsToldWhenTheKeyBeforeWasAnswered(t *testing.T) {
	var s told
	o := client(true)
	o.Watch.Stuck = s.stuck
	bubbled(t, o, func(t *testing.T, r *raw) {
		time.Sleep(2500 * time.Millisecond)
		r.keys("x")
		r.data(Stdout, []byte("x"))
		r.keys("y")
		r.expect(`<1:1,8:7>i{2:[3,{"ping":5}]}`)
		time.Sleep(5500 * time.Millisecond)
		s.wants(t, "overdue", 10)
	})
}

func TestStuckIsNotToldWithoutNeed(t *testing.T) {
	var s told
	o := client(true)
	o.Watch.Stuck = s.stuck
	bubbled(t, o, func(t *testing.T, r *raw) {
		// Nothing is sent, and each ping is answered.
		for range 20 {
			r.expect(`<1:1,8:7>i{2:[3,{"ping":15}]}`)
			r.send(`<8:7>i{2:[3,{"pong":15}]}`)
		}
		// A program that shows nothing of what is typed.
		for range 20 {
			time.Sleep(1500 * time.Millisecond)
			r.keys("x")
			r.expect(`<1:1,8:7>i{2:[3,{"ping":5}]}`)
			r.send(`<8:7>i{2:[3,{"pong":5}]}`)
		}
		s.wants(t, "all answered")
	})
}

// Without a keystroke, the next ping reveals the loss.
func TestStuckIsToldOfAQuietLinkToo(t *testing.T) {
	var s told
	o := client(true)
	o.Watch.Stuck = s.stuck
	bubbled(t, o, func(t *testing.T, r *raw) {
		r.expect(`<1:1,8:7>i{2:[3,{"ping":15}]}`)
		time.Sleep(4900 * time.Millisecond)
		s.wants(t, "early")
		time.Sleep(time.Second)
		s.wants(t, "overdue", 20)
		r.swallow()
		c, seconds := r.Closing(), s.take()
		if c.Err == nil || len(seconds) == 0 || seconds[len(seconds)-1] < 43 {
			t.Errorf("%+v, told %v", c, seconds)
		}
	})
}

func TestPeerThatTheBrokerVouchesForMaySleep(t *testing.T) {
	for _, vouched := range []bool{true, false} {
		o := helper(true)
		o.Watch.Vouched = vouched
		bubbled(t, o, func(t *testing.T, r *raw) {
			r.swallow()
			begun := time.Now()
			select {
			case <-r.Closed():
				if took := time.Since(begun); vouched || took != pingCount*pingEvery {
					t.Errorf("vouched %v: ended after %v", vouched, took)
				}
			case <-time.After(time.Hour):
				if !vouched {
					t.Error("a dead peer lived for an hour")
				}
				r.send(`<8:7>i{2:[0,"awake"]}`)
				synctest.Wait()
				if r.Received(Stdin) != 5 {
					t.Errorf("%d bytes came after the sleep", r.Received(Stdin))
				}
			}
		})
	}
}

func TestVouchedPeerDoesNotSleepForEver(t *testing.T) {
	o := helper(true)
	o.Watch.Vouched = true
	bubbled(t, o, func(t *testing.T, r *raw) {
		r.swallow()
		begun := time.Now()
		if c := r.Closing(); c.Err == nil || time.Since(begun) != vouchedLimit {
			t.Errorf("%+v after %v", c, time.Since(begun))
		}
	})
}

func TestWatchThatIsOffNeverAsks(t *testing.T) {
	for _, watcher := range []string{"nobody", "a user"} {
		t.Run(watcher, func(t *testing.T) {
			var s told
			o := client(true)
			o.Watch.Every = -1
			if watcher == "a user" {
				o.Watch.Stuck = s.stuck
			}
			bubbled(t, o, func(t *testing.T, r *raw) {
				r.keys("x")
				r.quiet(24 * time.Hour)
				select {
				case <-r.Closed():
					t.Errorf("ended: %+v", r.Closing())
				default:
				}
				s.wants(t, "unasked")
			})
		})
	}
}

func TestIntervalAndCountAreTheUsers(t *testing.T) {
	for _, tt := range []struct {
		every time.Duration
		count int
		stuck bool
		dead  time.Duration
		pings int
	}{
		{5 * time.Second, 2, false, 10 * time.Second, 1},
		{5 * time.Second, 2, true, 10 * time.Second, 1},
		{7 * time.Second, 0, false, 21 * time.Second, 2},
		{0, 5, true, 75 * time.Second, 4},
		{time.Second, 1, true, time.Second, 0},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			o := client(true)
			o.Watch = Watch{Every: tt.every, Count: tt.count}
			if tt.stuck {
				o.Watch.Stuck = func(time.Duration) {}
			}
			bubbled(t, o, func(t *testing.T, r *raw) {
				begun := time.Now()
				for range tt.pings {
					if _, ok := r.read(tt.dead); !ok {
						t.Fatal("no ping")
					}
				}
				if c := r.Closing(); c.Err == nil || time.Since(begun) != tt.dead {
					t.Errorf("%v after %v", c.Err, time.Since(begun))
				}
			})
		})
	}
}

// A helper that does not know pings cannot be asked.
func TestPeerOfTheBaseProtocolMaySleep(t *testing.T) {
	var s told
	o := client(false)
	o.Watch.Stuck = s.stuck
	bubbled(t, o, func(t *testing.T, r *raw) {
		r.keys("x")
		r.quiet(24 * time.Hour)
		s.wants(t, "after a day")
	})
}

func TestPanicOfTheWatchEndsItsTunnelAlone(t *testing.T) {
	o := client(true)
	o.Watch.Stuck = func(time.Duration) { panic("of a status line") }
	bubbled(t, o, func(t *testing.T, r *raw) {
		r.swallow()
		var bug *link.PanicError
		if c := r.Closing(); !errors.As(c.Err, &bug) || bug.Value != "of a status line" {
			t.Errorf("%+v", c)
		}
		if cause := r.link.Cause(); cause != link.Open {
			t.Errorf("its link has ended: %v", cause)
		}
	})
}
