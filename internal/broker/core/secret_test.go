package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

func TestFindTunnelResponseIsAsInTheProtocol(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 3)
		agent.FindTunnel(user.ID, 3)
		got := agent.Text()
		secret, _, _ := strings.Cut(got[strings.Index(got, `,4:"`)+4:], `"`)
		if want := fmt.Sprintf(`<1:1,8:3,15:<1:3>i{1:2,2:"10.0.3.93",3:3755,4:"%s",6:%d}>i{}`, secret, user.ID); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if len(secret) != 40 || strings.Trim(secret, "0123456789abcdef") != "" {
			t.Errorf("secret %q", secret)
		}
	})
}

func TestFindTunnelRequestKeepsItsReverseIDs(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 3)
		agent.Send(`<1:1,8:3,11:%d,13:[7,8],15:<1:3>i{1:1}>i{}`, user.ID)
		if got := agent.Text(); !strings.HasPrefix(got, `<1:1,8:3,11:[7,8],15:<1:3>i{1:2,`) {
			t.Error(got)
		}
	})
}

func TestSecretIsGoodOnceAndSoon(t *testing.T) {
	refused := func(t *testing.T, w *world.World, secret string) {
		t.Helper()
		r := w.Connect()
		r.Nonce()
		r.SendLogin(2, "PLAIN", "iot", world.Password, fmt.Sprintf(`{"tunnel":{"secret":"%s"}}`, secret))
		r.ExpectError(2, rpc.CodeException, "tunnel secret")
	}
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 3)
		secret := agent.Secret(user.ID, 3)
		for _, other := range []string{"", "x", secret[:39], secret + "0", strings.ToUpper(secret) + " "} {
			refused(t, w, other)
		}
		helper := w.Redeem(secret)
		refused(t, w, secret)
		helper.Fence()
		user.Fence()

		user.Launch(agent, 4)
		late := agent.Secret(user.ID, 4)
		time.Sleep(core.DefaultSecretLife)
		synctest.Wait() // it expires at this very moment
		refused(t, w, late)
		// The first helper has made no tunnel of its secret, and may not wait longer.
		user.ExpectError(3, rpc.CodeException, "device restarted")
		user.ExpectError(4, rpc.CodeException, "did not connect in time")
		user.Fence()
	})
}

func TestCallerLearnsThatNoTunnelComes(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *world.World, agent *world.Peer, secret string)
		text string
	}{
		{"nobody redeems", func(*world.World, *world.Peer, string) { time.Sleep(core.DefaultSecretLife) }, "in time"},
		{"agent dies", func(_ *world.World, agent *world.Peer, _ string) { agent.Close() }, "device disconnected"},
		{"agent begins anew", func(_ *world.World, agent *world.Peer, _ string) {
			agent.SendRaw([]byte{1, 0})
		}, "device disconnected"},
		{"helper waits", func(w *world.World, _ *world.Peer, secret string) {
			w.Redeem(secret)
			time.Sleep(core.DefaultSecretLife)
		}, "device restarted"},
		{"helper dies", func(w *world.World, _ *world.Peer, secret string) { w.Redeem(secret).Close() }, "device restarted"},
		{"agent dies, then its helper", func(w *world.World, agent *world.Peer, secret string) {
			helper := w.Redeem(secret)
			agent.Close()
			helper.Fence()
			helper.Close()
		}, "device restarted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
				user, agent := w.Client(), w.Device("test/agent")
				user.Launch(agent, 41)
				tt.end(w, agent, agent.Secret(user.ID, 41))
				user.ExpectError(41, rpc.CodeException, tt.text)
				time.Sleep(2 * core.DefaultSecretLife)
				user.Fence() // told once
				if secrets, calls, _ := w.Records(); secrets+calls > 0 {
					t.Errorf("%d secrets and %d calls left", secrets, calls)
				}
			})
		})
	}
}

func TestCallerThatGoesTakesItsSecretAndHelperAlong(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 3)
		helper := w.Redeem(agent.Secret(user.ID, 3))
		user.Launch(agent, 4)
		agent.Secret(user.ID, 4)
		user.Close()
		helper.Gone()
		agent.Fence()
		if secrets, calls, _ := w.Records(); secrets+calls > 0 {
			t.Errorf("%d secrets and %d calls left", secrets, calls)
		}
	})
}

func TestOneSecretForACallAndABoundForADevice(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 3)
		secret := agent.Secret(user.ID, 3)
		agent.FindTunnel(user.ID, 3)
		agent.ExpectError(3, rpc.CodeException, "waits for a tunnel already")
		p := &world.Tunnel{User: user, Call: 3, Read: 3, Helper: w.Redeem(secret)}
		agent.FindTunnel(user.ID, 3)
		agent.ExpectError(3, rpc.CodeException, "waits for a tunnel already")
		p.Create()
		user.Next()
		agent.FindTunnel(user.ID, 3)
		agent.ExpectError(3, rpc.CodeException, "has a tunnel already")

		for id := range core.MaxTickets {
			user.Launch(agent, int64(id+10))
			agent.Secret(user.ID, int64(id+10))
		}
		user.Launch(agent, 9)
		agent.FindTunnel(user.ID, 9)
		agent.ExpectError(9, rpc.CodeException, "too many tunnels")
		agent.Fence()
	})
}

// A device that a user called once cannot answer that user's shell call to another
// device by a secret of its own, whatever request ids it guesses.
func TestDeviceGetsNoSecretForAnothersCall(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent, evil := w.Client(), w.Device("test/agent"), w.Device("test/evil")
		user.Send(`<1:1,8:3,9:"test/evil",10:"ls">i{}`)
		evil.Next()
		for id := int64(4); id < 20; id++ {
			evil.FindTunnel(user.ID, id)
		}
		evil.Fence()
		user.Launch(agent, 4)
		evil.FindTunnel(user.ID, 4)
		evil.Fence()
		p := &world.Tunnel{User: user, Agent: agent, Call: 4, Read: 3}
		p.Helper = w.Redeem(agent.Secret(user.ID, 4))
		p.Create()
		user.Next()
		evil.FindTunnel(user.ID, 4)
		evil.Send(`<1:1,8:4,11:%d>i{2:[1,"forged"]}`, user.ID)
		evil.Send(`<1:1,8:4,11:%d,15:<1:3>i{1:5}>i{2:null}`, user.ID)
		evil.Send(`<1:1,8:4,11:%d,13:null,15:<1:3>i{1:3,5:9}>i{}`, user.ID)
		evil.Send(`<1:1,8:3,11:%d>i{2:[]}`, user.ID) // its own answer
		evil.Fence()
		user.Expect(`<1:1,8:3>i{2:[]}`)
		user.Send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:4}>i{}`, p.Helper.ID)
		p.Helper.Next()
		p.Works()
	})
}

func TestSecretsOfManyCallersAreForgottenWithTheirBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, tunnelling)
		user, agent := w.Client(), w.Device("test/agent")
		for id := int64(3); id < 20; id++ {
			user.Launch(agent, id)
			agent.Secret(user.ID, id)
		}
		w.Close()
		if secrets, calls, ends := w.Records(); secrets+calls+ends > 0 {
			t.Error("something is left")
		}
	})
}
