package core

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// ended is how many connections ended for a cause.
func (w *world) ended(cause link.Cause) uint64 {
	synctest.Wait()
	return w.Stats().Ended[cause]
}

// refusedAtOnce wants the hint and the end of a connection.
func (r *remote) refusedAtOnce(cause link.Cause) {
	r.t.Helper()
	r.expectError(1, rpc.CodeTryAgainLater, cause.String())
	r.gone()
}

func TestConnectionsAreBounded(t *testing.T) {
	limits := Limits{Connections: 6, Unauthenticated: 4, UnauthenticatedPerSource: 2}
	bubbled(t, Options{Limits: limits}, func(t *testing.T, w *world) {
		one := w.connectFrom("10.0.0.1:1")
		w.connectFrom("10.0.0.1:2")
		w.connectFrom("10.0.0.1:3").refusedAtOnce(link.TooManyFromSource)
		w.connectFrom("[2001:db8::1]:1")
		w.connectFrom("[2001:db8::2]:1")
		w.connectFrom("[2001:db8::3]:1").refusedAtOnce(link.TooManyFromSource)
		synctest.Wait()
		if n := w.Stats().Unauthenticated; n != 4 {
			t.Errorf("%d without a login", n)
		}
		// A login, or an end, makes room for the next.
		one.login("ann", uncommon, "{}").fence()
		w.connectFrom("10.0.0.1:3")
		w.connectFrom("10.0.0.1:4").refusedAtOnce(link.TooManyFromSource)
		time.Sleep(DefaultLoginDeadline + time.Second)
		synctest.Wait()
		if s := w.Stats(); s.Unauthenticated != 0 || s.Clients != 1 {
			t.Errorf("%+v", s)
		}
		for i := range 5 {
			w.connectFrom(fmt.Sprintf("10.0.1.%d:1", i)).login("ann", uncommon, "{}").fence()
		}
		w.connectFrom("10.0.0.9:1").refusedAtOnce(link.TooManyConnections)
		one.fence()
		// A reset counts as a connection without a login again.
		one.sendRaw([]byte{1, 0})
		synctest.Wait()
		if n := w.Stats().Unauthenticated; n != 1 {
			t.Errorf("%d without a login after a reset", n)
		}
		_ = one.conn.Close()
		for cause, want := range map[link.Cause]uint64{
			link.TooManyFromSource: 3, link.TooManyConnections: 1, link.LoginTimeout: 4, link.PeerClosed: 1,
		} {
			if got := w.ended(cause); got != want {
				t.Errorf("%v: %d, want %d", cause, got, want)
			}
		}
		w.connectFrom("10.0.0.9:1").login("ann", uncommon, "{}").fence()
	})
}

// A few sources that fill the table do not shut the door for all others.
func TestCrowdGivesPlacesToOtherSources(t *testing.T) {
	limits := Limits{Unauthenticated: 6, UnauthenticatedPerSource: 3}
	bubbled(t, Options{Limits: limits}, func(t *testing.T, w *world) {
		crowd := make(map[string][]*remote)
		for i := range 6 {
			source := fmt.Sprintf("10.0.0.%d", i%2)
			crowd[source] = append(crowd[source], w.connectFrom(fmt.Sprintf("%s:%d", source, 1+i)))
		}
		in := w.connectFrom("10.0.1.1:1")
		if n := w.ended(link.TooManyLogins); n != 1 {
			t.Errorf("%d gave their places, want 1", n)
		}
		in.login("ann", uncommon, "{}").fence()
		// With a place free again, nobody has to go.
		w.connectFrom("10.0.1.2:1")
		if n := w.ended(link.TooManyLogins); n != 1 {
			t.Errorf("%d gave their places, want 1", n)
		}
		// Places go until all sources have as many: then the newcomer is refused.
		w.connectFrom("10.0.1.3:1")
		w.connectFrom("10.0.1.4:1")
		w.connectFrom("10.0.1.5:1")
		w.connectFrom("10.0.1.6:1")
		synctest.Wait()
		if s := w.Stats(); s.Unauthenticated != 6 || s.Ended[link.TooManyLogins] != 5 {
			t.Errorf("%d wait, %d gave their places", s.Unauthenticated, s.Ended[link.TooManyLogins])
		}
		w.connectFrom("10.0.1.6:2").refusedAtOnce(link.TooManyLogins)
		time.Sleep(DefaultLoginDeadline)
		if n := w.ended(link.LoginTimeout); n != 6 || w.Stats().Unauthenticated != 0 {
			t.Errorf("%d ended, %d wait", n, w.Stats().Unauthenticated)
		}
	})
}

// A client that resets over and over must not get past the bound.
func TestResetOverTheBoundEndsTheLink(t *testing.T) {
	bubbled(t, Options{Limits: Limits{UnauthenticatedPerSource: 1}}, func(t *testing.T, w *world) {
		in := w.connectFrom("10.0.0.1:1").login("ann", uncommon, "{}")
		w.connectFrom("10.0.0.1:2")
		synctest.Wait()
		in.sendRaw([]byte{1, 0})
		in.gone()
		if n := w.ended(link.TooManyFromSource); n != 1 {
			t.Errorf("%d ended", n)
		}
		if s := w.Stats(); s.Unauthenticated != 1 || s.Clients != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Hundreds that connect at once, say nothing, and go again.
func TestCrowdThatSaysNothing(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		good := w.client()
		for i := range 900 {
			w.connectFrom(fmt.Sprintf("10.0.%d.1:1", i%10))
		}
		good.fence()
		w.connectFrom("10.1.0.1:1").login("ann", uncommon, "{}").fence()
		time.Sleep(DefaultLoginDeadline)
		if n := w.ended(link.LoginTimeout); n != 900 {
			t.Errorf("%d ended", n)
		}
		good.fence()
	})
}

func TestWellKnownPasswordsAreForThisMachine(t *testing.T) {
	for _, kind := range []string{"PLAIN", "SHA1"} {
		bubbled(t, Options{}, func(t *testing.T, w *world) {
			for from, ok := range map[string]bool{"": true, "127.0.0.1:1": true, "[::1]:1": true, "10.0.0.1:1": false} {
				r := w.connectFrom(from)
				text := password
				if kind == "SHA1" {
					text = login.Hash(r.nonce(), password)
				}
				r.send(plainLogin, 2, text, kind, "iot")
				if m := r.next(); (m.Kind() == rpc.Response && isResult(m)) != ok {
					t.Errorf("%s from %q: let in: %v", kind, from, !ok)
				}
			}
		})
	}
}

func isResult(m *rpc.Message) bool {
	content, err := m.Content()
	return err == nil && content.Error == nil
}
