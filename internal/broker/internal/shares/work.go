package shares

import (
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

const countBits = 40

// get returns the count in a window.
func (w *windowed) get(window uint64) int64 {
	v := w.v.Load()
	if v>>countBits != window {
		return 0
	}
	return int64(v & (1<<countBits - 1))
}

// add adds n, and returns the count before. A count of an earlier window is forgotten.
func (w *windowed) add(window uint64, n int64) (before int64) {
	for {
		v := w.v.Load()
		if before = 0; v>>countBits == window {
			before = int64(v & (1<<countBits - 1))
		}
		if w.v.CompareAndSwap(v, window<<countBits|uint64(min(before+n, 1<<countBits-1))) {
			return before
		}
	}
}

// window returns the number of the current window, never 0.
func (t *Table) window() uint64 { return uint64(time.Since(t.began)/workWindow) + 1 }

// WorkLeft returns how many steps may be taken for o now: what is left of its own budget
// and of the total, of which the last quarter is for owners below an even part. It is not
// negative.
func (o *Owner) WorkLeft() int64 {
	t, window := o.table, o.table.window()
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
func (o *Owner) Worked(n int64) {
	if n <= 0 {
		return
	}
	window := o.table.window()
	if o.work.add(window, n) == 0 {
		o.table.workers.add(window, o.weight)
	}
	o.table.work.add(window, n)
}
