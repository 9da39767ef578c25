package broker

import (
	"testing"
	"time"
)

// A broker below that asks for tunnels without end keeps no other from its own.
func TestAwaitedTunnelsOfOneBrokerLeaveRoomForAnother(t *testing.T) {
	var a awaited
	var floods, other session
	floods.id, other.id = 1, 2
	now := time.Now()
	key := func(s *session, n int64) tunnelKey { return tunnelKey{9, n, string(rune(s.id))} }
	for n := range int64(3 * maxAwaited) {
		a.add(key(&floods, n), &floods, right{}, now)
	}
	if len(a.calls) != maxAwaited {
		t.Errorf("%d are awaited of one broker", len(a.calls))
	}
	a.add(key(&other, 1), &other, right{}, now)
	if _, ok := a.take(key(&other, 1), &floods, now); ok {
		t.Error("one broker takes what the other asked for")
	}
	if _, ok := a.take(key(&other, 1), &other, now); !ok {
		t.Error("the tunnel of the other is not awaited")
	}
	if _, ok := a.take(key(&other, 1), &other, now); ok {
		t.Error("it is made twice")
	}

	later := now.Add(2 * awaitFor)
	if _, ok := a.take(key(&floods, 1), &floods, later); ok {
		t.Error("it is awaited for ever")
	}
	a.add(key(&floods, 1), &floods, right{}, later)
	if _, ok := a.take(key(&floods, 1), &floods, later); !ok {
		t.Error("what is long over leaves no room")
	}
	if len(a.calls) != 0 || len(a.count) != 0 {
		t.Errorf("%d calls and %d counts are left", len(a.calls), len(a.count))
	}
}
