package topics_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/broker/internal/topics"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// member is a subscriber.
type member struct {
	id     int64
	user   string
	parent bool
	payer  *shares.Owner
}

func (m *member) ID() int64             { return m.id }
func (m *member) Owner() (string, bool) { return m.user, m.parent }
func (m *member) Payer() *shares.Owner  { return m.payer }

func mustRI(t testing.TB, text string) shvpath.RI {
	t.Helper()
	ri, err := shvpath.ParseRI(text)
	if err != nil {
		t.Fatal(err)
	}
	return ri
}

// TestIndexFindsWhatMatches: the stems find the same subscribers as a comparison
// with every pattern.
func TestIndexFindsWhatMatches(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	texts := []string{
		"", "**", "a", "a/**", "a/b", "*/b", "a/*/c", "a/**/c", "a/b/c", "[ab]/**", `\a/b`, "a/b*", "a/1/2/3/4/5/6/7/8/**",
		"a/1/2/3/4/5/6/7/8/9", "a/1/2/3/4/5/6/7", "ab", "**/c", "a/b/**:get:*", "a/**:*:alarm",
	}
	var all []*member
	for i, text := range texts {
		s := &member{id: int64(i + 1)}
		all = append(all, s)
		if added, err := table.Add(s, mustRI(t, text), time.Time{}, now); !added || err != nil {
			t.Fatalf("%s: %v, %v", text, added, err)
		}
	}
	for _, path := range []string{
		"", "a", "b", "ab", "a/b", "a/bc", "a/b/c", "a/x/c", "a/x/y/c", "b/b", "a/1/2/3/4/5/6/7", "a/1/2/3/4/5/6/7/8",
		"a/1/2/3/4/5/6/7/8/9", "a/1/2/3/4/5/6/7/8/9/10", strings.Repeat("a/", 1000) + "c",
	} {
		for _, signal := range []string{"chng", "alarm"} {
			var got, want []string
			for _, s := range table.Find(nil, []byte(path), []byte("get"), []byte(signal), now) {
				got = append(got, texts[s.id-1])
			}
			for i, text := range texts {
				if mustRI(t, text).MatchSignal([]byte(path), []byte("get"), []byte(signal)) {
					want = append(want, texts[all[i].id-1])
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%.30s:get:%s\ngot  %q\nwant %q", path, signal, got, want)
			}
		}
	}
}

// TestCostlyPatternsAreGivenUp: one small message, of somebody who is subscribed to what
// takes long to compare, must not take a processor for seconds.
func TestCostlyPatternsAreGivenUp(t *testing.T) {
	var table topics.Table[*member]
	now, s := time.Now(), &member{id: 1}
	for i := range topics.MaxPerClient / 2 {
		costly := "*a*" + strings.Repeat("a", 200) + fmt.Sprint(i) + "b"
		for _, text := range []string{"**/" + costly, "**:*:" + costly} {
			if _, err := table.Add(s, mustRI(t, text), time.Time{}, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	long := []byte(strings.Repeat("a", 4<<10))
	start := time.Now()
	for _, names := range [][3][]byte{
		{long, []byte("get"), []byte("chng")}, {[]byte("a"), []byte("get"), bytes.Repeat(long, 16)},
	} {
		if n := len(table.Find(nil, names[0], names[1], names[2], now)); n != 0 {
			t.Errorf("%d sessions want it", n)
		}
		if table.RemoveMatching(s, names[0], names[1], names[2]) {
			t.Error("removed what does not match")
		}
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestOneUserCannotFillTheTable: each topic costs all whose signals are compared with it.
func TestOneUserCannotFillTheTable(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	of := func(name string) *member { return &member{user: name} }
	add := func(s *member, n, i int) error {
		_, err := table.Add(s, mustRI(t, fmt.Sprintf("**/%d/%d", n, i)), time.Time{}, now)
		return err
	}
	var all []*member
	for n := range topics.MaxPerUser / topics.MaxPerClient {
		all = append(all, of("eve"))
		for i := range topics.MaxPerClient {
			if err := add(all[n], n, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	one, other := of("eve"), of("ann")
	if err := add(one, 99, 0); err == nil || !strings.Contains(err.Error(), "of one user") {
		t.Errorf("one more: %v", err)
	}
	if err := add(one, 0, 0); err != nil {
		t.Errorf("what there is already: %v", err)
	}
	if err := add(other, 99, 0); err != nil {
		t.Errorf("another user: %v", err)
	}
	table.RemoveAll(all[1])
	if err := add(one, 99, 1); err != nil {
		t.Errorf("when one has gone: %v", err)
	}
	for _, s := range append(all, one, other) {
		table.RemoveAll(s)
	}
	if n := table.Topics() + table.Len(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

func TestSubscriptionsOfOneClientAreBounded(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	m := &member{id: 1}
	for i := range topics.MaxPerClient {
		if added, err := table.Add(m, mustRI(t, fmt.Sprint("a/", i)), now.Add(time.Hour), now); !added || err != nil {
			t.Fatalf("%d: %v, %v", i, added, err)
		}
	}
	_, err := table.Add(m, mustRI(t, "b"), time.Time{}, now)
	if err == nil || !strings.Contains(err.Error(), "of one client") {
		t.Errorf("one more: %v", err)
	}
	if added, err := table.Add(m, mustRI(t, "a/0"), time.Time{}, now); added || err != nil {
		t.Errorf("one that it has: %v, %v", added, err)
	}
	if n := table.Len(); n != topics.MaxPerClient {
		t.Errorf("%d subscriptions", n)
	}
	// What has expired takes no place.
	if added, err := table.Add(m, mustRI(t, "b"), time.Time{}, now.Add(time.Hour)); !added || err != nil {
		t.Errorf("after an hour: %v, %v", added, err)
	}
	if n := table.Len(); n != 2 {
		t.Errorf("%d subscriptions after an hour", n)
	}
}

// A parent broker stands for all its clients: it may have more, and what it wants does
// not count as a user's.
func TestParentMayHaveMore(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	parent := &member{id: 1, user: "ann", parent: true}
	for i := range topics.MaxPerClient + 1 {
		if added, err := table.Add(parent, mustRI(t, fmt.Sprint("a/", i)), time.Time{}, now); !added || err != nil {
			t.Fatalf("%d: %v, %v", i, added, err)
		}
	}
}

func TestSubscriptionsExpire(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	one, other := &member{id: 1}, &member{id: 2}
	for _, m := range []*member{one, other} {
		_, _ = table.Add(m, mustRI(t, "a/*"), time.Time{}, now)
		_, _ = table.Add(m, mustRI(t, "a/b"), now.Add(time.Minute), now)
	}
	want := func(at time.Time, m *member, left time.Duration) {
		t.Helper()
		all := map[string]time.Duration{"a/*": -1}
		if left > 0 {
			all["a/b"] = left
		}
		if got := table.Of(m, at); !maps.Equal(got, all) {
			t.Errorf("%v, want %v", got, all)
		}
	}
	want(now, one, time.Minute)
	_, _ = table.Add(one, mustRI(t, "a/b"), now.Add(time.Hour), now)
	late := now.Add(time.Minute)
	want(late, one, 59*time.Minute)
	want(late, other, 0)
	table.Remove(one, "a/*", late)
	if got := table.Find(nil, []byte("a/b"), []byte("get"), []byte("chng"), late); len(got) != 2 {
		t.Errorf("%d members want it", len(got))
	}
	table.Remove(other, "a/*", late)
	if got := table.Find(nil, []byte("a/b"), []byte("get"), []byte("chng"), late); len(got) != 1 || got[0] != one {
		t.Errorf("%d members want it", len(got))
	}
	if table.Remove(other, "a/*", late) || table.Remove(other, "a/b", late) || !table.Remove(one, "a/b", late) {
		t.Error("what has ended can be removed, or what is there cannot")
	}
}

func TestRejectedSubscriptionsEnd(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	one, other := &member{id: 1}, &member{id: 2}
	for _, m := range []*member{one, other} {
		for _, text := range []string{"a/**", "a/b:get", "a/c", "*/b:*:alarm"} {
			_, _ = table.Add(m, mustRI(t, text), time.Time{}, now)
		}
	}
	reject := func() bool { return table.RemoveMatching(one, []byte("a/b"), []byte("get"), []byte("chng")) }
	if !reject() || reject() {
		t.Error("the subscriptions end not once")
	}
	if got := slices.Sorted(maps.Keys(table.Of(one, now))); !slices.Equal(got, []string{"*/b:*:alarm", "a/c"}) {
		t.Errorf("%q are left", got)
	}
	if n := len(table.Of(other, now)); n != 4 {
		t.Errorf("%d are left of another member", n)
	}
}

// Child brokers learn of what begins and ends to be wanted by somebody else than
// themselves, and of nothing else.
func TestWatchersLearnOfTopics(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	var heard []string
	stop := table.Watch(func(ri shvpath.RI) { heard = append(heard, ri.String()) })
	other := table.Watch(func(shvpath.RI) {})
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
		heard = nil
	}
	members := []*member{{id: 1}, {id: 2}, {id: 3}, {id: 4}}
	add := func(m *member, text string) { _, _ = table.Add(m, mustRI(t, text), time.Time{}, now) }
	add(members[0], "a")
	expect("a")
	add(members[0], "a")
	expect()
	add(members[1], "a")
	expect("a")
	add(members[2], "a")
	add(members[3], "a")
	expect()
	table.RemoveAll(members[3])
	expect()
	for _, m := range members[:3] {
		table.Remove(m, "a", now)
	}
	expect("a", "a", "a")
	if n := table.Watchers(); n != 2 {
		t.Errorf("%d watchers", n)
	}
	stop()
	stop()
	add(members[0], "b")
	expect()
	other()
	if n := table.Watchers(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

// A child broker is asked for what others than itself want of its tree, in its words.
func TestBelow(t *testing.T) {
	var table topics.Table[*member]
	now := time.Now()
	child, user, late := &member{id: 1}, &member{id: 2}, &member{id: 3}
	_, _ = table.Add(child, mustRI(t, "m/own"), time.Time{}, now)
	_, _ = table.Add(user, mustRI(t, "m/a/b:get"), time.Time{}, now)
	_, _ = table.Add(user, mustRI(t, "else/**"), time.Time{}, now)
	_, _ = table.Add(user, mustRI(t, "m/**:*:alarm"), time.Time{}, now)
	_, _ = table.Add(late, mustRI(t, "m/expired"), now, now)
	below := func(m *member) (all []string) {
		for _, ri := range table.Below(m, "m", now) {
			all = append(all, ri.String())
		}
		slices.Sort(all)
		return all
	}
	if got := below(child); !slices.Equal(got, []string{"**:*:alarm", "a/b:get"}) {
		t.Errorf("the child is asked for %q", got)
	}
	if got := below(late); !slices.Equal(got, []string{"**:*:alarm", "a/b:get", "own"}) {
		t.Errorf("another child is asked for %q", got)
	}
}

// FuzzOldSubscription: the Map of SHV 2 means its path and all below, whatever
// characters that has.
func FuzzOldSubscription(f *testing.F) {
	for _, path := range []string{"", "a", "a/b", "/a//b/", `*`, `[a`, `a\`, "a:b", "ž/?", "**", "\xff"} {
		f.Add(path, "chng", "")
		f.Add(path, "", "get")
	}
	f.Fuzz(func(t *testing.T, path, signal, source string) {
		ri, _, err := topics.ParseParam(chainpack.Map(
			chainpack.F("path", chainpack.String(path)), chainpack.F("method", chainpack.String(signal)),
			chainpack.F("source", chainpack.String(source))))
		if err != nil {
			if rpc.AsError(err).Code != rpc.CodeInvalidParam {
				t.Fatalf("%v", err)
			}
			if len(path)+len(signal)+len(source) < topics.MaxText/2-10 && !strings.Contains(path+signal+source, ":") {
				t.Fatalf("%q %q %q: %v", path, signal, source, err)
			}
			return
		}
		clean := string(shvpath.Clean([]byte(path)))
		name, from := []byte(signal), []byte(source)
		for _, at := range []string{clean, shvpath.Join(clean, "x"), shvpath.Join(clean, "x/y")} {
			if !ri.MatchSignal([]byte(at), from, name) {
				t.Errorf("%s does not match %q", ri, at)
			}
		}
		if clean != "" && (ri.MatchSignal([]byte(clean+"x"), from, name) || ri.MatchSignal(nil, from, name)) ||
			signal != "" && ri.MatchSignal([]byte(clean), from, append(name, 'x')) ||
			source != "" && ri.MatchSignal([]byte(clean), append(from, 'x'), name) {
			t.Errorf("%s matches too much", ri)
		}
		if again, err := shvpath.ParseRI(ri.String()); err != nil || again.String() != ri.String() {
			t.Errorf("%s: %v", ri, err)
		}
	})
}
