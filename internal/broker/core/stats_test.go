package core_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/test/world"
)

// Monitoring takes a counter that decreases for a restart of the broker.
func TestCountersStayWhenTheirClientsGo(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		p.ToUser(strings.Repeat("x", 1000))
		p.User.Text()
		p.User.Fence()
		live := w.Stats()
		if live.TunnelsOpened != 1 || live.TunnelBytesToClients < 1000 || live.TunnelBytesToClients > 2000 ||
			live.Traffic.FramesIn < 10 || live.Traffic.BytesIn < 1000 ||
			live.Traffic.FramesOut < 10 || live.Traffic.BytesOut < 1000 {
			t.Errorf("%+v", live)
		}
		p.Helper.Close()
		p.Agent.SendRaw([]byte{1, 0}) // it begins anew on the same link
		synctest.Wait()
		then := w.Stats()
		if then.Tunnels != 0 || then.TunnelsOpened != 1 || then.TunnelBytesToClients != live.TunnelBytesToClients ||
			then.Traffic.FramesIn != live.Traffic.FramesIn+1 || then.Traffic.BytesIn != live.Traffic.BytesIn+2 ||
			then.Traffic.FramesOut < live.Traffic.FramesOut {
			t.Errorf("from %+v\nto %+v", live, then)
		}
		p.User.Close()
		p.Agent.Close()
		synctest.Wait()
		last := w.Stats()
		if last.Clients != 0 || last.Traffic.FramesIn != then.Traffic.FramesIn ||
			last.Traffic.FramesOut < then.Traffic.FramesOut {
			t.Errorf("from %+v\nto %+v", then, last)
		}
	})
}

func TestConnectionsAreCountedByListener(t *testing.T) {
	world.Run(t, core.Options{Limits: core.Limits{Connections: 2}}, func(t *testing.T, w *world.World) {
		first := w.Client()
		w.Client()
		w.Connect().Gone()
		first.Close()
		synctest.Wait()
		s := w.Stats()
		if len(s.Listeners) != 1 || s.Listeners[0] != (core.ListenerStats{"memory://memory", 1, 3}) {
			t.Errorf("%+v", s.Listeners)
		}
	})
}

func TestLoginsAndRequestsAreCountedByWhatBecameOfThem(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3) // a user, an agent and a helper
		p.User.Send(`<1:1,8:50,10:"subscribe",9:".broker/currentClient">i{1:"test/**:*:*"}`)
		p.User.Text()
		bad := w.Connect()
		nonce := bad.Nonce()
		bad.Send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"wrong","type":"PLAIN","user":"eve"}}}`)
		bad.Text()
		bad.SendLogin(3, "PLAIN", "eve", world.Password, `{"device":{"mountPoint":"test/agent"}}`)
		bad.Text()
		_ = nonce
		eve := w.As("eve", `{}`)
		eve.Send(`<1:1,8:5,9:"test/closed/x",10:"ls">i{}`)
		eve.Text()
		p.User.Launch(p.Agent, 60)
		p.Agent.Secret(p.User.ID, 60)
		s := w.Stats()
		want := [door.Results]uint64{
			door.Accepted: 3, door.Helper: 1, door.Invalid: 1, door.Refused: 1,
		}
		if s.Logins != want || s.RequestsDenied != 1 || s.Subscriptions != 1 || s.Awaiting != 1 {
			t.Errorf("logins %v, want %v; %+v", s.Logins, want, s)
		}
		var judged uint64
		for _, n := range s.LoginTime.Counts {
			judged += n
		}
		if judged != 6 || s.LoginTime.Counts[0] != 6 || s.LoginTime.Sum > time.Second ||
			len(s.LoginTime.Counts) != len(s.LoginTime.Bounds)+1 {
			t.Errorf("%+v: what a login is held back for counts", s.LoginTime)
		}
	})
}
