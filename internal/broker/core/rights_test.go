package core_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// access is what the tests of changed rights start with: iot has the devices, and eva
// calls them.
func access() auth.Access {
	rights := func(rules ...auth.Rule) auth.RoleEntry { return auth.RoleEntry{Rules: rules} }
	devices := rights(auth.MustRule("**:*", rpc.AccessBrowse))
	devices.Mounts = []shvpath.Pattern{shvpath.MustPattern("test/**")}
	devices.ByDeviceID = true
	return auth.Access{
		Users: map[string]auth.UserEntry{
			"iot": {Password: auth.PlainPassword(world.Password), Roles: []string{"devices"}},
			"eva": {Password: auth.PlainPassword(world.Password), Roles: []string{"operators"}, Tokens: []string{"evas-token"}},
			"bob": {Password: auth.PlainPassword(world.Password), Roles: []string{"operators"}},
		},
		Roles: map[string]auth.RoleEntry{
			"devices":   devices,
			"operators": rights(auth.MustRule("test/**:*", rpc.AccessSuper), auth.MustRule("**:*", rpc.AccessBrowse)),
		},
		Devices: map[string]auth.DeviceEntry{"serial-7": {MountPoint: "plant/pump7"}},
	}
}

// changed returns access with a change.
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

func deactivate(name string) func(*auth.Access) {
	return func(a *auth.Access) { user(a, name, func(e *auth.UserEntry) { e.Deactivated = true }) }
}

func role(a *auth.Access, name string, change func(*auth.RoleEntry)) {
	entry := a.Roles[name]
	change(&entry)
	a.Roles[name] = entry
}

// withAccess runs a test with a broker that has the users of access.
func withAccess(t *testing.T, f func(t *testing.T, w *world.World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := tunnelling
		o.Users = auth.NewStore(changed(t, func(*auth.Access) {}))
		f(t, world.New(t, o))
	})
}

func TestWhoLosesALoginIsDisconnectedAtOnce(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*auth.Access)
		cause  link.Cause
	}{
		{"removed", func(a *auth.Access) { delete(a.Users, "eva") }, link.UserRemoved},
		{"deactivated", deactivate("eva"), link.UserDeactivated},
		{"expired", func(a *auth.Access) {
			user(a, "eva", func(e *auth.UserEntry) { e.Expires = time.Now() })
		}, link.UserExpired},
		{"password", func(a *auth.Access) {
			user(a, "eva", func(e *auth.UserEntry) { e.Password = auth.PlainPassword("x") })
		}, link.PasswordChanged},
		{"networks", func(a *auth.Access) {
			a.Roles["far"] = auth.RoleEntry{HasNetworks: true}
			user(a, "eva", func(e *auth.UserEntry) { e.Roles = append(e.Roles, "far") })
		}, link.AddressDenied},
	} {
		t.Run(test.name, func(t *testing.T) {
			withAccess(t, func(t *testing.T, w *world.World) {
				eva, bob, agent := w.As("eva", "{}"), w.As("bob", "{}"), w.Device("test/agent")
				lost := w.Apply(changed(t, test.change))
				if len(lost) != 1 || lost[0].Client != eva.ID || lost[0].User != "eva" ||
					!strings.Contains(lost[0].What, test.cause.String()) {
					t.Errorf("affected: %+v", lost)
				}
				eva.Gone()
				if w.Ended(test.cause) != 1 {
					t.Errorf("not for the cause %v: %v", test.cause, w.Stats().Ended)
				}
				bob.Fence()
				agent.Fence()
			})
		})
	}
}

func TestNobodyNoticesAChangeOfOthers(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world.World) {
		eva, agent := w.As("eva", "{}"), w.Device("test/agent")
		p := w.Tunnel(eva, agent, 41, 3)
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
		p.Works()
		eva.Send(`<1:1,8:5,9:"test/agent",10:"ping">i{}`)
		agent.Expect(`<1:1,8:5,9:"",10:"ping",11:%d,14:"su",17:63>i{}`, eva.ID) // what is gained counts too
		w.Connect().Login("new", "n", "{}")
	})
}

func TestALowerLevelCountsFromTheNextRequest(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world.World) {
		eva, agent := w.As("eva", "{}"), w.Device("test/agent")
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
			eva.Send(`<1:1,8:%d,9:"test/agent",10:"get">i{}`, 10+i)
			if test.want == "" {
				eva.ExpectError(int64(10+i), rpc.CodeException, "not granted")
				continue
			}
			agent.Expect(`<1:1,8:%d,9:"",10:"get",11:%d,%s>i{}`, 10+i, eva.ID, test.want)
		}
	})
}

func TestWhoLosesAMountPointIsDisconnected(t *testing.T) {
	const byID = `{"device":{"deviceId":"serial-7","mountPoint":"test/ignored"}}`
	noMounts := func(a *auth.Access) { role(a, "devices", func(r *auth.RoleEntry) { r.Mounts = nil }) }
	for _, test := range []struct {
		name, options string
		change        func(*auth.Access)
		lost          bool
	}{
		{"pattern", `{"device":{"mountPoint":"test/agent"}}`, noMounts, true},
		{"id", byID, func(a *auth.Access) { a.Devices = nil }, true},
		{"id elsewhere", byID, func(a *auth.Access) {
			a.Devices["serial-7"] = auth.DeviceEntry{MountPoint: "plant/pump8"}
		}, true},
		{"right to use ids", byID, func(a *auth.Access) {
			role(a, "devices", func(r *auth.RoleEntry) { r.ByDeviceID = false })
		}, true},
		{"pattern of others", byID, noMounts, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			withAccess(t, func(t *testing.T, w *world.World) {
				device := w.As("iot", test.options)
				w.Apply(changed(t, test.change))
				if !test.lost {
					device.Fence()
					return
				}
				device.Gone()
				if w.Ended(link.MountDenied) != 1 {
					t.Errorf("causes %v", w.Stats().Ended)
				}
				if w.Stats().Mounts != 0 {
					t.Error("still mounted")
				}
			})
		})
	}
}

func TestDeviceIDsStandWhereTheConfigurationSays(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world.World) {
		known := w.As("iot", `{"device":{"deviceId":"serial-7","mountPoint":"test/asked"}}`)
		w.As("iot", `{"device":{"deviceId":"serial-8","mountPoint":"test/asked"}}`)
		w.As("eva", `{"device":{"deviceId":"serial-7"}}`) // may not, and asks for nothing else
		info := known.Ask(ownNode, "info", "")
		if !strings.Contains(info, `"mountPoint":"plant/pump7"`) || w.Stats().Mounts != 2 {
			t.Errorf("%s, and %d mounts", info, w.Stats().Mounts)
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
		{"role taken", func(a *auth.Access) {
			user(a, "eva", func(e *auth.UserEntry) { e.Roles = []string{"devices"} })
		}, true},
		{"another method", func(a *auth.Access) {
			role(a, "operators", func(r *auth.RoleEntry) {
				r.Rules = append([]auth.Rule{auth.MustRule("test/**:get", rpc.AccessNone)}, r.Rules...)
			})
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			withAccess(t, func(t *testing.T, w *world.World) {
				eva, bob, agent := w.As("eva", "{}"), w.As("bob", "{}"), w.Device("test/agent")
				p := w.Tunnel(eva, agent, 41, 3)
				lost := w.Apply(changed(t, test.change))
				if !test.ended {
					p.Works()
					return
				}
				if len(lost) != 1 || lost[0].What != "tunnel closed: "+why {
					t.Errorf("affected: %+v", lost)
				}
				end := fmt.Sprintf(`15:<1:3>i{1:5}>i{3:i{1:8,2:%q}}`, why)
				eva.Expect(`<1:1,8:41,%s`, end)
				p.Helper.Expect(`<1:1,8:3,%s`, end)
				p.Helper.Gone()
				eva.Fence()
				bob.Fence()
				agent.Fence()
			})
		})
	}
}

func TestCallsThatWaitForTheirTunnelLoseTheirRightToo(t *testing.T) {
	forbid := func(a *auth.Access) {
		role(a, "operators", func(r *auth.RoleEntry) { r.Rules = r.Rules[1:] })
	}
	t.Run("secret given", func(t *testing.T) {
		withAccess(t, func(t *testing.T, w *world.World) {
			eva, agent := w.As("eva", "{}"), w.Device("test/agent")
			eva.Send(`<1:1,8:41,9:"test/agent",10:"launchRexec">i{1:{}}`)
			agent.Next()
			secret := agent.Secret(eva.ID, 41)
			w.Apply(changed(t, forbid))
			eva.ExpectError(41, rpc.CodeException, "taken away")
			late := w.Connect()
			late.Nonce()
			late.Send(`<1:1,8:2,10:"login">i{1:{"options":{"tunnel":{"secret":"%s"}}}}`, secret)
			late.ExpectError(2, rpc.CodeException, "secret")
		})
	})
	t.Run("secret asked for", func(t *testing.T) {
		withAccess(t, func(t *testing.T, w *world.World) {
			eva, agent := w.As("eva", "{}"), w.Device("test/agent")
			eva.Send(`<1:1,8:41,9:"test/agent",10:"launchRexec">i{1:{}}`)
			agent.Next()
			w.Apply(changed(t, forbid))
			agent.FindTunnel(eva.ID, 41)
			agent.ExpectError(41, rpc.CodeException, "taken away")
		})
	})
}

// A user with an open shell is told why it ends. The broker does not wait for one that
// does not read.
func TestShellIsToldWhyItsUserHasToGo(t *testing.T) {
	for _, reads := range []bool{true, false} {
		withAccess(t, func(t *testing.T, w *world.World) {
			eva, agent := w.As("eva", "{}"), w.Device("test/agent")
			p := w.Tunnel(eva, agent, 41, 3)
			w.Apply(changed(t, deactivate("eva")))
			p.Helper.ExpectError(3, rpc.CodeException, "user deactivated")
			if reads {
				m := eva.ExpectError(41, rpc.CodeException, "user deactivated")
				if m.Tunnel().State != rpc.CloseTunnel {
					t.Errorf("no CloseTunnel: %+v", m)
				}
				eva.Gone()
			}
			time.Sleep(core.Lingering)
			if w.Ended(link.UserDeactivated) != 1 {
				t.Errorf("reads %v: causes %v", reads, w.Stats().Ended)
			}
			agent.Fence()
		})
	}
}

func TestHelpersGoWithTheUserOfTheirAgent(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world.World) {
		eva, agent := w.As("eva", "{}"), w.Device("test/agent")
		p := w.Tunnel(eva, agent, 41, 3)
		w.Apply(changed(t, deactivate("iot")))
		agent.Gone()
		p.Helper.Gone()
		m := eva.Next()
		if m.Tunnel().State != rpc.CloseTunnel {
			t.Errorf("the user is not told: %+v", m)
		}
		eva.Fence()
	})
}

func TestHelpersExpireWithTheUserOfTheirAgent(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world.World) {
		w.Apply(changed(t, func(a *auth.Access) {
			user(a, "iot", func(e *auth.UserEntry) { e.Expires = time.Now().Add(time.Minute) })
		}))
		eva, agent := w.As("eva", "{}"), w.Device("test/agent")
		p := w.Tunnel(eva, agent, 41, 3)
		agent.Close() // which ends no shell by itself
		p.Works()
		time.Sleep(time.Minute)
		if w.Ended(link.UserExpired) != 1 {
			t.Errorf("causes %v", w.Stats().Ended)
		}
		p.Helper.Gone()
	})
}

func TestUsersExpireInTheMiddleOfTheirSessions(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world.World) {
		const life = 90 * 24 * time.Hour
		ends := time.Now().Add(life)
		w.Apply(changed(t, func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Expires = ends }) }))
		eva := w.As("eva", `{"idleWatchDogTimeOut":0}`)
		for range 3 { // and not before
			for start := time.Now(); time.Since(start) < life/4; time.Sleep(time.Hour) {
				eva.Fence()
			}
		}
		// More time is given, and then taken.
		w.Apply(changed(t, func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Expires = ends.Add(life) }) }))
		for !time.Now().After(ends) {
			eva.Fence()
			time.Sleep(time.Hour)
		}
		eva.Fence()
		w.Apply(changed(t, func(a *auth.Access) {
			user(a, "eva", func(e *auth.UserEntry) { e.Expires = time.Now().Add(time.Minute) })
		}))
		eva.Fence()
		time.Sleep(time.Minute)
		synctest.Wait()
		eva.Gone()
		if w.Ended(link.UserExpired) != 1 {
			t.Errorf("causes %v", w.Stats().Ended)
		}
	})
}

func TestTokensLogIn(t *testing.T) {
	withAccess(t, func(t *testing.T, w *world.World) {
		static := w.Connect()
		static.Send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"evas-token"}}}`)
		static.LoggedIn().Fence()

		asking := w.Connect()
		nonce := asking.Nonce()
		asking.SendLogin(2, "SHA1", "bob", login.Hash(nonce, world.Password), `{"session":true}`)
		content, err := asking.Next().Content()
		token, ok := content.Value.AsString()
		if err != nil || !ok || len(token) < 20 {
			t.Fatalf("no token: %v", content)
		}
		by := w.Connect()
		by.Send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"%s"}}}`, token)
		if got := by.LoggedIn().Ask(ownNode, "info", ""); !strings.Contains(got, `"userName":"bob"`) {
			t.Errorf("logged in as %s", got)
		}
		bad := w.Connect()
		bad.Send(`<1:1,8:2,10:"login">i{1:{"login":{"type":"TOKEN","token":"%sx"}}}`, token)
		bad.ExpectError(2, rpc.CodeException, "Invalid authentication")

		w.Apply(changed(t, func(a *auth.Access) { user(a, "eva", func(e *auth.UserEntry) { e.Tokens = nil }) }))
		static.Gone()
		by.Fence()
	})
}

// A login that is checked while the rights change gets the new ones.
func TestLoginDuringAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := auth.NewStore(changed(t, func(*auth.Access) {}))
		w := world.New(t, core.Options{Users: users})
		r := w.Connect()
		nonce := r.Nonce()
		byHash, err := users.Check(nil, auth.Attempt{User: "eva", Password: login.Hash(nonce, world.Password), Nonce: nonce})
		if err != nil {
			t.Fatal(err)
		}
		d := changed(t, func(a *auth.Access) { delete(a.Users, "eva") })
		w.Apply(d)
		if _, loss := byHash.Lost(d, netip.Addr{}, time.Now()); loss != auth.Removed {
			t.Errorf("loss %v", loss)
		}
		r.Send(plainLogin, 2, login.Hash(nonce, world.Password), "SHA1", "eva")
		r.ExpectError(2, rpc.CodeException, "Invalid authentication")
	})
}
