package link

import (
	"sync"
	"time"
)

// idleWatch ends a link on which no frame came for some time. It looks four times in that time,
// which is cheaper than arming a timer for each frame.
type idleWatch struct {
	mu      sync.Mutex
	stopped bool // the link has ended
	timer   *time.Timer
	limit   time.Duration
	seen    uint64 // frames read when the count last changed
	silent  time.Duration
}

// SetIdle sets how long the peer may be silent from now on; 0: for ever. The link ends with
// IdleTimeout at most a quarter of that later. While the link is not being read, nothing counts as
// silence.
func (l *Link) SetIdle(limit time.Duration) {
	w := &l.idle
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.limit, w.silent = limit, 0
	w.seen = l.rx.Load()
	if limit > 0 && !w.stopped {
		w.timer = time.AfterFunc(limit/4, l.checkIdle)
	}
}

// Silence returns how long the peer has been silent, rounded down to a quarter of the limit, and
// the limit that SetIdle set. Both are 0 without a limit.
func (l *Link) Silence() (silent, limit time.Duration) {
	w := &l.idle
	w.mu.Lock()
	defer w.mu.Unlock()
	if l.rx.Load() != w.seen {
		return 0, w.limit
	}
	return w.silent, w.limit
}

func (l *Link) checkIdle() {
	w := &l.idle
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return
	}
	if seen := l.rx.Load(); seen != w.seen || l.waiting.Load() {
		w.seen, w.silent = seen, 0
	} else {
		w.silent += w.limit / 4
	}
	if w.silent >= w.limit {
		go l.Close(IdleTimeout) // Close stops this watch, under the same lock
		return
	}
	w.timer.Reset(w.limit / 4)
}

func (w *idleWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}
