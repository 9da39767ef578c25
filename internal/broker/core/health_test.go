package core

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealth(t *testing.T) {
	for name, lock := range map[string]func(w *world) sync.Locker{
		"mu":            func(w *world) sync.Locker { return &w.mu },
		"telling":       func(w *world) sync.Locker { return &w.telling },
		"connections":   func(w *world) sync.Locker { return w.connections.Mutex() },
		"penalties":     func(w *world) sync.Locker { return w.penalties.Mutex() },
		"subscriptions": func(w *world) sync.Locker { table, _ := w.topics.Mutexes(); return table },
		"children":      func(w *world) sync.Locker { _, watchers := w.topics.Mutexes(); return watchers },
	} {
		// A bubble for each: a goroutine that waits for a lock stops the time in it,
		// and the watch has its first look after lookEvery.
		bubbled(t, Options{}, func(t *testing.T, w *world) {
			healthy := func() bool {
				ctx, cancel := context.WithTimeout(t.Context(), w.lookEvery()/4)
				defer cancel()
				return w.Healthy(ctx)
			}
			if !healthy() {
				t.Error("an idle broker is not healthy")
			}
			synctest.Wait() // for the lock that Serve takes
			l := lock(w)
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

// A watch that has ended, or waits for a link, ends no stalled links any more.
func TestWatchThatDoesNotComeRoundIsNoHealth(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		time.Sleep(time.Hour)
		if !w.Healthy(t.Context()) {
			t.Error("not healthy though the watch comes round")
		}
		synctest.Wait() // for the look of this very moment
		long := time.Now().Add(-time.Minute)
		w.looked.Store(&long)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if w.Healthy(ctx) {
			t.Error("healthy though the watch has not come round for a minute")
		}
	})
}
