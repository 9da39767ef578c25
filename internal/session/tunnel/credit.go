package tunnel

import "sync"

// credit is what may still be sent on one channel.
type credit struct {
	mu     sync.Mutex
	more   sync.Cond
	window int64 // 0: no limit
	sent   int64
	acked  int64
	closed bool
}

func (c *credit) init(window int64) {
	c.window = window
	c.more.L = &c.mu
}

// take waits until n bytes may be sent and counts them; false at the end of the
// tunnel. n must not be above the window.
func (c *credit) take(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.closed && c.window > 0 && c.sent-c.acked+n > c.window {
		c.more.Wait()
	}
	if c.closed {
		return false
	}
	c.sent += n
	return true
}

// tryTake is take that never waits.
func (c *credit) tryTake(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.window > 0 && c.sent-c.acked+n > c.window {
		return false
	}
	c.sent += n
	return true
}

// ack notes that the peer has consumed total bytes.
func (c *credit) ack(total int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if total > c.acked && total <= c.sent {
		c.acked = total
		c.more.Broadcast()
	}
}

func (c *credit) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.more.Broadcast()
}

func (c *credit) total() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}
