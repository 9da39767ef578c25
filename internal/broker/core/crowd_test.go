package core_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// crowd logs a user in many times, without waiting for the answers to be right.
func crowd(w *world.World, user string, count int) []*world.Peer {
	all := make([]*world.Peer, count)
	for i := range all {
		all[i] = w.As(user, `{}`)
	}
	return all
}

// One user who connects as often as he can keeps nobody out, whoever came first.
func TestUserWithManyConnectionsKeepsNobodyOut(t *testing.T) {
	const all = 400
	world.Run(t, core.Options{Limits: core.Limits{Connections: all}}, func(t *testing.T, w *world.World) {
		crowd(w, "eve", all/4*3)
		more := w.Connect()
		more.SendLogin(1, "PLAIN", "eve", world.Password, `{}`)
		more.ExpectError(1, rpc.CodeTryAgainLater, "too many connections: user eve has an even part")
		more.Close()
		// A fleet of one account comes, and is as large as all that was there.
		devices := make([]*world.Peer, all/4*3)
		for i := range devices {
			devices[i] = w.Mounted("iot", fmt.Sprintf("test/pump%d", i))
			synctest.Wait()
		}
		user := w.Admin()
		synctest.Wait()
		for i, device := range devices {
			user.Reaches(fmt.Sprintf("test/pump%d", i), device, "")
		}
		// Each device may come back while its last connection is not known to be dead.
		for i := range devices {
			devices[i] = w.Mounted("iot", fmt.Sprintf("test/pump%d", i))
			synctest.Wait()
		}
		for i, device := range devices {
			user.Reaches(fmt.Sprintf("test/pump%d", i), device, "")
		}
		s := w.Stats()
		if s.Mounts != len(devices) || s.Clients > all || s.Ended[link.TooManyConnections] < all/2 {
			t.Errorf("%d mounts, %d clients, %d were ended", s.Mounts, s.Clients, s.Ended[link.TooManyConnections])
		}
	})
}

// Where nobody has more than the others, who comes is refused, and nobody is displaced.
func TestFullOfEqualsRefusesTheLast(t *testing.T) {
	const all = 40
	world.Run(t, core.Options{Limits: core.Limits{Connections: all}}, func(t *testing.T, w *world.World) {
		for i := range all {
			w.Mounted("iot", fmt.Sprintf("test/pump%d", i))
		}
		for i := range 10 {
			r := w.Connect()
			r.SendLogin(1, "PLAIN", "root", world.Password, fmt.Sprintf(`{"device":{"mountPoint":"test/late%d"}}`, i))
			r.ExpectError(1, rpc.CodeTryAgainLater, "too many connections: device test/late")
			r.Close()
		}
		synctest.Wait()
		if s := w.Stats(); s.Mounts != all || s.Ended[link.TooManyConnections] != 0 {
			t.Errorf("%d mounts, %d were ended", s.Mounts, s.Ended[link.TooManyConnections])
		}
	})
}

// What is counted is given back, whatever becomes of a connection.
func TestConnectionsAreGivenBack(t *testing.T) {
	const all = 40
	o := tunnelling
	o.Limits = core.Limits{Connections: all}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		for range all {
			r := w.As("eve", `{}`)
			r.SendRaw([]byte{1, 0}) // a reset
			synctest.Wait()
			r.Nonce()
			r.Close()
			w.As("eve", `{"device":{"mountPoint":".broker/x"}}`).Close() // may not be mounted
			w.Mounted("iot", "test/a").Close()
			p := w.Tunnel(w.Client(), w.Device("test/agent"), 41, 3)
			p.User.Close()
			p.Agent.Close()
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		for _, r := range crowd(w, "eve", all/4*3) {
			r.Fence()
		}
	})
}

// Wrong logins whose answers are held back keep out nobody behind the same address.
func TestWrongLoginsKeepNobodyOutFromTheirAddress(t *testing.T) {
	world.Run(t, core.Options{Limits: core.Limits{UnauthenticatedPerSource: 20}}, func(t *testing.T, w *world.World) {
		answered := make(chan bool, 20)
		for i := range 20 {
			r := w.ConnectFrom(fmt.Sprintf("10.0.0.1:%d", i+1))
			r.Send(plainLogin, 1, "guess", "PLAIN", "mal")
			t.Cleanup(r.Close)
			go func() {
				_, err := r.Read()
				answered <- err == nil
			}()
			synctest.Wait()
		}
		w.ConnectFrom("10.0.0.1:99").Login("ann", world.FarPassword, "{}").Fence()
		time.Sleep(time.Minute)
		synctest.Wait()
		for range 20 {
			if !<-answered {
				t.Error("a wrong login is not answered")
			}
		}
	})
}

// DT8: whatever failed before from there, and whatever is being tried at the same time.
func TestRightPasswordIsLetInWithinFiveSeconds(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		const here = "10.0.0.1:1"
		for range 10 {
			guess(w, here, "ann", "guess")
		}
		for range 5 { // others guess meanwhile
			r := w.ConnectFrom(here)
			r.Send(plainLogin, 1, "guess", "PLAIN", "ann")
		}
		if took, in := guess(w, here, "ann", world.FarPassword); took > 5*time.Second || !in {
			t.Errorf("%v, let in: %v", took, in)
		}
	})
}

// A guesser with all the connections that one address may have is checked at the rate of a
// few.
func TestGuessesOfOneUserAreCheckedAFewAtATime(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		for range 5 {
			guess(w, "10.0.0.1:1", "ann", "guess")
		}
		before := w.Stats().Logins
		for i := range 150 {
			r := w.ConnectFrom(fmt.Sprintf("10.0.0.1:%d", i+1))
			r.Send(plainLogin, 1, "guess", "PLAIN", "ann")
			synctest.Wait()
			t.Cleanup(r.Close)
			go func() {
				for {
					if _, err := r.Read(); err != nil {
						return
					}
				}
			}()
		}
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		after := w.Stats().Logins
		if n := after[door.Invalid] - before[door.Invalid]; n != 10 {
			t.Errorf("%d were checked", n)
		}
		if n := after[door.Refused] - before[door.Refused]; n != 140 {
			t.Errorf("%d were told that there are too many", n)
		}
	})
}
