package shares_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/shares"
)

const mib = 1 << 20

func newTable(queued int64) *shares.Table {
	return shares.New(shares.Bounds{Totals: shares.Totals(queued, 0, 100), Devices: 20_000, Work: 1000, WorkEach: 500})
}

func TestEverybodyMayUseWhatIsFree(t *testing.T) {
	table := newTable(256 * mib)
	mal := table.Enter(shares.Name{User: "mal"}, 1)
	for range 191 {
		if !mal.Take(shares.Queued, mib) {
			t.Fatalf("refused at %d", mal.Used(shares.Queued))
		}
	}
}

func TestTheLastQuarterIsForThoseBelowAnEvenPart(t *testing.T) {
	table := newTable(256 * mib)
	mal := table.Enter(shares.Name{User: "mal"}, 1)
	mal.Add(shares.Queued, 192*mib)
	if mal.Take(shares.Queued, 1) {
		t.Error("one with three quarters got more")
	}
	eva := table.Enter(shares.Name{User: "eva"}, 1)
	for range 64 {
		if !eva.Take(shares.Queued, mib) {
			t.Fatalf("refused at %d", eva.Used(shares.Queued))
		}
	}
	if used := table.Used(shares.Queued); used != 256*mib {
		t.Errorf("%d used", used)
	}
	if _, most := table.Owners(shares.Queued); most != mal {
		t.Errorf("%v has the most", most.Name())
	}
	mal.Add(shares.Queued, -192*mib)
	if !mal.Take(shares.Queued, 1) {
		t.Error("refused although all is free")
	}
}

// A total of few units, such as connections, must not be divided down to none.
func TestWhoHasNothingMayBeginBesideManyOfALargeWeight(t *testing.T) {
	table := newTable(0)
	for i := range 17 {
		table.Enter(shares.Name{User: fmt.Sprint("fleet", i)}, 10).Add(shares.Connections, 5) // few would not count
	}
	eva := table.Enter(shares.Name{User: "eva"}, 1)
	if !eva.Take(shares.Connections, 1) {
		t.Error("the first one is refused")
	}
	if eva.Take(shares.Connections, 1) {
		t.Error("the second one is not")
	}
}

func TestAWeightIsALargerPart(t *testing.T) {
	table := newTable(256 * mib)
	mal := table.Enter(shares.Name{User: "mal"}, 1)
	mal.Add(shares.Queued, 192*mib)
	heavy, light := table.Enter(shares.Name{User: "ops"}, 6), table.Enter(shares.Name{User: "eva"}, 1)
	for heavy.Used(shares.Queued) < 32*mib || light.Used(shares.Queued) < 32*mib {
		h, l := heavy.Take(shares.Queued, mib), light.Take(shares.Queued, mib)
		if !h {
			t.Fatalf("the heavy one was refused at %d", heavy.Used(shares.Queued)/mib)
		}
		if !l {
			break
		}
	}
	if light.Used(shares.Queued) > 33*mib { // an eighth
		t.Errorf("the light one has %d MiB", light.Used(shares.Queued)/mib)
	}
}

func TestAFleetUnderOneAccountIsWholeBesideOneThatTakesAllItCan(t *testing.T) {
	table := newTable(256 * mib)
	mal := table.Enter(shares.Name{User: "mal"}, 1)
	for mal.Take(shares.Queued, mib) {
	}
	var refused int
	for i := range 15_000 {
		device := table.Enter(shares.Name{User: "devices", Mount: fmt.Sprint("site/pump", i)}, 1)
		if !device.Take(shares.Queued, 4<<10) {
			refused++
		}
		if i%100 == 0 && mal.Take(shares.Queued, 1) {
			t.Fatal("the one with the most got more")
		}
	}
	if refused > 0 {
		t.Errorf("%d of 15000 were refused", refused)
	}
}

func TestReconnectingLeavesADebt(t *testing.T) {
	table := newTable(256 * mib)
	name := shares.Name{User: "mal"}
	mal := table.Enter(name, 1)
	mal.Add(shares.Queued, 200*mib)
	mal.Leave()
	again := table.Enter(name, 1)
	if again.Take(shares.Queued, 1) {
		t.Error("forgotten")
	}
	again.Leave()
	mal.Add(shares.Queued, -200*mib)
	if n, _ := table.Owners(shares.Queued); n != 0 {
		t.Errorf("%d owners are remembered", n)
	}
}

func TestDevicesOfOneUserAboveTheBoundShareOnePart(t *testing.T) {
	table := shares.New(shares.Bounds{Totals: shares.Totals(mib, 0, 0), Devices: 2})
	enter := func(mount string) *shares.Owner { return table.Enter(shares.Name{User: "mal", Mount: mount}, 1) }
	a, b, c, d := enter("a"), enter("b"), enter("c"), enter("d")
	if a == b || c != d || a != enter("a") {
		t.Error("wrong owners")
	}
	b.Leave()
	if enter("e") == c {
		t.Error("a place that is free was not given")
	}
}

func TestWhoeverMakesALotOfOwnersIsToldAsTheOneThatExceeds(t *testing.T) {
	table := newTable(mib)
	for i := range 3 {
		table.Enter(shares.Name{User: fmt.Sprint(i)}, 1).Add(shares.Queued, mib/2)
	}
	select {
	case k := <-table.Over():
		if k != shares.Queued || !table.Exceeded(k) {
			t.Errorf("kind %d", k)
		}
	default:
		t.Error("nothing was told")
	}
}

func TestABrokerStandsForManyUsers(t *testing.T) {
	table := newTable(256 * mib)
	table.Enter(shares.Name{User: "mal"}, 1).Add(shares.Queued, 100*mib)
	broker := table.Enter(shares.Name{Link: 7}, 1)
	for broker.Used(shares.Queued) < 200*mib {
		if !broker.Take(shares.Queued, mib) {
			t.Fatalf("refused at %d", broker.Used(shares.Queued))
		}
	}
}

// The bound that holds even if nobody loses.
func TestTakingNeverExceedsTwiceTheTotal(t *testing.T) {
	table := newTable(64 * mib)
	for i := range 100 {
		for o := table.Enter(shares.Name{User: fmt.Sprint(i)}, 1); o.Take(shares.Queued, 64<<10); {
		}
	}
	if used := table.Used(shares.Queued); used > 129*mib {
		t.Errorf("%d MiB", used/mib)
	}
}

func TestCountsAreRightAfterMuchAtOnce(t *testing.T) {
	table := newTable(mib)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 2000 {
				o := table.Enter(shares.Name{User: fmt.Sprint(i % 2), Mount: fmt.Sprint(i % 3)}, 1)
				if o.Take(shares.Queued, 30<<10) {
					o.Leave()
					o.Add(shares.Queued, -30<<10)
				} else {
					o.Leave()
				}
			}
		})
	}
	all.Wait()
	if n, _ := table.Owners(shares.Queued); n != 0 || table.Used(shares.Queued) != 0 {
		t.Errorf("%d owners, %d used", n, table.Used(shares.Queued))
	}
	// No weight is left behind: what is even is so of those who are there.
	one := table.Enter(shares.Name{User: "x"}, 1)
	table.Enter(shares.Name{User: "y"}, 1).Add(shares.Queued, mib/4)
	table.Enter(shares.Name{User: "z"}, 1).Add(shares.Queued, mib/3)
	one.Add(shares.Queued, mib/4-1)
	if !one.May(shares.Queued) {
		t.Error("somebody else is still counted")
	}
}

func TestWorkIsBoundedForOneAndInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(0)
		mal := table.Enter(shares.Name{User: "mal"}, 1)
		if left := mal.WorkLeft(mal.Window()); left != 50 { // 500 a second, in windows of 100 ms
			t.Errorf("%d left", left)
		}
		mal.Worked(mal.Window(), 50)
		if left := mal.WorkLeft(mal.Window()); left != 0 {
			t.Errorf("%d left", left)
		}
		ann := table.Enter(shares.Name{User: "ann"}, 1)
		ann.Worked(ann.Window(), 30)
		if left := ann.WorkLeft(ann.Window()); left != 3 { // of an even part of 33
			t.Errorf("%d left", left)
		}
		eva := table.Enter(shares.Name{User: "eva"}, 1)
		if left := eva.WorkLeft(eva.Window()); left != 25 { // an even part
			t.Errorf("%d left", left)
		}
		time.Sleep(100 * time.Millisecond)
		if left := mal.WorkLeft(mal.Window()); left != 50 {
			t.Errorf("%d left in the next window", left)
		}
		time.Sleep(30 * 24 * time.Hour) // the numbers of windows have begun again
		mal.Worked(mal.Window(), 50)
		if left := mal.WorkLeft(mal.Window()); left != 0 {
			t.Errorf("%d left after a month", left)
		}
	})
}

// What is remembered has a bound of its own, at which nobody loses a connection.
func TestRememberedCallsHaveABoundAndEndNoLink(t *testing.T) {
	table := newTable(1000)
	many, one := table.Enter(shares.Name{User: "low"}, 1), table.Enter(shares.Name{User: "eva"}, 1)
	taken := 0
	for many.Remember(64 << 10) {
		if taken += 64 << 10; taken > 1<<30 {
			t.Fatal("no bound")
		}
	}
	if !one.Remember(64 << 10) {
		t.Error("nothing is left for another user")
	}
	select {
	case k := <-table.Over():
		t.Errorf("somebody has to lose for kind %d", k)
	default:
	}
	many.Remember(-taken)
	if many.Used(shares.Remembered) != 0 || !many.Remember(64<<10) {
		t.Error("what was given back is still taken")
	}
}
