package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

// guess tries a password from an address. It returns how long the answer took, and
// whether the login was accepted.
func guess(w *world.World, from, user, text string) (took time.Duration, in bool) {
	r := w.ConnectFrom(from)
	defer r.Close()
	began := time.Now()
	r.Send(plainLogin, 1, text, "PLAIN", user)
	in = isResult(r.Next())
	return time.Since(began), in
}

// guessWrong tries a wrong password. It returns how long the answer took, and the time to wait.
func guessWrong(t *testing.T, w *world.World, from, user string) (took, wait time.Duration) {
	r := w.ConnectFrom(from)
	defer r.Close()
	began := time.Now()
	r.Send(plainLogin, 1, "guess", "PLAIN", user)
	content, _ := r.ExpectError(1, rpc.CodeException, "unknown user or wrong password").Content()
	took, wait = time.Since(began), content.Error.RetryIn()
	text := fmt.Sprintf("; too many failed logins, next try in %.0f s", wait.Seconds())
	if has := strings.HasSuffix(content.Error.Message, text); has != (wait > 0) {
		t.Errorf("told %q", content.Error.Message)
	}
	return took, wait
}

func TestFailedLoginsAreHeldBackEverLonger(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		const here = "10.0.0.1:1"
		for i, want := range []string{"1 0", "2 0", "4 0", "4 4", "4 12", "4 28", "4 56", "4 56"} {
			took, wait := guessWrong(t, w, here, "ann")
			if got := fmt.Sprint(took.Seconds(), " ", wait.Seconds()); got != want {
				t.Errorf("guess %d took and is told to wait %s s, want %s", i, got, want)
			}
		}
		// Elsewhere, and for others, nothing of it shows: no guesser keeps a user out.
		for _, from := range []string{"10.0.0.2:1", "[2001:db8::1]:1"} {
			if took, in := guess(w, from, "ann", world.FarPassword); took != 0 || !in {
				t.Errorf("from %s: %v, let in: %v", from, took, in)
			}
		}
		if took, in := guess(w, here, "iot", "guess"); took != time.Second || in {
			t.Errorf("another user: %v, let in: %v", took, in)
		}
		// The right password is answered while its client still waits, and clears
		// the user's name.
		if took, in := guess(w, here, "ann", world.FarPassword); took != door.Patience*time.Second || !in {
			t.Errorf("right password: %v, let in: %v", took, in)
		}
		if took, in := guess(w, here, "ann", world.FarPassword); took != 0 || !in {
			t.Errorf("right password again: %v, let in: %v", took, in)
		}
		if n := w.Stats().Logins[door.Invalid]; n != 9 {
			t.Errorf("%d refused", n)
		}
	})
}

// Otherwise the owner of any device could guess another user's password for ever.
func TestHelperClearsNobodysFailures(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		const here = "10.0.0.1:1"
		user, agent := w.Client(), w.Device("test/agent")
		for range 3 {
			guess(w, here, "ann", "guess")
		}
		user.Launch(agent, 3)
		helper := w.ConnectFrom(here)
		helper.Send(`<1:1,8:1,10:"login">i{1:{"login":{"user":"ann"},"options":{"tunnel":{"secret":"%s"}}}}`,
			agent.Secret(user.ID, 3))
		if !isResult(helper.Next()) {
			t.Fatal("the helper is not let in")
		}
		if took, in := guess(w, here, "ann", "guess"); took != 4*time.Second || in {
			t.Errorf("%v, let in: %v", took, in)
		}
	})
}

func TestFailuresAreForgotten(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		const here = "10.0.0.1:1"
		for range 3 {
			guess(w, here, "ann", "guess")
		}
		time.Sleep(door.Forgiven - 10*time.Second) // it is looked at 4 s after it comes
		if took, wait := guessWrong(t, w, here, "ann"); took != 4*time.Second || wait != took {
			t.Errorf("just before: %v, %v", took, wait)
		}
		time.Sleep(door.Forgiven)
		if took, _ := guess(w, here, "ann", "guess"); took != time.Second {
			t.Errorf("after: %v", took)
		}
	})
}

// The deadline does not run while the broker holds an answer back.
func TestHeldBackLoginOutlivesTheDeadline(t *testing.T) {
	world.Run(t, core.Options{Limits: core.Limits{LoginDeadline: 2 * time.Second}}, func(t *testing.T, w *world.World) {
		const here = "10.0.0.1:1"
		for range 4 {
			guess(w, here, "ann", "guess")
		}
		if took, in := guess(w, here, "ann", world.FarPassword); took != door.Patience*time.Second || !in {
			t.Errorf("%v, let in: %v", took, in)
		}
		r := w.ConnectFrom(here)
		r.Send(plainLogin, 1, "guess", "PLAIN", "ann")
		r.ExpectError(1, rpc.CodeException, "wrong password")
		began := time.Now()
		r.Gone()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("ended %v after the answer", took)
		}
	})
}

// One source guesses on hundreds of connections while a user logs in from
// another, again and again.
func TestFloodOfGuessesHoldsNobodyElseBack(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		const guesses = 600
		left := make(chan struct{}, guesses)
		attempt := world.Value(t, `{"login":{"password":"guess","type":"PLAIN","user":"ann"}}`)
		guessing := world.Frame(rpc.AppendRequest(nil, 1, "", "login", attempt))
		for i := range guesses {
			from := fmt.Sprintf("10.0.0.1:%d", i+1)
			go func() {
				defer func() { left <- struct{}{} }()
				r := w.ConnectFrom(from)
				defer r.Close()
				for {
					if _, err := r.Conn.Write(guessing); err != nil {
						return
					}
					if _, err := r.Read(); err != nil {
						return
					}
				}
			}()
		}
		for i := range 50 {
			if took, in := guess(w, fmt.Sprintf("10.0.0.2:%d", i+1), "ann", world.FarPassword); took != 0 || !in {
				t.Fatalf("login %d: %v, let in: %v", i, took, in)
			}
			time.Sleep(100 * time.Millisecond)
		}
		w.ConnectFrom("10.0.0.2:1").Login("ann", world.FarPassword, "{}").Fence()
		for range guesses {
			<-left
		}
		synctest.Wait()
		if s := w.Stats(); s.Unauthenticated != 0 {
			t.Errorf("%+v", s)
		}
	})
}
