package calls

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"shvtools/internal/rpc"
)

// Limits of a lane.
type Limits struct {
	Running int           // calls that run at once
	Waiting int           // calls that wait for their turn
	Bytes   int           // of the requests of all of them
	Time    time.Duration // that a call may run; 0: for ever
}

// Lane runs calls of one kind, of all connections. It holds no goroutines while
// there are none. All methods may be called concurrently.
type Lane struct {
	limits Limits
	what   string

	mu      sync.Mutex
	running int
	bytes   int
	orders  map[string]bool // of the calls that run
	waiting []*job
	refusal error         // of all calls; nil: they are taken
	none    chan struct{} // closed when none is under way any more; nil: nobody waits
}

// job is one call in a lane.
type job struct {
	order string
	size  int
	run   func()
}

// TimeError is the cause of the end of a call that took too long.
type TimeError struct{ Limit time.Duration }

// Error names the limit.
func (e *TimeError) Error() string {
	return fmt.Sprintf("not done within %s, the limit on this device", e.Limit)
}

// NewLane makes a lane for calls that are named what, in the plural, in errors.
func NewLane(what string, limits Limits) *Lane {
	return &Lane{limits: limits, what: what, orders: make(map[string]bool)}
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
	if l.bytes > 0 && l.bytes+j.size > l.limits.Bytes {
		return rpc.Errorf(rpc.CodeTryAgainLater, "too much is under way on this device, no more %s are taken", l.what)
	}
	if !l.mayRun(j) {
		if len(l.waiting) >= l.limits.Waiting {
			return rpc.Errorf(rpc.CodeTryAgainLater, "%d %s are under way on this device, no more are taken", l.running+len(l.waiting), l.what)
		}
		l.waiting = append(l.waiting, j)
	} else {
		l.begin(j)
	}
	l.bytes += j.size
	return nil
}

func (l *Lane) mayRun(j *job) bool {
	return l.running < l.limits.Running && !l.orders[j.order] && !l.precedes(j)
}

// precedes tells whether one of the same order waits already.
func (l *Lane) precedes(j *job) bool {
	return j.order != "" && slices.ContainsFunc(l.waiting, func(w *job) bool { return w != j && w.order == j.order })
}

// begin runs j; l.mu is held.
func (l *Lane) begin(j *job) {
	l.running++
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
	delete(l.orders, j.order)
	for i := 0; i < len(l.waiting) && l.running < l.limits.Running; {
		next := l.waiting[i]
		if l.orders[next.order] {
			i++
			continue
		}
		l.waiting = slices.Delete(l.waiting, i, i+1)
		l.begin(next)
	}
	l.tellNone()
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
	l.tellNone()
	return true
}
