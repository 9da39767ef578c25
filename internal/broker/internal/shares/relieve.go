package shares

import (
	"iter"
	"time"

	"shvtools/internal/wire/link"
)

// settling bounds the wait for the memory of a link that was ended.
const settling = 50 * time.Millisecond

// Relieve ends the link that holds the most of the owner that has the most of an exceeded
// total of bytes, and waits until that is free. links are all links with those that pay for
// them.
func (t *Table) Relieve(k Kind, links iter.Seq2[*Owner, *link.Link]) {
	if k != Queued && k != Begun || !t.Exceeded(k) {
		return
	}
	cause := link.TooMuchQueued
	if k == Begun {
		cause = link.TooMuchBegun
	}
	l := heaviest(k, links)
	if l == nil {
		return
	}
	l.Close(cause)
	for until := time.Now().Add(settling); held(k, l) > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
}

// heaviest returns the link to end, nil if none that is open holds anything. What an owner
// has elsewhere, such as requests in the queues of devices, counts for the choice of the
// owner only.
func heaviest(k Kind, links iter.Seq2[*Owner, *link.Link]) (worst *link.Link) {
	var owner *Owner
	var most int
	for o, l := range links {
		n := held(k, l)
		if n == 0 || l.Cause() != link.Open {
			continue
		}
		if worst == nil || o.Heavier(k, owner) || o == owner && n > most {
			worst, owner, most = l, o, n
		}
	}
	return worst
}

// held returns how much of a total a link holds at the expense of its account.
func held(k Kind, l *link.Link) int {
	queued, begun := l.Held()
	if k == Begun {
		return begun
	}
	return queued
}
