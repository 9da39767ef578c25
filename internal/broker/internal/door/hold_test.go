package door_test

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/door"
	"shvtools/internal/wire/link"
)

// held is a login that is held back.
type held struct {
	slot *door.PendingSlot
	link *link.Link
	out  chan door.Outcome
}

// hold holds a login back for a minute.
func hold(t *testing.T, c *door.Connections, source, user string, checked bool) held {
	t.Helper()
	slot, l := enter(t, c, source)
	h := held{slot, l, make(chan door.Outcome, 1)}
	go func() {
		h.out <- c.Hold(slot, l, user, checked, time.Minute)
		c.LoggedIn(slot)
	}()
	synctest.Wait()
	return h
}

// lost counts those that have lost their places.
func lost(t *testing.T, all []held) (n int) {
	t.Helper()
	synctest.Wait()
	for _, h := range all {
		select {
		case outcome := <-h.out:
			if outcome != door.Lost || h.link.Cause() != link.Open {
				t.Errorf("outcome %v, link: %v", outcome, h.link.Cause())
			}
			n++
		default:
		}
	}
	return n
}

// Behind one address there are many people: those who log in wrongly keep out no others.
func TestHeldBackLoginsGiveTheirPlacesToOthersOfTheirSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := door.NewConnections(door.Bounds{Pending: 100, PendingPerSource: 20})
		enter(t, c, "nat") // somebody who is about to log in
		var wrong, right []held
		for range 17 {
			wrong = append(wrong, hold(t, c, "nat", "mal", true))
		}
		for range 2 {
			right = append(right, hold(t, c, "nat", "ann", false))
		}
		for range 15 {
			enter(t, c, "nat")
		}
		pending(t, c, 20)
		if n := lost(t, wrong); n != 15 {
			t.Errorf("%d lost their places", n)
		}
		if n := lost(t, right); n != 0 {
			t.Errorf("%d of another user lost their places", n)
		}
		for range 4 {
			enter(t, c, "nat")
		}
		refused(t, c, "nat", link.TooManyFromSource) // nobody is held back any more
	})
}

// A guesser with many connections guesses no faster than with a few.
func TestFewLoginsOfOneUserAreHeldBackAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := door.NewConnections(door.Bounds{Pending: 1000, PendingPerSource: 1000})
		checked := []held{hold(t, c, "here", "ann", true)}
		elsewhere := []held{hold(t, c, "there", "ann", false), hold(t, c, "here", "bob", false)}
		var all []held
		for range 50 {
			all = append(all, hold(t, c, "here", "ann", false))
		}
		if n := lost(t, all); n != 50-door.MaxHeld {
			t.Errorf("%d lost their places", n)
		}
		if n := lost(t, checked) + lost(t, elsewhere); n != 0 {
			t.Errorf("%d others lost their places", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, h := range all {
			select {
			case outcome := <-h.out:
				if outcome != door.Over {
					t.Errorf("outcome %v", outcome)
				}
			default:
			}
		}
		pending(t, c, 0)
	})
}

// While a login is held back nothing reads the connection: its end is seen all the same.
func TestPeerThatGoesGivesItsPlaceBack(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		at := "127.0.0.1:0"
		if network == "unix" {
			at = t.TempDir() + "/socket"
		}
		listener, err := new(net.ListenConfig).Listen(t.Context(), network, at)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		theirs, err := net.Dial(network, listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ours, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l := link.New(ours, link.Options{})
		c := door.NewConnections(door.Bounds{Pending: 1, PendingPerSource: 1})
		slot, _ := c.Enter("here")
		c.Assign(slot, l)
		if _, err := theirs.Write([]byte("more than the broker has read")); err != nil {
			t.Fatal(err)
		}
		if outcome := c.Hold(slot, l, "ann", true, time.Second); outcome != door.Over {
			t.Errorf("%s: a peer that is there: %v", network, outcome)
		}
		_ = theirs.Close()
		if outcome := c.Hold(slot, l, "ann", true, time.Hour); outcome != door.Gone || l.Cause() != link.PeerClosed {
			t.Errorf("%s: %v, %v", network, outcome, l.Cause())
		}
	}
}
