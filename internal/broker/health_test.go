package broker

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealth(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		healthy := func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return w.Healthy(ctx)
		}
		if !healthy() {
			t.Error("an idle broker is not healthy")
		}
		synctest.Wait() // a Serve that waits for the lock would stop the time
		for name, lock := range map[string]sync.Locker{
			"mu": &w.mu, "telling": &w.telling, "gate": &w.gate.mu, "failures": &w.failures.mu,
			"subscriptions": &w.wanted.mu, "children": &w.wanted.watching,
		} {
			lock.Lock()
			if healthy() {
				t.Errorf("a broker that is stuck at %s is healthy", name)
			}
			lock.Unlock()
			if !healthy() {
				t.Errorf("not healthy again after %s", name)
			}
		}
	})
}

// A watch that has ended, or waits for a link, ends no stalled links any more.
func TestWatchThatDoesNotComeRoundIsNoHealth(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		time.Sleep(time.Hour)
		if !w.Healthy(t.Context()) {
			t.Error("not healthy though the watch comes round")
		}
		long := time.Now().Add(-time.Minute)
		w.looked.Store(&long)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if w.Healthy(ctx) {
			t.Error("healthy though the watch has not come round for a minute")
		}
	})
}
