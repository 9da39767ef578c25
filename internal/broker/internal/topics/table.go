package topics

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

const (
	// MaxPerClient is how many subscriptions a client may have at once.
	MaxPerClient = 1000
	// MaxPerParent is how many a parent broker may have, for all its clients.
	MaxPerParent = 20 * MaxPerClient
	// MaxPerUser is how many topics all clients of one user may have begun: each
	// costs the signals of everybody.
	MaxPerUser = 20 * MaxPerClient
	// maxStem is how many names of a path the index looks at.
	maxStem = 8
	// maxMatching bounds what comparing a signal with one topic that has globs may
	// take: the lengths of both, multiplied. Honest ones stay far below; longer ones
	// do not match.
	maxMatching = 64 << 10
	// belowSteps is how many steps one byte of a topic costs that is looked at for a
	// child broker: such a topic is taken apart and put together.
	belowSteps = 8
	// maxCandidates is how many places of a list of candidates are kept for reuse.
	maxCandidates = 1 << 10
)

// Member is a subscriber, such as a session of the broker.
type Member interface {
	comparable
	// ID orders members; no two have the same.
	ID() int64
	// Owner names the user that the member's topics count for, and reports whether
	// the member is a parent broker, which is bounded by itself.
	Owner() (user string, parent bool)
	// Payer is whose budget the comparisons for the member use; nil: nobody's. It
	// does not change while the member has subscriptions.
	Payer() *shares.Owner
}

// Table holds the subscriptions of all members, clients of either generation in
// one. All methods may be called concurrently. Members' methods and watchers are
// called while locks of the table are held, so they must not block or call it. The
// zero value is empty.
type Table[M Member] struct {
	mu      sync.RWMutex
	total   int                               // subscriptions
	members map[M]map[string]*subscription[M] // by resource identifier
	topics  map[string]*topic[M]              // by resource identifier
	stems   map[string][]*group[M]            // the same, by what their paths begin with
	begun   map[string]int                    // how many of them there are, by the user who began them
	pool    sync.Pool                         // of *[]candidate[M], to compare a signal with
	skipped atomic.Uint64                     // see Skipped

	// Exhausted is called, without a lock, for a signal that was not compared with the
	// subscriptions of an owner whose budget is used up. nil: not called. It is set
	// before the first subscription.
	Exhausted func(*shares.Owner)

	watching sync.Mutex // taken after mu
	watchers map[*watcher]struct{}
}

// watcher is a child broker, which learns of topics that begin or end to be wanted.
type watcher struct{ concerns func(shvpath.RI) }

// topic is a set of signals that somebody wants.
type topic[M Member] struct {
	ri      shvpath.RI
	stem    string
	globs   int    // the length of ri if it has globs, so that comparing takes time; else 0
	by      string // the user who began it
	members []*subscription[M]
	in      *group[M] // of its stem
}

// group is the topics of a stem whose comparisons one owner pays for. Those that several
// owners want are a group of their own: the first of them with a budget left pays.
type group[M Member] struct {
	payer  *shares.Owner
	shared bool
	topics []*topic[M]
}

// candidate is a topic with globs to compare a signal with, and who pays for that.
type candidate[M Member] struct {
	topic *topic[M]
	payer *shares.Owner
}

// matches reports whether the topic means a signal. It gives up where comparing
// would take too long.
func (at *topic[M]) matches(path, source, signal []byte, left *shvpath.Steps) bool {
	return at.globs*(len(path)+len(source)+len(signal)) <= maxMatching &&
		at.ri.MatchSignalWithin(path, source, signal, left)
}

// subscription is one member's wish for a topic.
type subscription[M Member] struct {
	topic  *topic[M]
	member M
	until  time.Time // zero: as long as the member
}

func (u *subscription[M]) expired(now time.Time) bool {
	return !u.until.IsZero() && !now.Before(u.until)
}

// Add subscribes a member until then, or as long as it stays for the zero time. If
// the member has the subscription already, Add changes its end and returns false.
// The error is an *rpc.Error: the member, or its user, has as many as it may.
func (t *Table[M]) Add(m M, ri shvpath.RI, until, now time.Time) (added bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pruneLocked(m, now)
	key := ri.String()
	wanted := t.members[m]
	if u := wanted[key]; u != nil {
		u.until = until
		return false, nil
	}
	user, parent := m.Owner()
	limit := MaxPerClient
	if parent {
		limit = MaxPerParent
	}
	if len(wanted) >= limit {
		return false, rpc.Errorf(rpc.CodeException, "more than %d subscriptions of one client", limit)
	}
	if t.topics[key] == nil && !parent && t.begun[user] >= MaxPerUser {
		return false, rpc.Errorf(rpc.CodeException, "more than %d different subscriptions of one user", MaxPerUser)
	}
	u := &subscription[M]{topic: t.topicLocked(ri, key, user), member: m, until: until}
	u.topic.members = append(u.topic.members, u)
	t.regroupLocked(u.topic)
	t.total++
	if wanted == nil {
		wanted = make(map[string]*subscription[M])
		t.members[m] = wanted
	}
	wanted[key] = u
	t.notifyLocked(u.topic)
	return true, nil
}

// Remove ends the subscription of a member to a resource identifier, and reports
// whether there was one.
func (t *Table[M]) Remove(m M, ri string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pruneLocked(m, now)
	u := t.members[m][ri]
	if u != nil {
		t.dropLocked(u, ri)
	}
	return u != nil
}

// RemoveMatching ends those subscriptions of a member that mean a signal, and reports
// whether there were any. They are compared outside of the lock.
func (t *Table[M]) RemoveMatching(m M, path, source, signal []byte) (removed bool) {
	t.mu.RLock()
	matching := make([]*subscription[M], 0, len(t.members[m]))
	for _, u := range t.members[m] {
		matching = append(matching, u)
	}
	t.mu.RUnlock()
	var b budget
	b.of(m.Payer())
	matching = slices.DeleteFunc(matching, func(u *subscription[M]) bool {
		return !u.topic.matches(path, source, signal, &b.left)
	})
	b.settle()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, u := range matching {
		if key := u.topic.ri.String(); t.members[m][key] == u {
			t.dropLocked(u, key)
			removed = true
		}
	}
	return removed
}

// RemoveAll ends the subscriptions of a member that is gone.
func (t *Table[M]) RemoveAll(m M) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, u := range t.members[m] {
		t.dropLocked(u, key)
	}
}

// Find appends the members that want a signal, each once. It does not allocate if
// dst has the capacity.
func (t *Table[M]) Find(dst []M, path, source, signal []byte, now time.Time) []M {
	dst, topics, rest, skipped := t.findPlain(dst, path, source, signal, now)
	if rest != nil {
		matching, exhausted := compare(*rest, path, source, signal)
		topics += len(matching)
		t.mu.RLock()
		for _, c := range matching {
			dst = c.topic.appendMembersLocked(dst, now)
		}
		t.mu.RUnlock()
		t.giveBack(rest)
		skipped = cmp.Or(skipped, exhausted)
	}
	if skipped != nil {
		t.skipped.Add(1)
		if t.Exhausted != nil {
			t.Exhausted(skipped)
		}
	}
	if topics < 2 {
		return dst
	}
	slices.SortFunc(dst, func(a, b M) int { return cmp.Compare(a.ID(), b.ID()) })
	return slices.Compact(dst)
}

// Skipped returns how many signals were not compared with all subscriptions, since the
// budget of an owner was used up.
func (t *Table[M]) Skipped() uint64 { return t.skipped.Load() }

// compare keeps the candidates that match. exhausted is an owner whose budget did not
// last, nil for none.
func compare[M Member](all []candidate[M], path, source, signal []byte) (
	matching []candidate[M], exhausted *shares.Owner,
) {
	var b budget
	matching = all[:0]
	for i, c := range all {
		if i == 0 || c.payer != b.payer {
			b.settle()
			b.of(c.payer)
		}
		if b.left <= 0 {
			exhausted = c.payer
			continue
		}
		if c.topic.matches(path, source, signal, &b.left) {
			matching = append(matching, c)
		} else if b.left < 0 {
			exhausted = c.payer
		}
	}
	b.settle()
	return matching, exhausted
}

// budget is what is left of the work that is done for an owner.
type budget struct {
	payer  *shares.Owner
	window shares.Window
	began  shvpath.Steps
	left   shvpath.Steps
}

// of begins the budget of another owner, in the same window.
func (b *budget) of(o *shares.Owner) {
	if b.window == 0 {
		b.window = o.Window()
	}
	n := shvpath.Steps(o.WorkLeft(b.window))
	b.payer, b.began, b.left = o, n, n
}

// settle charges the owner for the steps that were taken.
func (b *budget) settle() { b.payer.Worked(b.window, int64(b.began-b.left)) }

// payLocked begins the budget of the first of those who want a shared topic that has some
// left, or of one that has none.
func (at *topic[M]) payLocked(b *budget) {
	for i, u := range at.members {
		if p := u.member.Payer(); i == 0 || p != b.payer {
			if b.of(p); b.left > 0 {
				return
			}
		}
	}
}

// Below returns what members other than m want below a clean path, in the words of
// one whose root that path is. What an owner wants whose budget is used up is missing.
func (t *Table[M]) Below(m M, path string, now time.Time) (all []shvpath.RI) {
	for _, c := range t.wantedBelow(m, path, now) {
		window := c.payer.Window()
		if c.payer.WorkLeft(window) > 0 {
			below := c.topic.ri.Below(path)
			c.payer.Worked(window, belowSteps*int64((1+len(below))*len(c.topic.ri.String())))
			all = append(all, below...)
		}
	}
	return all
}

// wantedBelow returns the topics of members other than m that may mean something there,
// and who pays for looking.
func (t *Table[M]) wantedBelow(m M, path string, now time.Time) (all []candidate[M]) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, at := range t.topics {
		wants := func(u *subscription[M]) bool { return u.member != m && !u.expired(now) }
		if i := slices.IndexFunc(at.members, wants); i >= 0 && at.ri.MayMean(path) {
			all = append(all, candidate[M]{at, at.members[i].member.Payer()})
		}
	}
	return all
}

// Of returns the resource identifiers that a member is subscribed to, with what is
// left of their time; less than 0 means no end.
func (t *Table[M]) Of(m M, now time.Time) map[string]time.Duration {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make(map[string]time.Duration, len(t.members[m]))
	for key, u := range t.members[m] {
		switch {
		case u.until.IsZero():
			all[key] = -1
		case !u.expired(now):
			all[key] = u.until.Sub(now)
		}
	}
	return all
}

// Len returns how many subscriptions there are, including those that have expired
// and are not dropped yet.
func (t *Table[M]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.total
}

// Topics returns how many different resource identifiers they have.
func (t *Table[M]) Topics() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.topics)
}

// Watch calls concerns with each topic that begins or may end to be wanted, until
// stop is called. Under the locks of the table: concerns must not block.
func (t *Table[M]) Watch(concerns func(shvpath.RI)) (stop func()) {
	w := &watcher{concerns}
	t.watching.Lock()
	defer t.watching.Unlock()
	if t.watchers == nil {
		t.watchers = make(map[*watcher]struct{})
	}
	t.watchers[w] = struct{}{}
	return func() {
		t.watching.Lock()
		defer t.watching.Unlock()
		delete(t.watchers, w)
	}
}

// Watchers returns how many calls of Watch were not stopped.
func (t *Table[M]) Watchers() int {
	t.watching.Lock()
	defer t.watching.Unlock()
	return len(t.watchers)
}

// Mutexes are what guards the table and its watchers, for a health check: whoever
// takes one must give it back at once.
func (t *Table[M]) Mutexes() (table *sync.RWMutex, watchers *sync.Mutex) { return &t.mu, &t.watching }

// topicLocked returns the topic of ri, a new one of the user if there is none.
func (t *Table[M]) topicLocked(ri shvpath.RI, key, user string) *topic[M] {
	if at := t.topics[key]; at != nil {
		return at
	}
	at := &topic[M]{ri: ri, stem: ri.Path().Stem(maxStem), by: user}
	if ri.HasGlobs() {
		at.globs = len(key)
	}
	if t.topics == nil {
		t.members = make(map[M]map[string]*subscription[M])
		t.topics = make(map[string]*topic[M])
		t.stems = make(map[string][]*group[M])
		t.begun = make(map[string]int)
	}
	t.begun[user]++
	t.topics[key] = at
	return at
}

// regroupLocked puts a topic into the group of those who want it now, out of that of before.
func (t *Table[M]) regroupLocked(at *topic[M]) {
	var payer *shares.Owner
	shared := false
	for i, u := range at.members {
		if p := u.member.Payer(); i == 0 {
			payer = p
		} else if p != payer {
			payer, shared = nil, true
			break
		}
	}
	if at.in != nil && len(at.members) > 0 && at.in.payer == payer && at.in.shared == shared {
		return
	}
	if g := at.in; g != nil {
		if g.topics = without(g.topics, at); len(g.topics) == 0 {
			if t.stems[at.stem] = without(t.stems[at.stem], g); len(t.stems[at.stem]) == 0 {
				delete(t.stems, at.stem)
			}
		}
		at.in = nil
	}
	if len(at.members) == 0 {
		return
	}
	i := slices.IndexFunc(t.stems[at.stem], func(g *group[M]) bool { return g.payer == payer && g.shared == shared })
	if i < 0 {
		i = len(t.stems[at.stem])
		t.stems[at.stem] = append(t.stems[at.stem], &group[M]{payer: payer, shared: shared})
	}
	at.in = t.stems[at.stem][i]
	at.in.topics = append(at.in.topics, at)
}

// pruneLocked drops the subscriptions of a member that have expired.
func (t *Table[M]) pruneLocked(m M, now time.Time) {
	for key, u := range t.members[m] {
		if u.expired(now) {
			t.dropLocked(u, key)
		}
	}
}

func (t *Table[M]) dropLocked(u *subscription[M], key string) {
	wanted := t.members[u.member]
	if delete(wanted, key); len(wanted) == 0 {
		delete(t.members, u.member)
	}
	t.total--
	at := u.topic
	at.members = without(at.members, u)
	t.regroupLocked(at)
	t.notifyLocked(at)
	if len(at.members) > 0 {
		return
	}
	delete(t.topics, key)
	if t.begun[at.by]--; t.begun[at.by] == 0 {
		delete(t.begun, at.by)
	}
}

// without removes an item from a list whose order does not matter.
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

// notifyLocked tells the watchers of a topic that has begun or may end to be wanted:
// of two members, one may be the watcher itself.
func (t *Table[M]) notifyLocked(at *topic[M]) {
	if len(at.members) > 2 {
		return
	}
	t.watching.Lock()
	defer t.watching.Unlock()
	for w := range t.watchers {
		w.concerns(at.ri)
	}
}

// findPlain is Find for the topics without globs, of which it returns the count. rest
// are those with globs that may match too, nil for none. skipped is an owner whose budget
// is used up, nil for none.
func (t *Table[M]) findPlain(dst []M, path, source, signal []byte, now time.Time) (
	_ []M, topics int, rest *[]candidate[M], skipped *shares.Owner,
) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var b budget
	for end, names := 0, 0; ; names++ {
		for _, g := range t.stems[string(path[:end])] {
			b.of(g.payer)
			for _, at := range g.topics {
				if g.shared {
					b.settle()
					at.payLocked(&b)
				}
				switch {
				case b.left <= 0:
					skipped = b.payer
				case at.globs > 0:
					if rest == nil {
						rest = t.candidates()
					}
					*rest = append(*rest, candidate[M]{at, b.payer})
				case at.matches(path, source, signal, &b.left):
					topics++
					dst = at.appendMembersLocked(dst, now)
				}
				if b.left <= 0 && !g.shared {
					skipped = b.payer
					break // of all its topics
				}
			}
			b.settle()
		}
		if end == len(path) || names == maxStem {
			return dst, topics, rest, skipped
		}
		end = shvpath.NameEnd(path, end)
	}
}

// appendMembersLocked appends the members that want the topic.
func (at *topic[M]) appendMembersLocked(dst []M, now time.Time) []M {
	for _, u := range at.members {
		if !u.expired(now) {
			dst = append(dst, u.member)
		}
	}
	return dst
}

// candidates is an empty list, which giveBack takes.
func (t *Table[M]) candidates() *[]candidate[M] {
	if list, ok := t.pool.Get().(*[]candidate[M]); ok {
		return list
	}
	return new([]candidate[M])
}

func (t *Table[M]) giveBack(list *[]candidate[M]) {
	clear((*list)[:cap(*list)])
	if *list = (*list)[:0]; cap(*list) <= maxCandidates {
		t.pool.Put(list)
	}
}
