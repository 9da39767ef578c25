package core

import (
	"fmt"
	"testing"
	"time"

	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/rpc"
)

// A broker below that asks for tunnels without end keeps no other from its own.
func TestAwaitedTunnelsOfOneBrokerLeaveRoomForAnother(t *testing.T) {
	var a awaited
	var floods, other session
	floods.id, other.id = 1, 2
	now := time.Now()
	key := func(s *session, n int64) tunnelKey { return tunnelKey{9, n, string(rune(s.id))} }
	for n := range int64(3 * maxAwaited) {
		a.add(key(&floods, n), &floods, replyroutes.Right{}, now)
	}
	if len(a.calls) != maxAwaited {
		t.Errorf("%d are awaited of one broker", len(a.calls))
	}
	a.add(key(&other, 1), &other, replyroutes.Right{}, now)
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
	a.add(key(&floods, 1), &floods, replyroutes.Right{}, later)
	if _, ok := a.take(key(&floods, 1), &floods, later); !ok {
		t.Error("what is long over leaves no room")
	}
	if len(a.calls) != 0 || len(a.count) != 0 {
		t.Errorf("%d calls and %d counts are left", len(a.calls), len(a.count))
	}
}

// A broker below makes a tunnel for a call that it has asked one for, once, whatever
// else its caller calls meanwhile.
func TestChildMakesTheTunnelsThatItAskedFor(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := serve(t, Options{})
		user := w.root()
		child := w.broker("c")
		create := fmt.Sprintf(`<1:1,8:41,11:%d,13:7,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:5}>i{}`, user.id)
		user.send(`<1:1,8:41,9:"c/x",10:"launchRexec">i{}`)
		child.next()
		child.send("%s", create) // it has not asked
		child.fence()
		child.send(`<1:1,8:41,11:%d,13:7,15:<1:3>i{1:1,2:"low",3:1,4:"abc",6:[1,2]}>i{}`, user.id)
		if ctl := child.next().Tunnel(); ctl.Host != "low" {
			t.Fatalf("%+v", ctl)
		}
		for id := range 2 * replyroutes.MaxAsked {
			user.send(`<1:1,8:%d,9:"c/x",10:"get">i{}`, 100+id)
			child.next()
		}
		child.send("%s", create)
		if m := user.next(); m.Tunnel().State != rpc.CreateTunnelRequest || m.ID() != 41 {
			t.Fatalf("no CreateTunnelRequest: %x", m.Body())
		}
		child.send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:null}`, user.id)
		user.expect(`<1:1,8:41,15:<1:3>i{1:5}>i{2:null}`)
		child.send("%s", create) // once
		child.send(`<1:1,8:41,11:%d>i{2:[1,"late"]}`, user.id)
		child.fence()
		user.fence()
		if n := w.Stats().Forged; n != 2 {
			t.Errorf("%d messages were dropped as forged", n)
		}
	})
}

// A client and a broker below that work together must not open tunnels without end.
func TestTunnelsOfOneClientAreBounded(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := serve(t, Options{})
		user := w.root()
		child := w.broker("c")
		open := func(id int) *rpc.Message {
			user.send(`<1:1,8:%d,9:"c/x",10:"launchRexec">i{}`, id)
			child.next()
			child.send(`<1:1,8:%d,11:%d,13:7,15:<1:3>i{1:1,2:"low",3:1,4:"abc",6:[1,2]}>i{}`, id, user.id)
			child.next()
			child.send(`<1:1,8:%d,11:%d,13:7,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:5}>i{}`, id, user.id)
			return user.next()
		}
		for id := range maxTunnels {
			if m := open(id + 1); m.Tunnel().State != rpc.CreateTunnelRequest {
				t.Fatalf("tunnel %d: %x", id+1, m.Body())
			}
		}
		last := maxTunnels + 1
		if content, err := open(last).Content(); err != nil || content.Error == nil || content.Error.Code != rpc.CodeTryAgainLater {
			t.Errorf("one more: %+v, %v", content, err)
		}
		child.send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:null}`, user.id)
		user.next()
		if m := open(last); m.Tunnel().State != rpc.CreateTunnelRequest {
			t.Errorf("when one has ended: %x", m.Body())
		}
	})
}
