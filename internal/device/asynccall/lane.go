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
	Running int // calls that run at once
	Waiting int // calls that wait for their turn
	Bytes   int // of the requests of all of them
	PerUser Share
	Time    time.Duration // that a call may run; 0: for ever
}

// Share is what one user may have of a lane. Zero fields: all of it. Callers who do not
// tell their user may have it too, each, but together they leave one share to those
// who do: nobody can tell how many they are.
type Share struct {
	Running, Waiting, Bytes int
}

// Lane runs calls of one kind, of all connections. Those that wait have their turn
// in the order in which they came, but who has less under way goes first. It holds
// no goroutines while there are none. All methods may be called concurrently.
type Lane struct {
	limits Limits
	what   string

	mu      sync.Mutex
	running int
	bytes   int
	orders  map[string]bool  // of the calls that run
	users   map[string]Share // what each has under way; nobody else is in it
	unnamed Share            // what those have who do not tell their user, together
	waiting []*job
	refusal error         // of all calls; nil: they are taken
	none    chan struct{} // closed when none is under way any more; nil: nobody waits
}

// job is one call in a lane.
type job struct {
	user    string
	unnamed bool // it is a caller, who does not tell his user
	order   string
	size    int
	run     func()
}

// timeError is the cause of the end of a call that took too long.
type timeError struct{ Limit time.Duration }

// Error names the limit.
func (e *timeError) Error() string {
	return fmt.Sprintf("not done within %s, the limit on this device", e.Limit)
}

// NewLane makes a lane for calls that are named what, in the plural, in errors.
func NewLane(what string, limits Limits) *Lane {
	return &Lane{limits: limits, what: what, orders: make(map[string]bool), users: make(map[string]Share)}
}

// Refuse takes no calls any more: their error is refusal. It gives how many are
// under way, and a channel that is closed when they have ended. It is called once.
func (l *Lane) Refuse(refusal error) (left int, none <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := make(chan struct{})
	l.refusal, l.none = refusal, ended
	l.tellNone()
	return l.running + len(l.waiting), ended
}

// tellNone tells who waits that no call is under way, if so; l.mu is held.
func (l *Lane) tellNone() {
	if l.none != nil && l.running+len(l.waiting) == 0 {
		close(l.none)
		l.none = nil
	}
}

// add runs j, now or when it is its turn.
func (l *Lane) add(j *job) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refusal != nil {
		return l.refusal
	}
	own, share := l.users[j.user], l.limits.PerUser
	switch {
	case l.bytes > 0 && l.bytes+j.size > l.limits.Bytes:
		return rpc.Errorf(rpc.CodeTryAgainLater, "too much is under way on this device, no more %s are taken", l.what)
	case share.Bytes > 0 && own.Bytes > 0 && own.Bytes+j.size > share.Bytes:
		return rpc.Errorf(rpc.CodeTryAgainLater, "too much of one user is under way on this device, no more of his %s are taken", l.what)
	case share.Bytes > 0 && j.unnamed && l.unnamed.Bytes > 0 && l.unnamed.Bytes+j.size > less(l.limits.Bytes, share.Bytes):
		return l.tooManyUnnamed()
	case l.mayRun(j):
		l.begin(j)
	case len(l.waiting) >= l.limits.Waiting:
		return rpc.Errorf(rpc.CodeTryAgainLater, "%d %s are under way on this device, no more are taken", l.running+len(l.waiting), l.what)
	case share.Waiting > 0 && own.Waiting >= share.Waiting:
		return rpc.Errorf(rpc.CodeTryAgainLater, "%d %s of one user are under way on this device, no more of his are taken", own.Running+own.Waiting, l.what)
	case share.Waiting > 0 && j.unnamed && l.unnamed.Waiting >= less(l.limits.Waiting, share.Waiting):
		return l.tooManyUnnamed()
	default:
		l.waiting = append(l.waiting, j)
		l.count(j, Share{Waiting: 1})
	}
	l.bytes += j.size
	l.count(j, Share{Bytes: j.size})
	return nil
}

func (l *Lane) tooManyUnnamed() error {
	return rpc.Errorf(rpc.CodeTryAgainLater, "too many %s without a user id are under way on this device, only those with one are taken", l.what)
}

// less is what a share leaves of all, or the share where that is less.
func less(all, share int) int { return max(all-share, share) }

// plus is both together.
func (s Share) plus(o Share) Share {
	return Share{s.Running + o.Running, s.Waiting + o.Waiting, s.Bytes + o.Bytes}
}

// count adds to what the user of j has under way; l.mu is held.
func (l *Lane) count(j *job, more Share) {
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

func (l *Lane) mayRun(j *job) bool {
	return l.running < l.limits.Running && !l.orders[j.order] && !l.precedes(j) && l.hasShare(j)
}

// precedes tells whether one of the same order waits already.
func (l *Lane) precedes(j *job) bool {
	return j.order != "" && slices.ContainsFunc(l.waiting, func(w *job) bool { return w != j && w.order == j.order })
}

// hasShare tells whether one more of the user of j may run.
func (l *Lane) hasShare(j *job) bool {
	most := l.limits.PerUser.Running
	return most == 0 || l.users[j.user].Running < most && (!j.unnamed || l.unnamed.Running < less(l.limits.Running, most))
}

// begin runs j; l.mu is held.
func (l *Lane) begin(j *job) {
	l.running++
	l.count(j, Share{Running: 1})
	if j.order != "" {
		l.orders[j.order] = true
	}
	go func() {
		defer l.ended(j)
		j.run()
	}()
}

// ended lets those run that waited for j.
func (l *Lane) ended(j *job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	l.bytes -= j.size
	l.count(j, Share{Running: -1, Bytes: -j.size})
	delete(l.orders, j.order)
	l.fill()
	l.tellNone()
}

// fill begins those whose turn it is; l.mu is held.
func (l *Lane) fill() {
	for l.running < l.limits.Running {
		i := l.next()
		if i < 0 {
			break
		}
		next := l.waiting[i]
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.count(next, Share{Waiting: -1})
		l.begin(next)
	}
}

// next finds the one of those that wait whose turn it is, -1 if it is nobody's;
// l.mu is held.
func (l *Lane) next() int {
	turn, before := -1, make(map[string]bool)
	for i, j := range l.waiting {
		if j.order != "" {
			if l.orders[j.order] || before[j.order] {
				continue
			}
			before[j.order] = true
		}
		if l.hasShare(j) && (turn < 0 || l.users[j.user].Running < l.users[l.waiting[turn].user].Running) {
			turn = i
		}
	}
	return turn
}

// remove takes j away if it still waits.
func (l *Lane) remove(j *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, j)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	l.bytes -= j.size
	l.count(j, Share{Waiting: -1, Bytes: -j.size})
	l.fill() // it may have had one of the same order wait, of a user with room
	l.tellNone()
	return true
}
