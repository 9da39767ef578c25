package core

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
)

const plainLogin = `<1:1,8:%d,10:"login">i{1:{"login":{"password":"%s","type":"%s","user":"%s"}}}`

func TestLoginForms(t *testing.T) {
	for _, tt := range []struct {
		name, user, password, kind string
		hello, ok                  bool
	}{
		{"SHA1", "iot", password, "SHA1", true, true},
		{"unknown type is SHA1", "iot", password, "NOSUCH", true, true},
		{"PLAIN after hello", "iot", password, "PLAIN", true, true},
		{"PLAIN without hello", "iot", password, "PLAIN", false, true},
		{"SHA1 without hello", "iot", password, "SHA1", false, false},
		{"wrong password", "iot", "guess", "SHA1", true, false},
		{"empty password", "iot", "", "PLAIN", true, false},
		{"unknown user", "nobody", "", "SHA1", true, false},
		{"no user", "", "", "SHA1", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := serve(t, Options{}).connect()
				nonce := ""
				if tt.hello {
					nonce = r.nonce()
				}
				text := tt.password
				if tt.kind != "PLAIN" {
					text = login.Hash(nonce, text)
				}
				r.send(plainLogin, 2, text, tt.kind, tt.user)
				if tt.ok {
					r.expect(`<1:1,8:2>i{2:{"clientId":1}}`)
					r.fence()
					return
				}
				r.expectError(2, rpc.CodeException, "Invalid authentication for user: "+tt.user)
			})
		})
	}
}

func TestGuessingPasswordsCostsTimeAndEndsTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		r := w.connect()
		begun := time.Now()
		for i := range maxLogins {
			r.send(plainLogin, i+1, "guess", "PLAIN", "iot")
			r.expectError(int64(i+1), rpc.CodeException, "wrong password")
		}
		r.gone()
		if took := time.Since(begun); took != (1+2+4)*DefaultLoginPenalty+lingering {
			t.Errorf("%d guesses took %v", maxLogins, took)
		}
		w.client().fence()
	})
}

// pyshv asks each second after a login that is not answered yet. Each question was
// once taken for a guess at the password of the user "".
func TestQueriesOfALoginAreNoGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		r := w.connect()
		begun := time.Now()
		r.send(plainLogin, 1, "guess", "PLAIN", "iot")
		for range 2 * maxLogins {
			r.send(`<8:1,10:"login">i{5:false}`)
		}
		r.expectError(1, rpc.CodeException, "wrong password")
		for range 2 * maxLogins {
			r.expectError(1, rpc.CodeRequestInvalid, "no such request")
		}
		if took := time.Since(begun); took != DefaultLoginPenalty {
			t.Errorf("one wrong password took %v", took)
		}
		r.send(plainLogin, 2, password, "PLAIN", "iot")
		r.expect(`<1:1,8:2>i{2:{"clientId":1}}`)
	})
}

// A reset before login once began the deadline and the count of failures anew.
func TestResetsEvadeNeitherDeadlineNorPenaltyNorIDs(t *testing.T) {
	reset := []byte{1, 0}
	t.Run("failures", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := serve(t, Options{}).connect()
			for i := range maxLogins {
				r.sendRaw(reset)
				r.send(plainLogin, i+1, "guess", "PLAIN", "iot")
				r.expectError(int64(i+1), rpc.CodeException, "wrong password")
			}
			r.gone()
		})
	})
	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := serve(t, Options{}).connect()
			begun := time.Now()
			time.Sleep(DefaultLoginDeadline - time.Second)
			r.sendRaw(reset)
			r.gone()
			if took := time.Since(begun); took != DefaultLoginDeadline {
				t.Errorf("ended after %v", took)
			}
		})
	})
	t.Run("ids", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := serve(t, Options{}).connect()
			for range maxBeforeLogin / 2 {
				r.sendRaw(reset)
			}
			if r.login("iot", password, "{}"); r.id != 1 {
				t.Errorf("client id %d", r.id)
			}
		})
	})
}

func TestBeforeLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, Options{}).connect()
		r.send(`<1:1,9:"test",10:"chng">i{1:1}`) // a signal and a response are ignored
		r.send(`<1:1,8:9,11:1>i{2:1}`)
		r.send(`<1:1,8:1,9:".app",10:"ping">i{}`)
		r.expectError(1, rpc.CodeLoginRequired, "login first")
		r.send(`<1:1,8:2,9:"x",10:"hello">i{}`)
		r.expectError(2, rpc.CodeLoginRequired, "login first")
		r.send(`<1:1,8:3,10:"workflows">i{}`)
		r.expect(`<1:1,8:3>i{2:["PLAIN","SHA1","TOKEN"]}`)
		if first := r.nonce(); first != r.nonce() {
			t.Error("a second hello got another nonce")
		} else if len(first) < 10 || strings.Trim(first, "0123456789") != "" {
			t.Errorf("nonce %q", first)
		}
		r.send(`<1:1,8:4,10:"login">i{1:5}`)
		r.expectError(4, rpc.CodeException, "Invalid authentication")
		r.login("iot", password, `{"device":{},"tunnel":null,"other":1}`)
	})
}

func TestTalkWithoutLoginEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, Options{}).connect()
		for range maxBeforeLogin {
			r.send(`<1:1,9:"test",10:"chng">i{}`)
		}
		r.send(`<1:1,9:"test",10:"chng">i{}`)
		r.gone()
	})
}

func TestLoginDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		r := w.connect()
		r.nonce()
		begun := time.Now()
		r.gone()
		if took := time.Since(begun); took != DefaultLoginDeadline {
			t.Errorf("ended after %v", took)
		}
		in := w.client()
		time.Sleep(2 * DefaultLoginDeadline)
		in.fence()
	})
}

func TestPipelinedLoginIsAnsweredInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := serve(t, Options{}).connect()
		go func() {
			r.send(`<1:1,8:1,10:"hello">i{}`)
			r.send(plainLogin, 2, password, "PLAIN", "iot")
			r.send(`<1:1,8:3,9:".broker/app",10:"ping">i{}`)
		}()
		if m := r.next(); m.ID() != 1 {
			t.Errorf("first answer has id %d", m.ID())
		}
		r.expect(`<1:1,8:2>i{2:{"clientId":1}}`)
		r.expect(`<1:1,8:3>i{2:true}`)
	})
}

func TestResetGoesBackToBeforeLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := serve(t, Options{})
		user, agent := w.client(), w.device("test/agent")
		agent.sendRaw([]byte{1, 0})
		agent.send(`<1:1,8:1,9:".app",10:"ping">i{}`)
		agent.expectError(1, rpc.CodeLoginRequired, "login")
		user.send(`<1:1,8:3,9:"test/agent",10:"ls">i{}`)
		user.expectError(3, rpc.CodeMethodNotFound, "test/agent")
		agent.login("iot", password, `{"device":{"mountPoint":"test/agent"}}`)
		if agent.id != 3 {
			t.Errorf("the session after a reset has id %d", agent.id)
		}
		user.send(`<1:1,8:4,9:"test/agent",10:"ls">i{}`)
		agent.expect(`<1:1,8:4,9:"",10:"ls",11:1,14:"su",17:63>i{}`)
		agent.sendRaw([]byte{1, 0})
		agent.gone() // no second login in time
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
				w := serve(t, Options{})
				r := w.connect().login("iot", password, tt.options)
				time.Sleep(tt.limit - time.Second)
				if n := w.Stats().Clients; n != 1 {
					t.Fatal("gone too early")
				}
				r.fence()
				time.Sleep(tt.limit*3/2 + time.Second)
				if n := w.Stats().Clients; n != 0 {
					t.Error("still there")
				}
			})
		})
	}
}
