package core

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who watches a counter takes one that goes back for a restart.
func TestCountersStayWhenTheirClientsGo(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		p.toUser(strings.Repeat("x", 1000))
		p.user.text()
		p.user.fence()
		live := w.Stats()
		if live.TunnelsOpened != 1 || live.TunnelBytesToClients < 1000 || live.TunnelBytesToClients > 2000 ||
			live.Traffic.FramesIn < 10 || live.Traffic.BytesIn < 1000 || live.Traffic.FramesOut < 10 || live.Traffic.BytesOut < 1000 {
			t.Errorf("%+v", live)
		}
		_ = p.helper.conn.Close()
		p.agent.sendRaw([]byte{1, 0}) // it begins anew on the same link
		synctest.Wait()
		then := w.Stats()
		if then.Tunnels != 0 || then.TunnelsOpened != 1 || then.TunnelBytesToClients != live.TunnelBytesToClients ||
			then.Traffic.FramesIn != live.Traffic.FramesIn+1 || then.Traffic.BytesIn != live.Traffic.BytesIn+2 || then.Traffic.FramesOut < live.Traffic.FramesOut {
			t.Errorf("from %+v\nto %+v", live, then)
		}
		_ = p.user.conn.Close()
		_ = p.agent.conn.Close()
		synctest.Wait()
		last := w.Stats()
		if last.Clients != 0 || last.Traffic.FramesIn != then.Traffic.FramesIn || last.Traffic.FramesOut < then.Traffic.FramesOut {
			t.Errorf("from %+v\nto %+v", then, last)
		}
	})
}

func TestConnectionsAreCountedByListener(t *testing.T) {
	bubbled(t, Options{Limits: Limits{Connections: 2}}, func(t *testing.T, w *world) {
		first := w.client()
		w.client()
		w.connect().gone()
		_ = first.conn.Close()
		synctest.Wait()
		s := w.Stats()
		if len(s.Listeners) != 1 || s.Listeners[0] != (ListenerStats{"memory://memory", 1, 3}) {
			t.Errorf("%+v", s.Listeners)
		}
	})
}

func TestLoginsAndRequestsAreCountedByWhatBecameOfThem(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3) // a user, an agent and a helper
		p.user.send(`<1:1,8:50,10:"subscribe",9:".broker/currentClient">i{1:"test/**:*:*"}`)
		p.user.text()
		bad := w.connect()
		nonce := bad.nonce()
		bad.send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"wrong","type":"PLAIN","user":"eve"}}}`)
		bad.text()
		bad.send(`<1:1,8:3,10:"login">i{1:{"login":{"password":"%s","type":"PLAIN","user":"eve"},"options":{"device":{"mountPoint":"test/agent"}}}}`, password)
		bad.text()
		_ = nonce
		eve := w.connect().login("eve", password, `{}`)
		eve.send(`<1:1,8:5,9:"test/closed/x",10:"ls">i{}`)
		eve.text()
		p.user.launch(p.agent, 60)
		p.agent.secret(p.user.id, 60)
		s := w.Stats()
		want := [LoginResults]uint64{LoginAccepted: 3, LoginOfHelper: 1, LoginInvalid: 1, LoginRefused: 1}
		if s.Logins != want || s.RequestsDenied != 1 || s.Subscriptions != 1 || s.Awaiting != 1 {
			t.Errorf("logins %v, want %v; %+v", s.Logins, want, s)
		}
		var judged uint64
		for _, n := range s.LoginTime.Counts {
			judged += n
		}
		if judged != 6 || s.LoginTime.Counts[0] != 6 || s.LoginTime.Sum > time.Second || len(s.LoginTime.Counts) != len(s.LoginTime.Bounds)+1 {
			t.Errorf("%+v: what a login is held back for counts", s.LoginTime)
		}
	})
}
