package broker

import (
	"context"
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
		w.mu.Lock()
		if healthy() {
			t.Error("a stuck broker is healthy")
		}
		w.mu.Unlock()
		if !healthy() {
			t.Error("not healthy again")
		}
	})
}
