package core

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/rpc"
)

// drain begins to drain; ended gets how long it took.
func (w *world) drain(ctx context.Context, d Drain) (ended chan time.Duration) {
	synctest.Wait() // whoever was just let in may read that before the broker is ready for him
	ended = make(chan time.Duration, 1)
	began := time.Now()
	go func() {
		w.Drain(ctx, d)
		ended <- time.Since(began)
	}()
	for !w.Draining() {
		time.Sleep(time.Millisecond) // of virtual time
	}
	return ended
}

const told = `<1:1,9:"",10:"disconnectbybroker">i{1:"the broker is stopping"}`

func TestDrainWithoutTunnelsEndsAtOnce(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		client := w.client()
		ended := w.drain(t.Context(), Drain{Grace: time.Hour})
		client.expect(told)
		client.gone()
		if took := <-ended; took > lingering {
			t.Errorf("took %v", took)
		}
	})
}

func TestDrainLetsAShellEndAndThenEnds(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		ended := w.drain(t.Context(), Drain{Grace: time.Hour})
		time.Sleep(time.Minute)
		p.works()
		p.helper.send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:{"exit":3}}`, p.user.id)
		p.user.expect(`<1:1,8:41,15:<1:3>i{1:5}>i{2:{"exit":3}}`)
		p.user.expect(told)
		p.user.gone()
		p.helper.gone()
		p.agent.gone()
		if took := <-ended; took < time.Minute || took > time.Minute+2*lingering {
			t.Errorf("took %v", took)
		}
	})
}

func TestDrainClosesTunnelsAfterTheGrace(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		ended := w.drain(t.Context(), Drain{Grace: 10 * time.Second})
		for _, end := range []*remote{p.user, p.helper} {
			if text := end.text(); !strings.Contains(text, "1:5") || !strings.Contains(text, stopping) {
				t.Errorf("got %s, no CloseTunnel with the reason", text)
			}
		}
		p.user.gone()
		if took := <-ended; took < 10*time.Second || took > 10*time.Second+2*lingering {
			t.Errorf("took %v", took)
		}
		if s := w.Stats(); s.Tunnels != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestDrainRefusesLoginsAndShells(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		late := w.connect()
		nonce := late.nonce()
		waiting := w.client()
		waiting.launch(p.agent, 50)
		p.agent.secret(waiting.id, 50)
		w.drain(t.Context(), Drain{Grace: time.Hour})

		waiting.expectError(50, rpc.CodeTryAgainLater, stopping)
		p.user.send(`<1:1,8:42,9:"test/agent",10:"launchRexec">i{1:{"method":"runPtyCmd"}}`)
		p.user.expectError(42, rpc.CodeTryAgainLater, stopping)
		p.user.send(`<1:1,8:43,9:"test/agent",10:"ls">i{}`) // all else goes on
		p.agent.expect(`<1:1,8:43,9:"",10:"ls",11:%d,14:"su",17:63>i{}`, p.user.id)
		late.send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"%s","type":"PLAIN","user":"iot"}}}`, nonce)
		late.expectError(2, rpc.CodeTryAgainLater, stopping)
		if err := w.Serve(&memory{nil, make(chan struct{})}); err != ErrClosed {
			t.Errorf("Serve while it drains: %v", err)
		}
		w.Close()
	})
}

// A fleet that comes back at once would fell the next broker.
func TestDrainSpreadsTheEnds(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		const count = 40
		ends := make(chan time.Duration, count)
		began := time.Now()
		for range count {
			client := w.client()
			go func() {
				client.gone()
				ends <- time.Since(began)
			}()
		}
		began = time.Now()
		w.drain(t.Context(), Drain{Spread: time.Minute})
		var early, late int
		for range count {
			switch end := <-ends; {
			case end > time.Minute+lingering:
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

func TestDrainEndsWithItsContext(t *testing.T) {
	for name, tunnel := range map[string]bool{"in the grace": true, "in the spread": false} {
		t.Run(name, func(t *testing.T) {
			bubbled(t, tunnelling, func(t *testing.T, w *world) {
				if tunnel {
					w.pair(41, 3)
				} else {
					w.client()
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
				defer cancel()
				if took := <-w.drain(ctx, Drain{Grace: time.Hour, Spread: time.Hour}); took > lingering {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}
