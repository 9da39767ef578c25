package health

import (
	"slices"
	"sync/atomic"
	"time"
)

// latencyBounds are the longest times of the classes of a Latency, except the last one.
var latencyBounds = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latency is a histogram of times.
type Latency struct {
	Bounds []time.Duration // the longest time of each class; the last one has none
	Counts []uint64        // of the classes
	Sum    time.Duration
}

// LatencyCounter counts times. Its methods may be called concurrently; the zero value is
// ready.
type LatencyCounter struct {
	counts [len(latencyBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// Add counts a time.
func (c *LatencyCounter) Add(took time.Duration) {
	class, _ := slices.BinarySearch(latencyBounds[:], took)
	c.counts[class].Add(1)
	c.sum.Add(int64(took))
}

// Latency returns the counts so far.
func (c *LatencyCounter) Latency() Latency {
	l := Latency{Bounds: latencyBounds[:], Sum: time.Duration(c.sum.Load())}
	for i := range c.counts {
		l.Counts = append(l.Counts, c.counts[i].Load())
	}
	return l
}
