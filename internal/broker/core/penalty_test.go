package core

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/door"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// guess tries a password from an address and tells how long the answer took.
func (w *world) guess(from, user, text string) (took time.Duration, in bool) {
	w.t.Helper()
	r := w.connectFrom(from)
	defer r.conn.Close()
	began := time.Now()
	r.send(plainLogin, 1, text, "PLAIN", user)
	in = isResult(r.next())
	return time.Since(began), in
}

func TestFailedLoginsAreHeldBackEverLonger(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		const here = "10.0.0.1:1"
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
			if took, in := w.guess(here, "ann", "guess"); took != want*time.Second || in {
				t.Errorf("guess %d: %v, let in: %v", i, took, in)
			}
		}
		// Elsewhere, and for others, nothing of it shows: no guesser keeps a user out.
		for _, from := range []string{"10.0.0.2:1", "[2001:db8::1]:1"} {
			if took, in := w.guess(from, "ann", uncommon); took != 0 || !in {
				t.Errorf("from %s: %v, let in: %v", from, took, in)
			}
		}
		if took, in := w.guess(here, "iot", "guess"); took != time.Second || in {
			t.Errorf("another user: %v, let in: %v", took, in)
		}
		// The right password is answered while its client still waits, and clears
		// the user's name.
		if took, in := w.guess(here, "ann", uncommon); took != door.MaxHeld*time.Second || !in {
			t.Errorf("right password: %v, let in: %v", took, in)
		}
		if took, in := w.guess(here, "ann", uncommon); took != 0 || !in {
			t.Errorf("right password again: %v, let in: %v", took, in)
		}
		if n := w.Stats().Logins[LoginInvalid]; n != 9 {
			t.Errorf("%d refused", n)
		}
	})
}

// Else a user with a device of his own could guess another one's password for ever.
func TestHelperClearsNobodysFailures(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		const here = "10.0.0.1:1"
		user, agent := w.client(), w.device("test/agent")
		for range 3 {
			w.guess(here, "ann", "guess")
		}
		user.launch(agent, 3)
		helper := w.connectFrom(here)
		helper.send(`<1:1,8:1,10:"login">i{1:{"login":{"user":"ann"},"options":{"tunnel":{"secret":"%s"}}}}`, agent.secret(user.id, 3))
		if !isResult(helper.next()) {
			t.Fatal("the helper is not let in")
		}
		if took, in := w.guess(here, "ann", "guess"); took != 8*time.Second || in {
			t.Errorf("%v, let in: %v", took, in)
		}
	})
}

func TestFailuresAreForgotten(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		const here = "10.0.0.1:1"
		for range 3 {
			w.guess(here, "ann", "guess")
		}
		time.Sleep(door.Forgiven - 10*time.Second) // it is looked at 4 s after it comes
		if took, _ := w.guess(here, "ann", "guess"); took != 8*time.Second {
			t.Errorf("just before: %v", took)
		}
		time.Sleep(door.Forgiven)
		if took, _ := w.guess(here, "ann", "guess"); took != time.Second {
			t.Errorf("after: %v", took)
		}
	})
}

// The deadline is the client's time: what the broker holds back is not.
func TestHeldBackLoginOutlivesTheDeadline(t *testing.T) {
	bubbled(t, Options{Limits: Limits{LoginDeadline: 2 * time.Second}}, func(t *testing.T, w *world) {
		const here = "10.0.0.1:1"
		for range 4 {
			w.guess(here, "ann", "guess")
		}
		if took, in := w.guess(here, "ann", uncommon); took != door.MaxHeld*time.Second || !in {
			t.Errorf("%v, let in: %v", took, in)
		}
		r := w.connectFrom(here)
		r.send(plainLogin, 1, "guess", "PLAIN", "ann")
		r.expectError(1, rpc.CodeException, "wrong password")
		began := time.Now()
		r.gone()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("ended %v after the answer", took)
		}
	})
}

func cponValue(t *testing.T, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// One source guesses on hundreds of connections while a user logs in from
// another, again and again.
func TestFloodOfGuessesHoldsNobodyElseBack(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		const guesses = 600
		left := make(chan struct{}, guesses)
		guessing := frame(rpc.AppendRequest(nil, 1, "", "login", cponValue(t, `{"login":{"password":"guess","type":"PLAIN","user":"ann"}}`)))
		for i := range guesses {
			from := fmt.Sprintf("10.0.0.1:%d", i+1)
			go func() {
				defer func() { left <- struct{}{} }()
				r := w.connectFrom(from)
				defer r.conn.Close()
				for {
					if _, err := r.conn.Write(guessing); err != nil {
						return
					}
					if _, err := r.read(); err != nil {
						return
					}
				}
			}()
		}
		for i := range 50 {
			if took, in := w.guess(fmt.Sprintf("10.0.0.2:%d", i+1), "ann", uncommon); took != 0 || !in {
				t.Fatalf("login %d: %v, let in: %v", i, took, in)
			}
			time.Sleep(100 * time.Millisecond)
		}
		w.connectFrom("10.0.0.2:1").login("ann", uncommon, "{}").fence()
		for range guesses {
			<-left
		}
		synctest.Wait()
		if s := w.Stats(); s.Unauthenticated != 0 {
			t.Errorf("%+v", s)
		}
	})
}
