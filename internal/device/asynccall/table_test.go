package asynccall_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/asynccall"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// stand is a table and what it has answered.
type stand struct {
	t     *testing.T
	table *asynccall.Table

	mu      sync.Mutex
	answers []string
}

func newStand(t *testing.T) *stand {
	s := &stand{t: t}
	s.table = asynccall.NewTable(s.send, zerolog.Nop())
	return s
}

func (s *stand) send(b []byte) error {
	v, _, err := chainpack.Decode(b, chainpack.Limits{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = append(s.answers, cpon.String(v))
	return err
}

// expect compares what was answered since the last time.
func (s *stand) expect(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.answers, want) {
		s.t.Errorf("answered %q, want %q", s.answers, want)
	}
	s.answers = nil
}

func from(id int64) *node.Request {
	return &node.Request{From: rpc.Address{ID: id, Callers: rpc.CallerIDs{7}}, Size: 10}
}

// start starts a call that gives its id when open is closed.
func (s *stand) start(l *asynccall.Lane, id int64, order string, open <-chan struct{}) error {
	return s.startFor(l, "", id, order, open)
}

// startFor is start for a user.
func (s *stand) startFor(l *asynccall.Lane, user string, id int64, order string, open <-chan struct{}) error {
	_, err := s.table.Start(l, from(id), asynccall.Turn{User: user, Order: order},
		func(ctx context.Context, progress func(float64)) (chainpack.Value, error) {
			progress(0.5)
			select {
			case <-open:
				return chainpack.Int(id), nil
			case <-ctx.Done():
				return chainpack.Value{}, context.Cause(ctx)
			}
		})
	if errors.Is(err, node.ErrLater) {
		return nil
	}
	return err
}

func answer(id int64) string { return fmt.Sprintf("<1:1,8:%d,11:7>i{2:%d}", id, id) }

func lane(limits asynccall.Limits) *asynccall.Lane { return asynccall.NewLane("calls", limits) }

func TestCallIsAnsweredOnceAndKnownUntilThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, open := newStand(t), make(chan struct{})
		l := lane(asynccall.Limits{Running: 1, Bytes: 100})
		if err := s.start(l, 1, "", open); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p, ok := s.table.Progress(from(1).From); !ok || p != 0.5 {
			t.Errorf("progress %v, %v", p, ok)
		}
		if _, ok := s.table.Progress(rpc.Address{ID: 1, Callers: rpc.CallerIDs{8}}); ok {
			t.Error("another caller's request runs")
		}
		if err := s.start(l, 1, "", open); err != nil {
			t.Errorf("the same again: %v", err)
		}
		close(open)
		s.expect(answer(1))
		if _, ok := s.table.Progress(from(1).From); ok {
			t.Error("still known")
		}
		s.table.Close(time.Second)
	})
}

func TestAbortedCallsGetNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, open := newStand(t), make(chan struct{})
		l := lane(asynccall.Limits{Running: 1, Waiting: 2, Bytes: 100})
		for id := range int64(3) {
			if err := s.start(l, id+1, "", open); err != nil {
				t.Fatal(err)
			}
		}
		s.table.Abort(from(2).From) // waits
		s.table.Abort(from(1).From) // runs
		s.table.Abort(from(9).From) // is none
		synctest.Wait()
		if _, ok := s.table.Progress(from(2).From); ok {
			t.Error("an aborted call is known")
		}
		close(open)
		s.expect(answer(3))
		s.table.Close(time.Second)
	})
}

func TestLaneBoundsWhatIsUnderWay(t *testing.T) {
	for _, test := range []struct {
		name   string
		limits asynccall.Limits
		taken  int
		refuse string
	}{
		{"running", asynccall.Limits{Running: 2, Bytes: 1000}, 2, "2 calls are in progress"},
		{"waiting", asynccall.Limits{Running: 2, Waiting: 3, Bytes: 1000}, 5, "5 calls are in progress"},
		{"bytes", asynccall.Limits{Running: 2, Waiting: 100, Bytes: 45}, 4, "carry too much data"},
		{"one that is too large passes alone", asynccall.Limits{Running: 2, Waiting: 100, Bytes: 5}, 1,
			"carry too much data"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, open, l := newStand(t), make(chan struct{}), lane(test.limits)
				var want []string
				for id := range int64(test.taken) {
					if err := s.start(l, id+1, "", open); err != nil {
						t.Fatalf("call %d: %v", id+1, err)
					}
					want = append(want, answer(id+1))
				}
				err := s.start(l, 100, "", open)
				if rpc.AsError(err).Code != rpc.CodeTryAgainLater || !strings.Contains(err.Error(), test.refuse) {
					t.Errorf("one more: %v", err)
				}
				close(open)
				synctest.Wait()
				slices.Sort(s.answers)
				s.expect(want...)
				if err := s.start(l, 100, "", open); err != nil {
					t.Errorf("after them: %v", err)
				}
				s.table.Close(time.Second)
			})
		})
	}
}

func TestCallsOfOneOrderRunOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, first, others := newStand(t), make(chan struct{}), make(chan struct{})
		close(others)
		l := lane(asynccall.Limits{Running: 4, Waiting: 10, Bytes: 1000})
		for _, c := range []struct {
			id    int64
			order string
			open  chan struct{}
		}{{1, "a", first}, {2, "a", others}, {3, "b", others}, {4, "a", others}, {5, "", others}, {6, "", others}} {
			if err := s.start(l, c.id, c.order, c.open); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		slices.Sort(s.answers)
		s.expect(answer(3), answer(5), answer(6))
		close(first)
		s.expect(answer(1), answer(2), answer(4))
		s.table.Close(time.Second)
	})
}

// A call that is aborted while it waits lets the one behind it go on at once, whose user
// has room.
func TestAbortedCallHoldsUpNoneOfItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, slow, done := newStand(t), make(chan struct{}), make(chan struct{})
		close(done)
		l := lane(asynccall.Limits{Running: 3, Waiting: 10, Bytes: 1000,
			PerUser: asynccall.Share{Running: 1, Waiting: 5, Bytes: 500}})
		if err := errors.Join(s.startFor(l, "eva", 1, "", slow), s.startFor(l, "eva", 2, "a", slow),
			s.startFor(l, "bob", 3, "a", done)); err != nil {
			t.Fatal(err)
		}
		s.expect()
		s.table.Abort(from(2).From)
		s.expect(answer(3))
		s.table.Close(time.Second)
	})
}

// However many calls one user has in progress, others have their turn.
func TestOneUserLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, slow, done := newStand(t), make(chan struct{}), make(chan struct{})
		close(done)
		l := lane(asynccall.Limits{Running: 3, Waiting: 100, Bytes: 1000,
			PerUser: asynccall.Share{Running: 2, Waiting: 3, Bytes: 45}})
		id := int64(0)
		start := func(user string, open chan struct{}) error {
			id++
			return s.startFor(l, user, id, "", open)
		}
		for range 4 {
			if err := start("eva", slow); err != nil {
				t.Fatal(err)
			}
		}
		if err := start("eva", slow); err == nil || !strings.Contains(err.Error(), "calls of this user") {
			t.Errorf("more bytes of one: %v", err)
		}
		if err := start("bob", done); err != nil { // 6
			t.Error(err)
		}
		s.expect(answer(6))
		// All run, of eva and bob; when one ends, it is not for the user with more.
		for _, user := range []string{"bob", "eve"} { // 7, 8
			if err := start(user, slow); err != nil {
				t.Error(err)
			}
		}
		s.table.Abort(from(1).From)
		synctest.Wait()
		if err := start("bob", done); err != nil { // 9
			t.Error(err)
		}
		s.expect() // eve runs, bob waits
		for range 2 {
			_ = start("bob", done) // 10, 11
		}
		if err := start("bob", done); err == nil {
			t.Error("bob has more than his share of what waits")
		}
		close(slow)
		synctest.Wait()
		s.mu.Lock()
		n := len(s.answers)
		s.answers = nil
		s.mu.Unlock()
		if n != 8 {
			t.Errorf("%d answers", n)
		}
		if err := errors.Join(start("eva", done), start("bob", done), start("eve", done)); err != nil {
			t.Errorf("after all that: %v", err)
		}
		s.table.Close(time.Second)
	})
}

// A client can say of each call that it is of another caller behind it.
func TestCallersWithoutNamesLeaveRoomForUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for what, limits := range map[string]asynccall.Limits{
			"turns": {Running: 3, Waiting: 100, Bytes: 1000, PerUser: asynccall.Share{Running: 1}},
			"waits": {Running: 0, Waiting: 3, Bytes: 1000, PerUser: asynccall.Share{Waiting: 1}},
			"bytes": {Running: 100, Waiting: 0, Bytes: 30, PerUser: asynccall.Share{Bytes: 10}},
		} {
			s, l, taken := newStand(t), lane(limits), 0
			start := func(user string, caller int64) error {
				r := from(caller)
				r.From.Callers = rpc.CallerIDs{caller}
				_, err := s.table.Start(l, r, asynccall.Turn{User: user},
					func(ctx context.Context, _ func(float64)) (chainpack.Value, error) {
						taken++
						<-ctx.Done()
						return chainpack.Null(), nil
					})
				return err
			}
			var refused error
			for caller := range int64(4) {
				if err := start("", caller); !errors.Is(err, node.ErrLater) {
					refused = err
				}
				synctest.Wait()
			}
			before := taken
			err := start("bob", 9)
			synctest.Wait()
			if !errors.Is(err, node.ErrLater) || limits.Running > 0 && taken != before+1 {
				t.Errorf("%s: bob has no room: %v", what, err)
			}
			if limits.PerUser.Running == 0 && (refused == nil || !strings.Contains(refused.Error(), "without a user id")) {
				t.Errorf("%s: the callers without names: %v", what, refused)
			}
			s.table.Close(time.Second)
		}
	})
}

func TestCallEndsWithItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		if err := s.start(lane(asynccall.Limits{Running: 1, Bytes: 100, Time: time.Minute}), 1, "", nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute - 1)
		s.expect()
		time.Sleep(time.Nanosecond)
		s.expect(`<1:1,8:1,11:7>i{3:i{1:8,2:"not done within 1m0s, the limit on this device"}}`)
		s.table.Close(time.Second)
	})
}

func TestCloseEndsAllWithoutAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := newStand(t), lane(asynccall.Limits{Running: 2, Waiting: 2, Bytes: 100})
		for id := range int64(4) {
			if err := s.start(l, id+1, "", nil); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		s.table.Close(time.Hour)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
		s.expect()
		if err := s.start(l, 9, "", nil); !errors.Is(err, asynccall.ErrLost) {
			t.Errorf("a call after the end: %v", err)
		}
		other, open := newStand(t), make(chan struct{})
		close(open)
		if err := other.start(l, 1, "", open); err != nil {
			t.Errorf("the lane is not free again: %v", err)
		}
		other.expect(answer(1))
		other.table.Close(0)
	})
}

func TestStopTellsAllCallersWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		l := lane(asynccall.Limits{Running: 1, Waiting: 1, Bytes: 100})
		if err := errors.Join(s.start(l, 1, "", nil), s.start(l, 2, "", nil)); err != nil {
			t.Fatal(err)
		}
		s.table.Hold(from(3).From) // is answered elsewhere
		synctest.Wait()
		s.table.Stop(errors.New("stopped"))
		s.table.Close(time.Second)
		slices.Sort(s.answers)
		s.expect(`<1:1,8:1,11:7>i{3:i{1:8,2:"stopped"}}`, `<1:1,8:2,11:7>i{3:i{1:8,2:"stopped"}}`)
		if err := s.start(l, 4, "", nil); !errors.Is(err, asynccall.ErrLost) {
			t.Errorf("one more: %v", err)
		}
	})
}

// A lane that refuses calls says when those that it took have had their turn.
func TestLaneThatRefusesFinishesWhatItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, open := newStand(t), make(chan struct{})
		l := lane(asynccall.Limits{Running: 1, Waiting: 2, Bytes: 100})
		for id := range 3 {
			if err := s.start(l, int64(id), "", open); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		left, none := l.Refuse(errors.New("no more"))
		if left != 3 {
			t.Errorf("%d calls are left", left)
		}
		if err := s.start(l, 4, "", open); err == nil || err.Error() != "no more" {
			t.Errorf("a new one: %v", err)
		}
		s.table.Abort(from(2).From)
		synctest.Wait()
		select {
		case <-none:
			t.Error("none is said to be left")
		default:
		}
		close(open)
		<-none
		s.expect(answer(0), answer(1))
		s.table.Close(time.Second)
		if _, none := lane(asynccall.Limits{}).Refuse(nil); none != nil {
			<-none // without any call, at once
		}
	})
}

// A read of a dead network disk hangs in the kernel, whatever its context says.
func TestCloseDoesNotWaitForEverForAStuckCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, open := newStand(t), make(chan struct{})
		_, _ = s.table.Start(lane(asynccall.Limits{Running: 1, Bytes: 100}), from(1), asynccall.Turn{},
			func(context.Context, func(float64)) (chainpack.Value, error) {
				<-open
				return chainpack.Null(), nil
			})
		began := time.Now()
		s.table.Close(5 * time.Second)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		close(open)
		s.expect()
	})
}

func TestPanicBecomesAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		l := lane(asynccall.Limits{Running: 1, Bytes: 100})
		_, _ = s.table.Start(l, from(1), asynccall.Turn{},
			func(context.Context, func(float64)) (chainpack.Value, error) { panic("a bug") })
		s.expect(`<1:1,8:1,11:7>i{3:i{1:4,2:"internal error: this is a fault of the program, and its log has the details"}}`)
		s.table.Close(time.Second)
	})
}

func TestHeldCallIsKnownUntilItsRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStand(t)
		release := s.table.Hold(from(1).From)
		s.table.Hold(from(1).From)() // a second one changes nothing
		if _, ok := s.table.Progress(from(1).From); !ok {
			t.Error("not known")
		}
		s.table.Abort(from(1).From)
		if _, ok := s.table.Progress(from(1).From); !ok {
			t.Error("somebody else's call was aborted")
		}
		release()
		if _, ok := s.table.Progress(from(1).From); ok {
			t.Error("still known")
		}
		s.table.Close(time.Second)
	})
}

// An answer that waits for queue space is not sent yet. A caller that asks meanwhile must
// not learn that the call does not run: it would repeat the call.
func TestCallIsKnownWhileItsAnswerIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		room := make(chan struct{})
		table := asynccall.NewTable(func([]byte) error { <-room; return nil }, zerolog.Nop())
		_, _ = table.Start(lane(asynccall.Limits{Running: 1, Bytes: 100}), from(1), asynccall.Turn{},
			func(context.Context, func(float64)) (chainpack.Value, error) {
				return chainpack.Null(), nil
			})
		synctest.Wait()
		if _, ok := table.Progress(from(1).From); !ok {
			t.Error("not known")
		}
		close(room)
		synctest.Wait()
		if _, ok := table.Progress(from(1).From); ok {
			t.Error("still known")
		}
		table.Close(0)
	})
}
