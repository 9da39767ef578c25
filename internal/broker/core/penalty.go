package core

import (
	"container/list"
	"sync"
	"time"
)

const (
	// maxFailures bounds the entries of a failures, and maxUsers those of one
	// source: behind them all its other users share one.
	maxFailures = 10_000
	maxUsers    = 64
	// forgiven is how long after the last failed login the failures are forgotten.
	forgiven = 15 * time.Minute
	// maxDoubled is the longest penalty, in first penalties.
	maxDoubled = 60
	// maxHeld is how long a login is held back before its password is looked at,
	// in first penalties: a right one has to be answered while its client waits.
	maxHeld = 5
)

// attempt is who tries to log in from where. A user is never held back for what
// came from elsewhere.
type attempt struct{ source, user string }

// failures remembers failed logins. All methods may be called concurrently.
type failures struct {
	first time.Duration // the first penalty

	mu      sync.Mutex
	entries map[attempt]*list.Element // of failure
	latest  list.List                 // the one that failed last in front
	users   map[string]int            // entries of a source
}

type failure struct {
	attempt
	count int
	last  time.Time
}

func newFailures(first time.Duration) *failures {
	return &failures{first: first, entries: make(map[attempt]*list.Element), users: make(map[string]int)}
}

// held is how long a login is to be held back before it is looked at.
func (f *failures) held(a attempt) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget()
	if at := f.find(a); at != nil {
		return min(f.penalty(at.Value.(*failure).count), maxHeld*f.first)
	}
	return 0
}

// failed notes a failed login and gives how long its answer is to be held back,
// from when it came.
func (f *failures) failed(a attempt) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget()
	at := f.find(a)
	if at == nil {
		at = f.add(a)
	}
	entry := at.Value.(*failure)
	entry.count++
	entry.last = time.Now()
	f.latest.MoveToFront(at)
	return f.penalty(entry.count)
}

// passed forgets the failures before a login that went well.
func (f *failures) passed(a attempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at := f.entries[a]; at != nil {
		f.remove(at)
	}
}

func (f *failures) penalty(count int) time.Duration {
	return f.first * time.Duration(min(1<<min(count-1, 30), maxDoubled))
}

// others is the entry of a source that has too many; no name is so long.
func others(source string) attempt { return attempt{source, string(make([]byte, maxUserName+1))} }

// maxUserName bounds what is remembered of a name that somebody made up.
const maxUserName = 128

func short(a attempt) attempt {
	a.user = a.user[:min(len(a.user), maxUserName)]
	return a
}

// find gives the entry that a counts in, nil when there is none; f.mu is held.
func (f *failures) find(a attempt) *list.Element {
	a = short(a)
	if at := f.entries[a]; at != nil || f.users[a.source] < maxUsers {
		return at
	}
	return f.entries[others(a.source)]
}

// add makes an entry for a; f.mu is held.
func (f *failures) add(a attempt) *list.Element {
	a = short(a)
	if f.users[a.source] >= maxUsers {
		a = others(a.source)
	}
	if len(f.entries) >= maxFailures {
		f.remove(f.latest.Back())
	}
	at := f.latest.PushFront(&failure{attempt: a})
	f.entries[a] = at
	f.users[a.source]++
	return at
}

// forget removes what is long ago; f.mu is held.
func (f *failures) forget() {
	for at := f.latest.Back(); at != nil && time.Since(at.Value.(*failure).last) >= forgiven; at = f.latest.Back() {
		f.remove(at)
	}
}

func (f *failures) remove(at *list.Element) {
	entry := f.latest.Remove(at).(*failure)
	delete(f.entries, entry.attempt)
	if f.users[entry.source]--; f.users[entry.source] == 0 {
		delete(f.users, entry.source)
	}
}
