package door_test

import (
	"net"
	"testing"

	"shvtools/internal/broker/internal/door"
	"shvtools/internal/wire/link"
)

// newLink is a link over which nothing goes.
func newLink(t *testing.T) *link.Link {
	t.Helper()
	ours, theirs := net.Pipe()
	l := link.New(ours, link.Options{})
	t.Cleanup(func() { l.Close(link.Done); _ = theirs.Close() })
	return l
}

// enter admits a connection and assigns it a link.
func enter(t *testing.T, c *door.Connections, source string) (*door.PendingSlot, *link.Link) {
	t.Helper()
	slot, cause := c.Enter(source)
	if cause != link.Open || slot == nil {
		t.Fatalf("from %s: %v", source, cause)
	}
	l := newLink(t)
	if !c.Assign(slot, l) {
		t.Fatalf("from %s: the slot is lost", source)
	}
	return slot, l
}

// refused wants a new connection refused.
func refused(t *testing.T, c *door.Connections, source string, want link.Cause) {
	t.Helper()
	if slot, cause := c.Enter(source); slot != nil || cause != want {
		t.Errorf("from %s: %v, want %v", source, cause, want)
	}
}

func pending(t *testing.T, c *door.Connections, want int) {
	t.Helper()
	if n := c.Pending(); n != want {
		t.Errorf("%d are pending, want %d", n, want)
	}
}

func TestEachBoundHolds(t *testing.T) {
	c := door.NewConnections(door.Bounds{Pending: 4, PendingPerSource: 2})
	one, l := enter(t, c, "a")
	enter(t, c, "a")
	refused(t, c, "a", link.TooManyFromSource)
	enter(t, c, "b")
	enter(t, c, "b")
	refused(t, c, "b", link.TooManyFromSource)
	pending(t, c, 4)

	// A login makes space for the next of its source.
	c.LoggedIn(one)
	c.LoggedIn(one) // once
	pending(t, c, 3)
	enter(t, c, "a")
	if cause := l.Cause(); cause != link.Open {
		t.Errorf("a connection that logged in ended: %v", cause)
	}
	pending(t, c, 4)
}

// Refused connections take nothing.
func TestRefusedConnectionsAreNotCounted(t *testing.T) {
	c := door.NewConnections(door.Bounds{Pending: 3, PendingPerSource: 2})
	slot, _ := enter(t, c, "a")
	enter(t, c, "a")
	enter(t, c, "b")
	for range 10 {
		refused(t, c, "a", link.TooManyFromSource)
	}
	pending(t, c, 3)
	c.LoggedIn(slot)
	enter(t, c, "c")
	for range 10 {
		refused(t, c, "b", link.TooManyLogins) // it has as many as any other source
	}
	pending(t, c, 3)
}

// A few sources that fill the table do not keep all others out: whoever has most
// loses a slot, until all have as many.
func TestLargestSourceLosesSlots(t *testing.T) {
	c := door.NewConnections(door.Bounds{Pending: 6, PendingPerSource: 3})
	var crowd []*link.Link
	slots := make(map[*link.Link]*door.PendingSlot)
	for range 3 {
		for _, source := range []string{"a", "b"} {
			slot, l := enter(t, c, source)
			crowd, slots[l] = append(crowd, l), slot
		}
	}
	ended := func() (n int) {
		for _, l := range crowd {
			switch l.Cause() {
			case link.Open:
			case link.TooManyLogins:
				n++
			default:
				t.Errorf("ended: %v", l.Cause())
			}
		}
		return n
	}
	for i, source := range []string{"c", "d", "e", "f"} {
		enter(t, c, source)
		pending(t, c, 6)
		if n := ended(); n != i+1 {
			t.Errorf("%d lost their slots, want %d", n, i+1)
		}
	}
	refused(t, c, "f", link.TooManyLogins)
	// What was lost is not given back again.
	for _, l := range crowd {
		if l.Cause() != link.Open {
			c.LoggedIn(slots[l])
		}
	}
	pending(t, c, 6)
}

// A slot can be lost before its link is known.
func TestSlotIsLostBeforeItsLinkIsKnown(t *testing.T) {
	c := door.NewConnections(door.Bounds{Pending: 2, PendingPerSource: 2})
	first, _ := c.Enter("a")
	second, _ := c.Enter("a")
	enter(t, c, "b")
	lost := 0
	for _, slot := range []*door.PendingSlot{first, second} {
		if !c.Assign(slot, newLink(t)) {
			lost++
		}
	}
	if lost != 1 {
		t.Errorf("%d slots are lost", lost)
	}
}

// A client that resets over and over must not get past the bound.
func TestResetTakesASlotAgain(t *testing.T) {
	c := door.NewConnections(door.Bounds{Pending: 2, PendingPerSource: 1})
	slot, l := enter(t, c, "a")
	c.LoggedIn(slot)
	again, cause := c.LoggedOut("a", l)
	if cause != link.Open || again == nil {
		t.Fatal(cause)
	}
	pending(t, c, 1)
	if slot, cause := c.LoggedOut("a", l); slot != nil || cause != link.TooManyFromSource {
		t.Error(cause)
	}
	c.LoggedIn(again)
	pending(t, c, 0)
}

// A reset displaces as a new connection does.
func TestResetDisplacesTheLargestSource(t *testing.T) {
	c := door.NewConnections(door.Bounds{Pending: 2, PendingPerSource: 2})
	slot, l := enter(t, c, "a")
	c.LoggedIn(slot)
	_, one := enter(t, c, "b")
	_, other := enter(t, c, "b")
	if _, cause := c.LoggedOut("a", l); cause != link.Open {
		t.Fatal(cause)
	}
	if n := one.Cause(); (n == link.TooManyLogins) == (other.Cause() == link.TooManyLogins) {
		t.Errorf("%v and %v", one.Cause(), other.Cause())
	}
}
