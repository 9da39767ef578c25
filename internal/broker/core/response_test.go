package core_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/test/world"
)

// called calls f with a broker and a client whose call 3 has reached a device.
func called(t *testing.T, f func(w *world.World, user, agent *world.Peer)) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Send(`<1:1,8:3,9:"test/agent",10:"x">i{}`)
		agent.Next()
		f(w, user, agent)
	})
}

func TestResponsesThatNobodyAskedForAreDropped(t *testing.T) {
	for _, tt := range []struct{ name, message string }{
		{"client that never called", `<1:1,8:3,11:VICTIM>i{2:1}`},
		{"unknown client", `<1:1,8:3,11:99>i{2:1}`},
		{"itself", `<1:1,8:3,11:AGENT>i{2:1}`},
		{"no caller ids", `<1:1,8:3>i{2:1}`},
		{"empty caller ids", `<1:1,8:3,11:[]>i{2:1}`},
		{"longer stack", `<1:1,8:3,11:[7,USER]>i{2:1}`},
		{"turned stack", `<1:1,8:3,11:[USER,7]>i{2:1}`},
		{"CreateTunnelRequest of a device", `<1:1,8:3,11:USER,13:null,15:<1:3>i{1:3,5:9}>i{}`},
		{"FindTunnelRequest for another call", `<1:1,8:4,11:USER,13:null,15:<1:3>i{1:1}>i{}`},
		{"FindTunnelRequest for another client", `<1:1,8:3,11:VICTIM,13:null,15:<1:3>i{1:1}>i{}`},
		{"id 0", `<1:1,8:0,11:USER>i{2:1}`},
		{"negative id", `<1:1,8:-3,11:USER>i{2:1}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			called(t, func(w *world.World, user, agent *world.Peer) {
				victim := w.Client()
				agent.Send("%s", strings.NewReplacer(
					"USER", strconv.Itoa(int(user.ID)), "VICTIM", strconv.Itoa(int(victim.ID)), "AGENT", strconv.Itoa(int(agent.ID)),
				).Replace(tt.message))
				agent.Fence()
				user.Fence()
				victim.Fence()
				s := w.Stats()
				if n := s.Forged + s.Unaddressed + s.Bad; n != 1 {
					t.Errorf("%d counted as dropped", n)
				}
			})
		})
	}
}

func TestFormsOfAStackAreOneRoute(t *testing.T) {
	called(t, func(w *world.World, user, agent *world.Peer) {
		for _, form := range []string{"%d", "%du", "[%d]", "[%du]"} {
			agent.Send(`<1:1,8:3,11:`+form+`>i{2:1}`, user.ID)
			user.Expect(`<1:1,8:3>i{2:1}`)
		}
	})
}

func TestSeveralResponsesToOneCallPass(t *testing.T) {
	called(t, func(w *world.World, user, agent *world.Peer) {
		for _, body := range []string{"4:0.5", "2:1", "3:i{1:8}", "2:2", ""} {
			agent.Send(`<1:1,8:3,11:%d>i{%s}`, user.ID, body)
			user.Expect(`<1:1,8:3>i{%s}`, body)
		}
		agent.Send(`<1:1,8:2,11:%d>i{2:1}`, user.ID) // no device was asked that: it is the caller's business
		user.Expect(`<1:1,8:2>i{2:1}`)
	})
}

func TestCallersOwnCallerIDsComeBack(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		for _, tt := range []struct{ own, seen, back string }{
			{"7", "[7,%d]", "7"},
			{"[7]", "[7,%d]", "7"},
			{"[7,8u]", "[7,8,%d]", "[7,8]"},
			{"[]", "%d", ""},
			{"null", "%d", ""},
		} {
			user.Send(`<1:1,8:3,9:"test/agent",10:"x",11:%s>i{}`, tt.own)
			agent.Expect(`<1:1,8:3,9:"",10:"x",11:`+tt.seen+`,14:"su",17:63>i{}`, user.ID)
			agent.Send(`<1:1,8:3,11:`+tt.seen+`>i{2:1}`, user.ID)
			if tt.back != "" {
				tt.back = ",11:" + tt.back
			}
			user.Expect(`<1:1,8:3%s>i{2:1}`, tt.back)
			user.Send(`<1:1,8:4,9:"nosuch",10:"x",11:%s>i{}`, tt.own)
			if got := user.Text(); tt.back != "" && got[:len(`<1:1,8:4`+tt.back)] != `<1:1,8:4`+tt.back {
				t.Errorf("error %s", got)
			}
		}
	})
}

func TestReplyRoutesAreInheritedOnTakeOver(t *testing.T) {
	called(t, func(w *world.World, user, agent *world.Peer) {
		second := w.Device("test/agent")
		agent.Close()
		second.Send(`<1:1,8:3,11:%d>i{2:1}`, user.ID)
		user.Expect(`<1:1,8:3>i{2:1}`)
		elsewhere := w.Device("test/other")
		elsewhere.Send(`<1:1,8:3,11:%d>i{2:1}`, user.ID)
		elsewhere.Fence()
		user.Fence()
	})
}

func TestResponseToWhoIsGone(t *testing.T) {
	called(t, func(w *world.World, user, agent *world.Peer) {
		user.Close()
		synctest.Wait()
		agent.Send(`<1:1,8:3,11:%d>i{2:1}`, user.ID)
		agent.Fence()
		if s := w.Stats(); s.Late != 1 {
			t.Errorf("%+v", s)
		}
		next := w.Client() // never under the same id
		next.Fence()
		if next.ID == user.ID {
			t.Error("an id was used twice")
		}
	})
}

func TestReplyRoutesAreForgottenAfterAnHourUnused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pauses []time.Duration // each followed by a response
		passes bool            // the last one
	}{
		{"soon", []time.Duration{29 * time.Minute}, true},
		{"after an hour", []time.Duration{61 * time.Minute}, false},
		{"after a day", []time.Duration{24 * time.Hour}, false},
		{"in use", []time.Duration{29 * time.Minute, 29 * time.Minute, 29 * time.Minute, 29 * time.Minute}, true},
		{"used and forgotten", []time.Duration{29 * time.Minute, 61 * time.Minute}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
				// Both ask for a watchdog that does not bite.
				user := w.As("iot", `{"idleWatchDogTimeOut":0}`)
				agent := w.As("iot", `{"idleWatchDogTimeOut":0,"device":{"mountPoint":"test/agent"}}`)
				user.Send(`<1:1,8:3,9:"test/agent",10:"x">i{}`)
				agent.Next()
				for i, pause := range tt.pauses {
					for pause > 0 { // in steps below the watchdog
						step := min(pause, 5*time.Hour)
						time.Sleep(step)
						pause -= step
						if pause > 0 {
							user.Fence()
							agent.Fence()
						}
					}
					agent.Send(`<1:1,8:3,11:%d>i{2:%d}`, user.ID, i)
					if i < len(tt.pauses)-1 || tt.passes {
						user.Expect(`<1:1,8:3>i{2:%d}`, i)
					}
				}
				agent.Fence()
				user.Fence()
			})
		})
	}
}

// A client that is too slow for its responses is closed: none may be lost silently.
func TestResponseToAFullQueueClosesItsReceiver(t *testing.T) {
	world.Run(t, core.Options{Limits: core.Limits{QueueBytes: 4 << 10}}, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Send(`<1:1,8:3,9:"test/agent",10:"x">i{}`)
		agent.Next()
		for range 100 {
			agent.Send(`<1:1,8:3,11:%d>i{2:"%0200d"}`, user.ID, 0)
		}
		agent.Fence()
		user.Gone()
		synctest.Wait() // its session ends just after its connection
		if n := w.Stats().Clients; n != 1 {
			t.Errorf("%d clients", n)
		}
	})
}
