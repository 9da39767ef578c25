package tunnels_test

import (
	"testing"
	"time"

	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/shv/rpc"
)

func key(n int64) tunnels.Key { return tunnels.NewKey(9, n, nil) }

func TestKeysDiffer(t *testing.T) {
	all := []tunnels.Key{
		tunnels.NewKey(1, 2, nil), tunnels.NewKey(2, 1, nil), tunnels.NewKey(1, 2, rpc.CallerIDs{3}),
		tunnels.NewKey(1, 2, rpc.CallerIDs{3, 4}), tunnels.NewKey(1, 2, rpc.CallerIDs{4, 3}),
	}
	for i, x := range all {
		for j, y := range all {
			if (x == y) != (i == j) {
				t.Errorf("%+v and %+v", x, y)
			}
		}
	}
}

// Each expected tunnel is made once, by the child that asked for it.
func TestExpectedTunnelsAreMadeOnce(t *testing.T) {
	var e tunnels.Expected
	now := time.Now()
	if _, _, ok := e.Take(key(1), 5, now); ok {
		t.Error("an empty table expects something")
	}
	right := replyroutes.Right{Path: "test/a", Method: "launchRexec", Level: rpc.AccessSuper}
	e.Add(key(1), 5, right, "s-1", now)
	if _, _, ok := e.Take(key(1), 6, now); ok {
		t.Error("another child makes it")
	}
	if _, _, ok := e.Take(key(2), 5, now); ok {
		t.Error("another tunnel is made")
	}
	if with, name, ok := e.Take(key(1), 5, now); !ok || with != right || name != "s-1" {
		t.Errorf("%v, %v", with, ok)
	}
	if _, _, ok := e.Take(key(1), 5, now); ok {
		t.Error("it is made twice")
	}
	// The child that asked last is the one that may.
	e.Add(key(1), 5, right, "s-1", now)
	e.Add(key(1), 6, right, "", now)
	if _, _, ok := e.Take(key(1), 5, now); ok {
		t.Error("the first child makes it")
	}
	if _, _, ok := e.Take(key(1), 6, now); !ok || e.Len() != 0 {
		t.Errorf("the second child does not make it, or %d are left", e.Len())
	}
}

func TestExpectedTunnelsAreBoundedAndFair(t *testing.T) {
	var e tunnels.Expected
	now := time.Now()
	for n := range int64(3 * tunnels.MaxExpected) {
		e.Add(key(n), 1, replyroutes.Right{}, "", now)
	}
	if n := e.Len(); n != tunnels.MaxExpected {
		t.Errorf("%d are expected of one child", n)
	}
	e.Add(key(-1), 2, replyroutes.Right{}, "", now)
	if _, _, ok := e.Take(key(-1), 2, now); !ok {
		t.Error("the tunnel of another child is not expected")
	}
	late := now.Add(tunnels.ExpectFor + time.Second)
	if _, _, ok := e.Take(key(1), 1, late); ok {
		t.Error("it is expected for ever")
	}
	if _, _, ok := e.Take(key(2), 1, now.Add(tunnels.ExpectFor)); !ok {
		t.Error("it is not expected any more")
	}
	e.Add(key(7), 1, replyroutes.Right{}, "", late)
	if _, _, ok := e.Take(key(7), 1, late); !ok || e.Len() != 0 {
		t.Errorf("what comes too late takes space: %d", e.Len())
	}
}

func TestEndedTunnelsAreRemembered(t *testing.T) {
	var e tunnels.Ended
	now := time.Now()
	if e.Has(key(1), 0) || e.Has(key(1), 5) {
		t.Error("an empty table has something")
	}
	e.Add(key(1), 5, now)
	if !e.Has(key(1), 5) || e.Has(key(1), 6) || e.Has(key(2), 5) || e.Has(key(2), 0) {
		t.Error("the wrong messages belong to an ended tunnel")
	}
	if n := testing.AllocsPerRun(100, func() { e.Has(key(1), 5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	// A new call uses the key.
	e.Forget(key(1))
	if e.Has(key(1), 5) || e.Len() != 0 {
		t.Error("it is not forgotten")
	}
	// When the old record expires, that does not take a newer one of another session.
	e.Add(key(1), 6, now.Add(time.Second))
	e.Add(key(2), 7, now.Add(tunnels.RememberFor+time.Millisecond))
	if !e.Has(key(1), 6) {
		t.Error("a newer record is gone")
	}
	e.Add(key(3), 7, now.Add(2*tunnels.RememberFor))
	if e.Has(key(1), 6) || !e.Has(key(2), 7) {
		t.Error("the wrong record expired")
	}
}

func TestEndedTunnelsAreBounded(t *testing.T) {
	var e tunnels.Ended
	now := time.Now()
	for n := range int64(3 * tunnels.MaxEnded) {
		e.Add(key(n), 5, now)
	}
	if n := e.Len(); n != tunnels.MaxEnded {
		t.Errorf("%d are remembered", n)
	}
	if e.Has(key(2*tunnels.MaxEnded-1), 5) || !e.Has(key(2*tunnels.MaxEnded), 5) {
		t.Error("the oldest do not go first")
	}
}
