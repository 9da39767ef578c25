package replyroutes_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/rpc"
)

// stack is a stack of caller ids with the session 7 on top.
func stack(ids ...int64) rpc.CallerIDs { return append(rpc.CallerIDs(ids), 7) }

// response opens routes without remembering a call.
var response = replyroutes.Call{}

// root is a user who may do everything.
func root() *auth.User {
	return &auth.User{Name: "root", Rules: []auth.Rule{auth.MustRule("**", rpc.AccessSuper)}}
}

func TestRouteIsForItsStackAlone(t *testing.T) {
	var table replyroutes.Table
	if table.Has(stack()) || table.Has(nil) {
		t.Error("an empty table has a route")
	}
	if !table.Open(stack(1, 2), response, replyroutes.NewOpener(false, nil)) {
		t.Fatal("the first route is refused")
	}
	for range 3 { // use does not close it
		if !table.Has(stack(1, 2)) {
			t.Error("the route is not there")
		}
	}
	for _, other := range []rpc.CallerIDs{nil, {7}, {1, 7}, {2, 1, 7}, {1, 2}, {1, 2, 8}, {1, 2, 7, 7}} {
		if table.Has(other) {
			t.Errorf("%v has a route", other)
		}
	}
}

func TestUnusedRoutesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table replyroutes.Table
		by := replyroutes.NewOpener(false, nil)
		for id := range int64(2) {
			table.Open(stack(id), response, by)
		}
		for range 5 {
			time.Sleep(replyroutes.Generation)
			if !table.Has(stack(0)) {
				t.Fatal("a route in use expired")
			}
		}
		if table.Has(stack(1)) {
			t.Error("an unused route does not expire")
		}
		time.Sleep(2 * replyroutes.Generation)
		if table.Has(stack(0)) {
			t.Error("a route that was in use does not expire")
		}
	})
}

func TestPinnedRoutesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table replyroutes.Table
		by := replyroutes.NewOpener(false, nil)
		table.Open(stack(), response, by)
		table.Pin(stack())
		table.Pin(stack())
		table.Pin(stack(1)) // it was not open
		by.Depart()
		time.Sleep(10 * replyroutes.Generation)
		table.Unpin(stack())
		time.Sleep(10 * replyroutes.Generation)
		if !table.Has(stack()) || !table.Has(stack(1)) || table.Live() != 2 {
			t.Error("a pinned route is gone")
		}
		table.Unpin(stack())
		table.Unpin(stack()) // once too often
		table.Unpin(stack(2))
		time.Sleep(2 * replyroutes.Generation)
		if table.Has(stack()) {
			t.Error("a route stays that nobody pins")
		}
	})
}

func TestInheritedRoutesAreLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before, after replyroutes.Table
		here, gone := replyroutes.NewOpener(false, nil), replyroutes.NewOpener(false, nil)
		call := replyroutes.Call{ID: 5, Path: []byte("test/a"), Method: []byte("get"), Level: rpc.AccessRead}
		before.Open(stack(), call, here)
		before.Open(rpc.CallerIDs{8}, call, gone)
		before.Pin(stack(2))
		gone.Depart()
		after.Inherit(&before)
		if !after.Has(stack()) || !after.Has(stack(2)) {
			t.Error("a route is not inherited")
		}
		if after.Has(rpc.CallerIDs{8}) {
			t.Error("a route of a session that is gone is inherited")
		}
		if with, ok := after.WasAsked(stack(), 5); !ok || with.Path != "test/a" || with.Method != "get" {
			t.Errorf("the call is not inherited: %v, %v", with, ok)
		}
		for _, link := range []*replyroutes.Table{&before, &after} {
			if ok, misplaced := link.MayAnswer(stack(), 5); !ok || misplaced {
				t.Error("one of both links may not answer")
			}
		}
		// The tables share nothing.
		after.Open(stack(), replyroutes.Call{ID: 6, Path: []byte("else")}, here)
		if _, ok := before.WasAsked(stack(), 6); ok {
			t.Error("what one table was asked shows in the other")
		}
		time.Sleep(2 * replyroutes.Generation)
		if !before.Has(stack(2)) || after.Has(stack(2)) {
			t.Error("pins are inherited, or lost")
		}
	})
}

func TestLatestCallsAreRemembered(t *testing.T) {
	var table replyroutes.Table
	by := replyroutes.NewOpener(false, nil)
	if _, ok := table.WasAsked(stack(), 1); ok {
		t.Error("an empty table was asked")
	}
	for id := int64(1); id <= 2*replyroutes.MaxAsked; id++ {
		method := []byte(fmt.Sprint("m", id))
		table.Open(stack(), replyroutes.Call{ID: id, Path: []byte("test/a"), Method: method, Level: rpc.AccessWrite}, by)
		for _, was := range []int64{id, id - replyroutes.MaxAsked + 1, id - replyroutes.MaxAsked} {
			with, ok := table.WasAsked(stack(), was)
			if want := was > 0 && was > id-replyroutes.MaxAsked; ok != want {
				t.Errorf("%d of %d: asked: %v", was, id, ok)
			} else if ok && (with.Method != fmt.Sprint("m", was) || with.Level != rpc.AccessWrite) {
				t.Errorf("%d of %d: %+v", was, id, with)
			}
		}
	}
	if _, ok := table.WasAsked(stack(1), 2*replyroutes.MaxAsked); ok {
		t.Error("another stack was asked")
	}
	// Of two calls with one id, the later one counts.
	table.Open(stack(), replyroutes.Call{ID: 40, Method: []byte("first")}, by)
	table.Open(stack(), replyroutes.Call{ID: 40, Method: []byte("second")}, by)
	if with, ok := table.WasAsked(stack(), 40); !ok || with.Method != "second" {
		t.Errorf("%+v, %v", with, ok)
	}
	table.Open(stack(3), replyroutes.Call{ID: 0, Method: []byte("response")}, by)
	if _, ok := table.WasAsked(stack(3), 0); ok {
		t.Error("a response counts as a call")
	}
}

func TestRight(t *testing.T) {
	var table replyroutes.Table
	by := replyroutes.NewOpener(false, nil)
	with := func(c replyroutes.Call) replyroutes.Right {
		table.Open(stack(), c, by)
		right, ok := table.WasAsked(stack(), c.ID)
		if !ok {
			t.Fatal("not asked")
		}
		return right
	}
	known := with(replyroutes.Call{ID: 1, Path: []byte("test/a"), Method: []byte("get"), Level: rpc.AccessRead})
	if known.HeldBy(nil) || known.HeldBy(&auth.User{Name: "ann"}) || !known.HeldBy(root()) {
		t.Error("the wrong users hold a right to read")
	}
	if got, want := known.String(), `the right to call get on "test/a"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	long := with(replyroutes.Call{ID: 2, Path: make([]byte, replyroutes.MaxCallText), Method: []byte("x")})
	if long.HeldBy(root()) || long.Path+long.Method != "" || long.String() != "the right to make it" {
		t.Errorf("a right whose names are too long: %+v", long)
	}
	if longest := with(replyroutes.Call{ID: 3, Path: make([]byte, replyroutes.MaxCallText)}); !longest.HeldBy(root()) {
		t.Errorf("a right whose names are just not too long: %+v", longest)
	}
}

// A client that makes caller ids up reaches its bound, and nobody else's.
func TestRoutesOntoOneLinkAreBounded(t *testing.T) {
	for _, broker := range []bool{false, true} {
		var table replyroutes.Table
		limit := int64(replyroutes.MaxRoutes)
		if broker {
			limit = replyroutes.MaxRoutesOfBroker
		}
		by := replyroutes.NewOpener(broker, nil)
		if by.IsBroker() != broker {
			t.Errorf("broker: %v", !broker)
		}
		for id := range limit {
			if !table.Open(stack(id), response, by) {
				t.Fatalf("broker: %v: route %d is refused", broker, id)
			}
		}
		if table.Open(stack(limit), response, by) || table.Has(stack(limit)) {
			t.Errorf("broker: %v: one more route", broker)
		}
		if !table.Open(stack(1), response, by) {
			t.Errorf("broker: %v: an open route is refused", broker)
		}
		if !table.Open(rpc.CallerIDs{8}, response, replyroutes.NewOpener(false, nil)) {
			t.Errorf("broker: %v: another session is refused", broker)
		}
	}
}

func TestMadeUpCallerIDsAreBoundedOverAllLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		by := replyroutes.NewOpener(false, nil)
		const links = 2 * replyroutes.MaxFurther / replyroutes.MaxRoutes
		fill := func() (opened int) {
			for range links {
				var table replyroutes.Table
				for id := range int64(replyroutes.MaxRoutes) {
					if table.Open(stack(id), response, by) {
						opened++
					}
				}
			}
			return opened
		}
		if n := fill(); n != replyroutes.MaxFurther+links {
			t.Errorf("%d routes on %d links", n, links)
		}
		if n := fill(); n != links {
			t.Errorf("%d more routes on %d links", n, links)
		}
		time.Sleep(replyroutes.Generation + time.Second)
		if n := fill(); n != replyroutes.MaxFurther+links {
			t.Errorf("%d routes on %d links in the next generation", n, links)
		}
	})
}

// The text of the calls that a link remembers for one session is bounded too; the
// first ones have their space.
func TestTextOfCallsIsBounded(t *testing.T) {
	var table replyroutes.Table
	by, user := replyroutes.NewOpener(false, nil), root()
	call := replyroutes.Call{ID: 1, Path: make([]byte, replyroutes.MaxCallText)}
	kept := 0
	for id := range int64(replyroutes.MaxRoutes) {
		table.Open(stack(id), call, by)
		with, ok := table.WasAsked(stack(id), 1)
		if !ok {
			t.Fatalf("call %d is forgotten", id)
		}
		if with.HeldBy(user) {
			kept += len(with.Path)
		} else if id == 0 {
			t.Error("the first call has no space")
		}
	}
	if want := replyroutes.MaxText * replyroutes.MaxRoutes; kept != want {
		t.Errorf("%d bytes of text are kept, want %d", kept, want)
	}
}

// A client that reconnects over and over leaves no more than a table of the size at
// which it is swept.
func TestRoutesOfDepartedSessionsAreSwept(t *testing.T) {
	var table replyroutes.Table
	table.Open(stack(), response, replyroutes.NewOpener(false, nil))
	for session := int64(100); session < 200; session++ {
		by := replyroutes.NewOpener(false, nil)
		for id := range int64(300) {
			if !table.Open(rpc.CallerIDs{id, session}, response, by) {
				t.Fatal("a route is refused")
			}
		}
		by.Depart()
	}
	if n := table.Len(); n > replyroutes.SweepFrom {
		t.Errorf("%d routes", n)
	}
	if n := table.Live(); n != 1 || !table.Has(stack()) {
		t.Errorf("%d routes lead to somebody", n)
	}
}

// request is a request with an id.
func request(id int64) replyroutes.Call {
	return replyroutes.Call{ID: id, Path: []byte("a"), Method: []byte("get")}
}

// The rule of answers (design.md 5), for one caller, two devices, and one that it never
// called.
func TestAnswersBelongToCalls(t *testing.T) {
	type world struct {
		by         *replyroutes.Opener
		a, b, c, n replyroutes.Table
	}
	ask := func(w *world, to *replyroutes.Table, ids ...int64) {
		for _, id := range ids {
			to.Open(stack(), request(id), w.by)
		}
	}
	for _, tt := range []struct {
		name   string
		do     func(w *world)
		id     int64
		a, b   bool
		others bool // c, which was asked 1 before
	}{
		{"asked here", func(w *world) { ask(w, &w.a, 7); ask(w, &w.b, 8) }, 7, true, false, false},
		{"asked elsewhere", func(w *world) { ask(w, &w.a, 8); ask(w, &w.b, 7) }, 7, false, true, false},
		{"not asked yet", func(w *world) { ask(w, &w.a, 6); ask(w, &w.b, 5) }, 7, false, false, false},
		{"left out", func(w *world) { ask(w, &w.a, 6); ask(w, &w.b, 8) }, 7, true, true, true},
		{"answered", func(w *world) { ask(w, &w.a, 7); ask(w, &w.b, 8); w.a.MayAnswer(stack(), 7) }, 7, true, false, false},
		{"sent to both", func(w *world) { ask(w, &w.a, 7); ask(w, &w.b, 7) }, 7, true, true, false},
		{"sent to both, the first has answered",
			func(w *world) { ask(w, &w.a, 7); w.a.MayAnswer(stack(), 7); ask(w, &w.b, 7) }, 7, true, true, false},
		{"refused, and sent to another",
			func(w *world) { ask(w, &w.a, 3, 7); w.by.NotSent(); ask(w, &w.b, 7) }, 7, false, true, false},
		{"ids that descend", func(w *world) { ask(w, &w.a, 9, 7); ask(w, &w.b, 8, 6) }, 7, true, false, false},
		{"ids that begin anew", func(w *world) { ask(w, &w.a, 1<<62); ask(w, &w.b, 2, 1) }, 1, false, true, true},
		{"answered by the broker", func(w *world) { ask(w, &w.a, 8); ask(w, &w.b, 9); w.by.AsksBroker(nil, 7, 7) },
			7, false, false, false},
		{"a response opened the route",
			func(w *world) { ask(w, &w.b, 7); w.a.Open(stack(), response, w.by) }, 7, true, true, false},
		{"a response opened the route too",
			func(w *world) {
				ask(w, &w.a, 1)
				ask(w, &w.b, 7)
				w.a.Open(stack(), response, w.by)
				ask(w, &w.a, 2)
			}, 7, true, true, false},
		{"asked where a response opened the route",
			func(w *world) { w.a.Open(stack(), response, w.by); ask(w, &w.a, 7); ask(w, &w.b, 8) }, 7, true, false, false},
		{"refused where a response opened the route", func(w *world) {
			w.b.Open(stack(), response, w.by)
			ask(w, &w.a, 7)
			ask(w, &w.b, 8)
			w.by.NotSent()
		}, 7, true, true, false},
		{"a tunnel pinned the route", func(w *world) { w.a.Pin(stack()); ask(w, &w.b, 7) }, 7, true, true, false},
		{"a tunnel pinned the route too",
			func(w *world) { ask(w, &w.a, 1); w.a.Pin(stack()); ask(w, &w.b, 7) }, 7, false, true, false},
		{"the caller is gone", func(w *world) { ask(w, &w.a, 1); ask(w, &w.b, 7); w.by.Depart() }, 7, true, true, true},
		{"another stack", func(w *world) {
			ask(w, &w.a, 1)
			w.a.Open(stack(3), request(7), w.by)
			ask(w, &w.b, 9)
		}, 7, true, true, true},
		{"a higher id of another stack", func(w *world) {
			w.a.Open(stack(3), request(9), w.by)
			ask(w, &w.a, 6)
			ask(w, &w.b, 6)
		}, 7, false, false, false},
	} {
		w := &world{by: replyroutes.NewOpener(false, nil)}
		ask(w, &w.c, 1)
		tt.do(w)
		for name, link := range map[string]struct {
			*replyroutes.Table
			want bool
		}{"a": {&w.a, tt.a}, "b": {&w.b, tt.b}, "c": {&w.c, tt.others}} {
			if ok, misplaced := link.MayAnswer(stack(), tt.id); !ok || misplaced == link.want {
				t.Errorf("%s: %s may answer: %v, %v, want %v", tt.name, name, ok, !misplaced, link.want)
			}
		}
		if ok, _ := w.n.MayAnswer(stack(), tt.id); ok {
			t.Errorf("%s: a device answers that was never called", tt.name)
		}
	}
}

func TestEachConnectionHasItsOwnIDs(t *testing.T) {
	var a, b replyroutes.Table
	for session, by := range map[int64]*replyroutes.Opener{
		7: replyroutes.NewOpener(false, nil), 8: replyroutes.NewOpener(true, nil),
	} {
		first, second := &a, &b
		if session == 8 {
			first, second = second, first
		}
		first.Open(rpc.CallerIDs{session}, request(1), by)
		second.Open(rpc.CallerIDs{session}, request(2), by)
	}
	for _, tt := range []struct {
		link    *replyroutes.Table
		session int64
		id      int64
		want    bool
	}{{&a, 7, 1, true}, {&a, 7, 2, false}, {&b, 7, 1, false}, {&b, 7, 2, true},
		{&a, 8, 1, false}, {&a, 8, 2, true}, {&b, 8, 1, true}, {&b, 8, 2, false}} {
		if _, misplaced := tt.link.MayAnswer(rpc.CallerIDs{tt.session}, tt.id); misplaced == tt.want {
			t.Errorf("%d of session %d: %v", tt.id, tt.session, !misplaced)
		}
	}
}

func TestLatestIDsAreRemembered(t *testing.T) {
	for broker, limit := range map[bool]int64{false: 65_536, true: 20 * 65_536} {
		var polled, busy, liar replyroutes.Table
		by := replyroutes.NewOpener(broker, nil)
		liar.Open(stack(), request(1), by)
		misplaced := func(from *replyroutes.Table, id int64) bool {
			_, misplaced := from.MayAnswer(stack(), id)
			return misplaced
		}
		for id := range limit { // a long call, and many short ones
			busy.Open(stack(), request(id+2), by)
		}
		if !misplaced(&liar, 2) || !misplaced(&liar, limit+1) {
			t.Errorf("broker: %v: fewer than %d ids are remembered", broker, limit)
		}
		if broker {
			continue // the rest takes its time
		}
		for id := int64(3); id <= limit+1; id++ {
			busy.MayAnswer(stack(), id)
		}
		for id := limit + 2; id <= 2*limit; id++ {
			polled.Open(stack(), request(id), by)
		}
		if !misplaced(&liar, 2) {
			t.Error("what nobody has answered goes before what is answered")
		}
		if misplaced(&busy, 3) || misplaced(&busy, 2) || misplaced(&polled, 2*limit) {
			t.Error("an answer is lost")
		}
	}
}

// A C++ agent answers a call of its last connection after it reconnected, whether or not
// the broker had noticed before that the last one was lost.
func TestDeviceThatComesBackAnswersWhatItWasAsked(t *testing.T) {
	var before, again, other, stranger replyroutes.Table
	var left replyroutes.Left
	by := replyroutes.NewOpener(false, nil)
	before.Open(stack(), request(5), by)
	left.Leave("test/a", "iot", &before)
	left.Return("test/a", "eva", &stranger)
	left.Return("test/b", "iot", &other)
	left.Return("test/a", "iot", &again)
	for id, link := range []*replyroutes.Table{&again, &other, &stranger} {
		link.Open(stack(), request(int64(6+id)), by)
	}
	for name, tt := range map[string]struct {
		*replyroutes.Table
		want bool
	}{
		"it": {&again, true}, "the last one": {&before, true},
		"another": {&other, false}, "another user's": {&stranger, false},
	} {
		if ok, misplaced := tt.MayAnswer(stack(), 5); !ok || misplaced == tt.want {
			t.Errorf("%s may answer: %v, want %v", name, !misplaced, tt.want)
		}
	}
	left.Leave("test/a", "iot", &again)
	var third replyroutes.Table
	left.Return("test/a", "iot", &third)
	third.Open(stack(), request(9), by)
	for _, id := range []int64{5, 6, 9} {
		if _, misplaced := third.MayAnswer(stack(), id); misplaced {
			t.Errorf("call %d is lost on the third link", id)
		}
	}
}

func TestDevicesThatHaveLeftAreBounded(t *testing.T) {
	var left replyroutes.Left
	by := replyroutes.NewOpener(true, nil)
	tables := make([]replyroutes.Table, 3*replyroutes.MaxLeft)
	for i := range tables {
		tables[i].Open(stack(), request(int64(i+1)), by)
		left.Leave(fmt.Sprint(i), "iot", &tables[i])
	}
	var quiet replyroutes.Table // nobody asked it anything
	left.Leave("quiet", "iot", &quiet)
	kept := 0
	for i := range tables {
		var again replyroutes.Table
		left.Return(fmt.Sprint(i), "iot", &again)
		again.Open(stack(), request(int64(len(tables)+1)), by)
		if _, misplaced := again.MayAnswer(stack(), int64(i+1)); !misplaced {
			kept++
		}
	}
	if kept < replyroutes.MaxLeft || kept > 2*replyroutes.MaxLeft {
		t.Errorf("%d are remembered", kept)
	}
}

// Routes to sessions that have ended stay for a while; what these have sent does not.
func TestDepartedSessionsTakeNoMemoryForTheirIDs(t *testing.T) {
	var table replyroutes.Table
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for session := range int64(50) {
		by := replyroutes.NewOpener(false, nil)
		for id := range int64(10_000) {
			table.Open(rpc.CallerIDs{session}, request(id+1), by)
		}
		by.Depart()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if bytes := int64(after.HeapAlloc) - int64(before.HeapAlloc); bytes > 50*4_000 {
		t.Errorf("%d bytes are left of 50 sessions", bytes)
	}
	if table.Len() != 50 {
		t.Errorf("%d routes", table.Len())
	}
}

// Many links answer and ask at once.
func TestTablesOfOneCallerAreUsedAtOnce(t *testing.T) {
	by := replyroutes.NewOpener(false, nil)
	tables := make([]replyroutes.Table, 4)
	asked := make([]chan int64, len(tables))
	var devices sync.WaitGroup
	for i := range tables {
		asked[i] = make(chan int64, 8)
		devices.Go(func() {
			for id := range asked[i] {
				if ok, misplaced := tables[i].MayAnswer(stack(), id); !ok || misplaced {
					t.Errorf("the answer to %d is lost", id)
				}
				if _, misplaced := tables[(i+1)%len(tables)].MayAnswer(stack(), id); !misplaced {
					t.Errorf("another one may answer %d", id)
				}
			}
		})
	}
	for id := range int64(len(tables)) { // all routes are open
		tables[id].Open(stack(), request(id+1), by)
	}
	for id := int64(10); id < 5000; id++ {
		i := id % int64(len(tables))
		tables[i].Open(stack(), request(id), by)
		asked[i] <- id
		if id%100 == 0 {
			var heir replyroutes.Table
			heir.Inherit(&tables[i])
			heir.Live()
		}
	}
	for i := range asked {
		close(asked[i])
	}
	devices.Wait()
}

func BenchmarkCall(b *testing.B) {
	var table replyroutes.Table
	by := replyroutes.NewOpener(false, nil)
	call := request(0)
	for b.Loop() {
		call.ID++
		table.Open(stack(), call, by)
		table.MayAnswer(stack(), call.ID)
	}
}
