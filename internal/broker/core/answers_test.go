package core_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// station is an HMI with one connection, a device that it controls, and one that lies. It
// has called both once, so both have a reply route.
type station struct {
	t                *testing.T
	w                *world.World
	hmi, signal, toy *world.Peer
	dropped          uint64
}

func atStation(t *testing.T, f func(s *station)) {
	t.Helper()
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		s := &station{t: t, w: w, hmi: w.Admin(), signal: w.Device("test/signal"), toy: w.Device("test/toy")}
		s.ask("test/toy", 1, s.toy)
		s.answered(s.toy, 1)
		s.ask("test/signal", 2, s.signal)
		s.answered(s.signal, 2)
		f(s)
	})
}

// ask calls a device, which receives that.
func (s *station) ask(path string, id int64, device *world.Peer) {
	s.t.Helper()
	s.hmi.Send(`<1:1,8:%d,9:"%s",10:"get">i{}`, id, path)
	if m := device.Next(); m.ID() != id {
		s.t.Fatalf("the device received %d, want %d", m.ID(), id)
	}
}

// answered sends an answer that has to arrive.
func (s *station) answered(device *world.Peer, id int64) {
	s.t.Helper()
	device.Send(`<1:1,8:%d,11:%d>i{2:"true"}`, id, s.hmi.ID)
	s.hmi.Expect(`<1:1,8:%d>i{2:"true"}`, id)
}

// lied sends an answer that must not arrive.
func (s *station) lied(device *world.Peer, id int64) {
	s.t.Helper()
	device.Send(`<1:1,8:%d,11:%d>i{2:"false"}`, id, s.hmi.ID)
	device.Fence()
	s.hmi.Fence()
	if s.dropped++; s.w.Stats().Misplaced != s.dropped {
		s.t.Errorf("%d answers were dropped, want %d", s.w.Stats().Misplaced, s.dropped)
	}
}

// A device that was polled once once answered the next calls of its caller, whichever device
// they went to.
func TestNoDeviceAnswersForAnother(t *testing.T) {
	atStation(t, func(s *station) {
		for id := int64(3); id < 20; id++ { // before they are asked
			s.lied(s.toy, id)
		}
		for id := int64(3); id < 20; id++ {
			s.ask("test/signal", id, s.signal)
			s.lied(s.toy, id)
			s.answered(s.signal, id)
			s.lied(s.toy, id)
			s.answered(s.signal, id) // a second answer to one call
		}
		s.ask("test/toy", 20, s.toy)
		s.lied(s.signal, 20)
		s.answered(s.toy, 20)
		if n := s.w.Stats().Forged; n != 0 {
			s.t.Errorf("%d count as forged", n)
		}
	})
}

// Clients number their calls as they like.
func TestAnswersToCallsThatAreNumberedOddly(t *testing.T) {
	for name, ids := range map[string][]int64{
		"they ascend":             {3, 4, 5, 6, 7},
		"they begin anew":         {1000, 1001, 3, 4, 5},
		"they wrap":               {math.MaxInt32 - 1, math.MaxInt32, 3, 4},
		"they wrap at 64 bits":    {math.MaxInt64 - 1, math.MaxInt64, 3, 4},
		"they descend":            {50, 40, 30, 20, 10},
		"at random":               {817_221, 12, 900_000_000_000, 44, 13},
		"with steps":              {100, 200, 300},
		"they exceed what int is": {1 << 31, 1 << 32, 1 << 53, 1 << 62},
	} {
		t.Run(name, func(t *testing.T) {
			atStation(t, func(s *station) {
				for i, id := range ids {
					asked, other, path := s.signal, s.toy, "test/signal"
					if i%2 == 1 {
						asked, other, path = other, asked, "test/toy"
					}
					s.ask(path, id, asked)
					s.lied(other, id)
				}
				for i, id := range ids { // all at the end
					s.answered([]*world.Peer{s.signal, s.toy}[i%2], id)
				}
			})
		})
	}
}

// A client that always sends the same id, one call after the other, must not lose answers.
func TestAnswersToCallsWithOneNumber(t *testing.T) {
	atStation(t, func(s *station) {
		for range 5 {
			s.ask("test/signal", 2, s.signal)
			s.answered(s.signal, 2)
			s.ask("test/toy", 2, s.toy)
			s.answered(s.toy, 2)
		}
		third := s.w.Device("test/third")
		s.ask("test/third", 3, third)
		s.lied(third, 2)
	})
}

// A request that was refused is not open at its device: that one answers nothing when the
// caller sends it to another.
func TestRequestThatWasRefusedIsSentToAnother(t *testing.T) {
	world.Run(t, core.Options{Limits: core.Limits{QueueBytes: 4 << 10}}, func(t *testing.T, w *world.World) {
		s := &station{t: t, w: w, hmi: w.Client(), signal: w.Device("test/signal"), toy: w.Device("test/toy")}
		s.ask("test/signal", 1, s.signal)
		s.answered(s.signal, 1)
		s.ask("test/toy", 2, s.toy)
		id := int64(2)
		for w.Stats().RequestsRefused == 0 { // toy does not read
			id++
			s.hmi.Send(`<1:1,8:%d,9:"test/toy",10:"get">i{1:"%0500d"}`, id, 0)
			synctest.Wait()
		}
		s.hmi.ExpectError(id, rpc.CodeTryAgainLater, "does not keep up")
		for range id - 3 {
			s.toy.Next()
		}
		s.ask("test/signal", id, s.signal)
		s.lied(s.toy, id)
		s.answered(s.signal, id)
		for id := range id - 3 {
			s.answered(s.toy, id+3)
		}
	})
}

func TestOldAndNewLinkOfADeviceAnswerWhatWasAskedBefore(t *testing.T) {
	atStation(t, func(s *station) {
		s.ask("test/signal", 3, s.signal)
		again := s.w.Device("test/signal") // while the first link is not known to be lost
		s.answered(s.signal, 3)
		s.answered(again, 3)
		s.ask("test/signal", 4, again)
		s.lied(s.signal, 4)
		s.ask(fmt.Sprintf(".broker/client/%d", s.signal.ID), 5, s.signal)
		s.lied(again, 5)
		s.answered(s.signal, 5)
		s.answered(again, 4)
		s.lied(s.toy, 4)
		third := s.w.Device("test/signal")
		s.signal.Close()
		again.Close()
		for _, id := range []int64{2, 3, 4} {
			s.answered(third, id)
		}
		s.lied(third, 5)
	})
}

// A device that was noticed to be gone comes back, and answers what it was asked before as
// soon as its link has a reply route.
func TestDeviceThatComesBackAnswersWhatItWasAskedBefore(t *testing.T) {
	atStation(t, func(s *station) {
		s.ask("test/signal", 3, s.signal)
		s.signal.Close()
		synctest.Wait()
		again := s.w.Device("test/signal")
		s.ask("test/signal", 4, again)
		s.answered(again, 3)
		s.answered(again, 4)
		s.lied(s.toy, 3)
	})
}

// Some answers of the broker itself come later. No device gives them first.
func TestNoDeviceAnswersForTheBroker(t *testing.T) {
	atStation(t, func(s *station) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		l := link.New(theirs, s.w.LinkOptions())
		call := func(ctx context.Context, _, _ string, _ chainpack.Value) (chainpack.Value, error) {
			<-ctx.Done() // it takes its time
			return chainpack.Value{}, ctx.Err()
		}
		p, err := s.w.AddParent(l, transport.Peer{}, core.ParentOptions{Name: "up", Call: call})
		if err != nil {
			t.Fatal(err)
		}
		p.Ready()
		go func() {
			l.Run(upward{p, l})
			p.End()
		}()
		s.hmi.Send(`<1:1,8:3,9:".broker/currentClient",10:"brokersAbove">i{1:[]}`)
		s.ask("test/toy", 4, s.toy)
		s.lied(s.toy, 3)
		s.hmi.ExpectError(3, rpc.CodeTryAgainLater, "does not tell")
		s.lied(s.toy, 3)
	})
}

// In a tree, each caller behind a broker has its own ids, and each link below is one device.
func TestNoDeviceAnswersForAnotherInATree(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		signal, toy, near := tr.bottom.Device("test/signal"), tr.bottom.Device("test/toy"), tr.top.Device("test/near")
		ann, bob := tr.top.Admin(), tr.top.Admin()
		ask := func(user *world.Peer, path string, id int64, device *world.Peer) string {
			t.Helper()
			user.Send(`<1:1,8:%d,9:"%s",10:"get">i{}`, id, path)
			m := device.Next()
			if m.ID() != id {
				t.Fatalf("received %d, want %d", m.ID(), id)
			}
			return ids(m.Callers())
		}
		// Both have the same numbers for calls of other devices.
		annToy := ask(ann, "m/s/test/toy", 1, toy)
		bobToy := ask(bob, "m/s/test/toy", 5, toy)
		ask(ann, "test/near", 2, near)
		annSignal := ask(ann, "m/s/test/signal", 3, signal)
		ask(bob, "m/s/test/signal", 1, signal)
		ask(ann, "m/s/test/signal", 5, signal)
		lie := func(device *world.Peer, callers string, id int64) {
			t.Helper()
			device.Send(`<1:1,8:%d,11:%s>i{2:"false"}`, id, callers)
			device.Fence()
		}
		lie(toy, annToy, 3)
		lie(toy, annToy, 6)
		lie(toy, annToy, 5)
		lie(toy, bobToy, 1)
		lie(toy, bobToy, 6)
		lie(toy, annToy, 2) // the broker above knows whose that is
		lie(near, fmt.Sprint(ann.ID), 3)
		settle()
		for _, user := range []*world.Peer{ann, bob} {
			user.Fence()
		}
		if n := tr.bottom.Stats().Misplaced; n != 5 {
			t.Errorf("%d answers were dropped below", n)
		}
		if n := tr.top.Stats().Misplaced; n != 2 {
			t.Errorf("%d answers were dropped above", n)
		}
		toy.Send(`<1:1,8:1,11:%s>i{2:"true"}`, annToy)
		ann.Expect(`<1:1,8:1>i{2:"true"}`)
		toy.Send(`<1:1,8:5,11:%s>i{2:"true"}`, bobToy)
		bob.Expect(`<1:1,8:5>i{2:"true"}`)
		for _, id := range []int64{5, 3} {
			signal.Send(`<1:1,8:%d,11:%s>i{2:"true"}`, id, annSignal)
			ann.Expect(`<1:1,8:%d>i{2:"true"}`, id)
		}
	})
}

// A tunnel through a child broker is judged by its record, whatever its caller calls beside
// it; the child answers nothing else for others.
func TestTunnelThroughAChildGoesOnBesideManyCalls(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, child, other := w.Admin(), w.ChildBroker("c"), w.Device("test/other")
		user.Send(`<1:1,8:41,9:"c/x",10:"launchRexec">i{}`)
		child.Next()
		child.Send(`<1:1,8:41,11:%d,13:7,15:<1:3>i{1:1,2:"low",3:1,4:"abc",6:[1,2]}>i{}`, user.ID)
		child.Next()
		child.Send(`<1:1,8:41,11:%d,13:7,15:<1:3>i{1:3,2:"h",3:1,4:"s",5:5}>i{}`, user.ID)
		if m := user.Next(); m.Tunnel().State != rpc.CreateTunnelRequest {
			t.Fatalf("no CreateTunnelRequest: %x", m.Body())
		}
		user.Send(`<1:1,8:41,9:"test/other",10:"get">i{}`) // the same number, elsewhere
		other.Next()
		for id := range 3 * replyroutes.MaxAsked {
			user.Send(`<1:1,8:%d,9:"test/other",10:"get">i{}`, 100+id)
			other.Next()
			child.Send(`<1:1,8:%d,11:%d>i{2:"false"}`, 100+id, user.ID)
			child.Send(`<1:1,8:41,11:%d>i{2:[1,"%d"]}`, user.ID, id)
			user.Expect(`<1:1,8:41>i{2:[1,"%d"]}`, id)
			other.Send(`<1:1,8:%d,11:%d>i{2:"true"}`, 100+id, user.ID)
			user.Expect(`<1:1,8:%d>i{2:"true"}`, 100+id)
		}
		child.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:null}`, user.ID)
		user.Expect(`<1:1,8:41,15:<1:3>i{1:5}>i{2:null}`)
		if s := w.Stats(); s.Misplaced != 3*replyroutes.MaxAsked || s.Forged != 0 {
			t.Errorf("%d misplaced, %d forged", s.Misplaced, s.Forged)
		}
	})
}
