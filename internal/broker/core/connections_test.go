package core_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/limits"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// refusedAtOnce expects the hint to a refused connection, and its end.
func refusedAtOnce(r *world.Peer, cause link.Cause) {
	r.ExpectError(1, rpc.CodeTryAgainLater, cause.String())
	r.Gone()
}

func TestConnectionsAreBounded(t *testing.T) {
	bounds := core.Limits{Connections: 8, Unauthenticated: 4, UnauthenticatedPerSource: 2}
	world.Run(t, core.Options{Limits: bounds}, func(t *testing.T, w *world.World) {
		one := w.ConnectFrom("10.0.0.1:1")
		w.ConnectFrom("10.0.0.1:2")
		refusedAtOnce(w.ConnectFrom("10.0.0.1:3"), link.TooManyFromSource)
		w.ConnectFrom("[2001:db8::1]:1")
		w.ConnectFrom("[2001:db8::2]:1")
		refusedAtOnce(w.ConnectFrom("[2001:db8::3]:1"), link.TooManyFromSource)
		synctest.Wait()
		if n := w.Stats().Unauthenticated; n != 4 {
			t.Errorf("%d without a login", n)
		}
		// A login, or an end, makes room for the next.
		one.Login("ann", world.FarPassword, "{}").Fence()
		w.ConnectFrom("10.0.0.1:3")
		refusedAtOnce(w.ConnectFrom("10.0.0.1:4"), link.TooManyFromSource)
		time.Sleep(limits.DefaultLoginDeadline + time.Second)
		synctest.Wait()
		if s := w.Stats(); s.Unauthenticated != 0 || s.Clients != 1 {
			t.Errorf("%+v", s)
		}
		for i := range 5 {
			w.ConnectFrom(fmt.Sprintf("10.0.1.%d:1", i)).Login("ann", world.FarPassword, "{}").Fence()
		}
		more := w.ConnectFrom("10.0.0.9:1")
		more.Send(plainLogin, 1, world.FarPassword, "PLAIN", "ann")
		more.ExpectError(1, rpc.CodeTryAgainLater, "too many connections: user ann has an even part")
		more.Close()
		w.Client().Close() // another user has less
		one.Fence()
		// A reset counts as a connection without a login again.
		one.SendRaw([]byte{1, 0})
		synctest.Wait()
		if n := w.Stats().Unauthenticated; n != 1 {
			t.Errorf("%d without a login after a reset", n)
		}
		one.Close()
		for cause, want := range map[link.Cause]uint64{
			link.TooManyFromSource: 3, link.TooManyConnections: 0, link.LoginTimeout: 4, link.PeerClosed: 3,
		} {
			if got := w.Ended(cause); got != want {
				t.Errorf("%v: %d, want %d", cause, got, want)
			}
		}
		w.ConnectFrom("10.0.0.9:1").Login("ann", world.FarPassword, "{}").Fence()
	})
}

// A few sources that fill the table do not keep all others out.
func TestCrowdGivesPlacesToOtherSources(t *testing.T) {
	bounds := core.Limits{Unauthenticated: 6, UnauthenticatedPerSource: 3}
	world.Run(t, core.Options{Limits: bounds}, func(t *testing.T, w *world.World) {
		crowd := make(map[string][]*world.Peer)
		for i := range 6 {
			source := fmt.Sprintf("10.0.0.%d", i%2)
			crowd[source] = append(crowd[source], w.ConnectFrom(fmt.Sprintf("%s:%d", source, 1+i)))
		}
		in := w.ConnectFrom("10.0.1.1:1")
		if n := w.Ended(link.TooManyLogins); n != 1 {
			t.Errorf("%d gave their places, want 1", n)
		}
		in.Login("ann", world.FarPassword, "{}").Fence()
		// With a place free again, nobody has to go.
		w.ConnectFrom("10.0.1.2:1")
		if n := w.Ended(link.TooManyLogins); n != 1 {
			t.Errorf("%d gave their places, want 1", n)
		}
		// Places go until all sources have as many: then the newcomer is refused.
		w.ConnectFrom("10.0.1.3:1")
		w.ConnectFrom("10.0.1.4:1")
		w.ConnectFrom("10.0.1.5:1")
		w.ConnectFrom("10.0.1.6:1")
		synctest.Wait()
		if s := w.Stats(); s.Unauthenticated != 6 || s.Ended[link.TooManyLogins] != 5 {
			t.Errorf("%d wait, %d gave their places", s.Unauthenticated, s.Ended[link.TooManyLogins])
		}
		refusedAtOnce(w.ConnectFrom("10.0.1.6:2"), link.TooManyLogins)
		time.Sleep(limits.DefaultLoginDeadline)
		if n := w.Ended(link.LoginTimeout); n != 6 || w.Stats().Unauthenticated != 0 {
			t.Errorf("%d ended, %d wait", n, w.Stats().Unauthenticated)
		}
	})
}

// A client cannot get past the bound by resets.
func TestResetOverTheBoundEndsTheLink(t *testing.T) {
	world.Run(t, core.Options{Limits: core.Limits{UnauthenticatedPerSource: 1}}, func(t *testing.T, w *world.World) {
		in := w.ConnectFrom("10.0.0.1:1").Login("ann", world.FarPassword, "{}")
		w.ConnectFrom("10.0.0.1:2")
		synctest.Wait()
		in.SendRaw([]byte{1, 0})
		in.Gone()
		if n := w.Ended(link.TooManyFromSource); n != 1 {
			t.Errorf("%d ended", n)
		}
		if s := w.Stats(); s.Unauthenticated != 1 || s.Clients != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Hundreds connect at once, send nothing, and are closed.
func TestCrowdThatSaysNothing(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		good := w.Client()
		for i := range 900 {
			w.ConnectFrom(fmt.Sprintf("10.0.%d.1:1", i%10))
		}
		good.Fence()
		w.ConnectFrom("10.1.0.1:1").Login("ann", world.FarPassword, "{}").Fence()
		time.Sleep(limits.DefaultLoginDeadline)
		if n := w.Ended(link.LoginTimeout); n != 900 {
			t.Errorf("%d ended", n)
		}
		good.Fence()
	})
}

func TestWellKnownPasswordsAreForThisMachine(t *testing.T) {
	for _, kind := range []string{"PLAIN", "SHA1"} {
		world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
			for from, ok := range map[string]bool{"": true, "127.0.0.1:1": true, "[::1]:1": true, "10.0.0.1:1": false} {
				r := w.ConnectFrom(from)
				text := world.Password
				if kind == "SHA1" {
					text = login.Hash(r.Nonce(), world.Password)
				}
				r.Send(plainLogin, 2, text, kind, "iot")
				if m := r.Next(); (m.Kind() == rpc.Response && isResult(m)) != ok {
					t.Errorf("%s from %q: let in: %v", kind, from, !ok)
				}
			}
		})
	}
}
