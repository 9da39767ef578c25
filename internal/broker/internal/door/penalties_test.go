package door_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/door"
)

func TestPenaltyDoubles(t *testing.T) {
	p := door.NewPenalties(time.Second)
	ann := door.Attempt{Source: "here", User: "ann"}
	if d := p.Held(ann); d != 0 {
		t.Errorf("held back %v before any failure", d)
	}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, door.MaxDoubled, door.MaxDoubled} {
		held := min(want, door.Patience) * time.Second
		if got := p.Failed(ann); got != (door.Penalty{Held: held, Wait: want*time.Second - held}) {
			t.Errorf("failure %d: %v", i, got)
		}
		if d := p.Held(ann); d != min(want, door.Patience)*time.Second {
			t.Errorf("held back %v after failure %d", d, i)
		}
	}
	// Nobody else is held back, and the same user elsewhere is not either.
	for _, other := range []door.Attempt{{Source: "there", User: "ann"}, {Source: "here", User: "bob"}} {
		if d := p.Held(other); d != 0 {
			t.Errorf("%v is held back %v", other, d)
		}
	}
	p.Passed(door.Attempt{Source: "there", User: "ann"})
	if d := p.Held(ann); d != door.Patience*time.Second {
		t.Errorf("a login from elsewhere leaves %v", d)
	}
	p.Passed(ann)
	if d := p.Held(ann); d != 0 {
		t.Errorf("held back %v after a login", d)
	}
	if n := p.Len(); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

func TestFailuresAreForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := door.NewPenalties(time.Second)
		ann := door.Attempt{Source: "here", User: "ann"}
		p.Failed(ann)
		p.Failed(ann)
		time.Sleep(door.Forgiven - time.Nanosecond)
		if d := p.Failed(ann); d.Held+d.Wait != 4*time.Second {
			t.Errorf("just before: %v", d)
		}
		time.Sleep(door.Forgiven)
		if d := p.Failed(ann); d.Held+d.Wait != time.Second {
			t.Errorf("after: %v", d)
		}
	})
}

func TestFailuresAreBoundedAndFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := door.NewPenalties(time.Second)
		fail := func(source, user string) time.Duration {
			d := p.Failed(door.Attempt{Source: source, User: user})
			return d.Held + d.Wait
		}
		fail("far", "ann")
		fail("far", "ann")
		// A source that makes names up shares one entry beyond some of them, and
		// pushes nobody out.
		for i := range 3 * door.MaxEntries {
			fail("flood", fmt.Sprint("user", i))
		}
		if n := p.Len(); n != door.MaxUsers+2 {
			t.Errorf("%d entries", n)
		}
		if d := fail("flood", "one more"); d != door.MaxDoubled*time.Second {
			t.Errorf("one more name: %v", d)
		}
		if d := p.Held(door.Attempt{Source: "flood", User: "a good one"}); d != door.Patience*time.Second {
			t.Errorf("a good user from there: %v", d)
		}
		if d := fail("far", "ann"); d != 4*time.Second {
			t.Errorf("another source: %v", d)
		}
		// Many sources push the oldest out.
		for i := range 2 * door.MaxEntries {
			fail(fmt.Sprint("source", i), "iot")
		}
		if n := p.Len(); n != door.MaxEntries {
			t.Errorf("%d entries", n)
		}
		if d := p.Held(door.Attempt{Source: "far", User: "ann"}); d != 0 {
			t.Errorf("the oldest is still there: %v", d)
		}
		// Long names that begin alike are one: they cost no more than that.
		long := strings.Repeat("x", 60_000)
		fail("x", long)
		if d := fail("x", long+"y"); d != 2*time.Second {
			t.Errorf("long name: %v", d)
		}
		if n := len(door.Attempt{User: long}.Short().User); n != door.MaxUserName {
			t.Errorf("%d bytes of a long name", n)
		}
		time.Sleep(door.Forgiven)
		if d := p.Held(door.Attempt{Source: "far", User: "ann"}); d != 0 || p.Len() != 0 {
			t.Errorf("%v, %d entries left", d, p.Len())
		}
		// Each source has its own count of users again.
		fail("flood", "ann")
		if d := fail("flood", "bob"); d != time.Second {
			t.Errorf("a user of a source that is forgiven: %v", d)
		}
	})
}
