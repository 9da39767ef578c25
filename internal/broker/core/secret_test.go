package core

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/rpc"
)

func TestFindTunnelResponseIsAsInTheProtocol(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.client(), w.device("test/agent")
		user.launch(agent, 3)
		agent.find(user.id, 3)
		got := agent.text()
		secret, _, _ := strings.Cut(got[strings.Index(got, `,4:"`)+4:], `"`)
		if want := fmt.Sprintf(`<1:1,8:3,15:<1:3>i{1:2,2:"10.0.3.93",3:3755,4:"%s",6:%d}>i{}`, secret, user.id); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if len(secret) != 40 || strings.Trim(secret, "0123456789abcdef") != "" {
			t.Errorf("secret %q", secret)
		}
	})
}

func TestFindTunnelRequestKeepsItsReverseIDs(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.client(), w.device("test/agent")
		user.launch(agent, 3)
		agent.send(`<1:1,8:3,11:%d,13:[7,8],15:<1:3>i{1:1}>i{}`, user.id)
		if got := agent.text(); !strings.HasPrefix(got, `<1:1,8:3,11:[7,8],15:<1:3>i{1:2,`) {
			t.Error(got)
		}
	})
}

func TestSecretIsGoodOnceAndSoon(t *testing.T) {
	refused := func(t *testing.T, w *world, secret string) {
		t.Helper()
		r := w.connect()
		r.nonce()
		r.send(`<1:1,8:2,10:"login">i{1:{"login":{"user":"iot","password":"%s","type":"PLAIN"},"options":{"tunnel":{"secret":"%s"}}}}`, password, secret)
		r.expectError(2, rpc.CodeException, "tunnel secret")
	}
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.client(), w.device("test/agent")
		user.launch(agent, 3)
		secret := agent.secret(user.id, 3)
		for _, other := range []string{"", "x", secret[:39], secret + "0", strings.ToUpper(secret) + " "} {
			refused(t, w, other)
		}
		helper := w.redeem(secret)
		refused(t, w, secret)
		helper.fence()
		user.fence()

		user.launch(agent, 4)
		late := agent.secret(user.id, 4)
		time.Sleep(DefaultSecretLife)
		synctest.Wait() // it expires at this very moment
		refused(t, w, late)
		// The first helper has made no tunnel of its secret, and may not wait longer.
		user.expectError(3, rpc.CodeException, "helper has gone")
		user.expectError(4, rpc.CodeException, "did not connect in time")
		user.fence()
	})
}

func TestCallerLearnsThatNoTunnelComes(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(w *world, agent *remote, secret string)
		text string
	}{
		{"nobody redeems", func(*world, *remote, string) { time.Sleep(DefaultSecretLife) }, "in time"},
		{"agent dies", func(_ *world, agent *remote, _ string) { _ = agent.conn.Close() }, "device has gone"},
		{"agent begins anew", func(_ *world, agent *remote, _ string) { agent.sendRaw([]byte{1, 0}) }, "device has gone"},
		{"helper waits", func(w *world, _ *remote, secret string) {
			w.redeem(secret)
			time.Sleep(DefaultSecretLife)
		}, "helper has gone"},
		{"helper dies", func(w *world, _ *remote, secret string) { _ = w.redeem(secret).conn.Close() }, "helper has gone"},
		{"agent dies, then its helper", func(w *world, agent *remote, secret string) {
			helper := w.redeem(secret)
			_ = agent.conn.Close()
			helper.fence()
			_ = helper.conn.Close()
		}, "helper has gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbled(t, tunnelling, func(t *testing.T, w *world) {
				user, agent := w.client(), w.device("test/agent")
				user.launch(agent, 41)
				tt.end(w, agent, agent.secret(user.id, 41))
				user.expectError(41, rpc.CodeException, tt.text)
				time.Sleep(2 * DefaultSecretLife)
				user.fence() // told once
				if len(w.tickets)+len(w.calls) > 0 {
					t.Errorf("%d tickets and %d calls left", len(w.tickets), len(w.calls))
				}
			})
		})
	}
}

func TestCallerThatGoesTakesItsSecretAndHelperAlong(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.client(), w.device("test/agent")
		user.launch(agent, 3)
		helper := w.redeem(agent.secret(user.id, 3))
		user.launch(agent, 4)
		agent.secret(user.id, 4)
		_ = user.conn.Close()
		helper.gone()
		agent.fence()
		if len(w.tickets)+len(w.calls) > 0 {
			t.Errorf("%d tickets and %d calls left", len(w.tickets), len(w.calls))
		}
	})
}

func TestOneSecretForACallAndABoundForADevice(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.client(), w.device("test/agent")
		user.launch(agent, 3)
		secret := agent.secret(user.id, 3)
		agent.find(user.id, 3)
		agent.expectError(3, rpc.CodeException, "waits for a tunnel already")
		p := &pair{user: user, call: 3, read: 3, helper: w.redeem(secret)}
		agent.find(user.id, 3)
		agent.expectError(3, rpc.CodeException, "waits for a tunnel already")
		p.create()
		user.next()
		agent.find(user.id, 3)
		agent.expectError(3, rpc.CodeException, "has a tunnel already")

		for id := range maxTickets {
			user.launch(agent, int64(id+10))
			agent.secret(user.id, int64(id+10))
		}
		user.launch(agent, 9)
		agent.find(user.id, 9)
		agent.expectError(9, rpc.CodeException, "too many tunnels")
		agent.fence()
	})
}

// A device that the victim called once may not answer the call of a shell on
// another one: not by a secret of its own, whatever request ids it guesses.
func TestDeviceGetsNoSecretForAnothersCall(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent, evil := w.client(), w.device("test/agent"), w.device("test/evil")
		user.send(`<1:1,8:3,9:"test/evil",10:"ls">i{}`)
		evil.next()
		for id := int64(4); id < 20; id++ {
			evil.find(user.id, id)
		}
		evil.fence()
		user.launch(agent, 4)
		evil.find(user.id, 4)
		evil.fence()
		p := &pair{user: user, agent: agent, call: 4, read: 3}
		p.helper = w.redeem(agent.secret(user.id, 4))
		p.create()
		user.next()
		evil.find(user.id, 4)
		evil.send(`<1:1,8:4,11:%d>i{2:[1,"forged"]}`, user.id)
		evil.send(`<1:1,8:4,11:%d,15:<1:3>i{1:5}>i{2:null}`, user.id)
		evil.send(`<1:1,8:4,11:%d,13:null,15:<1:3>i{1:3,5:9}>i{}`, user.id)
		evil.send(`<1:1,8:3,11:%d>i{2:[]}`, user.id) // its own answer
		evil.fence()
		user.expect(`<1:1,8:3>i{2:[]}`)
		user.send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:4}>i{}`, p.helper.id)
		p.helper.next()
		p.works()
	})
}

func TestSecretsOfManyCallersAreForgottenWithTheirBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, tunnelling)
		user, agent := w.client(), w.device("test/agent")
		for id := int64(3); id < 20; id++ {
			user.launch(agent, id)
			agent.secret(user.id, id)
		}
		w.Close()
		if len(w.tickets)+len(w.calls)+len(w.tunnels) > 0 {
			t.Error("something is left")
		}
	})
}
