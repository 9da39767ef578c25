package core

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

const (
	// maxSubscriptions is how many a client may have at once.
	maxSubscriptions = 1000
	// maxForParent is how many a broker above may have, for all its clients.
	maxForParent = 20 * maxSubscriptions
	// maxSubscription bounds the text of one, in bytes.
	maxSubscription = 512
	// maxTopics is how many topics all clients of one user may have begun: what any of
	// them costs, everybody's signals pay.
	maxTopics = 20 * maxSubscriptions
	// maxStem is how many names of a path the index looks at.
	maxStem = 8
	// maxMatching bounds what comparing a signal with one topic that has globs may
	// take: the lengths of both, multiplied. Honest ones stay far below; longer ones do
	// not match.
	maxMatching = 64 << 10
)

// subscriptions are who wants which signals (spec.md 7.7), those of clients of
// either generation in one table. A signal is compared with the topics whose
// stem its path begins with, not with all. The zero value is empty.
type subscriptions struct {
	mu     sync.RWMutex
	total  int                 // subscriptions
	topics map[string]*topic   // by their resource identifiers
	stems  map[string][]*topic // the same, by what their paths begin with
	begun  map[string]int      // how many of them there are, by the user who began them

	// Brokers below, which learn of topics that begin or end to be wanted. The lock
	// is taken after mu.
	watching sync.Mutex
	children map[*below]struct{}
}

// topic is a set of signals that somebody wants.
type topic struct {
	ri      shvpath.RI
	stem    string
	globs   int    // the length of ri, where it has globs: comparing takes time; else 0
	by      string // the user who began it
	members []*subscription
}

// matches tells whether a signal is meant. Work that nobody needs is not done.
func (at *topic) matches(path, source, signal []byte) bool {
	return at.globs*(len(path)+len(source)+len(signal)) <= maxMatching && at.ri.MatchSignal(path, source, signal)
}

// subscription is one client's wish for a topic.
type subscription struct {
	topic   *topic
	session *session
	until   time.Time // zero: as long as the session
}

func (u *subscription) over(now time.Time) bool { return !u.until.IsZero() && !now.Before(u.until) }

// add subscribes a session, or gives a subscription that it has another end; added
// tells which.
func (t *subscriptions) add(s *session, ri shvpath.RI, until, now time.Time) (added bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prune(s, now)
	key := ri.String()
	if u := s.wanted[key]; u != nil {
		u.until = until
		return false, nil
	}
	limit := maxSubscriptions
	if s.up != nil {
		limit = maxForParent
	}
	if len(s.wanted) >= limit {
		return false, rpc.Errorf(rpc.CodeException, "more than %d subscriptions of one client", limit)
	}
	user := s.name()
	if t.topics[key] == nil && s.up == nil && t.begun[user] >= maxTopics {
		return false, rpc.Errorf(rpc.CodeException, "more than %d different subscriptions of one user", maxTopics)
	}
	if s.wanted == nil {
		s.wanted = make(map[string]*subscription)
	}
	u := &subscription{topic: t.topic(ri, key, user), session: s, until: until}
	u.topic.members = append(u.topic.members, u)
	t.total++
	s.wanted[key] = u
	t.tellChildren(u.topic)
	return true, nil
}

// topic gives the topic of ri, a new one of a user where there is none; t.mu is held.
func (t *subscriptions) topic(ri shvpath.RI, key, user string) *topic {
	if at := t.topics[key]; at != nil {
		return at
	}
	at := &topic{ri: ri, stem: ri.Path().Stem(maxStem), by: user}
	if ri.HasGlobs() {
		at.globs = len(key)
	}
	if t.topics == nil {
		t.topics = make(map[string]*topic)
		t.stems = make(map[string][]*topic)
		t.begun = make(map[string]int)
	}
	t.begun[user]++
	t.topics[key] = at
	t.stems[at.stem] = append(t.stems[at.stem], at)
	return at
}

// remove ends a subscription; false when there was none.
func (t *subscriptions) remove(s *session, key string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.prune(s, now)
	u := s.wanted[key]
	if u != nil {
		t.drop(u, key)
	}
	return u != nil
}

// removeMatching ends those subscriptions of a session that a signal matches. They are
// compared without the lock, which would hold up everybody's signals.
func (t *subscriptions) removeMatching(s *session, path, source, signal []byte) (removed bool) {
	t.mu.RLock()
	matching := make([]*subscription, 0, len(s.wanted))
	for _, u := range s.wanted {
		matching = append(matching, u)
	}
	t.mu.RUnlock()
	matching = slices.DeleteFunc(matching, func(u *subscription) bool { return !u.topic.matches(path, source, signal) })
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range matching {
		if key := u.topic.ri.String(); s.wanted[key] == u {
			t.drop(u, key)
			removed = true
		}
	}
	return removed
}

// removeAll ends the subscriptions of a session that is gone.
func (t *subscriptions) removeAll(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, u := range s.wanted {
		t.drop(u, key)
	}
}

// prune drops what is over; t.mu is held.
func (t *subscriptions) prune(s *session, now time.Time) {
	for key, u := range s.wanted {
		if u.over(now) {
			t.drop(u, key)
		}
	}
}

// drop takes a subscription out; t.mu is held.
func (t *subscriptions) drop(u *subscription, key string) {
	delete(u.session.wanted, key)
	t.total--
	at := u.topic
	at.members = without(at.members, u)
	t.tellChildren(at)
	if len(at.members) > 0 {
		return
	}
	delete(t.topics, key)
	if t.begun[at.by]--; t.begun[at.by] == 0 {
		delete(t.begun, at.by)
	}
	t.stems[at.stem] = without(t.stems[at.stem], at)
	if len(t.stems[at.stem]) == 0 {
		delete(t.stems, at.stem)
	}
}

// without takes an item out of a list whose order does not matter.
func without[T comparable](list []T, item T) []T {
	i := slices.Index(list, item)
	if i < 0 {
		return list
	}
	var none T
	last := len(list) - 1
	list[i], list[last] = list[last], none
	return list[:last]
}

// watch lets a broker below learn of changes.
func (t *subscriptions) watch(d *below) {
	t.watching.Lock()
	defer t.watching.Unlock()
	if t.children == nil {
		t.children = make(map[*below]struct{})
	}
	t.children[d] = struct{}{}
}

func (t *subscriptions) unwatch(d *below) {
	t.watching.Lock()
	defer t.watching.Unlock()
	delete(t.children, d)
}

// tellChildren tells brokers below that a topic has begun or ended to be wanted;
// with two members, one may be the broker itself. t.mu is held.
func (t *subscriptions) tellChildren(at *topic) {
	if len(at.members) > 2 {
		return
	}
	t.watching.Lock()
	defer t.watching.Unlock()
	for d := range t.children {
		d.concerns(at.ri)
	}
}

// below gives what others than s want below a clean path, as it is called there.
func (t *subscriptions) below(s *session, path string, now time.Time) (all []shvpath.RI) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, at := range t.topics {
		wants := func(u *subscription) bool { return u.session != s && !u.over(now) }
		if slices.ContainsFunc(at.members, wants) {
			all = append(all, at.ri.Below(path)...)
		}
	}
	return all
}

// count is how many there are, those included that are over and not yet dropped.
func (t *subscriptions) count() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.total
}

// of gives what a session is subscribed to, with what is left of its time; less
// than 0: no end.
func (t *subscriptions) of(s *session, now time.Time) map[string]time.Duration {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make(map[string]time.Duration, len(s.wanted))
	for key, u := range s.wanted {
		switch {
		case u.until.IsZero():
			all[key] = -1
		case !u.over(now):
			all[key] = u.until.Sub(now)
		}
	}
	return all
}

// find appends the sessions that want a signal, each once. It does not allocate
// when dst has room. Topics with globs are compared without the lock, for that may
// take time: who makes it take long must hold up nobody but himself.
func (t *subscriptions) find(dst []*session, path, source, signal []byte, now time.Time) []*session {
	dst, topics, rest := t.findPlain(dst, path, source, signal, now)
	if rest != nil {
		matching := slices.DeleteFunc(*rest, func(at *topic) bool { return !at.matches(path, source, signal) })
		topics += len(matching)
		t.mu.RLock()
		for _, at := range matching {
			dst = at.appendMembers(dst, now)
		}
		t.mu.RUnlock()
		giveBack(rest)
	}
	if topics < 2 {
		return dst
	}
	slices.SortFunc(dst, func(a, b *session) int { return cmp.Compare(a.id, b.id) })
	return slices.Compact(dst)
}

// findPlain is find for the topics without globs, of which it gives the count; rest are
// those with globs that may match too, nil for none.
func (t *subscriptions) findPlain(dst []*session, path, source, signal []byte, now time.Time) (_ []*session, topics int, rest *[]*topic) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for end, names := 0, 0; ; names++ {
		for _, at := range t.stems[string(path[:end])] {
			if at.globs > 0 {
				if rest == nil {
					rest = candidates.Get().(*[]*topic)
				}
				*rest = append(*rest, at)
				continue
			}
			if at.matches(path, source, signal) {
				topics++
				dst = at.appendMembers(dst, now)
			}
		}
		if end == len(path) || names == maxStem {
			return dst, topics, rest
		}
		end = nextName(path, end)
	}
}

// appendMembers appends the sessions that want the topic; the lock is held.
func (at *topic) appendMembers(dst []*session, now time.Time) []*session {
	for _, u := range at.members {
		if !u.over(now) {
			dst = append(dst, u.session)
		}
	}
	return dst
}

// candidates are lists of topics that a signal is compared with.
var candidates = sync.Pool{New: func() any { return new([]*topic) }}

func giveBack(list *[]*topic) {
	clear((*list)[:cap(*list)])
	if *list = (*list)[:0]; cap(*list) <= keptTargets {
		candidates.Put(list)
	}
}

// nextName is where the name ends that comes behind the beginning path[:end].
func nextName(path []byte, end int) int {
	if end > 0 {
		end++ // the slash
	}
	for end < len(path) && path[end] != '/' {
		end++
	}
	return end
}
