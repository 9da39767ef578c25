package client

import (
	"testing"
	"time"
)

func TestBackoffStaysInItsBounds(t *testing.T) {
	const tries = 2000
	limits := []time.Duration{1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60, 60}
	for range tries {
		var b Backoff
		for i, limit := range limits {
			if wait := b.Next(0); wait < firstWait/10 || wait >= limit*time.Second {
				t.Fatalf("wait %d is %v, want less than %d s", i, wait, limit)
			}
		}
		for range 10_000 / tries {
			b.Next(healthy - 1)
		}
		if wait := b.Next(healthy); wait >= firstWait {
			t.Fatalf("after a healthy connection: %v", wait)
		}
	}
}

// A fleet must not reconnect all at once when its broker returns.
func TestBackoffOfAFleetIsSpread(t *testing.T) {
	const devices, slots = 4000, 10
	var counts [slots]int
	for range devices {
		var b Backoff
		for range 10 {
			b.Next(0)
		}
		counts[b.Next(0)*slots/longest]++
	}
	for slot, count := range counts {
		if want := devices / slots; count < want/2 || count > want*2 {
			t.Errorf("%d of %d in tenth %d: %v", count, devices, slot, counts)
		}
	}
}

func TestBackoffAfterManyFailuresDoesNotOverflow(t *testing.T) {
	b := Backoff{failures: 1 << 30}
	if wait := b.Next(0); wait < firstWait/10 || wait >= longest {
		t.Errorf("%v", wait)
	}
}
