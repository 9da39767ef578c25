package client

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"time"

	"shvtools/internal/shv/rpc"
)

// Backoff returns how long to wait before the next attempt to connect: 1 s at first, twice as long
// after each failure, up to a minute. Of that it takes a random part, so that a fleet does not
// reconnect all at once. The zero value is ready. It must not be used concurrently.
type Backoff struct {
	Longest  time.Duration // replaces the minute; 0: a minute
	failures int
}

const (
	firstWait = time.Second
	longest   = time.Minute
	// healthy is how long a connection must have lasted to count as a success.
	healthy = time.Minute
)

// RetryIn returns how long the broker asks to wait before the next attempt, in the answer to a
// login that it refused; 0 if err is none of those.
func RetryIn(err error) time.Duration {
	if e, ok := errors.AsType[*rpc.Error](err); ok && errors.Is(err, ErrRefused) {
		return e.RetryIn()
	}
	return 0
}

// Next is called after an attempt, or a connection that lasted for the given time. It returns the
// wait, at least 0.1 s.
func (b *Backoff) Next(lasted time.Duration) time.Duration {
	if lasted >= healthy {
		b.failures = 0
	}
	limit := min(firstWait<<min(b.failures, 10), cmp.Or(b.Longest, longest))
	b.failures++
	return max(rand.N(limit), firstWait/10)
}
