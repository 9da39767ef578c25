package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// percentile returns the p-th percentile of samples, which must not be empty.
func percentile[T cmp.Ordered](samples []T, p int) T {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

func median[T cmp.Ordered](samples []T) T { return percentile(samples, 50) }

// rate is in MB/s, a million bytes each.
func rate(bytes int, took time.Duration) float64 { return float64(bytes) / 1e6 / took.Seconds() }

func micros(d time.Duration) string { return fmt.Sprintf("%.0f µs", float64(d.Nanoseconds())/1e3) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Nanoseconds())/1e6) }
