package core_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/limits"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

func TestLoginForms(t *testing.T) {
	for _, tt := range []struct {
		name, user, password, kind string
		hello, ok                  bool
	}{
		{"SHA1", "iot", world.Password, "SHA1", true, true},
		{"unknown type is SHA1", "iot", world.Password, "NOSUCH", true, true},
		{"PLAIN after hello", "iot", world.Password, "PLAIN", true, true},
		{"PLAIN without hello", "iot", world.Password, "PLAIN", false, true},
		{"SHA1 without hello", "iot", world.Password, "SHA1", false, false},
		{"wrong password", "iot", "guess", "SHA1", true, false},
		{"empty password", "iot", "", "PLAIN", true, false},
		{"unknown user", "nobody", "", "SHA1", true, false},
		{"no user", "", "", "SHA1", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := world.New(t, core.Options{}).Connect()
				nonce := ""
				if tt.hello {
					nonce = r.Nonce()
				}
				text := tt.password
				if tt.kind != "PLAIN" {
					text = login.Hash(nonce, text)
				}
				r.Send(plainLogin, 2, text, tt.kind, tt.user)
				if tt.ok {
					r.Expect(`<1:1,8:2>i{2:{"clientId":1}}`)
					r.Fence()
					return
				}
				r.ExpectError(2, rpc.CodeException, "Invalid authentication for user: "+tt.user)
			})
		})
	}
}

func TestGuessingPasswordsCostsTimeAndEndsTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		r := w.Connect()
		begun := time.Now()
		for i := range maxLogins {
			r.Send(plainLogin, i+1, "guess", "PLAIN", "iot")
			r.ExpectError(int64(i+1), rpc.CodeException, "wrong password")
		}
		r.Gone()
		if took := time.Since(begun); took != (1+2+4)*limits.DefaultLoginPenalty+core.Lingering {
			t.Errorf("%d guesses took %v", maxLogins, took)
		}
		w.Client().Fence()
	})
}

// pyshv queries a login each second until it is answered. Each query once counted as a
// wrong password of the user "".
func TestQueriesOfALoginAreNoGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		r := w.Connect()
		begun := time.Now()
		r.Send(plainLogin, 1, "guess", "PLAIN", "iot")
		for range 2 * maxLogins {
			r.Send(`<8:1,10:"login">i{5:false}`)
		}
		r.ExpectError(1, rpc.CodeException, "wrong password")
		for range 2 * maxLogins {
			r.ExpectError(1, rpc.CodeRequestInvalid, "no such request")
		}
		if took := time.Since(begun); took != limits.DefaultLoginPenalty {
			t.Errorf("one wrong password took %v", took)
		}
		r.Send(plainLogin, 2, world.Password, "PLAIN", "iot")
		r.Expect(`<1:1,8:2>i{2:{"clientId":1}}`)
	})
}

// A reset before the login once restarted the deadline and the count of failures.
func TestResetsEvadeNeitherDeadlineNorPenaltyNorIDs(t *testing.T) {
	reset := []byte{1, 0}
	t.Run("failures", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := world.New(t, core.Options{}).Connect()
			for i := range maxLogins {
				r.SendRaw(reset)
				r.Send(plainLogin, i+1, "guess", "PLAIN", "iot")
				r.ExpectError(int64(i+1), rpc.CodeException, "wrong password")
			}
			r.Gone()
		})
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := world.New(t, core.Options{}).Connect()
			begun := time.Now()
			time.Sleep(limits.DefaultLoginDeadline - time.Second)
			r.SendRaw(reset)
			r.Gone()
			if took := time.Since(begun); took != limits.DefaultLoginDeadline {
				t.Errorf("ended after %v", took)
			}
		})
	})
	t.Run("ids", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := world.New(t, core.Options{}).Connect()
			for range core.MaxBeforeLogin / 2 {
				r.SendRaw(reset)
			}
			if r.Login("iot", world.Password, "{}"); r.ID != 1 {
				t.Errorf("client id %d", r.ID)
			}
		})
	})
}

func TestBeforeLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := world.New(t, core.Options{}).Connect()
		r.Send(`<1:1,9:"test",10:"chng">i{1:1}`) // a signal and a response are ignored
		r.Send(`<1:1,8:9,11:1>i{2:1}`)
		r.Send(`<1:1,8:1,9:".app",10:"ping">i{}`)
		r.ExpectError(1, rpc.CodeLoginRequired, "login first")
		r.Send(`<1:1,8:2,9:"x",10:"hello">i{}`)
		r.ExpectError(2, rpc.CodeLoginRequired, "login first")
		r.Send(`<1:1,8:3,10:"workflows">i{}`)
		r.Expect(`<1:1,8:3>i{2:["PLAIN","SHA1","TOKEN"]}`)
		if first := r.Nonce(); first != r.Nonce() {
			t.Error("a second hello got another nonce")
		} else if len(first) < 10 || strings.Trim(first, "0123456789") != "" {
			t.Errorf("nonce %q", first)
		}
		r.Send(`<1:1,8:4,10:"login">i{1:5}`)
		r.ExpectError(4, rpc.CodeException, "Invalid authentication")
		r.Login("iot", world.Password, `{"device":{},"tunnel":null,"other":1}`)
	})
}

func TestTalkWithoutLoginEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := world.New(t, core.Options{}).Connect()
		for range core.MaxBeforeLogin {
			r.Send(`<1:1,9:"test",10:"chng">i{}`)
		}
		r.Send(`<1:1,9:"test",10:"chng">i{}`)
		r.Gone()
	})
}

func TestLoginDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		r := w.Connect()
		r.Nonce()
		begun := time.Now()
		r.Gone()
		if took := time.Since(begun); took != limits.DefaultLoginDeadline {
			t.Errorf("ended after %v", took)
		}
		in := w.Client()
		time.Sleep(2 * limits.DefaultLoginDeadline)
		in.Fence()
	})
}

func TestPipelinedLoginIsAnsweredInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := world.New(t, core.Options{}).Connect()
		go func() {
			r.Send(`<1:1,8:1,10:"hello">i{}`)
			r.Send(plainLogin, 2, world.Password, "PLAIN", "iot")
			r.Send(`<1:1,8:3,9:".broker/app",10:"ping">i{}`)
		}()
		if m := r.Next(); m.ID() != 1 {
			t.Errorf("first answer has id %d", m.ID())
		}
		r.Expect(`<1:1,8:2>i{2:{"clientId":1}}`)
		r.Expect(`<1:1,8:3>i{2:true}`)
	})
}

func TestResetGoesBackToBeforeLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, agent := w.Client(), w.Device("test/agent")
		agent.SendRaw([]byte{1, 0})
		agent.Send(`<1:1,8:1,9:".app",10:"ping">i{}`)
		agent.ExpectError(1, rpc.CodeLoginRequired, "login")
		user.Send(`<1:1,8:3,9:"test/agent",10:"ls">i{}`)
		user.ExpectError(3, rpc.CodeMethodNotFound, "test/agent")
		agent.Login("iot", world.Password, `{"device":{"mountPoint":"test/agent"}}`)
		if agent.ID != 3 {
			t.Errorf("the session after a reset has id %d", agent.ID)
		}
		user.Send(`<1:1,8:4,9:"test/agent",10:"ls">i{}`)
		agent.Expect(`<1:1,8:4,9:"",10:"ls",11:1,14:"su",17:63>i{}`)
		agent.SendRaw([]byte{1, 0})
		agent.Gone() // no second login in time
	})
}

func TestIdleWatchdogTakesWhatTheLoginAsks(t *testing.T) {
	for _, tt := range []struct {
		options string
		limit   time.Duration
	}{
		{`{}`, defaultIdle},
		{`{"idleWatchDogTimeOut":20}`, 20 * time.Second},
		{`{"idleWatchDogTimeOut":0}`, longIdle},
		{`{"idleWatchDogTimeOut":-1}`, longIdle},
		{`{"idleWatchDogTimeOut":9000000000000000000}`, longIdle},
		{`{"idleWatchDogTimeOut":"x"}`, defaultIdle},
	} {
		t.Run(tt.options, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, core.Options{})
				r := w.As("iot", tt.options)
				time.Sleep(tt.limit - time.Second)
				if n := w.Stats().Clients; n != 1 {
					t.Fatal("gone too early")
				}
				r.Fence()
				time.Sleep(tt.limit*3/2 + time.Second)
				if n := w.Stats().Clients; n != 0 {
					t.Error("still there")
				}
			})
		})
	}
}
