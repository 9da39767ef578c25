package tunnel

import "sync"

// sendWindow limits what may be sent on one channel before the peer acknowledges it.
type sendWindow struct {
	mu     sync.Mutex
	more   sync.Cond
	window int64 // 0: no limit
	sent   int64
	acked  int64
	closed bool
}

func (w *sendWindow) init(window int64) {
	w.window = window
	w.more.L = &w.mu
}

// take waits until n bytes may be sent and counts them. It returns false at the end of the tunnel.
// n must not exceed the window.
func (w *sendWindow) take(n int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.closed && w.window > 0 && w.sent-w.acked+n > w.window {
		w.more.Wait()
	}
	if w.closed {
		return false
	}
	w.sent += n
	return true
}

// tryTake is take that never waits.
func (w *sendWindow) tryTake(n int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.window > 0 && w.sent-w.acked+n > w.window {
		return false
	}
	w.sent += n
	return true
}

// ack notes that the peer has consumed total bytes.
func (w *sendWindow) ack(total int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if total > w.acked && total <= w.sent {
		w.acked = total
		w.more.Broadcast()
	}
}

func (w *sendWindow) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.more.Broadcast()
}

func (w *sendWindow) total() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}
