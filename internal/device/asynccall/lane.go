package asynccall

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"shvtools/internal/shv/rpc"
)

// Limits of a lane.
type Limits struct {
	Running int           // calls that run at once
	Waiting int           // calls that wait for their turn
	Bytes   int           // size of the requests of both
	PerUser Share         // part of the above for one user
	Time    time.Duration // that a call may run; 0: any
	// Patience is how long a call may wait without a question of its caller, who may have
	// left. When it would have its turn then, it is refused instead. 0: any time.
	Patience time.Duration
}

// Share is the part of a lane that one user may have. A zero field means all of it. Each
// caller without a user id may have a Share, too, but all of them together leave one Share
// to the others: it is unknown how many users they are.
type Share struct {
	Running, Waiting, Bytes int
}

// Lane runs the calls of one kind, for all connections. Waiting calls have their turn in
// the order in which they came, except that users with fewer running calls go first. A
// lane without calls has no goroutines. All methods may be called concurrently.
type Lane struct {
	limits Limits
	what   string

	mu      sync.Mutex
	running int
	bytes   int
	orders  map[string]bool  // of the running calls
	users   map[string]Share // what each user's calls take; users without calls are not in it
	unnamed Share            // what all calls without a user id take
	waiting []*job
	refusal error         // error of all further calls; nil: they are accepted
	none    chan struct{} // closed when no call is left; nil: nobody waits for that
}

// job is one call in a lane.
type job struct {
	user    string
	unnamed bool   // user is a caller without a user id
	order   string // "": none
	size    int
	run     func()
	refuse  func(error) // answers it when it does not run
	asked   time.Time   // when its caller last wanted it
}

// timeError is the cause for the end of a call that took too long.
type timeError struct{ Limit time.Duration }

func (e *timeError) Error() string {
	return fmt.Sprintf("not done within %s, the limit on this device", e.Limit)
}

// NewLane returns a lane. what names its calls in errors, in the plural.
func NewLane(what string, limits Limits) *Lane {
	return &Lane{limits: limits, what: what, orders: make(map[string]bool), users: make(map[string]Share)}
}

// Refuse makes the lane refuse all further calls with the error refusal. It returns how
// many calls run or wait, and a channel that is closed when they have ended. It must be
// called only once.
func (l *Lane) Refuse(refusal error) (left int, none <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := make(chan struct{})
	l.refusal, l.none = refusal, ended
	l.tellNoneLocked()
	return l.running + len(l.waiting), ended
}

// tellNoneLocked closes l.none if no call is left.
func (l *Lane) tellNoneLocked() {
	if l.none != nil && l.running+len(l.waiting) == 0 {
		close(l.none)
		l.none = nil
	}
}

// add runs j now or when it has its turn, or says why it will not run.
func (l *Lane) add(j *job) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal != nil {
		return l.refusal
	}
	own, share := l.users[j.user], l.limits.PerUser
	switch {
	case l.bytes > 0 && l.bytes+j.size > l.limits.Bytes:
		return rpc.Errorf(rpc.CodeTryAgainLater,
			"the %s in progress on this device carry too much data; try again later", l.what)
	case share.Bytes > 0 && own.Bytes > 0 && own.Bytes+j.size > share.Bytes:
		return rpc.Errorf(rpc.CodeTryAgainLater,
			"the %s of this user in progress on this device carry too much data; try again later", l.what)
	case share.Bytes > 0 && j.unnamed && l.unnamed.Bytes > 0 && l.unnamed.Bytes+j.size > less(l.limits.Bytes, share.Bytes):
		return l.tooManyUnnamed()
	case l.mayRunLocked(j):
		l.beginLocked(j)
	case len(l.waiting) >= l.limits.Waiting:
		return rpc.Errorf(rpc.CodeTryAgainLater,
			"%d %s are in progress on this device; try again later", l.running+len(l.waiting), l.what)
	case share.Waiting > 0 && own.Waiting >= share.Waiting:
		return rpc.Errorf(rpc.CodeTryAgainLater,
			"%d %s of this user are in progress on this device; try again later", own.Running+own.Waiting, l.what)
	case share.Waiting > 0 && j.unnamed && l.unnamed.Waiting >= less(l.limits.Waiting, share.Waiting):
		return l.tooManyUnnamed()
	default:
		j.asked = time.Now()
		l.waiting = append(l.waiting, j)
		l.countLocked(j, Share{Waiting: 1})
	}
	l.bytes += j.size
	l.countLocked(j, Share{Bytes: j.size})
	return nil
}

func (l *Lane) tooManyUnnamed() error {
	return rpc.Errorf(rpc.CodeTryAgainLater,
		"too many %s without a user id are in progress on this device; repeat the call with one", l.what)
}

// less returns what a share leaves of all, but at least one share.
func less(all, share int) int { return max(all-share, share) }

// plus returns the sum of both.
func (s Share) plus(o Share) Share {
	return Share{s.Running + o.Running, s.Waiting + o.Waiting, s.Bytes + o.Bytes}
}

// countLocked adds more to what the calls of j's user take.
func (l *Lane) countLocked(j *job, more Share) {
	if j.unnamed {
		l.unnamed = l.unnamed.plus(more)
	}
	own := l.users[j.user].plus(more)
	if own == (Share{}) {
		delete(l.users, j.user)
	} else {
		l.users[j.user] = own
	}
}

// mayRunLocked reports whether j may run now.
func (l *Lane) mayRunLocked(j *job) bool {
	return l.running < l.limits.Running && !l.orders[j.order] && !l.isBehindLocked(j) && l.hasShareLocked(j)
}

// isBehindLocked reports whether a call with the same order waits already.
func (l *Lane) isBehindLocked(j *job) bool {
	return j.order != "" && slices.ContainsFunc(l.waiting, func(w *job) bool { return w != j && w.order == j.order })
}

// hasShareLocked reports whether the share of j's user allows one more to run.
func (l *Lane) hasShareLocked(j *job) bool {
	most := l.limits.PerUser.Running
	if most == 0 {
		return true
	}
	return l.users[j.user].Running < most && (!j.unnamed || l.unnamed.Running < less(l.limits.Running, most))
}

// beginLocked runs j.
func (l *Lane) beginLocked(j *job) {
	l.running++
	l.countLocked(j, Share{Running: 1})
	if j.order != "" {
		l.orders[j.order] = true
	}
	go func() {
		defer l.ended(j)
		j.run()
	}()
}

// ended takes j out of the lane, and begins calls that waited for it.
func (l *Lane) ended(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.bytes -= j.size
	l.countLocked(j, Share{Running: -1, Bytes: -j.size})
	delete(l.orders, j.order)
	l.fillLocked()
	l.tellNoneLocked()
}

// fillLocked begins the waiting calls whose turn it is.
func (l *Lane) fillLocked() {
	for l.running < l.limits.Running {
		i := l.nextLocked()
		if i < 0 {
			break
		}
		next := l.waiting[i]
		if p := l.limits.Patience; p > 0 && time.Since(next.asked) > p {
			l.forsakeLocked(next)
			continue
		}
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.countLocked(next, Share{Waiting: -1})
		l.beginLocked(next)
	}
}

// forsakeLocked refuses a waiting call that nobody wants any more, with all that were to
// run after it: they must not run without it.
func (l *Lane) forsakeLocked(j *job) {
	why := rpc.Errorf(rpc.CodeTryAgainLater,
		"the %s in progress on this device took too long, and nobody asked for this one meanwhile; try again later", l.what)
	l.waiting = slices.DeleteFunc(l.waiting, func(w *job) bool {
		if w != j && (j.order == "" || w.order != j.order) {
			return false
		}
		l.bytes -= w.size
		l.countLocked(w, Share{Waiting: -1, Bytes: -w.size})
		go w.refuse(why) // it may wait for queue space
		return true
	})
}

// want says that the caller of j still waits for it.
func (l *Lane) want(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.asked = time.Now()
}

// nextLocked returns the index of the waiting call whose turn it is, -1 for none.
func (l *Lane) nextLocked() int {
	turn, before := -1, make(map[string]bool)
	for i, j := range l.waiting {
		if j.order != "" {
			if l.orders[j.order] || before[j.order] {
				continue
			}
			before[j.order] = true
		}
		if l.hasShareLocked(j) && (turn < 0 || l.users[j.user].Running < l.users[l.waiting[turn].user].Running) {
			turn = i
		}
	}
	return turn
}

// remove takes j out of the lane if it still waits, and reports whether it did.
func (l *Lane) remove(j *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, j)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	l.bytes -= j.size
	l.countLocked(j, Share{Waiting: -1, Bytes: -j.size})
	l.fillLocked() // j may have held up a call with the same order
	l.tellNoneLocked()
	return true
}
