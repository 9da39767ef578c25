package door

import (
	"container/list"
	"sync"
	"time"
)

const (
	// MaxEntries bounds what Penalties remembers. The entry whose login failed
	// longest ago goes first.
	MaxEntries = 10_000
	// MaxUsers bounds the entries of one source: all its further users share one.
	MaxUsers = 64
	// MaxUserName bounds what is remembered of a user's name, which anybody can make
	// up, in bytes.
	MaxUserName = 128
	// Forgiven is how long after the last failed login an entry is forgotten.
	Forgiven = 15 * time.Minute
	// MaxDoubled is the longest penalty, in first penalties.
	MaxDoubled = 60
	// Patience is how long a login is held back at most, in first penalties, before its
	// password is looked at, and how long its answer is: a right one is answered, and a
	// wrong one told to wait, while the client waits.
	Patience = 4
)

// Attempt is who tries to log in, and from where. A user is never held back for what
// came from elsewhere.
type Attempt struct{ Source, User string }

// Short is the attempt with as much of the user's name as is remembered.
func (a Attempt) Short() Attempt {
	a.User = a.User[:min(len(a.User), MaxUserName)]
	return a
}

// Penalties remembers failed logins. All methods may be called concurrently.
type Penalties struct {
	first time.Duration // the first penalty

	mu      sync.Mutex
	entries map[Attempt]*list.Element // of *failures
	latest  list.List                 // the one that failed last in front
	users   map[string]int            // entries of a source
}

// failures are those of one entry.
type failures struct {
	Attempt
	count int
	last  time.Time
}

// NewPenalties returns penalties of which the first is that long.
func NewPenalties(first time.Duration) *Penalties {
	return &Penalties{first: first, entries: make(map[Attempt]*list.Element), users: make(map[string]int)}
}

// Held returns how long a login is to be held back before it is checked.
func (p *Penalties) Held(a Attempt) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked()
	if at := p.findLocked(a); at != nil {
		return min(p.penalty(at.Value.(*failures).count), Patience*p.first)
	}
	return 0
}

// Penalty is what a failed login costs.
type Penalty struct {
	Held time.Duration // how long the answer is held back, counted from when the login came
	Wait time.Duration // how long the peer should then wait before the next login
}

// Failed notes a failed login, and returns its penalty.
func (p *Penalties) Failed(a Attempt) Penalty {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked()
	at := p.findLocked(a)
	if at == nil {
		at = p.addLocked(a)
	}
	entry := at.Value.(*failures)
	entry.count++
	entry.last = time.Now()
	p.latest.MoveToFront(at)
	all := p.penalty(entry.count)
	held := min(all, Patience*p.first)
	return Penalty{held, all - held}
}

// Passed forgets the failures before a login that was accepted.
func (p *Penalties) Passed(a Attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.entries[a]; at != nil {
		p.removeLocked(at)
	}
}

// Len returns how many entries there are.
func (p *Penalties) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest.Len()
}

// Mutex is what guards all of it, for a health check: whoever takes it must give it
// back at once.
func (p *Penalties) Mutex() *sync.Mutex { return &p.mu }

// penalty is that after so many failures: it doubles with each.
func (p *Penalties) penalty(count int) time.Duration {
	return p.first * time.Duration(min(1<<min(count-1, 30), MaxDoubled))
}

// others is the entry that the further users of a source share; no remembered name
// is as long.
func others(source string) Attempt { return Attempt{source, string(make([]byte, MaxUserName+1))} }

// findLocked returns the entry that a counts in, nil if there is none.
func (p *Penalties) findLocked(a Attempt) *list.Element {
	a = a.Short()
	if at := p.entries[a]; at != nil || p.users[a.Source] < MaxUsers {
		return at
	}
	return p.entries[others(a.Source)]
}

// addLocked makes an entry for a.
func (p *Penalties) addLocked(a Attempt) *list.Element {
	a = a.Short()
	if p.users[a.Source] >= MaxUsers {
		a = others(a.Source)
	}
	if len(p.entries) >= MaxEntries {
		p.removeLocked(p.latest.Back())
	}
	at := p.latest.PushFront(&failures{Attempt: a})
	p.entries[a] = at
	p.users[a.Source]++
	return at
}

// forgetLocked removes the entries that are forgiven.
func (p *Penalties) forgetLocked() {
	for at := p.latest.Back(); at != nil && time.Since(at.Value.(*failures).last) >= Forgiven; at = p.latest.Back() {
		p.removeLocked(at)
	}
}

func (p *Penalties) removeLocked(at *list.Element) {
	entry := p.latest.Remove(at).(*failures)
	delete(p.entries, entry.Attempt)
	if p.users[entry.Source]--; p.users[entry.Source] == 0 {
		delete(p.users, entry.Source)
	}
}
