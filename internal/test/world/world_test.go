package world

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/limits"
	"shvtools/internal/wire/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// live is a world with one of everything in it.
func live(t *testing.T, w *World) {
	p := w.NewTunnel(41, 3)
	p.User.Subscribe(`"test/**"`)
	p.User.Launch(p.Agent, 42)
	p.Agent.Secret(p.User.ID, 42)
	w.Admin().Reaches("test/agent/a", p.Agent, "a")
	if got := w.Admin().Ls("test"); got != `{2:["agent"]}` {
		t.Errorf("ls: %s", got)
	}
	child := w.ChildBroker("c")
	child.Fence()
	far := w.ConnectFrom("10.0.0.1:1").Login("ann", FarPassword, `{}`)
	far.Fence()
	w.Connect().Nonce()
	if found := leftovers(w.Stats()); len(found) < 7 { // all but bytes in queues, which may be there
		t.Errorf("only these are there: %q", found)
	}
}

func TestWorldEndsWithItsTest(t *testing.T) {
	t.Run("in a bubble", func(t *testing.T) {
		Run(t, core.Options{}, func(t *testing.T, w *World) {
			live(t, w)
			time.Sleep(limits.DefaultLoginDeadline)
			if n := w.Ended(link.LoginTimeout); n != 1 {
				t.Errorf("%d ended before their login", n)
			}
		})
	})
	t.Run("in real time", func(t *testing.T) { live(t, New(t, core.Options{})) })
	t.Run("with a network", func(t *testing.T) {
		w := New(t, core.Options{})
		for _, url := range []string{"tcp://127.0.0.1:0", "ssl://127.0.0.1:0", "ws://127.0.0.1:0"} {
			w.Dial(w.Listen(url)).Login("iot", Password, `{}`).Fence()
		}
	})
	t.Run("when it is closed before", func(t *testing.T) {
		w := New(t, core.Options{})
		w.Close()
	})
}

func TestWhatIsLeftIsFound(t *testing.T) {
	s := core.Stats{Clients: 1, Unauthenticated: 1, Mounts: 1, Tunnels: 1, Awaiting: 1, Subscriptions: 1, Queued: 1,
		Listeners: []core.ListenerStats{{URL: "x", Open: 1}, {URL: "y"}}}
	if found := leftovers(s); len(found) != 8 {
		t.Errorf("of eight kinds: %q", found)
	}
	if found := leftovers(core.Stats{}); len(found) != 0 {
		t.Errorf("of none: %q", found)
	}
}
