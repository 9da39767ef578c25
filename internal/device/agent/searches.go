package agent

import (
	"cmp"
	"slices"
	"time"

	"shvtools/internal/shv/rpc"
)

const (
	// maxSearchBytes bounds the params of the calls that wait for a tunnel: each may wait
	// for seconds if its broker does not answer. One user may have half of it.
	maxSearchBytes     = 16 << 20
	maxUserSearchBytes = 8 << 20
	// maxSearchTimes is how many times as many calls all users may have as one user. The
	// callers without a user id count as one user.
	maxSearchTimes = 4
	// maxHolders bounds the users whose share of a request id is remembered.
	maxHolders = 64
)

// searches are the calls of a connection that wait for a tunnel. They are guarded by
// connection.mu.
type searches struct {
	most  int // calls of one user
	all   opening
	users map[string]opening
	ids   map[int64]*turns
}

// opening counts the calls of a user, and the bytes of their params.
type opening struct{ calls, bytes int }

// turns are the calls with one request id. Nothing else tells the answers of brokers apart,
// and every shvrsh calls with the same one.
type turns struct {
	now     *search
	since   time.Time
	waiting []*search
	held    map[string]time.Duration // by user: how long others have waited for their calls
}

func newSearches(most int) searches {
	return searches{most: most, users: make(map[string]opening), ids: make(map[int64]*turns)}
}

// add counts s until done. It reports whether s has its turn; otherwise s waits for one.
func (l *searches) add(s *search) (begins bool, err error) {
	own := l.users[s.owner]
	switch {
	case own.calls >= l.most, l.all.calls >= maxSearchTimes*l.most,
		own.bytes > 0 && own.bytes+len(s.param) > maxUserSearchBytes,
		l.all.bytes > 0 && l.all.bytes+len(s.param) > maxSearchBytes:
		return false, rpc.Errorf(rpc.CodeTryAgainLater, "too many sessions are being opened on this device; try again later")
	}
	l.count(s, 1)
	if at := l.ids[s.from.ID]; at != nil {
		at.waiting = append(at.waiting, s)
		return false, nil
	}
	l.ids[s.from.ID] = &turns{now: s, since: time.Now(), held: make(map[string]time.Duration)}
	return true, nil
}

// done ends the count of s.
func (l *searches) done(s *search) { l.count(s, -1) }

func (l *searches) count(s *search, n int) {
	bytes := n * len(s.param)
	own := opening{l.users[s.owner].calls + n, l.users[s.owner].bytes + bytes}
	if l.users[s.owner] = own; own.calls == 0 {
		delete(l.users, s.owner)
	}
	l.all = opening{l.all.calls + n, l.all.bytes + bytes}
}

// turn returns the call that has the turn of a request id; nil: none.
func (l *searches) turn(id int64) *search {
	if at := l.ids[id]; at != nil {
		return at.now
	}
	return nil
}

// pass ends the turn of s, if s has it, and returns the call that has it next: the first
// one of the user whose calls have held up others least. Otherwise one user, whose calls
// no broker answers, would keep all others from opening sessions.
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
