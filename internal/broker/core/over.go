package core

import (
	"time"

	"shvtools/internal/shv/rpc"
)

const (
	// overFor is how long a tunnel through another broker is remembered that is
	// over, and maxOver how many: what is still under way for it is for nobody.
	overFor = time.Minute
	maxOver = 1000
)

// over remembers tunnels that are over, by the keys that the messages on them show.
// It is guarded by broker.mu. The zero value is empty.
type over struct {
	keys  map[tunnelKey]int64 // who sent with that key
	order []overEntry         // the oldest first
}

type overEntry struct {
	key  tunnelKey
	from int64
	at   time.Time
}

// add remembers a tunnel whose messages other brokers may still bring: those of
// helpers stop with their link.
func (o *over) add(t *tunnel, now time.Time) {
	if !t.client.session.isBroker() && !t.helper.session.isBroker() {
		return
	}
	for len(o.order) > 0 && (len(o.order) >= maxOver || now.Sub(o.order[0].at) > overFor) {
		if first := o.order[0]; o.keys[first.key] == first.from {
			delete(o.keys, first.key)
		}
		o.order = o.order[1:]
	}
	if o.keys == nil {
		o.keys = make(map[tunnelKey]int64)
	}
	for _, end := range []tunnelEnd{t.client, t.helper} {
		e := overEntry{end.key(), t.other(end.session).id, now}
		o.keys[e.key] = e.from
		o.order = append(o.order, e)
	}
}

// reuse notes that a client makes a new call with the numbers of m, whose caller
// ids are as they came.
func (b *Broker) reuse(s *session, m *rpc.Message) {
	b.mu.RLock()
	none := len(b.over.keys) == 0
	b.mu.RUnlock()
	if none {
		return
	}
	b.mu.Lock()
	delete(b.over.keys, tunnelKey{s.id, m.ID(), string(m.Callers().AppendKey(nil))})
	b.mu.Unlock()
}
