package core_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/test/world"
)

func TestHealth(t *testing.T) {
	for name := range core.New(core.Options{}).Locks() {
		// A bubble for each: a goroutine that waits for a lock stops the time in it,
		// and the watch has its first look after lookEvery.
		world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
			healthy := func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), core.DefaultFrameStall/core.Looks/4)
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

// A watch that has ended, or waits for a link, would not close stalled links any more.
func TestWatchThatDoesNotComeRoundIsNoHealth(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		time.Sleep(time.Hour)
		if !w.Healthy(t.Context()) {
			t.Error("not healthy though the watch comes round")
		}
		synctest.Wait() // for the look of this very moment
		w.SetLooked(time.Now().Add(-time.Minute))
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if w.Healthy(ctx) {
			t.Error("healthy though the watch has not come round for a minute")
		}
	})
}
