package mounts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/shvpath"
)

// rights are those of the tests: weak and rival may mount anywhere, strong names its places,
// guest may mount inside others.
func rights(t *testing.T) *auth.Directory {
	t.Helper()
	patterns := func(texts ...string) (all []shvpath.Pattern) {
		for _, text := range texts {
			all = append(all, shvpath.MustPattern(text))
		}
		return all
	}
	role := func(pattern string) auth.RoleEntry { return auth.RoleEntry{Mounts: patterns(pattern)} }
	user := func(roles ...string) auth.UserEntry { return auth.UserEntry{Roles: roles} }
	d, faults := auth.Build(auth.Access{
		Users: map[string]auth.UserEntry{
			"weak": user("any"), "rival": user("any"), "pump7": user("named"), "guest": user("any", "guest"),
			"strong": {Mounts: patterns("plant/a", "plant/a/b", "plant")}, "none": user(),
		},
		Roles: map[string]auth.RoleEntry{"any": role("**"), "named": role("site/{user}"), "guest": {MountInside: true}},
	})
	if faults != nil {
		t.Fatal(faults)
	}
	return d
}

// table is a Table of one user.
type table struct {
	*mounts.Table[int]
	t      *testing.T
	rights *auth.Directory
}

func newTable(t *testing.T) table { return table{new(mounts.Table[int]), t, rights(t)} }

func (tt table) as(s int, user, path string) mounts.Outcome[int] {
	tt.t.Helper()
	welcomed := false
	o := tt.Table.Mount(s, &auth.Claim{User: user, Path: path}, tt.rights, func() { welcomed = true })
	if welcomed != (o.Holder == nil) {
		tt.t.Errorf("%s at %s: welcomed %v, %+v", user, path, welcomed, o)
	}
	return o
}

func (tt table) mount(s int, path string) (stale []int) {
	tt.t.Helper()
	return tt.as(s, "weak", path).Stale
}

func TestNamesThatAreNoNamesAreNoMountPoints(t *testing.T) {
	for path, valid := range map[string]bool{
		"test/a":                                      true,
		"loco 101/ä/日本/{user}/a:b/..c":                true,
		strings.Repeat("n", mounts.MaxLength):         true,
		strings.Repeat("n", mounts.MaxLength+1):       false,
		"d" + strings.Repeat("/d", mounts.MaxDepth-1): true,
		"d" + strings.Repeat("/d", mounts.MaxDepth):   false,

		".broker": false, ".broker/a": false, ".app": false, ".local/x": false, "test/.broker": true, ".brokers": true,
		"": false, ".": false, "..": false, "test/..": false, "test/../a": false, "test/./a": false, "...": true,
		"test/*": false, "test/**": false, "test/a?": false, "test/[a]": false, `test/a\\b`: false,
		"test/a\x00": false, "test/\x1b[2J": false, "test/a\n": false, "test/\x7f": false, "test/\u0085": false,
		"test/\xff": false, "test/\u202ea": false, "test/a\u200b": false, "test/\u2028": false,
	} {
		if err := mounts.Check(path); (err == nil) != valid {
			t.Errorf("%.20q, %d bytes: %v", path, len(path), err)
		}
	}
}

func TestPathsBelongToTheInnermostDevice(t *testing.T) {
	table := newTable(t)
	table.mount(1, "test/a")
	table.mount(2, "test/a/b")
	for path, want := range map[string]struct {
		device int
		rest   string
	}{
		"test/a": {1, ""}, "test/a/x": {1, "x"}, "test/a/bc": {1, "bc"}, "test/a/b": {2, ""}, "test/a/b/c/d": {2, "c/d"},
		"": {}, "test": {}, "test/ab": {}, "else": {},
	} {
		s, rest, ok := table.Lookup([]byte(path))
		if s != want.device || string(rest) != want.rest || ok != (want.device != 0) {
			t.Errorf("%s belongs to %d, %q", path, s, rest)
		}
		if table.Has(1, []byte(path)) != (want.device == 1) || table.Has(2, []byte(path)) != (want.device == 2) {
			t.Errorf("%s is said to be another's", path)
		}
	}
	names, ok := table.Children("test")
	if !ok || !slices.Equal(names, []string{"a"}) || !table.Leads("test") || table.Leads("tes") || table.Len() != 2 {
		t.Errorf("below test: %q, %v", names, ok)
	}
	path := []byte("test/a/b/c")
	if n := testing.AllocsPerRun(100, func() { table.Lookup(path); table.Has(2, path) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewestSessionIsCalled(t *testing.T) {
	table := newTable(t)
	now := time.Now()
	newest := func(want int) {
		t.Helper()
		if s, ok := table.Newest("test/a"); s != want || ok != (want != 0) {
			t.Errorf("the newest is %d, want %d", s, want)
		}
	}
	newest(0)
	for s := 1; s <= 3; s++ {
		table.mount(s, "test/a")
		newest(s)
	}
	for s := 1; s <= 3; s++ {
		if !table.Has(s, []byte("test/a/b")) {
			t.Errorf("%d is not mounted any more", s)
		}
	}
	table.Unmount(2, "test/a", now, false)
	newest(3)
	table.Unmount(2, "test/a", now, false) // once too often
	table.Unmount(3, "test/a", now, false)
	newest(1)
	table.Unmount(1, "test/a", now, false)
	newest(0)
	table.Unmount(1, "test/a", now, false)
	if n := table.Len(); n != 0 {
		t.Errorf("%d are left", n)
	}
}

func TestStaleSessionsAreBounded(t *testing.T) {
	table := newTable(t)
	for s := range mounts.MaxSessions {
		if stale := table.mount(s, "test/a"); len(stale) != 0 {
			t.Errorf("%d are stale of %d", stale, s+1)
		}
	}
	if stale := table.mount(98, "test/a"); !slices.Equal(stale, []int{0}) {
		t.Errorf("%d are stale", stale)
	}
	if stale := table.mount(99, "test/a"); !slices.Equal(stale, []int{0, 1}) {
		t.Errorf("%d are stale, of which one was told", stale)
	}
	table.Unmount(0, "test/a", time.Now(), false)
	table.Unmount(1, "test/a", time.Now(), false)
	if stale := table.mount(100, "test/a"); !slices.Equal(stale, []int{2}) {
		t.Errorf("%d are stale", stale)
	}
}

// The node that comes or goes with a mount point is the uppermost one.
func TestChanges(t *testing.T) {
	table := newTable(t)
	now := time.Now()
	expect := func(want ...string) {
		t.Helper()
		var got []string
		for _, c := range table.TakeChanges() {
			got = append(got, fmt.Sprintf("%s %v %q %q", c.Path, c.Mounted, c.Parent, c.Name))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	expect()
	table.mount(1, "test/a/b")
	table.mount(2, "test/c")
	expect(`test/a/b true "" "test"`, `test/c true "test" "c"`)
	table.mount(3, "test/c")
	table.Unmount(2, "test/c", now, false)
	expect()
	table.mount(4, "test/a")
	expect(`test/a true "" ""`)
	table.Unmount(4, "test/a", now, false)
	table.Unmount(1, "test/a/b", now, false)
	table.Unmount(3, "test/c", now, false)
	expect(`test/a false "" ""`, `test/a/b false "test" "a"`, `test/c false "" "test"`)
	table.mount(1, "test")
	table.Unmount(1, "test", now, true)
	expect(`test true "" "test"`)
}

func TestOfflineDevices(t *testing.T) {
	table := newTable(t)
	since := func(path string, want time.Time) {
		t.Helper()
		if at, ok := table.OfflineSince([]byte(path)); !at.Equal(want) || ok == want.IsZero() {
			t.Errorf("%s is offline since %v, %v", path, at, ok)
		}
	}
	now := time.Now()
	table.mount(1, "test/a")
	table.mount(2, "test/a")
	table.Unmount(1, "test/a", now, false)
	since("test/a", time.Time{})
	table.Unmount(2, "test/a", now, true)
	since("test/a", now)
	since("test/a/b", now)
	since("test", time.Time{})
	table.mount(1, "test/a")
	since("test/a/b", time.Time{})
	table.Unmount(1, "test/a", now, false)

	later := now.Add(time.Hour)
	table.Unmount(1, "test/a", later, true) // it is not mounted
	since("test/a", now)
	table.mount(1, "test/a")
	table.Unmount(1, "test/a", later, true)
	since("test/a", later)
}

// Mount points that somebody makes up take no memory without end, and do not make the table
// forget whose others are.
func TestOneUserFillsTheMemoryOfNoOther(t *testing.T) {
	table, now := newTable(t), time.Now()
	table.as(1, "rival", "plant/a")
	table.Unmount(1, "plant/a", now, false)
	const many = 80_000
	for i := range many {
		path := fmt.Sprint("test/", i)
		table.mount(1, path)
		table.Unmount(1, path, now, true)
	}
	known := 0
	for i := range many {
		if _, ok := table.OfflineSince(fmt.Append(nil, "test/", i)); ok {
			known++
		}
	}
	if known < mounts.MaxOffline/1024 || known > mounts.MaxOffline/256 {
		t.Errorf("%d mount points are remembered", known)
	}
	if o := table.as(2, "weak", "plant/a/x"); o.Holder == nil {
		t.Error("the holder of plant/a is forgotten")
	}
}
