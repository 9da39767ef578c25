// Package asynccall runs the calls that a device answers later (spec.md 3.7). It runs them
// outside the read loop within bounds, fairly by user, answers callers that ask whether a
// call still runs, and ends calls that are aborted or whose connection is lost.
//
// It does not know what a call does: that is a Func of its user.
package asynccall

import (
	"context"
	"errors"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// Causes for the end of a call's context.
var (
	errAborted = errors.New("the caller has aborted the call")
	// ErrLost is the cause when the connection to the caller is lost.
	ErrLost = errors.New("the connection to the caller is lost")
)

// Func is what a call does. It must return soon after ctx ends. Its result is then dropped,
// unless ctx ended because of the lane's limit of time. It may report its progress, from 0
// to 1.
type Func func(ctx context.Context, progress func(float64)) (chainpack.Value, error)

// Table holds the calls of one connection. All methods may be called concurrently.
type Table struct {
	send func([]byte) error
	log  zerolog.Logger

	running sync.WaitGroup

	mu     sync.Mutex
	calls  map[string]*call
	closed bool
}

// call is a call that is not answered yet.
type call struct {
	key      string
	from     rpc.Address
	progress atomic.Uint64 // float64
	lane     *Lane         // nil: the call is held
	job      job
	ctx      context.Context
	cancel   context.CancelCauseFunc
}

// NewTable returns an empty Table. send sends an answer; it may wait for queue space as
// long as the connection lives.
func NewTable(send func([]byte) error, log zerolog.Logger) *Table {
	return &Table{send: send, log: log, calls: make(map[string]*call)}
}

// Turn decides when a call has its turn in a lane.
type Turn struct {
	User  string // user whose share counts; "": the call has no user id
	Order string // calls of one caller with the same Order run one after the other; "": any
}

// Start has lane run a call, and sends its answer. It never waits. The error is
// node.ErrLater, or says why the call will not run.
func (t *Table) Start(lane *Lane, r *node.Request, turn Turn, run Func) (chainpack.Value, error) {
	c := &call{key: keyOf(r.From), from: r.From, lane: lane}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.job = job{size: r.Size, run: func() { t.run(c, run) }, refuse: func(why error) { t.refuse(c, why) }}
	caller := string(r.From.Callers.AppendKey(nil))
	if c.job.user = "user " + turn.User; turn.User == "" {
		c.job.user, c.job.unnamed = "caller "+caller, true
	}
	if turn.Order != "" {
		c.job.order = caller + "/" + turn.Order
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return chainpack.Value{}, ErrLost
	case t.calls[c.key] != nil:
		t.calls[c.key].want()
		return chainpack.Value{}, node.ErrLater // repeated; the running one is answered
	}
	t.running.Add(1)
	if err := lane.add(&c.job); err != nil {
		t.running.Done()
		c.cancel(nil)
		return chainpack.Value{}, err
	}
	t.calls[c.key] = c
	return chainpack.Value{}, node.ErrLater
}

// Hold reports a call, which the Table does not answer, as running until release.
func (t *Table) Hold(from rpc.Address) (release func()) {
	c := &call{key: keyOf(from), from: from, cancel: func(error) {}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[c.key] != nil {
		return func() {}
	}
	t.calls[c.key] = c
	return func() { t.forget(c) }
}

// run is the goroutine of a call, from its turn to its answer.
func (t *Table) run(c *call, run Func) {
	defer t.running.Done()
	defer c.cancel(nil)
	result, err := t.result(c, run)
	if c.ctx.Err() == nil {
		answer := rpc.AppendResult(nil, c.from, result)
		if err != nil {
			answer = rpc.AppendError(nil, c.from, rpc.AsError(err))
		}
		_ = t.send(answer) // fails at the end of the connection only
	}
	// Only after the answer: a caller that asked in between would learn that the call
	// does not run, and repeat it.
	t.forget(c)
}

// result runs the call within the lane's limit of time.
func (t *Table) result(c *call, run Func) (result chainpack.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("call panicked")
			err = node.ErrInternal
		}
	}()
	ctx := c.ctx
	if limit := c.lane.limits.Time; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, &timeError{limit})
		defer cancel()
	}
	return run(ctx, func(p float64) { c.progress.Store(math.Float64bits(p)) })
}

func (t *Table) forget(c *call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[c.key] == c {
		delete(t.calls, c.key)
	}
}

// Progress returns the progress of the call with this address, from 0 to 1; ok is false if
// there is none. It implements node.Running.
func (t *Table) Progress(from rpc.Address) (progress float64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.calls[keyOf(from)]
	if c == nil {
		return 0, false
	}
	c.want()
	return math.Float64frombits(c.progress.Load()), true
}

// want says that the caller still waits for the answer.
func (c *call) want() {
	if c.lane != nil {
		c.lane.want(&c.job)
	}
}

// refuse answers a call that waited and does not run.
func (t *Table) refuse(c *call, why error) {
	defer t.running.Done()
	if c.ctx.Err() == nil {
		_ = t.send(rpc.AppendError(nil, c.from, rpc.AsError(why))) // fails at the end of the connection only
	}
	c.cancel(why)
	t.forget(c)
}

// Abort ends the call with this address, without an answer. It implements node.Running.
func (t *Table) Abort(from rpc.Address) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.calls[keyOf(from)]; c != nil && c.lane != nil {
		delete(t.calls, c.key)
		t.endLocked(c, errAborted)
	}
}

// endLocked cancels a call. If it waits for its turn, it will not run.
func (t *Table) endLocked(c *call, cause error) {
	c.cancel(cause)
	if c.lane != nil && c.lane.remove(&c.job) {
		t.running.Done()
	}
}

// Stop ends all calls with the answer why, and starts no others. Unlike Close it does not
// wait for them.
func (t *Table) Stop(why error) {
	t.mu.Lock()
	t.closed = true
	var stopped []*call
	for _, c := range t.calls {
		if c.lane != nil {
			stopped = append(stopped, c)
			delete(t.calls, c.key)
			t.endLocked(c, why)
		}
	}
	t.mu.Unlock()
	for _, c := range stopped {
		_ = t.send(rpc.AppendError(nil, c.from, rpc.AsError(why)))
	}
}

// Close ends all calls without answers, and starts no others. It waits for them, but not
// longer than grace: one may be stuck in the kernel.
func (t *Table) Close(grace time.Duration) {
	t.mu.Lock()
	t.closed = true
	for _, c := range t.calls {
		t.endLocked(c, ErrLost)
	}
	clear(t.calls)
	t.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		t.running.Wait()
		close(ended)
	}()
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-ended:
	case <-late.C:
		t.log.Warn().Msg("calls still running after the end of their connection")
	}
}

func keyOf(from rpc.Address) string {
	return string(from.Callers.AppendKey(chainpack.AppendUIntData(nil, uint64(from.ID))))
}
