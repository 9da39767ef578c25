package mounts_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/internal/mounts"
)

func TestBoundsOfMountPoints(t *testing.T) {
	for path, want := range map[string]bool{
		"test/a":                                      false,
		strings.Repeat("n", mounts.MaxLength):         false,
		strings.Repeat("n", mounts.MaxLength+1):       true,
		"d" + strings.Repeat("/d", mounts.MaxDepth-1): false,
		"d" + strings.Repeat("/d", mounts.MaxDepth):   true,
	} {
		if mounts.TooLong(path) != want {
			t.Errorf("%.20s, %d bytes: too long: %v", path, len(path), !want)
		}
	}
	for path, want := range map[string]bool{
		".broker": true, ".broker/a": true, ".app": true, ".local/x": true,
		"test": false, "test/.broker": false, ".brokers": false, "app": false, ".": false,
	} {
		if mounts.Reserved(path) != want {
			t.Errorf("%s: reserved: %v", path, !want)
		}
	}
}

func TestPathsBelongToTheInnermostDevice(t *testing.T) {
	var table mounts.Table[int]
	table.Mount(1, "test/a")
	table.Mount(2, "test/a/b")
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
	var table mounts.Table[int]
	now := time.Now()
	newest := func(want int) {
		t.Helper()
		if s, ok := table.Newest("test/a"); s != want || ok != (want != 0) {
			t.Errorf("the newest is %d, want %d", s, want)
		}
	}
	newest(0)
	for s := 1; s <= 3; s++ {
		table.Mount(s, "test/a")
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
	var table mounts.Table[int]
	for s := range mounts.MaxSessions {
		if stale := table.Mount(s, "test/a"); len(stale) != 0 {
			t.Errorf("%d are stale of %d", stale, s+1)
		}
	}
	if stale := table.Mount(98, "test/a"); !slices.Equal(stale, []int{0}) {
		t.Errorf("%d are stale", stale)
	}
	if stale := table.Mount(99, "test/a"); !slices.Equal(stale, []int{0, 1}) {
		t.Errorf("%d are stale, of which one was told", stale)
	}
	table.Unmount(0, "test/a", time.Now(), false)
	table.Unmount(1, "test/a", time.Now(), false)
	if stale := table.Mount(100, "test/a"); !slices.Equal(stale, []int{2}) {
		t.Errorf("%d are stale", stale)
	}
}

// The node that comes or goes with a mount point is the uppermost one.
func TestChanges(t *testing.T) {
	var table mounts.Table[int]
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
	table.Mount(1, "test/a/b")
	table.Mount(2, "test/c")
	expect(`test/a/b true "" "test"`, `test/c true "test" "c"`)
	table.Mount(3, "test/c")
	table.Unmount(2, "test/c", now, false)
	expect()
	table.Mount(4, "test/a")
	expect(`test/a true "" ""`)
	table.Unmount(4, "test/a", now, false)
	table.Unmount(1, "test/a/b", now, false)
	table.Unmount(3, "test/c", now, false)
	expect(`test/a false "" ""`, `test/a/b false "test" "a"`, `test/c false "" "test"`)
	table.Mount(1, "test")
	table.Unmount(1, "test", now, true)
	expect(`test true "" "test"`)
}

func TestOfflineDevices(t *testing.T) {
	var table mounts.Table[int]
	since := func(path string, want time.Time) {
		t.Helper()
		if at, ok := table.OfflineSince([]byte(path)); !at.Equal(want) || ok == want.IsZero() {
			t.Errorf("%s is offline since %v, %v", path, at, ok)
		}
	}
	now := time.Now()
	table.Mount(1, "test/a")
	table.Mount(2, "test/a")
	table.Unmount(1, "test/a", now, false)
	since("test/a", time.Time{})
	table.Unmount(2, "test/a", now, true)
	since("test/a", now)
	since("test/a/b", now)
	since("test", time.Time{})
	table.Mount(1, "test/a")
	since("test/a/b", time.Time{})
	table.Unmount(1, "test/a", now, false)

	// Made-up mount points do not take memory without end; known ones are renewed.
	for i := range 2 * mounts.MaxOffline {
		path := fmt.Sprint("test/", i)
		table.Mount(1, path)
		table.Unmount(1, path, now, true)
	}
	known := 0
	for i := range 2 * mounts.MaxOffline {
		if _, ok := table.OfflineSince(fmt.Append(nil, "test/", i)); ok {
			known++
		}
	}
	if known != mounts.MaxOffline-1 {
		t.Errorf("%d mount points are remembered", known)
	}
	later := now.Add(time.Hour)
	table.Unmount(1, "test/a", later, true)
	since("test/a", now)
	table.Mount(1, "test/a")
	table.Unmount(1, "test/a", later, true)
	since("test/a", later)
}
