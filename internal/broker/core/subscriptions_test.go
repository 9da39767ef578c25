package core

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

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
	var table subscriptions
	now := time.Now()
	texts := []string{"", "**", "a", "a/**", "a/b", "*/b", "a/*/c", "a/**/c", "a/b/c", "[ab]/**", `\a/b`, "a/b*", "a/1/2/3/4/5/6/7/8/**",
		"a/1/2/3/4/5/6/7/8/9", "a/1/2/3/4/5/6/7", "ab", "**/c", "a/b/**:get:*", "a/**:*:alarm"}
	var all []*session
	for i, text := range texts {
		s := &session{id: int64(i + 1)}
		all = append(all, s)
		if added, err := table.add(s, mustRI(t, text), time.Time{}, now); !added || err != nil {
			t.Fatalf("%s: %v, %v", text, added, err)
		}
	}
	for _, path := range []string{"", "a", "b", "ab", "a/b", "a/bc", "a/b/c", "a/x/c", "a/x/y/c", "b/b", "a/1/2/3/4/5/6/7", "a/1/2/3/4/5/6/7/8",
		"a/1/2/3/4/5/6/7/8/9", "a/1/2/3/4/5/6/7/8/9/10", strings.Repeat("a/", 1000) + "c"} {
		for _, signal := range []string{"chng", "alarm"} {
			var got, want []string
			for _, s := range table.find(nil, []byte(path), []byte("get"), []byte(signal), now) {
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

// TestSignalsOfOthersCostNothing: who is subscribed elsewhere is not looked at,
// and nothing is allocated.
func TestSignalsOfOthersCostNothing(t *testing.T) {
	var table subscriptions
	now := time.Now()
	for i := range 10_000 {
		s := &session{id: int64(i + 1)}
		_, _ = table.add(s, mustRI(t, fmt.Sprintf("test/dev%d/**:*:chng", i)), time.Time{}, now)
		_, _ = table.add(s, mustRI(t, fmt.Sprintf("test/dev%d:get", i)), time.Time{}, now)
	}
	path, source, signal := []byte("test/dev77"), []byte("get"), []byte("chng")
	if n := len(table.stems["test"]) + len(table.stems[""]); n != 0 {
		t.Errorf("%d topics are looked at by everybody", n)
	}
	dst := make([]*session, 0, 16)
	n := testing.AllocsPerRun(100, func() { dst = table.find(dst[:0], path, source, signal, now) })
	if n != 0 || len(dst) != 1 || dst[0].id != 78 {
		t.Errorf("%v allocations, %d subscribers", n, len(dst))
	}
}

// TestCostlyPatternsAreGivenUp: one small message, of somebody who is subscribed to what
// takes long to compare, must not take a processor for seconds.
func TestCostlyPatternsAreGivenUp(t *testing.T) {
	var table subscriptions
	now, s := time.Now(), &session{id: 1}
	for i := range maxSubscriptions / 2 {
		costly := "*a*" + strings.Repeat("a", 200) + fmt.Sprint(i) + "b"
		for _, text := range []string{"**/" + costly, "**:*:" + costly} {
			if _, err := table.add(s, mustRI(t, text), time.Time{}, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	long := []byte(strings.Repeat("a", maxSignalPath))
	start := time.Now()
	for _, names := range [][3][]byte{{long, []byte("get"), []byte("chng")}, {[]byte("a"), []byte("get"), bytes.Repeat(long, 16)}} {
		if n := len(table.find(nil, names[0], names[1], names[2], now)); n != 0 {
			t.Errorf("%d sessions want it", n)
		}
		if table.removeMatching(s, names[0], names[1], names[2]) {
			t.Error("removed what does not match")
		}
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestGlobsAreComparedWithoutTheLock: while they are, others subscribe and signal.
func TestGlobsAreComparedWithoutTheLock(t *testing.T) {
	var table subscriptions
	now := time.Now()
	for i, text := range []string{"**/x*", "a/**:*:c*", "a/b", "b/*/c"} {
		_, _ = table.add(&session{id: int64(i + 1)}, mustRI(t, text), time.Time{}, now)
	}
	got, topics, rest := table.findPlain(nil, []byte("a/b"), []byte("get"), []byte("chng"), now)
	if topics != 1 || len(got) != 1 || rest == nil || len(*rest) != 2 {
		t.Fatalf("%d topics of %d sessions were compared, and not these: %v", topics, len(got), rest)
	}
	if !table.mu.TryLock() {
		t.Fatal("the lock is held")
	}
	table.mu.Unlock()
	giveBack(rest)
	if got = table.find(got[:0], []byte("a/b"), []byte("get"), []byte("chng"), now); len(got) != 2 {
		t.Errorf("%d sessions want it", len(got))
	}
}

// TestOneUserCannotFillTheTable: each topic costs all whose signals are compared with it.
func TestOneUserCannotFillTheTable(t *testing.T) {
	var table subscriptions
	now := time.Now()
	of := func(name string) *session {
		s := new(session)
		s.user.Store(&auth.User{Name: name})
		return s
	}
	add := func(s *session, n, i int) error {
		_, err := table.add(s, mustRI(t, fmt.Sprintf("**/%d/%d", n, i)), time.Time{}, now)
		return err
	}
	var all []*session
	for n := range maxTopics / maxSubscriptions {
		all = append(all, of("eve"))
		for i := range maxSubscriptions {
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
	table.removeAll(all[1])
	if err := add(one, 99, 1); err != nil {
		t.Errorf("when one has gone: %v", err)
	}
	for _, s := range append(all, one, other) {
		table.removeAll(s)
	}
	if n := len(table.topics) + len(table.stems) + len(table.begun); n != 0 {
		t.Errorf("%d entries are left", n)
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
		ri, _, err := parseSubscription(chainpack.Map(chainpack.F("path", chainpack.String(path)), chainpack.F("method", chainpack.String(signal)),
			chainpack.F("source", chainpack.String(source))))
		if err != nil {
			if rpc.AsError(err).Code != rpc.CodeInvalidParam {
				t.Fatalf("%v", err)
			}
			if len(path)+len(signal)+len(source) < maxSubscription/2-10 && !strings.Contains(path+signal+source, ":") {
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
