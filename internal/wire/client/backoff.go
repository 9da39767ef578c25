package client

import (
	"cmp"
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before the next try to connect: 1 s at first,
// twice as long after each failure up to a minute, a random part of it, so that
// a fleet does not come back all at once. The zero value is ready.
type Backoff struct {
	Longest  time.Duration // in the place of a minute; 0: a minute
	failures int
}

const (
	firstWait = time.Second
	longest   = time.Minute
	// healthy is how long a connection must have lasted to count as a success.
	healthy = time.Minute
)

// Next is called after a try or a connection that lasted for the given time. The
// wait that it gives is never below a tenth of a second.
func (b *Backoff) Next(lasted time.Duration) time.Duration {
	if lasted >= healthy {
		b.failures = 0
	}
	limit := min(firstWait<<min(b.failures, 10), cmp.Or(b.Longest, longest))
	b.failures++
	return max(rand.N(limit), firstWait/10)
}
