package shares

import (
	"math"
	"sync/atomic"
	"time"
)

// workWindow is the time within which work is counted. Short, so that what one owner causes
// at once holds up others for a fraction of it only.
const workWindow = 100 * time.Millisecond

// perWindow turns an amount a second into one for a window.
func perWindow(n int64) int64 { return n / int64(time.Second/workWindow) }

// windowed is a count within the current window: the number of the window in the upper
// bits, the count in the lower ones.
type windowed struct{ v atomic.Uint64 }

const (
	countBits  = 40
	windowBits = 64 - countBits
)

// get returns the count in a window.
func (w *windowed) get(window Window) int64 {
	v := w.v.Load()
	if Window(v>>countBits) != window {
		return 0
	}
	return int64(v & (1<<countBits - 1))
}

// add adds n, and returns the count before. A count of an earlier window is forgotten.
func (w *windowed) add(window Window, n int64) (before int64) {
	for {
		v := w.v.Load()
		if before = 0; Window(v>>countBits) == window {
			before = int64(v & (1<<countBits - 1))
		}
		if w.v.CompareAndSwap(v, uint64(window)<<countBits|uint64(min(before+n, 1<<countBits-1))) {
			return before
		}
	}
}

// Window is a time within which work is counted. Its numbers begin again after 19 days.
type Window uint64

// Window returns the current one, to ask for it once. It is 0 for a nil owner.
func (o *Owner) Window() Window {
	if o == nil {
		return 0
	}
	return Window(time.Since(o.table.began)/workWindow) & (1<<windowBits - 1)
}

// WorkLeft returns how many steps may be taken for o in a window: what is left of its own budget
// and of the total, of which the last quarter is for owners below an even part. It is not
// negative. A nil owner has no bound.
func (o *Owner) WorkLeft(window Window) int64 {
	if o == nil {
		return math.MaxInt64
	}
	t := o.table
	own := o.work.get(window)
	left := perWindow(t.bounds.WorkEach)*o.weight - own
	total := perWindow(t.bounds.Work)
	if free := total/4*3 - t.work.get(window); free < left {
		weights := t.workers.get(window) + 1 // see May
		if own == 0 {
			weights += o.weight
		}
		left = min(left, max(free, total*o.weight/weights-own))
	}
	return max(left, 0)
}

// Worked says that n steps were taken for o.
func (o *Owner) Worked(window Window, n int64) {
	if n <= 0 || o == nil {
		return
	}
	if o.work.add(window, n) == 0 {
		o.table.workers.add(window, o.weight)
	}
	o.table.work.add(window, n)
}
