package topics

import (
	"fmt"
	"testing"
	"time"

	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/shv/shvpath"
)

// numbered is a member.
type numbered struct{ id int64 }

func (n *numbered) ID() int64             { return n.id }
func (n *numbered) Owner() (string, bool) { return "ann", false }
func (n *numbered) Payer() *shares.Owner  { return nil }

func mustParse(t testing.TB, text string) shvpath.RI {
	t.Helper()
	ri, err := shvpath.ParseRI(text)
	if err != nil {
		t.Fatal(err)
	}
	return ri
}

// Members that are subscribed elsewhere are not looked at, and nothing is allocated.
func TestSignalsOfOthersCostNothing(t *testing.T) {
	var table Table[*numbered]
	now := time.Now()
	for i := range 10_000 {
		m := &numbered{int64(i + 1)}
		_, _ = table.Add(m, mustParse(t, fmt.Sprintf("test/dev%d/**:*:chng", i)), time.Time{}, now)
		_, _ = table.Add(m, mustParse(t, fmt.Sprintf("test/dev%d:get", i)), time.Time{}, now)
	}
	path, source, signal := []byte("test/dev77"), []byte("get"), []byte("chng")
	if n := len(table.stems["test"]) + len(table.stems[""]); n != 0 {
		t.Errorf("%d topics are looked at by everybody", n)
	}
	dst := make([]*numbered, 0, 16)
	n := testing.AllocsPerRun(100, func() { dst = table.Find(dst[:0], path, source, signal, now) })
	if n != 0 || len(dst) != 1 || dst[0].id != 78 {
		t.Errorf("%v allocations, %d subscribers", n, len(dst))
	}
}

// While patterns are compared, others subscribe and signal.
func TestGlobsAreComparedWithoutTheLock(t *testing.T) {
	var table Table[*numbered]
	now := time.Now()
	for i, text := range []string{"**/x*", "a/**:*:c*", "a/b", "b/*/c"} {
		_, _ = table.Add(&numbered{int64(i + 1)}, mustParse(t, text), time.Time{}, now)
	}
	got, topics, rest, _ := table.findPlain(nil, []byte("a/b"), []byte("get"), []byte("chng"), now)
	if topics != 1 || len(got) != 1 || rest == nil || len(*rest) != 2 {
		t.Fatalf("%d topics of %d members were compared, and not these: %v", topics, len(got), rest)
	}
	if !table.mu.TryLock() {
		t.Fatal("the lock is held")
	}
	table.mu.Unlock()
	table.giveBack(rest)
	if got = table.Find(got[:0], []byte("a/b"), []byte("get"), []byte("chng"), now); len(got) != 2 {
		t.Errorf("%d members want it", len(got))
	}
}

// The index keeps nothing of subscriptions that have ended.
func TestIndexForgetsWhatHasEnded(t *testing.T) {
	var table Table[*numbered]
	now := time.Now()
	one, other := &numbered{1}, &numbered{2}
	for _, text := range []string{"a", "a/**", "*/b", "**:*:chng"} {
		_, _ = table.Add(one, mustParse(t, text), time.Time{}, now)
		_, _ = table.Add(other, mustParse(t, text), now.Add(time.Second), now)
	}
	table.Remove(one, "a", now)
	table.RemoveAll(one)
	table.Remove(other, "none", now.Add(time.Second)) // the rest has expired
	if n := len(table.members) + len(table.topics) + len(table.stems) + len(table.begun); n != 0 || table.total != 0 {
		t.Errorf("%d entries, %d subscriptions are left", n, table.total)
	}
}
