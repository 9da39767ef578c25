package replyroutes_test

import (
	"fmt"
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
	if !table.Open(stack(1, 2), response, replyroutes.NewOpener(false)) {
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
		by := replyroutes.NewOpener(false)
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
		by := replyroutes.NewOpener(false)
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
		here, gone := replyroutes.NewOpener(false), replyroutes.NewOpener(false)
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
	by := replyroutes.NewOpener(false)
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
	by := replyroutes.NewOpener(false)
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
		by := replyroutes.NewOpener(broker)
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
		if !table.Open(rpc.CallerIDs{8}, response, replyroutes.NewOpener(false)) {
			t.Errorf("broker: %v: another session is refused", broker)
		}
	}
}

func TestMadeUpCallerIDsAreBoundedOverAllLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		by := replyroutes.NewOpener(false)
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
	by, user := replyroutes.NewOpener(false), root()
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
	table.Open(stack(), response, replyroutes.NewOpener(false))
	for session := int64(100); session < 200; session++ {
		by := replyroutes.NewOpener(false)
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
