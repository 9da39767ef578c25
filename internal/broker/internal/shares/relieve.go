package shares

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"shvtools/internal/wire/link"
)

// settling bounds the wait for the memory of a link that was ended.
const settling = 50 * time.Millisecond

// Account is a link, and who pays for it.
type Account struct {
	Owner    *Owner
	Link     *link.Link
	ID       int64 // grows from link to link
	LoggedIn bool  // it is charged as one of Connections
}

// Relieve makes the owner with the most of an exceeded total lose links. Of bytes it ends
// the link that holds the most, and waits until that is free; of connections those that came
// last. links are all.
func (t *Table) Relieve(k Kind, links iter.Seq[Account]) {
	if !t.Exceeded(k) {
		return
	}
	if k == Connections {
		for _, l := range t.surplus(links) {
			l.Close(link.TooManyConnections)
		}
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

// surplus returns the links to end so that the total of connections is kept: the latest ones
// of the owner with the most, and no more than half of that. The rest is for the next time.
func (t *Table) surplus(links iter.Seq[Account]) (ended []*link.Link) {
	_, most := t.Owners(Connections)
	var all int64 // those that are about to end count no more
	var own []Account
	for a := range links {
		if !a.LoggedIn || a.Link.Cause() != link.Open {
			continue
		}
		all++
		if a.Owner == most {
			own = append(own, a)
		}
	}
	slices.SortFunc(own, func(a, b Account) int { return cmp.Compare(b.ID, a.ID) })
	n := max(0, min(int(all-t.bounds.Totals[Connections]), (len(own)+1)/2))
	for _, a := range own[:n] {
		ended = append(ended, a.Link)
	}
	return ended
}

// Oldest returns the oldest connection of o that is logged in and not about to end, nil for
// none.
func (o *Owner) Oldest(links iter.Seq[Account]) *link.Link {
	var oldest Account
	for a := range links {
		if a.Owner == o && a.LoggedIn && a.Link.Cause() == link.Open && (oldest.Link == nil || a.ID < oldest.ID) {
			oldest = a
		}
	}
	return oldest.Link
}

// heaviest returns the link to end, nil if none that is open holds anything. What an owner
// has elsewhere, such as requests in the queues of devices, counts for the choice of the
// owner only.
func heaviest(k Kind, links iter.Seq[Account]) *link.Link {
	var worst Account
	var most int
	for a := range links {
		n := held(k, a.Link)
		if n == 0 || a.Link.Cause() != link.Open {
			continue
		}
		if worst.Link == nil || a.Owner.Heavier(k, worst.Owner) || a.Owner == worst.Owner && n > most {
			worst, most = a, n
		}
	}
	return worst.Link
}

// held returns how much of a total a link holds at the expense of its account.
func held(k Kind, l *link.Link) int {
	queued, begun := l.Held()
	if k == Begun {
		return begun
	}
	return queued
}
