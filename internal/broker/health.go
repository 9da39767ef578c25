package broker

import (
	"context"
	"time"
)

// healthPause is between two looks at a lock that is taken.
const healthPause = 5 * time.Millisecond

// Healthy tells whether the locks of the broker are to be had before ctx ends. It
// starts nothing that could wait for a lock for ever.
func (b *Broker) Healthy(ctx context.Context) bool {
	for {
		if b.mu.TryRLock() {
			b.mu.RUnlock()
			return true
		}
		select {
		case <-time.After(healthPause):
		case <-ctx.Done():
			return false
		}
	}
}
