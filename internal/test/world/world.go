// Package world is a world for tests: a broker, clients that are logged in to it and
// devices that are mounted in it, all in memory. It works in a bubble of
// testing/synctest, where its time is virtual, and outside of one; Listen opens it to
// real connections. Clients and devices are raw: a test writes what they send, and what
// they expect, as CPON, and they do nothing by themselves.
//
// A world ends with its test, and fails it if a client, a mount point, a tunnel, a
// subscription or a byte of a queue is left then. It is not a model of the broker: what
// a test sees is what package core does. Only tests import it.
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

// World is a broker that serves connections in memory. Its methods fail the test where
// they cannot do what they are for, so they are for the goroutine of the test.
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

// Run runs f in a bubble with a broker.
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
	for _, l := range s.Listeners {
		note("connections of "+l.URL, l.Open)
	}
	return found
}

// Connect gives a peer that is not logged in and has no address.
func (w *World) Connect() *Peer {
	w.t.Helper()
	return w.ConnectFrom("")
}

// ConnectFrom is Connect from an address, such as "10.0.0.1:1".
func (w *World) ConnectFrom(address string) *Peer {
	w.t.Helper()
	conn, err := w.memory.Dial(address)
	if err != nil {
		w.t.Fatal(err)
	}
	return NewPeer(w.t, conn)
}

// As logs one of Users with Password in, with options in CPON.
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

// Device logs the user iot in and mounts at a path. When it returns, everybody has been
// told of the mount.
func (w *World) Device(path string) *Peer {
	w.t.Helper()
	r := w.Mounted("iot", path)
	r.Fence()
	return r
}

// Mounted logs a user in and mounts at a path, "" for none. It does not wait until
// others have been told.
func (w *World) Mounted(user, path string) *Peer {
	w.t.Helper()
	options := `{}`
	if path != "" {
		options = fmt.Sprintf(`{"device":{"mountPoint":"%s"}}`, path)
	}
	return w.As(user, options)
}

// ChildBroker is a broker of SHV 3 that is mounted at a path, and has answered what it
// is asked then.
func (w *World) ChildBroker(path string) *Peer {
	w.t.Helper()
	r := w.As("child", fmt.Sprintf(`{"broker":{},"device":{"mountPoint":%q}}`, path))
	r.Expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
	r.Send(`<1:1,8:1>i{2:["client"]}`)
	return r
}

// Ended is how many connections have ended for a cause, once all is quiet. It is for
// bubbles.
func (w *World) Ended(cause link.Cause) uint64 {
	synctest.Wait()
	return w.Stats().Ended[cause]
}

// Eventually waits, in real time, for something that no message tells of.
func (w *World) Eventually(what string, done func() bool) {
	w.t.Helper()
	if !poll(done) {
		w.t.Fatalf("not in time: %s; %+v", what, w.Stats())
	}
}

// Eventually is that of a World, for tests that have none.
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
