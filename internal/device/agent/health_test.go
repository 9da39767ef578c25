package agent

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A session cannot start or end while one of these locks is held.
func TestAgentThatIsStuckIsNotHealthy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := NewStatus(time.Now), new(helpers)
		s.begin(Options{}, h)
		for name, lock := range map[string]sync.Locker{"helpers": &h.mu, "status": &s.mu} {
			lock.Lock()
			if s.Healthy() {
				t.Errorf("healthy, though %s is stuck", name)
			}
			time.AfterFunc(freeWait/2, lock.Unlock)
			if !s.Healthy() {
				t.Errorf("not healthy when %s is free after a while", name)
			}
		}
	})
}
