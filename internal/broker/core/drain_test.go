package core_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

// drain starts a drain and returns a channel for the time that it takes.
func drain(w *world.World, ctx context.Context, d core.Drain) (ended chan time.Duration) {
	synctest.Wait() // whoever was just let in may read that before the broker is ready for him
	ended = make(chan time.Duration, 1)
	began := time.Now()
	go func() {
		w.Drain(ctx, d)
		ended <- time.Since(began)
	}()
	synctest.Wait()
	if !w.Draining() {
		panic("it does not drain")
	}
	return ended
}

const (
	stopping = "the broker is stopping"
	told     = `<1:1,9:"",10:"disconnectbybroker">i{1:"` + stopping + `"}`
)

func TestDrainWithoutTunnelsEndsAtOnce(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		client := w.Client()
		ended := drain(w, t.Context(), core.Drain{Grace: time.Hour})
		client.Expect(told)
		client.Gone()
		if took := <-ended; took > core.Lingering {
			t.Errorf("took %v", took)
		}
	})
}

func TestDrainLetsAShellEndAndThenEnds(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		ended := drain(w, t.Context(), core.Drain{Grace: time.Hour})
		time.Sleep(time.Minute)
		p.Works()
		p.Helper.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:{"exit":3}}`, p.User.ID)
		p.User.Expect(`<1:1,8:41,15:<1:3>i{1:5}>i{2:{"exit":3}}`)
		p.User.Expect(told)
		p.User.Gone()
		p.Helper.Gone()
		p.Agent.Gone()
		if took := <-ended; took < time.Minute || took > time.Minute+2*core.Lingering {
			t.Errorf("took %v", took)
		}
	})
}

func TestDrainClosesTunnelsAfterTheGrace(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		ended := drain(w, t.Context(), core.Drain{Grace: 10 * time.Second})
		for _, end := range []*world.Peer{p.User, p.Helper} {
			if text := end.Text(); !strings.Contains(text, "1:5") || !strings.Contains(text, stopping) {
				t.Errorf("got %s, no CloseTunnel with the reason", text)
			}
		}
		p.User.Gone()
		if took := <-ended; took < 10*time.Second || took > 10*time.Second+2*core.Lingering {
			t.Errorf("took %v", took)
		}
		if s := w.Stats(); s.Tunnels != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestDrainRefusesLoginsAndShells(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		late := w.Connect()
		nonce := late.Nonce()
		waiting := w.Client()
		waiting.Launch(p.Agent, 50)
		p.Agent.Secret(waiting.ID, 50)
		drain(w, t.Context(), core.Drain{Grace: time.Hour})

		waiting.ExpectError(50, rpc.CodeTryAgainLater, stopping)
		p.User.Send(`<1:1,8:42,9:"test/agent",10:"launchRexec">i{1:{"method":"runPtyCmd"}}`)
		p.User.ExpectError(42, rpc.CodeTryAgainLater, stopping)
		p.User.Send(`<1:1,8:43,9:"test/agent",10:"ls">i{}`) // all else goes on
		p.Agent.Expect(`<1:1,8:43,9:"",10:"ls",11:%d,14:"su",17:63>i{}`, p.User.ID)
		late.Send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"%s","type":"PLAIN","user":"iot"}}}`, nonce)
		late.ExpectError(2, rpc.CodeTryAgainLater, stopping)
		if err := w.Serve(world.NewListener(nil)); err != core.ErrClosed {
			t.Errorf("Serve while it drains: %v", err)
		}
		w.Close()
	})
}

// A fleet that reconnects all at once would overload the next broker.
func TestDrainSpreadsTheEnds(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		const count = 40
		ends := make(chan time.Duration, count)
		began := time.Now()
		for range count {
			client := w.Client()
			go func() {
				client.Gone()
				ends <- time.Since(began)
			}()
		}
		began = time.Now()
		drain(w, t.Context(), core.Drain{Spread: time.Minute})
		var early, late int
		for range count {
			switch end := <-ends; {
			case end > time.Minute+core.Lingering:
				t.Errorf("closed after %v", end)
			case end < 30*time.Second:
				early++
			default:
				late++
			}
		}
		if early < count/8 || late < count/8 {
			t.Errorf("%d closed in the first half, %d in the second", early, late)
		}
	})
}

// Who stays longest is not told of each device that goes.
func TestDrainTellsNobodyOfMounts(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		const count = 40
		user := w.Client()
		user.Subscribe(`"**:*:mntchng"`).Subscribe(`"**:*:lsmod"`)
		for i := range count {
			device := w.Device(fmt.Sprintf("test/%d", i))
			go func() {
				for err := error(nil); err == nil; {
					_, err = device.Read()
				}
			}()
		}
		for range 2 * count {
			user.Next() // that it came; the first one begins test as well
		}
		drain(w, t.Context(), core.Drain{Spread: time.Minute})
		user.Expect(told)
		user.Gone()
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	for name, tunnel := range map[string]bool{"in the grace": true, "in the spread": false} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
				if tunnel {
					w.NewTunnel(41, 3)
				} else {
					w.Client()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
				defer cancel()
				if took := <-drain(w, ctx, core.Drain{Grace: time.Hour, Spread: time.Hour}); took > core.Lingering {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}
