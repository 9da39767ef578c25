package core_test

import (
	"fmt"
	"testing"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

// A child broker that asks for any number of tunnels does not keep another one from its
// own.
func TestAwaitedTunnelsOfOneBrokerLeaveRoomForAnother(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.As("root", `{"idleWatchDogTimeOut":0}`)
		floods, other := w.ChildBroker("c"), w.ChildBroker("d")
		ask := func(child *world.Peer, mount string, call int) {
			user.Send(`<1:1,8:%d,9:"%s/x",10:"launchRexec">i{}`, call, mount)
			child.Next()
			child.Send(`<1:1,8:%d,11:%d,13:7,15:<1:3>i{1:1,2:"low",3:1,4:"abc",6:[1,2]}>i{}`, call, user.ID)
			if ctl := child.Next().Tunnel(); ctl.Host != "low" {
				t.Fatalf("call %d: %+v", call, ctl)
			}
		}
		makes := func(child *world.Peer, call int) bool {
			before := w.Stats().Forged
			child.Send(`<1:1,8:%d,11:%d,13:7,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:5}>i{}`, call, user.ID)
			child.Fence()
			if w.Stats().Forged > before {
				user.Fence()
				return false
			}
			if m := user.Next(); m.Tunnel().State != rpc.CreateTunnelRequest || m.ID() != int64(call) {
				t.Fatalf("no CreateTunnelRequest of %d: id %d, %x", call, m.ID(), m.Body())
			}
			child.Send(`<1:1,8:%d,11:%d,15:<1:3>i{1:5}>i{2:null}`, call, user.ID)
			user.Next()
			return true
		}
		const most, foreign = tunnels.MaxExpected, 4 * tunnels.MaxExpected
		for call := range 3 * most {
			ask(floods, "c", call+1)
		}
		if n := w.Expected(); n != most {
			t.Errorf("%d are awaited of one broker", n)
		}
		ask(other, "d", foreign)
		if makes(floods, most+1) {
			t.Error("one more is awaited than there may be")
		}
		if makes(floods, foreign) {
			t.Error("one broker takes what the other asked for")
		}
		if !makes(other, foreign) || !makes(floods, most) {
			t.Error("the tunnel of the other, or the last one, is not awaited")
		}
		if makes(other, foreign) {
			t.Error("it is made twice")
		}

		time.Sleep(2 * tunnels.ExpectFor)
		if makes(floods, 1) {
			t.Error("it is awaited for ever")
		}
		ask(floods, "c", 1)
		if n := w.Expected(); n != 1 {
			t.Errorf("%d are awaited when all but one are long over", n)
		}
		if !makes(floods, 1) {
			t.Error("what is long over leaves no room")
		}
		if n := w.Expected(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// A child broker may make one tunnel for each call that it asked a tunnel for, whatever
// else the caller calls meanwhile.
func TestChildMakesTheTunnelsThatItAskedFor(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.Admin()
		child := w.ChildBroker("c")
		create := fmt.Sprintf(`<1:1,8:41,11:%d,13:7,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:5}>i{}`, user.ID)
		user.Send(`<1:1,8:41,9:"c/x",10:"launchRexec">i{}`)
		child.Next()
		child.Send("%s", create) // it has not asked
		child.Fence()
		child.Send(`<1:1,8:41,11:%d,13:7,15:<1:3>i{1:1,2:"low",3:1,4:"abc",6:[1,2]}>i{}`, user.ID)
		if ctl := child.Next().Tunnel(); ctl.Host != "low" {
			t.Fatalf("%+v", ctl)
		}
		for id := range 2 * replyroutes.MaxAsked {
			user.Send(`<1:1,8:%d,9:"c/x",10:"get">i{}`, 100+id)
			child.Next()
		}
		child.Send("%s", create)
		if m := user.Next(); m.Tunnel().State != rpc.CreateTunnelRequest || m.ID() != 41 {
			t.Fatalf("no CreateTunnelRequest: %x", m.Body())
		}
		child.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:null}`, user.ID)
		user.Expect(`<1:1,8:41,15:<1:3>i{1:5}>i{2:null}`)
		child.Send("%s", create) // once
		child.Send(`<1:1,8:41,11:%d>i{2:[1,"late"]}`, user.ID)
		child.Fence()
		user.Fence()
		if n := w.Stats().Forged; n != 2 {
			t.Errorf("%d messages were dropped as forged", n)
		}
	})
}

// A client and a child broker that work together cannot open any number of tunnels.
func TestTunnelsOfOneClientAreBounded(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.Admin()
		child := w.ChildBroker("c")
		open := func(id int) *rpc.Message {
			user.Send(`<1:1,8:%d,9:"c/x",10:"launchRexec">i{}`, id)
			child.Next()
			child.Send(`<1:1,8:%d,11:%d,13:7,15:<1:3>i{1:1,2:"low",3:1,4:"abc",6:[1,2]}>i{}`, id, user.ID)
			child.Next()
			child.Send(`<1:1,8:%d,11:%d,13:7,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:5}>i{}`, id, user.ID)
			return user.Next()
		}
		for id := range core.MaxTunnels {
			if m := open(id + 1); m.Tunnel().State != rpc.CreateTunnelRequest {
				t.Fatalf("tunnel %d: %x", id+1, m.Body())
			}
		}
		last := core.MaxTunnels + 1
		content, err := open(last).Content()
		if err != nil || content.Error == nil || content.Error.Code != rpc.CodeTryAgainLater {
			t.Errorf("one more: %+v, %v", content, err)
		}
		child.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:null}`, user.ID)
		user.Next()
		if m := open(last); m.Tunnel().State != rpc.CreateTunnelRequest {
			t.Errorf("when one has ended: %x", m.Body())
		}
	})
}
