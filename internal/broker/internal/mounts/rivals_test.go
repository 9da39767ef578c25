package mounts_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/shvpath"
)

// Of two users, the one whose pattern names the place without a wildcard, or by {user}, has
// it, otherwise the last known holder; whoever came first, and whether the holder is
// there or not.
func TestNobodyMountsAtInsideOrAboveTheDeviceOfAnotherUser(t *testing.T) {
	type place struct{ user, path string }
	for _, tt := range []struct {
		name           string
		holder, claims place
		want           string // "both", or the user who has it
	}{
		{"same place", place{"weak", "site/x"}, place{"rival", "site/x"}, "weak"},
		{"inside", place{"weak", "site/x"}, place{"rival", "site/x/sys/fs"}, "weak"},
		{"above", place{"weak", "site/x/y"}, place{"rival", "site"}, "weak"},
		{"beside", place{"weak", "site/x"}, place{"rival", "site/xy"}, "both"},
		{"inside an own one", place{"weak", "site/x"}, place{"weak", "site/x/y"}, "both"},
		{"above an own one", place{"weak", "site/x/y"}, place{"weak", "site/x"}, "both"},
		{"named place of another", place{"strong", "plant/a"}, place{"rival", "plant/a"}, "strong"},
		{"inside of a named place", place{"strong", "plant/a"}, place{"rival", "plant/a/x"}, "strong"},
		{"above a named place", place{"strong", "plant/a"}, place{"rival", "plant"}, "strong"},
		{"the named place itself", place{"rival", "plant/a"}, place{"strong", "plant/a"}, "strong"},
		{"a named place, inside", place{"rival", "plant"}, place{"strong", "plant/a"}, "strong"},
		{"a named place, above", place{"rival", "plant/a/x"}, place{"strong", "plant/a"}, "strong"},
		{"a place by user", place{"rival", "site/pump7/x"}, place{"pump7", "site/pump7"}, "pump7"},
		{"inside of a place by user", place{"pump7", "site/pump7"}, place{"rival", "site/pump7/x"}, "pump7"},
		{"a guest inside", place{"weak", "site/x"}, place{"guest", "site/x/y"}, "both"},
		{"above a guest", place{"guest", "site/x/y"}, place{"weak", "site/x"}, "both"},
		{"a guest above", place{"weak", "site/x/y"}, place{"guest", "site/x"}, "weak"},
		{"a guest at the same place", place{"weak", "site/x"}, place{"guest", "site/x"}, "weak"},
		{"a holder without the right", place{"none", "site/x"}, place{"weak", "site/x/y"}, "weak"},
	} {
		for _, absent := range []bool{false, true} {
			name := tt.name
			if absent {
				name += ", absent"
			}
			t.Run(name, func(t *testing.T) {
				table, now := newTable(t), time.Now()
				table.as(1, tt.holder.user, tt.holder.path)
				if absent {
					table.Unmount(1, tt.holder.path, now, false)
				}
				o := table.as(2, tt.claims.user, tt.claims.path)
				switch refused := o.Holder != nil; {
				case tt.want != tt.claims.user && tt.want != "both":
					if !refused || o.Holder.User != tt.holder.user || o.Holder.Path != tt.holder.path {
						t.Fatalf("not refused: %+v", o)
					}
				case refused:
					t.Fatalf("refused for %+v", o.Holder)
				}
				lost := !absent && tt.want == tt.claims.user && tt.holder.user != tt.claims.user
				if got := slices.Equal(o.Lost, []int{1}); got != lost || len(o.Lost) > 1 {
					t.Errorf("lost: %v", o.Lost)
				}
				if tt.want == "both" || !lost {
					return
				}
				// The loser is not mounted any more, nor remembered: the other one keeps the place.
				if table.Has(1, []byte(tt.holder.path)) || table.Len() != 1 {
					t.Error("the loser is still mounted")
				}
				table.Unmount(2, tt.claims.path, now, false)
				if again := table.as(3, tt.holder.user, tt.holder.path); again.Holder == nil {
					t.Errorf("the loser took it in the absence of the other: %+v", again)
				}
			})
		}
	}
}

// A change of rights ends what is nested by them.
func TestEvictEndsWhatIsNestedWithoutTheRight(t *testing.T) {
	table := newTable(t)
	table.as(1, "weak", "site/x")
	table.as(2, "guest", "site/x/y")
	table.as(3, "weak", "site/x/y/z")
	table.as(4, "weak", "else/x")
	table.as(5, "weak", "else/x/y")
	if lost := table.Evict(rights(t)); len(lost) != 0 {
		t.Errorf("lost %v by the same rights", lost)
	}
	role := auth.RoleEntry{Mounts: rights(t).User("weak").Mounts}
	d, _ := auth.Build(auth.Access{
		Users: map[string]auth.UserEntry{"weak": {Roles: []string{"any"}}, "guest": {Roles: []string{"any"}}},
		Roles: map[string]auth.RoleEntry{"any": role},
	})
	if lost := table.Evict(d); !slices.Equal(lost, []int{2}) || table.Has(2, []byte("site/x/y")) {
		t.Errorf("lost %v", lost)
	}
	if lost := table.Evict(d); len(lost) != 0 {
		t.Errorf("lost %v again", lost)
	}
}

// Whoever was there first keeps the place, be it the inner or the outer one.
func TestEvictSparesWhoCameFirst(t *testing.T) {
	any := auth.RoleEntry{Mounts: rights(t).User("weak").Mounts}
	d, _ := auth.Build(auth.Access{
		Users: map[string]auth.UserEntry{"weak": {Roles: []string{"any"}}, "guest": {Roles: []string{"any"}}},
		Roles: map[string]auth.RoleEntry{"any": any},
	})
	for _, guestFirst := range []bool{true, false} {
		table, want := newTable(t), 1
		if guestFirst {
			table.as(1, "guest", "site/x/y")
			want = 2
		}
		table.as(2, "weak", "site/x")
		if !guestFirst {
			table.as(1, "guest", "site/x/y")
		}
		if lost := table.Evict(d); !slices.Equal(lost, []int{want}) {
			t.Errorf("guest first %v: lost %v, want %d", guestFirst, lost, want)
		}
	}
}

// Two users whose patterns name one place are equals: the holder keeps it.
func TestOfTwoWhomPatternsNameTheHolderKeepsThePlace(t *testing.T) {
	named := func() auth.UserEntry {
		return auth.UserEntry{Mounts: []shvpath.Pattern{shvpath.MustPattern("plant/a")}}
	}
	d, faults := auth.Build(auth.Access{Users: map[string]auth.UserEntry{"one": named(), "two": named()}})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	table := newTable(t)
	table.rights = d
	table.as(1, "one", "plant/a")
	for range 2 {
		if o := table.as(2, "two", "plant/a"); o.Holder == nil || o.Holder.User != "one" {
			t.Errorf("the second one: %+v", o)
		}
		table.Unmount(1, "plant/a", time.Now(), false)
	}
}

// One user who comes and goes at many places must not make the broker forget whose others are.
func TestPlacesOfOneUserDoNotDisplaceThoseOfOthers(t *testing.T) {
	table, now := newTable(t), time.Now()
	table.as(1, "weak", "site/pump7")
	table.Unmount(1, "site/pump7", now, false)
	fill := mounts.MaxOffline / (2 << 8)
	for i := range fill + fill/10 {
		path := fmt.Sprintf("site/m/%d", i)
		table.as(2, "rival", path)
		table.Unmount(2, path, now, false)
	}
	for i := range 3 { // what is too much is not taken from the small one either when that one comes last
		path := fmt.Sprintf("site/w%d", i)
		table.as(3, "weak", path)
		table.Unmount(3, path, now, false)
	}
	for _, path := range []string{"site/pump7", "site/w0", "site/w2"} {
		if o := table.as(4, "rival", path); o.Holder == nil {
			t.Errorf("%s was forgotten, and taken", path)
		}
	}
}

// The session that is called again is told, and only then.
func TestUnmountSaysWhoIsCalledAgain(t *testing.T) {
	table, now := newTable(t), time.Now()
	table.mount(1, "test/a")
	table.mount(2, "test/a")
	if o := table.as(3, "weak", "test/a"); !o.Taken || o.Before != 2 {
		t.Errorf("%+v", o)
	}
	for _, tt := range []struct{ gone, back int }{{1, 0}, {3, 2}, {2, 0}, {2, 0}} {
		if back, again := table.Unmount(tt.gone, "test/a", now, false); again != (tt.back != 0) || again && back != tt.back {
			t.Errorf("%d went: %d is called again, %v", tt.gone, back, again)
		}
	}
}
