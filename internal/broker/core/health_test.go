package core_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/limits"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

func TestHealth(t *testing.T) {
	for name := range core.New(core.Options{}).Locks() {
		// A bubble for each: a goroutine that waits for a lock stops the time in it,
		// and the watch has its first look after lookEvery.
		world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
			healthy := func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), limits.DefaultFrameStall/core.Looks/4)
				defer cancel()
				return w.Healthy(ctx)
			}
			if !healthy() {
				t.Error("an idle broker is not healthy")
			}
			synctest.Wait() // for the lock that Serve takes
			l := w.Locks()[name]
			l.Lock()
			if healthy() {
				t.Errorf("a broker that is stuck at %s is healthy", name)
			}
			l.Unlock()
			if !healthy() {
				t.Errorf("not healthy again after %s", name)
			}
		})
	}
}

// stuck is a listener whose connections do not close until done is closed.
type stuck struct {
	*world.Listener
	done chan struct{}
}

func (l stuck) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return stuckConn{conn, l.done}, err
}

type stuckConn struct {
	net.Conn
	done chan struct{}
}

func (c stuckConn) Close() error {
	<-c.done
	return c.Conn.Close()
}

// A watch that waits for one link would not close other stalled links any more.
func TestWatchThatDoesNotComeRoundIsNoHealth(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		healthy := func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			return w.Healthy(ctx)
		}
		l := stuck{world.NewListener(nil), make(chan struct{})}
		go func() { _ = w.Serve(l) }()
		conn, err := l.Dial("")
		if err != nil {
			t.Fatal(err)
		}
		peer := world.NewPeer(t, conn).Login("iot", world.Password, `{"idleWatchDogTimeOut":0}`)
		time.Sleep(time.Hour)
		if !healthy() {
			t.Error("not healthy though the watch comes round")
		}
		peer.SendRaw([]byte{20, 1}) // and no more of this frame: the watch will close the link
		time.Sleep(time.Minute)
		if healthy() {
			t.Error("healthy though the watch has not come round for most of a minute")
		}
		close(l.done)
		time.Sleep(time.Minute)
		if !healthy() || w.Ended(link.FrameStalled) != 1 {
			t.Errorf("not healthy again, or the stalled link is there: %v", w.Stats().Ended)
		}
	})
}
