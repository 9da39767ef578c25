package core_test

import (
	"fmt"
	"testing"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

func TestTunnelWithTwoRequestIDs(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		p.Works()
		if s := w.Stats(); s.Tunnels != 1 {
			t.Errorf("%+v", s)
		}
		p.Helper.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:{"exit":3}}`, p.User.ID)
		p.User.Expect(`<1:1,8:41,15:<1:3>i{1:5}>i{2:{"exit":3}}`)
		if s := w.Stats(); s.Tunnels != 0 {
			t.Errorf("%+v", s)
		}
		// Stragglers, of both sides.
		p.ToUser("late")
		p.ToHelper("late")
		p.Helper.Fence()
		p.User.Fence()
		if s := w.Stats(); s.Forged != 0 || s.Late != 2 {
			t.Errorf("%+v", s)
		}
		p.Helper.Gone() // a C++ helper would stay
		p.User.Fence()
	})
}

func TestTunnelLoginsMayDoNothingElse(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		victim := w.Tunnel(w.Client(), p.Agent, 41, 3)
		bystander := w.Client()
		for name, message := range map[string]string{
			"another's tunnel":     fmt.Sprintf(`<1:1,8:41,11:%d>i{2:[1,"forged"]}`, victim.User.ID),
			"another's helper":     fmt.Sprintf(`<1:1,8:3,11:%d>i{2:[0,"rm -rf"]}`, victim.Helper.ID),
			"a bystander":          fmt.Sprintf(`<1:1,8:41,11:%d>i{2:1}`, bystander.ID),
			"its agent":            fmt.Sprintf(`<1:1,8:41,11:%d>i{2:1}`, p.Agent.ID),
			"another id":           fmt.Sprintf(`<1:1,8:42,11:%d>i{2:[1,"x"]}`, p.User.ID),
			"another stack":        fmt.Sprintf(`<1:1,8:41,11:[5,%d]>i{2:[1,"x"]}`, p.User.ID),
			"a second tunnel":      fmt.Sprintf(`<1:1,8:41,11:%d,13:null,15:<1:3>i{1:3,5:9}>i{}`, p.User.ID),
			"a secret":             fmt.Sprintf(`<1:1,8:41,11:%d,13:null,15:<1:3>i{1:1}>i{}`, p.User.ID),
			"signals":              `<1:1,9:"test",10:"chng">i{1:1}`,
			"a response to nobody": `<1:1,8:41>i{2:1}`,
			"neither of the kinds": `<1:1>i{}`,
		} {
			t.Log(name)
			p.Helper.Send("%s", message)
			p.Helper.Fence()
			for _, r := range []*world.Peer{p.User, victim.User, victim.Helper, bystander, p.Agent} {
				r.Fence()
			}
		}
		for _, tt := range []struct{ path, method string }{
			{"test/agent", "ls"}, {"", "ls"}, {".app", "name"}, {".app", "ls"}, {".broker", "ls"},
			{".broker/app", "dir"}, {".broker/currentClient", "info"}, {".broker/currentClient", "subscribe"},
			{".broker/client", "ls"}, {"test", "dir"}, {"", "login"},
		} {
			p.Helper.Send(`<1:1,8:7,9:"%s",10:"%s">i{}`, tt.path, tt.method)
			p.Helper.ExpectError(7, rpc.CodeException, "")
		}
		p.Helper.Send(`<1:1,8:8,9:".broker/app",10:"ping">i{}`)
		p.Helper.Expect(`<1:1,8:8>i{2:true}`)
		p.Works()
		victim.Works()
	})
}

// Nor can another client type into a shell through the ids of its user.
func TestClientsMayNotTypeIntoTunnelsOfOthers(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		evil := w.Client()
		evil.Send(`<1:1,8:3,11:%d>i{2:[0,"x"]}`, p.Helper.ID)
		evil.Send(`<1:1,8:3,11:%d,15:<1:3>i{1:5}>i{}`, p.Helper.ID)
		evil.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{}`, p.User.ID)
		evil.Fence()
		p.User.Send(`<1:1,8:4,11:%d>i{2:[0,"another id"]}`, p.Helper.ID)
		p.User.Send(`<1:1,8:3,11:[9,%d]>i{2:[0,"another stack"]}`, p.Helper.ID)
		p.User.Send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:1}>i{}`, p.Helper.ID)
		p.User.Send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:3}>i{}`, p.Helper.ID)
		p.User.Fence()
		p.Helper.Fence()
		p.Works()
	})
}

func TestLossOfAnEndIsToldToTheOther(t *testing.T) {
	for _, tt := range []struct {
		name string
		lose func(p *world.Tunnel) *world.Peer // gives the survivor
		told string
	}{
		{"client", func(p *world.Tunnel) *world.Peer { p.User.Close(); return p.Helper },
			`<1:1,8:3,15:<1:3>i{1:5}>i{3:i{1:8,2:"the user has gone: connection closed by the peer"}}`},
		{"client by a reset", func(p *world.Tunnel) *world.Peer { p.User.SendRaw([]byte{1, 0}); return p.Helper },
			`<1:1,8:3,15:<1:3>i{1:5}>i{3:i{1:8,2:"the user has gone: done"}}`},
		{"helper", func(p *world.Tunnel) *world.Peer { p.Helper.Close(); return p.User },
			`<1:1,8:41,15:<1:3>i{1:5}>i{3:i{1:8,2:"the device restarted or lost its connection: ` +
				`connection closed by the peer"}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
				p := w.NewTunnel(41, 3)
				survivor := tt.lose(p)
				survivor.Expect("%s", tt.told)
				told := time.Now()
				if survivor == p.Helper {
					survivor.Gone()
					if took := time.Since(told); took != core.Lingering {
						t.Errorf("the helper's link ended after %v", took)
					}
				} else {
					p.ToHelper("straggler")
					survivor.Fence()
					if s := w.Stats(); s.Tunnels != 0 || s.Forged != 0 || s.Late != 1 {
						t.Errorf("%+v", s)
					}
				}
				p.Agent.Fence()
			})
		})
	}
}

func TestClientClosesItsTunnel(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		p.User.Send(`<1:1,8:3,11:%d,15:<1:3>i{1:5}>i{2:null}`, p.Helper.ID)
		p.Helper.Expect(`<1:1,8:3,15:<1:3>i{1:5}>i{2:null}`)
		p.Helper.Gone()
		p.User.Fence() // nothing comes back
	})
}

func TestTwoCallersWithTheSameRequestID(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		agent, one, two := w.Device("test/agent"), w.Client(), w.Client()
		one.Launch(agent, 3)
		two.Launch(agent, 3)
		a := &world.Tunnel{User: one, Call: 3, Read: 3, Helper: w.Redeem(agent.Secret(one.ID, 3))}
		b := &world.Tunnel{User: two, Call: 3, Read: 3, Helper: w.Redeem(agent.Secret(two.ID, 3))}
		for _, p := range []*world.Tunnel{b, a} {
			p.Create()
			p.User.Next()
			p.User.Send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:4}>i{}`, p.Helper.ID)
			p.Helper.Next()
		}
		a.Works()
		b.Works()
		one.Close()
		a.Helper.Gone()
		b.Works()
	})
}

func TestQuietTunnelLivesOn(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user := w.As("iot", `{"idleWatchDogTimeOut":0}`)
		p := w.Tunnel(user, w.Device("test/agent"), 3, 3)
		time.Sleep(9 * time.Hour)
		p.Works()
		if n, _ := w.Routes(p.Helper.ID); n != 1 {
			t.Errorf("the helper has %d reply routes", n)
		}
	})
}

func TestCreateTunnelWithoutReverseIDsOrReadID(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 41)
		helper := w.Redeem(agent.Secret(user.ID, 41))
		helper.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:3,5:3}>i{}`, user.ID) // nobody could answer it
		helper.Fence()
		user.Fence()
		helper.Send(`<1:1,8:41,11:%d,13:null,15:<1:3>i{1:3}>i{}`, user.ID) // one id for both, as once
		user.Next()
		p := &world.Tunnel{User: user, Helper: helper, Call: 41, Read: 41}
		p.Works()
	})
}

func TestHelperAnswersTheCallWithoutATunnel(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 41)
		helper := w.Redeem(agent.Secret(user.ID, 41))
		helper.Send(`<1:1,8:41,11:%d>i{3:i{1:2,2:"no such method"}}`, user.ID)
		user.ExpectError(41, rpc.CodeMethodNotFound, "no such method")
	})
}
