//go:build !race

// The race detector takes things out of pools at random.

package topics_test

import (
	"fmt"
	"testing"
	"time"

	"shvtools/internal/broker/internal/topics"
)

func TestSignalsComparedWithGlobsAllocateNothing(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	for i := range 100 {
		_, _ = table.Add(&member{id: int64(i + 1)}, mustRI(t, fmt.Sprintf("*/%d*:get:c*", i)), time.Time{}, now)
	}
	path, source, signal := []byte("a/7"), []byte("get"), []byte("chng")
	dst := make([]*member, 0, 16)
	n := testing.AllocsPerRun(100, func() { dst = table.Find(dst[:0], path, source, signal, now) })
	if n != 0 || len(dst) != 1 {
		t.Errorf("%v allocations, %d subscribers", n, len(dst))
	}
}

// Members that want a signal for several reasons are sorted in place.
func TestSignalsOfSeveralTopicsAllocateNothing(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	for i := range 10 {
		m := &member{id: int64(10 - i)}
		for _, text := range []string{"a", "a/b", "a/b:get", "a/**", "**:*:chng"} {
			_, _ = table.Add(m, mustRI(t, text), time.Time{}, now)
		}
	}
	path, source, signal := []byte("a/b"), []byte("get"), []byte("chng")
	dst := make([]*member, 0, 64)
	n := testing.AllocsPerRun(100, func() { dst = table.Find(dst[:0], path, source, signal, now) })
	if n != 0 || len(dst) != 10 || dst[0].id != 1 || dst[9].id != 10 {
		t.Errorf("%v allocations, %d subscribers", n, len(dst))
	}
}
