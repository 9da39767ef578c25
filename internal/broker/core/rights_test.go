package core

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
)

// access is what the tests of changes begin with: iot has the devices, eva calls
// them.
func access() auth.Access {
	rights := func(rules ...auth.Rule) auth.RoleEntry { return auth.RoleEntry{Rules: rules} }
	devices := rights(auth.MustRule("**:*", rpc.AccessBrowse))
	devices.Mounts = []shvpath.Pattern{shvpath.MustPattern("test/**")}
	devices.ByDeviceID = true
	return auth.Access{
		Users: map[string]auth.UserEntry{
			"iot": {Password: auth.PlainPassword(password), Roles: []string{"devices"}},
			"eva": {Password: auth.PlainPassword(password), Roles: []string{"operators"}, Tokens: []string{"evas-token"}},
			"bob": {Password: auth.PlainPassword(password), Roles: []string{"operators"}},
		},
		Roles: map[string]auth.RoleEntry{
			"devices":   devices,
			"operators": rights(auth.MustRule("test/**:*", rpc.AccessSuper), auth.MustRule("**:*", rpc.AccessBrowse)),
		},
		Devices: map[string]auth.DeviceEntry{"serial-7": {MountPoint: "plant/pump7"}},
	}
}

// changed is access with a change.
func changed(t *testing.T, change func(*auth.Access)) *auth.Directory {
	t.Helper()
	a := access()
	change(&a)
	d, faults := auth.Build(a)
	if faults != nil {
		t.Fatal(faults)
	}
	return d
}

func user(a *auth.Access, name string, change func(*auth.UserEntry)) {
	entry := a.Users[name]
	change(&entry)
	a.Users[name] = entry
}

func role(a *auth.Access, name string, change func(*auth.RoleEntry)) {
	entry := a.Roles[name]
	change(&entry)
	a.Roles[name] = entry
}

// withAccess runs a test with a broker of access.
func withAccess(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := tunnelling
		o.Users = auth.NewStore(changed(t, func(*auth.Access) {}))
		f(t, serve(t, o))
	})
}

func (w *world) as(name, options string) *remote {
	w.t.Helper()
	return w.connect().login(name, password, options)
}

// causeOf gives the cause of the end of a client's link.
func (w *world) session(r *remote) *session {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.sessions[r.id]
}

func TestWhoLosesALoginIsDisconnectedAtOnce(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*auth.Access)
		cause  link.Cause
	}{
		{"removed", func(a *auth.Access) { delete(a.Users, "eva") }, link.UserRemoved},
		{"deactivated", func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Deactivated = true }) }, link.UserDeactivated},
		{"expired", func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Expires = time.Now() }) }, link.UserExpired},
		{"password", func(a *auth.Access) {
			user(a, "eva", func(e *auth.UserEntry) { e.Password = auth.PlainPassword("x") })
		}, link.PasswordChanged},
		{"networks", func(a *auth.Access) {
			a.Roles["far"] = auth.RoleEntry{HasNetworks: true}
			user(a, "eva", func(e *auth.UserEntry) { e.Roles = append(e.Roles, "far") })
		}, link.AddressDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			withAccess(t, func(t *testing.T, w *world) {
				eva, bob, agent := w.as("eva", "{}"), w.as("bob", "{}"), w.device("test/agent")
				s := w.session(eva)
				lost := w.Apply(changed(t, test.change))
				if len(lost) != 1 || lost[0].Client != eva.id || lost[0].User != "eva" || !strings.Contains(lost[0].What, test.cause.String()) {
					t.Errorf("affected: %+v", lost)
				}
				eva.gone()
				synctest.Wait()
				if got := s.link.Cause(); got != test.cause {
					t.Errorf("cause %v, want %v", got, test.cause)
				}
				bob.fence()
				agent.fence()
			})
		})
	}
}

func TestNobodyNoticesAChangeOfOthers(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		eva, agent := w.as("eva", "{}"), w.device("test/agent")
		p := w.tunnel(eva, agent, 41, 3)
		lost := w.Apply(changed(t, func(a *auth.Access) {
			delete(a.Users, "bob")
			a.Users["new"] = auth.UserEntry{Password: auth.PlainPassword("n")}
			role(a, "operators", func(r *auth.RoleEntry) {
				r.Rules = append([]auth.Rule{auth.MustRule("test/**:*", rpc.AccessSuper)}, r.Rules...)
			})
		}))
		if len(lost) != 0 {
			t.Errorf("affected: %+v", lost)
		}
		p.works()
		eva.send(`<1:1,8:5,9:"test/agent",10:"ping">i{}`)
		agent.expect(`<1:1,8:5,9:"",10:"ping",11:%d,14:"su",17:63>i{}`, eva.id) // what is gained counts too
		w.connect().login("new", "n", "{}")
	})
}

func TestALowerLevelCountsFromTheNextRequest(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		eva, agent := w.as("eva", "{}"), w.device("test/agent")
		for i, test := range []struct {
			rule auth.Rule
			want string
		}{
			{auth.MustRule("test/**:get", rpc.AccessRead), `14:"rd",17:8`},
			{auth.MustRule("test/**:g*", rpc.AccessWrite), `14:"wr",17:16`},
			{auth.MustRule("test/**:get", rpc.AccessNone), ""},
		} {
			w.Apply(changed(t, func(a *auth.Access) {
				role(a, "operators", func(r *auth.RoleEntry) { r.Rules = append([]auth.Rule{test.rule}, r.Rules...) })
			}))
			eva.send(`<1:1,8:%d,9:"test/agent",10:"get">i{}`, 10+i)
			if test.want == "" {
				eva.expectError(int64(10+i), rpc.CodeException, "not granted")
				continue
			}
			agent.expect(`<1:1,8:%d,9:"",10:"get",11:%d,%s>i{}`, 10+i, eva.id, test.want)
		}
	})
}

func TestWhoLosesAMountPointIsDisconnected(t *testing.T) {
	const byID = `{"device":{"deviceId":"serial-7","mountPoint":"test/ignored"}}`
	for _, test := range []struct {
		name, options string
		change        func(*auth.Access)
		lost          bool
	}{
		{"pattern", `{"device":{"mountPoint":"test/agent"}}`, func(a *auth.Access) { role(a, "devices", func(r *auth.RoleEntry) { r.Mounts = nil }) }, true},
		{"id", byID, func(a *auth.Access) { a.Devices = nil }, true},
		{"id elsewhere", byID, func(a *auth.Access) { a.Devices["serial-7"] = auth.DeviceEntry{MountPoint: "plant/pump8"} }, true},
		{"right to use ids", byID, func(a *auth.Access) { role(a, "devices", func(r *auth.RoleEntry) { r.ByDeviceID = false }) }, true},
		{"pattern of others", byID, func(a *auth.Access) { role(a, "devices", func(r *auth.RoleEntry) { r.Mounts = nil }) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			withAccess(t, func(t *testing.T, w *world) {
				device := w.as("iot", test.options)
				s := w.session(device)
				w.Apply(changed(t, test.change))
				if !test.lost {
					device.fence()
					return
				}
				device.gone()
				synctest.Wait()
				if got := s.link.Cause(); got != link.MountDenied {
					t.Errorf("cause %v", got)
				}
				if w.Stats().Mounts != 0 {
					t.Error("still mounted")
				}
			})
		})
	}
}

func TestDeviceIDsStandWhereTheConfigurationSays(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		known := w.as("iot", `{"device":{"deviceId":"serial-7","mountPoint":"test/asked"}}`)
		w.as("iot", `{"device":{"deviceId":"serial-8","mountPoint":"test/asked"}}`)
		w.as("eva", `{"device":{"deviceId":"serial-7"}}`) // may not, and asks for nothing else
		if got := w.session(known).mountPoint; got != "plant/pump7" || w.Stats().Mounts != 2 {
			t.Errorf("%q, and %d mounts", got, w.Stats().Mounts)
		}
	})
}

func TestTunnelsEndWithTheRightThatMadeThem(t *testing.T) {
	const why = `the right to call launchRexec on "test/agent" was taken away`
	for _, test := range []struct {
		name   string
		change func(*auth.Access)
		ended  bool
	}{
		{"method forbidden", func(a *auth.Access) {
			role(a, "operators", func(r *auth.RoleEntry) {
				r.Rules = append([]auth.Rule{auth.MustRule("test/**:launch*", rpc.AccessNone)}, r.Rules...)
			})
		}, true},
		{"level lowered", func(a *auth.Access) {
			role(a, "operators", func(r *auth.RoleEntry) { r.Rules[0].Level = rpc.AccessDevelopment })
		}, true},
		{"role taken", func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Roles = []string{"devices"} }) }, true},
		{"another method", func(a *auth.Access) {
			role(a, "operators", func(r *auth.RoleEntry) {
				r.Rules = append([]auth.Rule{auth.MustRule("test/**:get", rpc.AccessNone)}, r.Rules...)
			})
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			withAccess(t, func(t *testing.T, w *world) {
				eva, bob, agent := w.as("eva", "{}"), w.as("bob", "{}"), w.device("test/agent")
				p := w.tunnel(eva, agent, 41, 3)
				lost := w.Apply(changed(t, test.change))
				if !test.ended {
					p.works()
					return
				}
				if len(lost) != 1 || lost[0].What != "tunnel closed: "+why {
					t.Errorf("affected: %+v", lost)
				}
				end := fmt.Sprintf(`15:<1:3>i{1:5}>i{3:i{1:8,2:%q}}`, why)
				eva.expect(`<1:1,8:41,%s`, end)
				p.helper.expect(`<1:1,8:3,%s`, end)
				p.helper.gone()
				eva.fence()
				bob.fence()
				agent.fence()
			})
		})
	}
}

func TestCallsThatWaitForTheirTunnelLoseTheirRightToo(t *testing.T) {
	forbid := func(a *auth.Access) {
		role(a, "operators", func(r *auth.RoleEntry) { r.Rules = r.Rules[1:] })
	}
	t.Run("secret given", func(t *testing.T) {
		withAccess(t, func(t *testing.T, w *world) {
			eva, agent := w.as("eva", "{}"), w.device("test/agent")
			eva.send(`<1:1,8:41,9:"test/agent",10:"launchRexec">i{1:{}}`)
			agent.next()
			secret := agent.secret(eva.id, 41)
			w.Apply(changed(t, forbid))
			eva.expectError(41, rpc.CodeException, "taken away")
			late := w.connect()
			late.nonce()
			late.send(`<1:1,8:2,10:"login">i{1:{"options":{"tunnel":{"secret":"%s"}}}}`, secret)
			late.expectError(2, rpc.CodeException, "secret")
		})
	})
	t.Run("secret asked for", func(t *testing.T) {
		withAccess(t, func(t *testing.T, w *world) {
			eva, agent := w.as("eva", "{}"), w.device("test/agent")
			eva.send(`<1:1,8:41,9:"test/agent",10:"launchRexec">i{1:{}}`)
			agent.next()
			w.Apply(changed(t, forbid))
			agent.find(eva.id, 41)
			agent.expectError(41, rpc.CodeException, "taken away")
		})
	})
}

// Who has a shell open learns why it ends, and one that does not read is not
// waited for.
func TestShellIsToldWhyItsUserHasToGo(t *testing.T) {
	for _, reads := range []bool{true, false} {
		withAccess(t, func(t *testing.T, w *world) {
			eva, agent := w.as("eva", "{}"), w.device("test/agent")
			p := w.tunnel(eva, agent, 41, 3)
			s := w.session(eva)
			w.Apply(changed(t, func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Deactivated = true }) }))
			p.helper.expectError(3, rpc.CodeException, "user deactivated")
			if reads {
				m := eva.expectError(41, rpc.CodeException, "user deactivated")
				if m.Tunnel().State != rpc.CloseTunnel {
					t.Errorf("no CloseTunnel: %+v", m)
				}
				eva.gone()
			}
			time.Sleep(lingering)
			synctest.Wait()
			if got := s.link.Cause(); got != link.UserDeactivated {
				t.Errorf("reads %v: cause %v", reads, got)
			}
			agent.fence()
		})
	}
}

func TestHelpersGoWithTheUserOfTheirAgent(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		eva, agent := w.as("eva", "{}"), w.device("test/agent")
		p := w.tunnel(eva, agent, 41, 3)
		w.Apply(changed(t, func(a *auth.Access) { user(a, "iot", func(e *auth.UserEntry) { e.Deactivated = true }) }))
		agent.gone()
		p.helper.gone()
		m := eva.next()
		if m.Tunnel().State != rpc.CloseTunnel {
			t.Errorf("the user is not told: %+v", m)
		}
		eva.fence()
	})
}

func TestHelpersExpireWithTheUserOfTheirAgent(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		w.Apply(changed(t, func(a *auth.Access) {
			user(a, "iot", func(e *auth.UserEntry) { e.Expires = time.Now().Add(time.Minute) })
		}))
		eva, agent := w.as("eva", "{}"), w.device("test/agent")
		p := w.tunnel(eva, agent, 41, 3)
		_ = agent.conn.Close() // which ends no shell by itself
		p.works()
		s := w.session(p.helper)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.link.Cause(); got != link.UserExpired {
			t.Errorf("cause %v", got)
		}
		p.helper.gone()
	})
}

func TestUsersExpireInTheMiddleOfTheirSessions(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		const life = 90 * 24 * time.Hour
		ends := time.Now().Add(life)
		w.Apply(changed(t, func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Expires = ends }) }))
		eva := w.as("eva", `{"idleWatchDogTimeOut":0}`)
		s := w.session(eva)
		for range 3 { // and not before
			for start := time.Now(); time.Since(start) < life/4; time.Sleep(time.Hour) {
				eva.fence()
			}
		}
		// More time is given, and then taken.
		w.Apply(changed(t, func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Expires = ends.Add(life) }) }))
		for !time.Now().After(ends) {
			eva.fence()
			time.Sleep(time.Hour)
		}
		eva.fence()
		w.Apply(changed(t, func(a *auth.Access) {
			user(a, "eva", func(e *auth.UserEntry) { e.Expires = time.Now().Add(time.Minute) })
		}))
		eva.fence()
		time.Sleep(time.Minute)
		synctest.Wait()
		eva.gone()
		if got := s.link.Cause(); got != link.UserExpired {
			t.Errorf("cause %v", got)
		}
	})
}

func TestTokensLogIn(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		static := w.connect()
		static.send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"evas-token"}}}`)
		static.expect(`<1:1,8:2>i{2:{"clientId":%d}}`, w.lastID)
		static.fence()

		asking := w.connect()
		nonce := asking.nonce()
		asking.send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"%s","type":"SHA1","user":"bob"},"options":{"session":true}}}`, login.Hash(nonce, password))
		content, err := asking.next().Content()
		token, ok := content.Value.AsString()
		if err != nil || !ok || len(token) < 20 {
			t.Fatalf("no token: %v", content)
		}
		by := w.connect()
		by.send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"%s"}}}`, token)
		by.expect(`<1:1,8:2>i{2:{"clientId":%d}}`, w.lastID)
		if got := w.session(&remote{id: w.lastID}).name(); got != "bob" {
			t.Errorf("logged in as %s", got)
		}
		bad := w.connect()
		bad.send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"%sx"}}}`, token)
		bad.expectError(2, rpc.CodeException, "Invalid authentication")

		w.Apply(changed(t, func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Tokens = nil }) }))
		static.gone()
		by.fence()
	})
}

// The rights of a login that is judged while they change are those of after.
func TestLoginDuringAChange(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world) {
		r := w.connect()
		nonce := r.nonce()
		byHash, err := w.opts.Users.Check(nil, auth.Attempt{User: "eva", Password: login.Hash(nonce, password), Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		d := changed(t, func(a *auth.Access) { delete(a.Users, "eva") })
		w.Apply(d)
		if _, loss := byHash.Lost(d, w.session(&remote{id: w.lastID}).from.Addr, time.Now()); loss != auth.Removed {
			t.Errorf("loss %v", loss)
		}
		r.send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"%s","type":"SHA1","user":"eva"}}}`, login.Hash(nonce, password))
		r.expectError(2, rpc.CodeException, "Invalid authentication")
	})
}

func TestLevelOfARequestIsFoundWithoutAllocating(t *testing.T) {
	b := New(Options{Users: users()})
	s := &session{broker: b}
	s.user.Store(b.opts.Users.Load().User("iot"))
	to := new(session)
	path, method := []byte("test/agent/sys/fs"), []byte("launchRexec")
	callers := rpc.CallerIDs{7}
	ask := func() {
		level := s.level(path, method)
		to.routes.Open(callers, replyroutes.Call{ID: 5, Path: path, Method: method, Level: level}, s.opener())
	}
	for range replyroutes.MaxAsked {
		ask()
	}
	if n := testing.AllocsPerRun(100, ask); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if with, ok := to.routes.WasAsked(callers, 5); !ok || with.Path != string(path) || with.Method != string(method) || with.Level != rpc.AccessSuper {
		t.Errorf("kept %+v, %v", with, ok)
	}
	to.routes.Open(callers, replyroutes.Call{ID: 6, Path: make([]byte, replyroutes.MaxCallText), Method: method}, s.opener())
	if with, ok := to.routes.WasAsked(callers, 6); !ok || with.Path != "" || with.HeldBy(s.user.Load()) {
		t.Errorf("kept %+v, %v", with, ok)
	}
}
