package agent

import (
	"cmp"
	"slices"
	"time"

	"shvtools/internal/shv/rpc"
)

const (
	// maxSearchBytes bounds the params of the calls that wait for a tunnel: whoever
	// does not answer his broker lets each stand for seconds. Half of it is left for
	// others by each user.
	maxSearchBytes     = 16 << 20
	maxUserSearchBytes = 8 << 20
	// maxSearchTimes is how many times the sessions that one user may be opening, or
	// all who do not tell theirs, all may.
	maxSearchTimes = 4
	// maxHolders bounds the users whose time with an id is known.
	maxHolders = 64
)

// searches are the calls of a connection that look for a tunnel. Whoever uses it
// holds connection.mu.
type searches struct {
	most  int // of one user
	all   opening
	users map[string]opening
	ids   map[int64]*turns
}

// opening is how much somebody is opening.
type opening struct{ calls, bytes int }

// turns are those of the calls with one request id. Answers of brokers are told
// apart by that alone, and every shvrsh calls with the same one.
type turns struct {
	now     *search
	since   time.Time
	waiting []*search
	held    map[string]time.Duration // by user, how long others waited for his calls
}

func newSearches(most int) searches {
	return searches{most: most, users: make(map[string]opening), ids: make(map[int64]*turns)}
}

// add counts s, until done, and gives it its turn or lets it wait for one.
func (l *searches) add(s *search) (begins bool, err error) {
	own := l.users[s.owner]
	switch {
	case own.calls >= l.most, l.all.calls >= maxSearchTimes*l.most,
		own.bytes > 0 && own.bytes+len(s.param) > maxUserSearchBytes,
		l.all.bytes > 0 && l.all.bytes+len(s.param) > maxSearchBytes:
		return false, rpc.Errorf(rpc.CodeTryAgainLater, "too many sessions are being opened on this device")
	}
	l.count(s, 1)
	if at := l.ids[s.from.ID]; at != nil {
		at.waiting = append(at.waiting, s)
		return false, nil
	}
	l.ids[s.from.ID] = &turns{now: s, since: time.Now(), held: make(map[string]time.Duration)}
	return true, nil
}

// done tells that the search for a tunnel is over.
func (l *searches) done(s *search) { l.count(s, -1) }

func (l *searches) count(s *search, n int) {
	bytes := n * len(s.param)
	own := opening{l.users[s.owner].calls + n, l.users[s.owner].bytes + bytes}
	if l.users[s.owner] = own; own.calls == 0 {
		delete(l.users, s.owner)
	}
	l.all = opening{l.all.calls + n, l.all.bytes + bytes}
}

// turn is the call with an id that is under way, nil if none.
func (l *searches) turn(id int64) *search {
	if at := l.ids[id]; at != nil {
		return at.now
	}
	return nil
}

// pass ends the turn of s, if it is its, and gives it to the next one: of those
// whose calls held up the others least, the first. Else one user, whose calls no
// broker answers, would keep all others out.
func (l *searches) pass(s *search) (next *search) {
	at := l.ids[s.from.ID]
	if at == nil || at.now != s {
		return nil
	}
	if len(at.waiting) == 0 {
		delete(l.ids, s.from.ID)
		return nil
	}
	if len(at.held) >= maxHolders {
		clear(at.held)
	}
	at.held[s.owner] += time.Since(at.since)
	next = slices.MinFunc(at.waiting, func(a, b *search) int { return cmp.Compare(at.held[a.owner], at.held[b.owner]) })
	at.waiting = slices.DeleteFunc(at.waiting, func(w *search) bool { return w == next })
	at.now, at.since = next, time.Now()
	return next
}
