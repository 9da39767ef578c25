package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/rpc"
)

func searchOf(user string, id int64, bytes int) *search {
	return &search{owner: user, from: rpc.Address{ID: id}, param: make([]byte, bytes)}
}

// One whose calls no broker answers lets all calls with the same request id wait,
// and every shvrsh has that of all others.
func TestUnansweredSearchesOfOneUserDoNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newSearches(8)
		add := func(s *search) *search {
			if _, err := l.add(s); err != nil {
				t.Fatal(err)
			}
			return s
		}
		now := add(searchOf("eve", 3, 1))
		for range 7 {
			add(searchOf("eve", 3, 1))
		}
		if _, err := l.add(searchOf("eve", 4, 1)); err == nil {
			t.Error("one user may open any number of sessions at once")
		}
		for i := range 3 {
			for _, user := range []string{"ann", "ann", "bob"} {
				add(searchOf(user, 3, 1))
			}
			time.Sleep(findWait) // eve's call gets no answer
			l.done(now)
			for n := range 3 {
				if now = l.pass(now); now.owner == "eve" {
					t.Fatalf("turn %d.%d is that of %q", i, n, now.owner)
				}
				time.Sleep(time.Millisecond)
				l.done(now)
			}
			now = l.pass(now)
			if now.owner != "eve" {
				t.Fatalf("the turn of %q comes twice", now.owner)
			}
			add(searchOf("eve", 3, 1))
		}
	})
}

// The calls that no broker answers are bounded, and one user leaves space for others.
func TestUnansweredSearchesHaveABound(t *testing.T) {
	t.Parallel()
	l := newSearches(1000)
	add := func(user string) (n int) {
		for ; n < 1000; n++ {
			if _, err := l.add(searchOf(user, int64(n), 1<<20)); err != nil {
				break
			}
		}
		return n
	}
	if eve, ann, bob := add("eve"), add("ann"), add("bob"); eve != 8 || ann != 8 || bob != 0 {
		t.Errorf("%d, %d and %d calls of 1 MiB", eve, ann, bob)
	}
	for id := range int64(8) {
		for _, user := range []string{"eve", "ann"} {
			l.done(searchOf(user, id, 1<<20))
		}
	}
	if len(l.users) != 0 || l.all != (opening{}) {
		t.Errorf("%v of %v are left", l.all, l.users)
	}
	if _, err := l.add(searchOf("bob", 9, maxSearchBytes)); err != nil {
		t.Errorf("a large call alone: %v", err)
	}
}
