// Package world gives a test a broker, clients that are logged in and devices that are
// mounted, all in memory. It works in a bubble of testing/synctest, where time is
// virtual, and outside of one. Listen opens it to real connections as well. Clients and
// devices are raw: a test writes the messages that they send and expect as CPON, and
// they do nothing by themselves.
//
// A world ends with its test. It fails the test if the closed broker still has a client,
// a mount point, a tunnel, a subscription or a queued byte. It is not a model of the
// broker: a test sees what package core does. Only tests import it.
//
//	w := world.New(t, world.Options{})
//	user, device := w.Client(), w.Device("test/device")
//	user.Reaches("test/device/a", device, "a")
package world

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/wire/link"
)

// Patience is the deadline of every wait, in virtual time where that runs.
const Patience = 90 * time.Second

// Options are those of the broker. Without Users it has those of Users.
type Options = core.Options

// World is a broker that serves connections in memory. A method that cannot do its work
// fails the test, so call them from the goroutine of the test.
type World struct {
	*core.Broker
	t       testing.TB
	memory  *Listener
	serving sync.WaitGroup
}

// New starts a broker that ends with the test.
func New(t testing.TB, o Options) *World {
	t.Helper()
	if o.Users == nil {
		o.Users = Users()
	}
	w := &World{Broker: core.New(o), t: t, memory: NewListener(nil)}
	w.serving.Go(func() {
		if err := w.Serve(w.memory); err != core.ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(w.end)
	return w
}

// Run calls f in a bubble of testing/synctest, with a new World.
func Run(t *testing.T, o Options, f func(t *testing.T, w *World)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, New(t, o)) })
}

// end closes the broker and checks that nothing is left in it.
func (w *World) end() {
	w.Close()
	w.serving.Wait()
	for _, text := range leftovers(w.Stats()) {
		w.t.Errorf("left in a broker that is closed: %s", text)
	}
}

// leftovers names what a broker has that a closed one must not have.
func leftovers(s core.Stats) (found []string) {
	note := func(what string, n int) {
		if n != 0 {
			found = append(found, fmt.Sprintf("%d %s", n, what))
		}
	}
	note("clients", s.Clients)
	note("connections without a login", s.Unauthenticated)
	note("mount points", s.Mounts)
	note("tunnels", s.Tunnels)
	note("calls that wait for a tunnel", s.Awaiting)
	note("subscriptions", s.Subscriptions)
	note("bytes in queues", int(s.Queued))
	note("bytes of unfinished messages", int(s.Begun))
	for _, l := range s.Listeners {
		note("connections of "+l.URL, l.Open)
	}
	return found
}

// Connect returns a peer that is not logged in and has no address.
func (w *World) Connect() *Peer {
	w.t.Helper()
	return w.ConnectFrom("")
}

// ConnectFrom is Connect from an address such as "10.0.0.1:1".
func (w *World) ConnectFrom(address string) *Peer {
	w.t.Helper()
	conn, err := w.memory.Dial(address)
	if err != nil {
		w.t.Fatal(err)
	}
	return NewPeer(w.t, conn)
}

// As logs a user in whose password is Password, with options in CPON.
func (w *World) As(user, options string) *Peer {
	w.t.Helper()
	return w.Connect().Login(user, Password, options)
}

// Client logs the user iot in, without a device.
func (w *World) Client() *Peer {
	w.t.Helper()
	return w.As("iot", `{}`)
}

// Admin logs the user root in, without a device.
func (w *World) Admin() *Peer {
	w.t.Helper()
	return w.As("root", `{}`)
}

// Device logs the user iot in and mounts it at a path. It returns when all subscribers
// have been told of the mount.
func (w *World) Device(path string) *Peer {
	w.t.Helper()
	r := w.Mounted("iot", path)
	r.Fence()
	return r
}

// Mounted logs a user in and mounts it at a path, "" for none. Unlike Device it does not
// wait for what others are told.
func (w *World) Mounted(user, path string) *Peer {
	w.t.Helper()
	options := `{}`
	if path != "" {
		options = fmt.Sprintf(`{"device":{"mountPoint":"%s"}}`, path)
	}
	return w.As(user, options)
}

// ChildBroker logs a broker of SHV 3 in and mounts it at a path. It has answered the
// question that the broker asks a child first.
func (w *World) ChildBroker(path string) *Peer {
	w.t.Helper()
	r := w.As("child", fmt.Sprintf(`{"broker":{},"device":{"mountPoint":%q}}`, path))
	r.Expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
	r.Send(`<1:1,8:1>i{2:["client"]}`)
	return r
}

// Ended returns how many connections have ended for a cause, once all goroutines of the
// bubble are idle.
func (w *World) Ended(cause link.Cause) uint64 {
	synctest.Wait()
	return w.Stats().Ended[cause]
}

// Eventually polls in real time for something that no message announces.
func (w *World) Eventually(what string, done func() bool) {
	w.t.Helper()
	if !poll(done) {
		w.t.Fatalf("not in time: %s; %+v", what, w.Stats())
	}
}

// Eventually is the one of World, for tests that have none.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	if !poll(done) {
		t.Fatalf("not in time: %s", what)
	}
}

func poll(done func() bool) bool {
	for end := time.Now().Add(Patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}
