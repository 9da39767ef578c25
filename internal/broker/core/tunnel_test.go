package core

import (
	"fmt"
	"testing"
	"time"

	"shvtools/internal/shv/rpc"
)

func TestTunnelWithTwoRequestIDs(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		p.works()
		if s := w.Stats(); s.Tunnels != 1 {
			t.Errorf("%+v", s)
		}
		p.helper.send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:{"exit":3}}`, p.user.id)
		p.user.expect(`<1:1,8:41,15:<1:3>i{1:5}>i{2:{"exit":3}}`)
		if s := w.Stats(); s.Tunnels != 0 {
			t.Errorf("%+v", s)
		}
		// Stragglers, of both sides.
		p.toUser("late")
		p.toHelper("late")
		p.helper.fence()
		p.user.fence()
		if s := w.Stats(); s.Forged != 0 || s.Late != 2 {
			t.Errorf("%+v", s)
		}
		p.helper.gone() // a C++ helper would stay
		p.user.fence()
	})
}

func TestTunnelLoginsMayDoNothingElse(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		victim := w.tunnel(w.client(), p.agent, 41, 3)
		bystander := w.client()
		for name, message := range map[string]string{
			"another's tunnel":     fmt.Sprintf(`<1:1,8:41,11:%d>i{2:[1,"forged"]}`, victim.user.id),
			"another's helper":     fmt.Sprintf(`<1:1,8:3,11:%d>i{2:[0,"rm -rf"]}`, victim.helper.id),
			"a bystander":          fmt.Sprintf(`<1:1,8:41,11:%d>i{2:1}`, bystander.id),
			"its agent":            fmt.Sprintf(`<1:1,8:41,11:%d>i{2:1}`, p.agent.id),
			"another id":           fmt.Sprintf(`<1:1,8:42,11:%d>i{2:[1,"x"]}`, p.user.id),
			"another stack":        fmt.Sprintf(`<1:1,8:41,11:[5,%d]>i{2:[1,"x"]}`, p.user.id),
			"a second tunnel":      fmt.Sprintf(`<1:1,8:41,11:%d,13:null,15:<1:3>i{1:3,5:9}>i{}`, p.user.id),
			"a secret":             fmt.Sprintf(`<1:1,8:41,11:%d,13:null,15:<1:3>i{1:1}>i{}`, p.user.id),
			"signals":              `<1:1,9:"test",10:"chng">i{1:1}`,
			"a response to nobody": `<1:1,8:41>i{2:1}`,
			"neither of the kinds": `<1:1>i{}`,
		} {
			t.Log(name)
			p.helper.send("%s", message)
			p.helper.fence()
			for _, r := range []*remote{p.user, victim.user, victim.helper, bystander, p.agent} {
				r.fence()
			}
		}
		for _, tt := range []struct{ path, method string }{
			{"test/agent", "ls"}, {"", "ls"}, {".app", "name"}, {".app", "ls"}, {".broker", "ls"},
			{".broker/app", "dir"}, {".broker/currentClient", "info"}, {".broker/currentClient", "subscribe"}, {".broker/client", "ls"}, {"test", "dir"}, {"", "login"},
		} {
			p.helper.send(`<1:1,8:7,9:"%s",10:"%s">i{}`, tt.path, tt.method)
			p.helper.expectError(7, rpc.CodeException, "")
		}
		p.helper.send(`<1:1,8:8,9:".broker/app",10:"ping">i{}`)
		p.helper.expect(`<1:1,8:8>i{2:true}`)
		p.works()
		victim.works()
	})
}

// The victim's own client may not be used either: others do not type into its
// shell.
func TestClientsMayNotTypeIntoTunnelsOfOthers(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		evil := w.client()
		evil.send(`<1:1,8:3,11:%d>i{2:[0,"x"]}`, p.helper.id)
		evil.send(`<1:1,8:3,11:%d,15:<1:3>i{1:5}>i{}`, p.helper.id)
		evil.send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{}`, p.user.id)
		evil.fence()
		p.user.send(`<1:1,8:4,11:%d>i{2:[0,"another id"]}`, p.helper.id)
		p.user.send(`<1:1,8:3,11:[9,%d]>i{2:[0,"another stack"]}`, p.helper.id)
		p.user.send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:1}>i{}`, p.helper.id)
		p.user.send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:3}>i{}`, p.helper.id)
		p.user.fence()
		p.helper.fence()
		p.works()
	})
}

func TestLossOfAnEndIsToldToTheOther(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(p *pair) *remote // gives the survivor
		told string
	}{
		{"client", func(p *pair) *remote { _ = p.user.conn.Close(); return p.helper },
			`<1:1,8:3,15:<1:3>i{1:5}>i{3:i{1:8,2:"the user has gone: connection closed by the other side"}}`},
		{"client by a reset", func(p *pair) *remote { p.user.sendRaw([]byte{1, 0}); return p.helper },
			`<1:1,8:3,15:<1:3>i{1:5}>i{3:i{1:8,2:"the user has gone: done"}}`},
		{"helper", func(p *pair) *remote { _ = p.helper.conn.Close(); return p.user },
			`<1:1,8:41,15:<1:3>i{1:5}>i{3:i{1:8,2:"the device's helper has gone: connection closed by the other side"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbled(t, tunnelling, func(t *testing.T, w *world) {
				p := w.pair(41, 3)
				survivor := tt.lose(p)
				survivor.expect("%s", tt.told)
				told := time.Now()
				if survivor == p.helper {
					survivor.gone()
					if took := time.Since(told); took != lingering {
						t.Errorf("the helper's link ended after %v", took)
					}
				} else {
					p.toHelper("straggler")
					survivor.fence()
					if s := w.Stats(); s.Tunnels != 0 || s.Forged != 0 || s.Late != 1 {
						t.Errorf("%+v", s)
					}
				}
				p.agent.fence()
			})
		})
	}
}

func TestClientClosesItsTunnel(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		p.user.send(`<1:1,8:3,11:%d,15:<1:3>i{1:5}>i{2:null}`, p.helper.id)
		p.helper.expect(`<1:1,8:3,15:<1:3>i{1:5}>i{2:null}`)
		p.helper.gone()
		p.user.fence() // nothing comes back
	})
}

func TestTwoCallersWithTheSameRequestID(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		agent, one, two := w.device("test/agent"), w.client(), w.client()
		one.launch(agent, 3)
		two.launch(agent, 3)
		a := &pair{user: one, call: 3, read: 3, helper: w.redeem(agent.secret(one.id, 3))}
		b := &pair{user: two, call: 3, read: 3, helper: w.redeem(agent.secret(two.id, 3))}
		for _, p := range []*pair{b, a} {
			p.create()
			p.user.next()
			p.user.send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:4}>i{}`, p.helper.id)
			p.helper.next()
		}
		a.works()
		b.works()
		_ = one.conn.Close()
		a.helper.gone()
		b.works()
	})
}

func TestQuietTunnelLivesOn(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user := w.connect().login("iot", password, `{"idleWatchDogTimeOut":0}`)
		p := w.tunnel(user, w.device("test/agent"), 3, 3)
		time.Sleep(9 * time.Hour)
		p.works()
		if n := w.sessions[p.helper.id].routes.Len(); n != 1 {
			t.Errorf("the helper has %d ways", n)
		}
	})
}

func TestCreateTunnelWithoutReverseIDsOrReadID(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.client(), w.device("test/agent")
		user.launch(agent, 41)
		helper := w.redeem(agent.secret(user.id, 41))
		helper.send(`<1:1,8:41,11:%d,15:<1:3>i{1:3,5:3}>i{}`, user.id) // nobody could answer it
		helper.fence()
		user.fence()
		helper.send(`<1:1,8:41,11:%d,13:null,15:<1:3>i{1:3}>i{}`, user.id) // one id for both, as once
		user.next()
		p := &pair{user: user, helper: helper, call: 41, read: 41}
		p.works()
	})
}

func TestHelperAnswersTheCallWithoutATunnel(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.client(), w.device("test/agent")
		user.launch(agent, 41)
		helper := w.redeem(agent.secret(user.id, 41))
		helper.send(`<1:1,8:41,11:%d>i{3:i{1:2,2:"no such method"}}`, user.id)
		user.expectError(41, rpc.CodeMethodNotFound, "no such method")
	})
}
