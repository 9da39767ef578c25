package mounts

import (
	"container/list"
	"strings"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/shvpath"
)

const (
	// MaxOffline bounds what is remembered of mount points that are offline, in bytes.
	MaxOffline = 32 << 20
	// nameCost is about what a name of a path takes in the tree, and its holder.
	nameCost = 256
)

// absences remember the mount points that are offline, since when, and whose they are.
// The zero value is empty.
type absences struct {
	tree   shvpath.Tree[*absence]
	byUser map[string]*absent
	cost   int
}

// absent are the absences of one user.
type absent struct {
	oldest list.List // of *absence, the oldest first
	cost   int
}

// absence is a mount point that is offline.
type absence struct {
	claim *auth.Claim // of the last session there
	since time.Time
	at    *list.Element
}

func (a *absence) cost() int {
	return len(a.claim.Path) + nameCost*(1+strings.Count(a.claim.Path, "/"))
}

// add notes that the last session has left. What is too much is taken from the user who
// has most, the oldest first: nobody can make the broker forget who others are.
func (a *absences) add(c *auth.Claim, now time.Time) {
	a.forget(c.Path)
	if a.byUser == nil {
		a.byUser = make(map[string]*absent)
	}
	own := a.byUser[c.User]
	if own == nil {
		own = new(absent)
		a.byUser[c.User] = own
	}
	one := &absence{claim: c, since: now}
	one.at = own.oldest.PushBack(one)
	own.cost += one.cost()
	a.cost += one.cost()
	a.tree.Set(c.Path, one)
	for a.cost > MaxOffline {
		from := own
		if own.cost <= MaxOffline/len(a.byUser) {
			for _, other := range a.byUser {
				if other.cost > from.cost {
					from = other
				}
			}
		}
		a.forget(from.oldest.Front().Value.(*absence).claim.Path)
	}
}

// forget drops the absence of a mount point, if there is one.
func (a *absences) forget(path string) {
	one, ok := a.tree.Get(path)
	if !ok {
		return
	}
	a.tree.Delete(path)
	of := a.byUser[one.claim.User]
	of.oldest.Remove(one.at)
	of.cost -= one.cost()
	a.cost -= one.cost()
	if of.oldest.Len() == 0 {
		delete(a.byUser, one.claim.User)
	}
}
