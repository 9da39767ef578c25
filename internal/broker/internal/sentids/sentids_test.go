package sentids_test

import (
	"math"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/broker/internal/sentids"
)

// device returns the places of a new link.
func device() *sentids.Places { return new(sentids.Places) }

// A client that numbers each call alike, or polls thousands of devices with one number, must
// neither lose an answer nor cost more with each device.
func TestIDThatGoesEverywhereCanBeAnsweredByAll(t *testing.T) {
	const devices = 40 * sentids.MaxPlaces
	ids := sentids.New(2*devices, 1, nil)
	stack := ids.Stack(nil)
	var all []*sentids.Places
	for range devices {
		to := device()
		ids.Sent(stack, 1, to)
		all = append(all, to)
	}
	for i, from := range all {
		if !ids.MayAnswer(stack, 1, from) {
			t.Fatalf("device %d may not answer", i)
		}
	}
	if n := ids.Len(); n > sentids.MaxPlaces {
		t.Errorf("one id is remembered %d times", n)
	}
	if ids.MayAnswer(stack, 2, all[0]) {
		t.Error("any id may be answered")
	}
}

// Links that take over from each other many times must not come to places of another device.
func TestTakeoversNeverReachThePlacesOfAnotherDevice(t *testing.T) {
	ids := sentids.New(10_000, 1, nil)
	stack := ids.Stack(nil)
	link := device()
	var others []*sentids.Places
	for id := int64(1); id <= 2000; id += 2 {
		ids.Sent(stack, id, link)
		heir := link.HandOver()
		link = &heir
		other := device()
		ids.Sent(stack, id+1, other)
		others = append(others, other)
	}
	for i, other := range others {
		id := int64(2 * (i + 1))
		if ids.MayAnswer(stack, id, link) {
			t.Fatalf("the link answers call %d to another device", id)
		}
		if ids.MayAnswer(stack, id-1, other) {
			t.Fatalf("device %d answers a call to the link", i)
		}
	}
	if !ids.MayAnswer(stack, 1999, link) {
		t.Error("the link may not answer what the one before it was asked")
	}
}

// The number of stacks is bounded. What is forgotten of them makes no answer one that nobody
// can have been asked for.
func TestHighestIDOfForgottenStacks(t *testing.T) {
	ids := sentids.New(1, 4, nil)
	first := ids.Stack([]byte("first"))
	ids.Sent(first, 1000, device())
	for i := range byte(20) {
		ids.Sent(ids.Stack([]byte{i}), 5, device())
	}
	again := ids.Stack([]byte("first"))
	for _, stack := range []*sentids.Stack{first, again} {
		if !ids.MayAnswer(stack, 999, device()) || ids.MayAnswer(stack, 1001, device()) {
			t.Error("the highest id of a stack is lost, or of no use")
		}
	}
	for range 1000 {
		ids.Stack([]byte("the same"))
	}
}

func TestHighestIDOfEachStack(t *testing.T) {
	ids := sentids.New(10, 10, nil)
	low, high := ids.Stack([]byte("low")), ids.Stack([]byte("high"))
	ids.Sent(low, 5, device())
	ids.Sent(high, math.MaxInt64, device())
	ids.Sent(high, 7, device()) // it begins anew
	for _, tt := range []struct {
		stack *sentids.Stack
		id    int64
		want  bool
	}{
		{low, 4, true}, {low, 5, false}, {low, 6, false}, {low, math.MaxInt64, false},
		{high, 6, true}, {high, 7, false}, {high, 8, true}, {high, math.MaxInt64 - 1, true}, {high, math.MaxInt64, false},
	} {
		if ids.MayAnswer(tt.stack, tt.id, device()) != tt.want {
			t.Errorf("a device that was not asked may answer %d: %v", tt.id, !tt.want)
		}
	}
}

// A device that reconnects all day answers what it was asked in the morning.
func TestLinksThatTakeOverAgainAndAgain(t *testing.T) {
	const times = 10_000
	ids := sentids.New(2*times, 1, nil)
	stack := ids.Stack(nil)
	now := device()
	for id := range int64(times) {
		ids.Sent(stack, id+1, now)
		heir := device()
		heir.Take(now.HandOver())
		now = heir
	}
	other := device()
	for id := range int64(times) {
		if !ids.MayAnswer(stack, id+1, now) {
			t.Fatalf("call %d of %d cannot be answered", id+1, times)
		}
		if ids.MayAnswer(stack, id+1, other) {
			t.Fatalf("anyone may answer call %d", id+1)
		}
	}
}

// Both links answer what was asked before one took over from the other; each alone what it
// is asked then.
func TestBothLinksAnswerWhatWasAskedBefore(t *testing.T) {
	ids := sentids.New(10, 1, nil)
	stack := ids.Stack(nil)
	before, after := device(), device()
	ids.Sent(stack, 1, before)
	after.Take(before.HandOver())
	ids.Sent(stack, 2, before)
	ids.Sent(stack, 3, after)
	third := device()
	third.Take(after.HandOver())
	ids.Sent(stack, 4, third)
	for name, tt := range map[string]struct {
		link *sentids.Places
		want [4]bool
	}{
		"the first":  {before, [4]bool{true, true, false, false}},
		"the second": {after, [4]bool{true, false, true, false}},
		"the third":  {third, [4]bool{true, false, true, true}},
		"another":    {device(), [4]bool{}},
	} {
		for i, want := range tt.want {
			if ids.MayAnswer(stack, int64(i+1), tt.link) != want {
				t.Errorf("%s may answer %d: %v", name, i+1, !want)
			}
		}
	}
}

func TestSpansAreBounded(t *testing.T) {
	ids := sentids.New(10_000, 1, nil)
	stack := ids.Stack(nil)
	stays := device()
	for id := range int64(5 * sentids.MaxSpans) { // two devices that want the same mount point
		ids.Sent(stack, id+1, stays)
		other := device()
		other.Take(stays.HandOver())
		ids.Sent(stack, 1000+id, other)
		stays.Take(other.HandOver())
		ids.Sent(stack, id+1, stays)
		if !ids.MayAnswer(stack, id+1, stays) {
			t.Fatalf("the latest call is lost after %d times", id)
		}
	}
}

func TestNobodyAnswersARefusedRequest(t *testing.T) {
	ids := sentids.New(10, 1, nil)
	stack := ids.Stack(nil)
	full, other := device(), device()
	ids.Sent(stack, 1, full)
	ids.TakeBack()
	ids.Sent(stack, 1, other) // again, to another device
	if ids.MayAnswer(stack, 1, full) || !ids.MayAnswer(stack, 1, other) {
		t.Error("the wrong one may answer")
	}
	ids.Sent(stack, 1, other)
	ids.TakeBack() // it has the first one all the same
	ids.TakeBack()
	if !ids.MayAnswer(stack, 1, other) || ids.MayAnswer(stack, 1, full) {
		t.Error("a request that arrived is forgotten")
	}
}

func TestBrokersOwnAnswersAreItsOwn(t *testing.T) {
	ids := sentids.New(10, 1, nil)
	stack := ids.Stack(nil)
	asked := device()
	ids.Sent(stack, 1, asked)
	ids.SentToBroker(stack, 2)
	ids.Sent(stack, 3, asked)
	if ids.MayAnswer(stack, 2, asked) {
		t.Error("a device answers for the broker")
	}
}

func TestConnectionThatHasEndedTakesNoMemory(t *testing.T) {
	ids := sentids.New(10, 1, nil)
	stack := ids.Stack(nil)
	ids.Sent(stack, 1, device())
	ids.Forget()
	if n := ids.Len(); n != 0 || !ids.MayAnswer(stack, 1, device()) {
		t.Errorf("%d ids are left", n)
	}
	ids.Sent(stack, 2, device())
	ids.TakeBack()
	if n := ids.Len(); n != 0 {
		t.Errorf("%d ids are remembered", n)
	}
}

func TestMemoryOfIDs(t *testing.T) {
	for _, n := range []int{1, 100, 65_536} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		ids := sentids.New(n, 1, nil)
		stack, to := ids.Stack(nil), device()
		for id := range int64(2 * n) {
			ids.Sent(stack, id+1, to)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		bytes := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		if most := int64(1000 + 34*n); bytes > most {
			t.Errorf("%d ids take %d bytes, want %d at most", n, bytes, most)
		}
		if ids.Len() != n {
			t.Errorf("%d of %d are remembered", ids.Len(), n)
		}
	}
}

// purse pays for so many bytes.
type purse struct{ left, paid int }

func (p *purse) Remember(n int) bool {
	if n > p.left {
		return false
	}
	p.left, p.paid = p.left-n, p.paid+n
	return true
}

// Many connections of one user would take all memory of the broker. Where that is refused,
// the oldest calls are forgotten sooner, and no honest answer is lost.
func TestRefusedMemoryForgetsTheOldestCallsSooner(t *testing.T) {
	for _, test := range []struct{ space, least, most int }{
		{0, 1000, 2000}, {256 << 10, 7000, 10_000}, {1 << 30, 65_536, 65_536},
	} {
		p := &purse{left: test.space}
		ids := sentids.New(65_536, 1, p)
		stack, a, b := ids.Stack(nil), device(), device()
		const calls = 100_000
		for id := range int64(calls) {
			ids.Sent(stack, id, a)
		}
		if n := ids.Len(); n < test.least || n > test.most {
			t.Errorf("%d bytes: %d ids are remembered, want %d to %d", test.space, n, test.least, test.most)
		}
		for _, id := range []int64{0, calls - int64(test.least)/2, calls - 1} {
			if !ids.MayAnswer(stack, id, a) {
				t.Errorf("%d bytes: the honest answer to %d is lost", test.space, id)
			}
		}
		for id := int64(calls - test.least/2); id < calls; id++ {
			if ids.MayAnswer(stack, id, b) {
				t.Fatalf("%d bytes: another device answers call %d", test.space, id)
			}
		}
		ids.Forget()
		if p.paid != 0 {
			t.Errorf("%d bytes are paid for at the end", p.paid)
		}
	}
}

func TestFullTablesDoNotAllocate(t *testing.T) {
	ids := sentids.New(1000, 1, nil)
	stack, a, b := ids.Stack(nil), device(), device()
	id := int64(0)
	call := func() {
		id++
		ids.Sent(stack, id, a)
		ids.MayAnswer(stack, id, a)
		ids.MayAnswer(stack, id, b)
		ids.Sent(stack, id+1, b)
		ids.TakeBack()
	}
	for range 2000 {
		call()
	}
	if n := testing.AllocsPerRun(2000, call); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCall(b *testing.B) {
	for name, limit := range map[string]int{"client": 65_536, "broker": 20 * 65_536} {
		b.Run(name, func(b *testing.B) {
			ids := sentids.New(limit, 1, nil)
			stack, to := ids.Stack(nil), device()
			for id := range int64(limit) {
				ids.Sent(stack, id, to)
				ids.MayAnswer(stack, id, to)
			}
			id := int64(limit)
			for b.Loop() {
				id++
				ids.Sent(stack, id, to)
				ids.MayAnswer(stack, id, to)
			}
		})
	}
}

// A call that makes or copies a whole table of a broker stalls its read loop.
func TestNoCallMakesALargeTable(t *testing.T) {
	const calls, most = 64, 256 << 10 // bytes in so many calls
	ids := sentids.New(100_000, 1, nil)
	stack, to := ids.Stack(nil), device()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for id := range int64(120_000) {
		ids.Sent(stack, id, to)
		if id%calls != 0 {
			continue
		}
		runtime.ReadMemStats(&after)
		if bytes := after.TotalAlloc - before.TotalAlloc; bytes > most {
			t.Fatalf("calls up to %d made tables of %d bytes, want %d at most", id, bytes, most)
		}
		before = after
	}
}

// BenchmarkSlowestCallOfAFillingTable measures the processor's time, so that other programs do not count.
func BenchmarkSlowestCallOfAFillingTable(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	now := func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
			b.Fatal(err)
		}
		return time.Duration(t.Nano())
	}
	const limit = 20 * 65_536
	var slowest time.Duration
	for b.Loop() {
		ids := sentids.New(limit, 1, nil)
		stack, to := ids.Stack(nil), device()
		for id := range int64(limit) {
			began := now()
			ids.Sent(stack, id, to)
			slowest = max(slowest, now()-began)
		}
	}
	b.ReportMetric(float64(slowest.Microseconds()), "slowest-µs")
}
