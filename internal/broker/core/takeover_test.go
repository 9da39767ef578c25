package core_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/test/certtest"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// owners are users of whom weak and rival may mount anywhere at site, fleet by its
// certificate, pump7 by its name, and guest inside of others.
func owners(t *testing.T, inside bool) *auth.Directory {
	t.Helper()
	role := func(pattern string) auth.RoleEntry {
		return auth.RoleEntry{Mounts: []shvpath.Pattern{shvpath.MustPattern(pattern)},
			Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessSuper)}}
	}
	user := func(roles ...string) auth.UserEntry {
		return auth.UserEntry{Password: auth.PlainPassword(world.Password), Roles: roles}
	}
	d, faults := auth.Build(auth.Access{
		Users: map[string]auth.UserEntry{"weak": user("any"), "rival": user("any"), "pump7": user("own"),
			"fleet": user("certified"), "guest": user("any", "inside"), "kid": user("broker")},
		Roles: map[string]auth.RoleEntry{"any": role("site/**"), "own": role("site/{user}"), "certified": role("site/{cn}"),
			"inside": {MountInside: inside}, "broker": role("site/*")},
	})
	if faults != nil {
		t.Fatal(faults)
	}
	return d
}

// refused logs in as a user, whose device must not be mounted.
func refused(w *world.World, user, path string) {
	r := w.Connect()
	r.SendLogin(2, "PLAIN", user, world.Password, fmt.Sprintf(`{"device":{"mountPoint":%q}}`, path))
	r.ExpectError(2, rpc.CodeException, "mount point "+path+" is taken by another user's device")
	r.Close()
}

// A device inside another one would get the files that are written to it; one above it all
// calls while it is away.
func TestNobodyMountsInsideOrAboveTheDeviceOfAnotherUser(t *testing.T) {
	o := core.Options{Users: auth.NewStore(owners(t, true))}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		caller, device := w.As("rival", "{}"), w.Mounted("weak", "site/x")
		for range 2 { // while it is there, and while it is away
			refused(w, "rival", "site/x/sys/fs")
			refused(w, "rival", "site")
			refused(w, "rival", "site/x")
			if w.Stats().Mounts == 1 {
				caller.Reaches("site/x/sys/fs/etc/passwd", device, "sys/fs/etc/passwd")
			}
			device.Close()
			synctest.Wait()
		}
		w.Mounted("weak", "site/x")
		nested, own := w.Mounted("guest", "site/x/y"), w.Mounted("weak", "site/x/z")
		caller.Reaches("site/x/y", nested, "")
		caller.Reaches("site/x/z", own, "")
		kid := w.As("kid", `{"broker":{},"device":{"mountPoint":"site/kid"}}`)
		refused(w, "rival", "site/kid/pump")
		kid.Close()
	})
}

func TestWhoNamesAPlaceHasItWhoeverCameFirst(t *testing.T) {
	o := core.Options{Users: auth.NewStore(owners(t, false))}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		caller := w.As("weak", "{}")
		inside, same := w.Mounted("rival", "site/pump7/x"), w.Mounted("rival", "site/pump7")
		above := w.Mounted("rival", "site")
		beside := w.Mounted("rival", "site/pump8")
		device := w.Mounted("pump7", "site/pump7")
		for _, lost := range []*world.Peer{inside, same, above} {
			lost.Gone()
		}
		if n := w.Ended(link.MountLost); n != 3 {
			t.Errorf("%d lost their mount point", n)
		}
		caller.Reaches("site/pump7/x", device, "x")
		beside.Fence()
		refused(w, "rival", "site/pump7/x")
		device.Close()
		synctest.Wait()
		refused(w, "rival", "site/pump7")
	})
}

func TestNestedDevicesEndWithTheRightToBeThere(t *testing.T) {
	o := core.Options{Users: auth.NewStore(owners(t, true))}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		outer, inner := w.Mounted("weak", "site/x"), w.Mounted("guest", "site/x/y")
		if lost := w.Apply(owners(t, true)); len(lost) != 0 {
			t.Errorf("lost for nothing: %+v", lost)
		}
		if lost := w.Apply(owners(t, false)); len(lost) != 1 || lost[0].User != "guest" {
			t.Errorf("lost: %+v", lost)
		}
		inner.Gone()
		outer.Fence()
		refused(w, "guest", "site/x/y")
	})
}

// One account for a fleet: each device has its place by its certificate.
func TestCertificateIsTheMountPoint(t *testing.T) {
	c := openCertified(t, "")
	c.Apply(owners(t, false))
	shown := c.authority.Issue(t, "pump9", 3, time.Now().Add(time.Hour))
	const login = `{"device":{"mountPoint":"site/%s"}}`
	mounted := func(f certtest.Files, name string) bool {
		t.Helper()
		before := c.Stats().Mounts
		r := c.show(f).Login("fleet", world.Password, fmt.Sprintf(login, name))
		r.Fence()
		defer func() {
			r.Close()
			c.Eventually("it is gone", func() bool { return c.Stats().Mounts == before })
		}()
		return c.Stats().Mounts > before
	}
	if !mounted(shown, "pump9") || mounted(shown, "pump8") || mounted(certtest.Files{}, "pump9") {
		t.Error("the certificate does not decide where the device is mounted")
	}
}

func takeoverSignal(param string) string {
	return `<1:1,9:".broker/currentClient",10:"takeover",17:1>i{1:` + param + `}`
}

// Two devices with one mount point: the operator works on the wrong one.
func TestTakeoverWhileTheOtherLivesIsTold(t *testing.T) {
	for _, lives := range []bool{false, true} {
		var text bytes.Buffer
		o := core.Options{Log: zerolog.New(zerolog.SyncWriter(&text)).Level(zerolog.InfoLevel)}
		world.Run(t, o, func(t *testing.T, w *world.World) {
			first := w.Device("test/a")
			first.Lives = lives
			w.Device("test/a")
			done := make(chan struct{})
			go func() { defer close(done); _, _ = first.Read() }() // answers the ping
			time.Sleep(mounts.Grace + mounts.PingWait + time.Second)
			synctest.Wait()
			want := uint64(0)
			if lives {
				want = 1
			}
			if s := w.Stats(); s.TakeoversAlive != want || s.Mounts != 1 || s.TakeoversRefused != 0 {
				t.Errorf("lives %v: %d take-overs counted", lives, s.TakeoversAlive)
			}
			if got := strings.Count(text.String(), `"mount point taken over, and its device still answers"`); got != int(want) {
				t.Errorf("lives %v: %s", lives, text.String())
			}
			first.Close()
			<-done
		})
	}
}

func TestDeviceThatIsCalledNoMoreIsTold(t *testing.T) {
	const subscribe = `<1:1,8:7,9:".broker/currentClient",10:"subscribe">i{1:".broker/currentClient:*:takeover"}`
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		first, silent := w.Device("test/a"), w.Device("test/b")
		first.Send(subscribe)
		first.Expect(`<1:1,8:7>i{2:true}`)
		second := w.Device("test/a")
		first.Expect(`%s`, takeoverSignal(fmt.Sprintf(`{"taken":true,"clientId":%d,"peer":""}`, second.ID)))
		third := w.Device("test/a")
		second.Close()
		synctest.Wait()
		first.Fence() // nothing new: third is called
		third.Close()
		first.Expect(`%s`, takeoverSignal(`{"taken":false}`))
		// One that asks when it is late is told at once.
		late := w.Device("test/b")
		silent.Fence()
		silent.Send(subscribe)
		silent.Expect(`%s`, takeoverSignal(fmt.Sprintf(`{"taken":true,"clientId":%d,"peer":""}`, late.ID)))
		silent.Expect(`<1:1,8:7>i{2:true}`)
		silent.Send("%s", strings.Replace(subscribe, "sub", "unsub", 1))
		silent.Expect(`<1:1,8:7>i{2:true}`)
		late.Close()
		synctest.Wait()
		silent.Fence()
	})
}

func TestTakeoverIsRefusedOnlyWhileTheHolderAnswers(t *testing.T) {
	world.Run(t, core.Options{RefuseTakeover: true}, func(t *testing.T, w *world.World) {
		caller, first := w.Client(), w.Device("test/a")
		first.Lives = true
		ended := make(chan struct{})
		go func() { // it answers while the other one logs in
			defer close(ended)
			for {
				if _, err := first.Read(); err != nil {
					return
				}
			}
		}()
		second := w.Connect()
		began := time.Now()
		second.SendLogin(2, "PLAIN", "iot", world.Password, `{"device":{"mountPoint":"test/a"}}`)
		second.ExpectError(2, rpc.CodeException, "mount point test/a is taken")
		if s := w.Stats(); s.TakeoversRefused != 1 || s.Mounts != 1 {
			t.Errorf("%d refused, %d mounts", s.TakeoversRefused, s.Mounts)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("refused after %v", took)
		}
		first.Close()
		<-ended
		// A holder that does not answer has lost its connection, and does not know it yet.
		silent := w.Device("test/a")
		began = time.Now()
		third := w.Device("test/a")
		if took := time.Since(began); took < mounts.PingWait || took > mounts.PingWait+time.Second {
			t.Errorf("taken over after %v", took)
		}
		caller.Reaches("test/a", third, "")
		silent.Close()
	})
}
