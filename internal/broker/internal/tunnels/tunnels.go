// Package tunnels remembers what a broker has to know of tunnels that do not exist: of
// those that it expects a child broker to make, and of those that have ended while other
// brokers may still send messages for them (spec.md 7.4 and 8).
//
// It does not know the open tunnels, and has no lock: the broker guards both tables with
// its own.
package tunnels

import (
	"time"

	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/rpc"
)

const (
	// ExpectFor is how long a tunnel is expected, far above what any secret lives.
	ExpectFor = time.Minute
	// MaxExpected bounds the tunnels that are expected of one child broker, so that none
	// keeps others from theirs.
	MaxExpected = 1000
	// RememberFor is how long a tunnel is remembered that has ended, and MaxEnded how many
	// ends of such tunnels are.
	RememberFor = time.Minute
	MaxEnded    = 1000
)

// Key names one direction of a tunnel as the messages on it show it: the session that
// they go to, and their request id and caller ids there.
type Key struct {
	To    int64
	ID    int64
	Stack string // rpc.CallerIDs.AppendKey
}

// NewKey returns the key of messages to a session with these numbers.
func NewKey(to, id int64, callers rpc.CallerIDs) Key {
	return Key{to, id, string(callers.AppendKey(nil))}
}

// Expected holds the calls whose tunnels child brokers have asked for: each child may make
// each of its own once. The zero value is empty.
type Expected struct {
	calls map[Key]expectedCall
	count map[int64]int // of them, by the session of the child
	swept time.Time
}

type expectedCall struct {
	child int64
	with  replyroutes.Right
	name  string
	at    time.Time
}

// Add expects the tunnel of a call, which was made with a right, from the session of a
// child. name is that of its session in records. Beyond MaxExpected it does nothing, and the tunnel will not be made.
func (e *Expected) Add(c Key, child int64, with replyroutes.Right, name string, now time.Time) {
	if e.calls == nil {
		e.calls = make(map[Key]expectedCall)
		e.count = make(map[int64]int)
	}
	if now.Sub(e.swept) > ExpectFor {
		for key, of := range e.calls {
			if now.Sub(of.at) > ExpectFor {
				e.forget(key, of)
			}
		}
		e.swept = now
	}
	if before, ok := e.calls[c]; ok {
		e.forget(c, before)
	}
	if e.count[child] < MaxExpected {
		e.calls[c] = expectedCall{child, with, name, now}
		e.count[child]++
	}
}

// Take returns the right that a call was made with and the name of its session, if the session of a child may make its
// tunnel. It may not make it again.
func (e *Expected) Take(c Key, child int64, now time.Time) (with replyroutes.Right, name string, ok bool) {
	of, ok := e.calls[c]
	if !ok || of.child != child || now.Sub(of.at) > ExpectFor {
		return replyroutes.Right{}, "", false
	}
	e.forget(c, of)
	return of.with, of.name, true
}

// Len returns how many tunnels are expected, including those that come too late now.
func (e *Expected) Len() int { return len(e.calls) }

func (e *Expected) forget(c Key, of expectedCall) {
	delete(e.calls, c)
	if e.count[of.child]--; e.count[of.child] == 0 {
		delete(e.count, of.child)
	}
}

// Ended holds the keys of tunnels that have ended. The zero value is empty.
type Ended struct {
	keys  map[Key]int64 // the session that sent with that key
	order []endedEnd    // the oldest first
}

type endedEnd struct {
	key  Key
	from int64
	at   time.Time
}

// Add remembers one direction of a tunnel: the key of its messages, and the session that
// they came from.
func (e *Ended) Add(key Key, from int64, now time.Time) {
	for len(e.order) > 0 && (len(e.order) >= MaxEnded || now.Sub(e.order[0].at) > RememberFor) {
		if first := e.order[0]; e.keys[first.key] == first.from {
			delete(e.keys, first.key)
		}
		e.order = e.order[1:]
	}
	if e.keys == nil {
		e.keys = make(map[Key]int64)
	}
	e.keys[key] = from
	e.order = append(e.order, endedEnd{key, from, now})
}

// Has reports whether a message with this key, from this session, belongs to a tunnel that
// has ended. It does not allocate.
func (e *Ended) Has(key Key, from int64) bool {
	sender, ok := e.keys[key]
	return ok && sender == from
}

// Forget says that the key is used by a new call.
func (e *Ended) Forget(key Key) { delete(e.keys, key) }

// Len returns how many keys are remembered.
func (e *Ended) Len() int { return len(e.keys) }
