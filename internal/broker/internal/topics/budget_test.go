package topics_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/broker/internal/topics"
)

// owners returns a table of owners with a budget of steps for each, in a window.
func owners(steps int64) func(name string) *shares.Owner {
	table := shares.New(shares.Bounds{Work: 1000 * steps, WorkEach: 10 * steps})
	return func(name string) *shares.Owner { return table.Enter(shares.Name{User: name}, 1) }
}

// costly is one of many subscriptions that take long to compare with path.
func costly(i int) string { return fmt.Sprintf("**/*[!%s]Z%d:*:*", strings.Repeat("b", 380), i) }

var path, source, signal = []byte("site/" + strings.Repeat("a", 100)), []byte("get"), []byte("chng")

// 20 connections with 1000 such subscriptions each took 0.9 s for a signal of anybody.
func TestSubscriptionsOfOneUserCostSignalsOfOthersLittle(t *testing.T) {
	var table topics.Table[*member]
	enter := owners(1_000_000)
	now, mal := time.Now(), enter("mal")
	for i := range topics.MaxPerUser {
		m := &member{id: int64(100 + i/topics.MaxPerClient), user: "mal", payer: mal}
		if _, err := table.Add(m, mustRI(t, costly(i)), time.Time{}, now); err != nil {
			t.Fatal(err)
		}
	}
	eva := &member{id: 1, user: "eva", payer: enter("eva")}
	for _, text := range []string{"site/*:*:*", "**:*:chng"} {
		_, _ = table.Add(eva, mustRI(t, text), time.Time{}, now)
	}
	var told []string
	table.Exhausted = func(o *shares.Owner) { told = append(told, o.Name().String()) }
	var longest time.Duration
	const signals = 500
	start := time.Now()
	for range signals {
		began := time.Now()
		if got := table.Find(nil, path, source, signal, now); len(got) != 1 || got[0] != eva {
			t.Fatalf("%d members found", len(got))
		}
		longest = max(longest, time.Since(began))
	}
	if took := time.Since(start); longest > 400*time.Millisecond || took > 5*time.Second {
		t.Errorf("%d signals took %v, one of them %v", signals, took, longest)
	}
	if n := table.Skipped(); n < signals/2 || uint64(len(told)) != n || told[0] != "user mal" {
		t.Errorf("%d of %d were skipped, told %d", n, signals, len(told))
	}
}

// Subscriptions without globs cost little each, but somebody may have very many.
func TestManyPlainSubscriptionsUseTheBudgetToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table topics.Table[*member]
		m := &member{id: 1, payer: owners(500)("mal")}
		for i := range topics.MaxPerClient {
			_, _ = table.Add(m, mustRI(t, fmt.Sprintf("**:s%d:*", i)), time.Time{}, time.Now())
		}
		for range 3 {
			if got := table.Find(nil, path, source, signal, time.Now()); len(got) != 0 {
				t.Errorf("found %d", len(got))
			}
		}
		if n := table.Skipped(); n != 3 {
			t.Errorf("%d skipped", n)
		}
	})
}

// A budget comes back, and only the signals of that time are missed.
func TestBudgetComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table topics.Table[*member]
		m := &member{id: 1, payer: owners(1000)("mal")}
		_, _ = table.Add(m, mustRI(t, "*/*:*:*"), time.Time{}, time.Now())
		find := func() int { return len(table.Find(nil, path, source, signal, time.Now())) }
		found := 0
		for range 100 {
			found += find()
		}
		if found == 0 || found == 100 {
			t.Errorf("%d of 100 within one window", found)
		}
		time.Sleep(100 * time.Millisecond)
		if find() != 1 {
			t.Error("nothing in the next window")
		}
	})
}

// What two users want is paid for by one that can, and both receive it.
func TestUserWithABudgetReceivesWhatAnExhaustedOneWantsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table topics.Table[*member]
		enter := owners(2000)
		now := time.Now()
		mal, eva := &member{id: 1, payer: enter("mal")}, &member{id: 2, payer: enter("eva")}
		_, _ = table.Add(mal, mustRI(t, "**:*:c*"), time.Time{}, now)
		_, _ = table.Add(eva, mustRI(t, "**:*:c*"), time.Time{}, now)
		_, _ = table.Add(mal, mustRI(t, "**:*:chng"), time.Time{}, now)
		_, _ = table.Add(eva, mustRI(t, "**:*:chng"), time.Time{}, now)
		_, _ = table.Add(mal, mustRI(t, "site/**"), time.Time{}, now)
		mal.payer.Worked(mal.payer.Window(), 5000)
		if got := table.Find(nil, path, source, signal, now); !slices.Equal(got, []*member{mal, eva}) {
			t.Errorf("%d members", len(got))
		}
		table.RemoveAll(eva) // the topics are the exhausted one's alone
		if got := table.Find(nil, path, source, signal, now); len(got) != 0 || table.Skipped() == 0 {
			t.Errorf("%d members", len(got))
		}
		time.Sleep(time.Second)
		if got := table.Find(nil, path, source, signal, now); !slices.Equal(got, []*member{mal}) {
			t.Errorf("%d members", len(got))
		}
		table.RemoveAll(mal)
		if n := table.Topics() + table.Len(); n != 0 {
			t.Errorf("%d entries are left", n)
		}
	})
}

// Subscriptions are looked at for each child broker, and were under the lock.
func TestWhatAUserWantsOfAChildBrokerUsesTheirBudget(t *testing.T) {
	var table topics.Table[*member]
	enter := owners(100_000)
	now := time.Now()
	mal, eva := &member{id: 1, payer: enter("mal")}, &member{id: 2, payer: enter("eva")}
	for i := range topics.MaxPerClient {
		_, _ = table.Add(mal, mustRI(t, strings.Repeat("**/a/", 90)+fmt.Sprint(i)+":*:*"), time.Time{}, now)
	}
	_, _ = table.Add(eva, mustRI(t, "site/child/**:*:chng"), time.Time{}, now)
	_, _ = table.Add(eva, mustRI(t, "site/other/**:*:chng"), time.Time{}, now)
	start := time.Now()
	for range 20 {
		var own []string
		for _, ri := range table.Below(&member{id: 3}, "site/child", now) {
			if text := ri.String(); !strings.Contains(text, "a/") {
				own = append(own, text)
			}
		}
		if !slices.Equal(own, []string{"**:*:chng"}) {
			t.Fatalf("eva wants %q", own)
		}
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

func BenchmarkFind(b *testing.B) {
	for _, users := range []int{1, 200} {
		b.Run(fmt.Sprint(users, " users"), func(b *testing.B) {
			var table topics.Table[*member]
			enter := owners(1 << 40)
			now := time.Now()
			for i := range users {
				m := &member{id: int64(i + 1), user: fmt.Sprint(i), payer: enter(fmt.Sprint(i))}
				for _, text := range []string{"site/*/x:*:*", fmt.Sprintf("**/y%d:*:*", i), fmt.Sprintf("site/%d/**", i)} {
					_, _ = table.Add(m, mustRI(b, text), time.Time{}, now)
				}
			}
			dst := make([]*member, 0, 256)
			for b.Loop() {
				dst = table.Find(dst[:0], []byte("site/pump7/status"), source, signal, now)
			}
		})
	}
}
