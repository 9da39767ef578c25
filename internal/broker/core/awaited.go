package core

import (
	"time"

	"shvtools/internal/broker/internal/replyroutes"
)

const (
	// awaitFor is how long a tunnel is awaited that was asked for, far above what
	// any secret lives, and maxAwaited how many are of one broker below: none can
	// keep others from theirs.
	awaitFor   = time.Minute
	maxAwaited = 1000
)

// awaited are the calls whose tunnels a broker below has asked for: it may make each
// once. It is guarded by broker.mu. The zero value has none.
type awaited struct {
	calls map[tunnelKey]awaitedCall
	count map[int64]int // of them, by session
	swept time.Time
}

type awaitedCall struct {
	from int64 // the session of the broker below
	with replyroutes.Right
	at   time.Time
}

// add notes a call; one too many is forgotten, and its tunnel not made.
func (a *awaited) add(call tunnelKey, from *session, with replyroutes.Right, now time.Time) {
	if a.calls == nil {
		a.calls = make(map[tunnelKey]awaitedCall)
		a.count = make(map[int64]int)
	}
	if now.Sub(a.swept) > awaitFor {
		for key, c := range a.calls {
			if now.Sub(c.at) > awaitFor {
				a.forget(key, c)
			}
		}
		a.swept = now
	}
	if before, ok := a.calls[call]; ok {
		a.forget(call, before)
	}
	if a.count[from.id] < maxAwaited {
		a.calls[call] = awaitedCall{from.id, with, now}
		a.count[from.id]++
	}
}

func (a *awaited) forget(call tunnelKey, c awaitedCall) {
	delete(a.calls, call)
	if a.count[c.from]--; a.count[c.from] == 0 {
		delete(a.count, c.from)
	}
}

// take gives the right that a call was made with, if a session may make its tunnel.
func (a *awaited) take(call tunnelKey, from *session, now time.Time) (with replyroutes.Right, ok bool) {
	c, ok := a.calls[call]
	if !ok || c.from != from.id || now.Sub(c.at) > awaitFor {
		return replyroutes.Right{}, false
	}
	a.forget(call, c)
	return c.with, true
}
