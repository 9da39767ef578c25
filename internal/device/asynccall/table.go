// Package asynccall keeps the calls that a device answers later: it runs them apart
// from the read loop, within bounds, answers who asks whether they still run, and
// ends those that are aborted or that nobody can be answered any more
// (spec.md 3.7). What a call does is not its matter.
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

// Causes of the end of a call's context, but for a *timeError.
var (
	errAborted = errors.New("the caller has aborted the call")
	ErrLost    = errors.New("the connection to the caller is lost")
)

// Func is what a call does. It ends soon after ctx has; its result is then of no
// use to anybody, unless the cause is a *timeError. progress may be told how far
// it is, from 0 to 1.
type Func func(ctx context.Context, progress func(float64)) (chainpack.Value, error)

// Table are the calls of one connection. All methods may be called concurrently.
type Table struct {
	send func([]byte) error
	log  zerolog.Logger

	running sync.WaitGroup

	mu     sync.Mutex
	calls  map[string]*call
	closed bool
}

// call is one that is not answered yet.
type call struct {
	key      string
	from     rpc.Address
	progress atomic.Uint64 // float64
	lane     *Lane         // nil for one that is held
	job      job
	ctx      context.Context
	cancel   context.CancelCauseFunc
}

// NewTable gives an empty one. send sends an answer and may wait for room, as long
// as the connection lives.
func NewTable(send func([]byte) error, log zerolog.Logger) *Table {
	return &Table{send: send, log: log, calls: make(map[string]*call)}
}

// Turn says when it is the turn of a call in its lane.
type Turn struct {
	User  string // who calls; "": whoever is at the other end of the caller's connection
	Order string // calls of one caller with the same one run one after the other; "": none
}

// Start lets lane run a call and answers it. It never waits: the error is
// node.ErrLater, or tells why the call will not run.
func (t *Table) Start(lane *Lane, r *node.Request, turn Turn, run Func) (chainpack.Value, error) {
	c := &call{key: keyOf(r.From), from: r.From, lane: lane}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.job = job{size: r.Size, run: func() { t.run(c, run) }}
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
		return chainpack.Value{}, node.ErrLater // answered once, by the one that runs
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

// Hold makes a call that somebody else answers known as running, until release.
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

// run is a call in its goroutine, from its turn to its answer.
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
	// Only now: who asked between the two would be told that it does not run, and
	// would call again.
	t.forget(c)
}

// result runs the call within its time.
func (t *Table) result(c *call, run Func) (result chainpack.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a call panicked")
			err = rpc.Errorf(rpc.CodeInternal, "internal error")
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

// Progress is that of the call with this address (node.Running).
func (t *Table) Progress(from rpc.Address) (float64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.calls[keyOf(from)]
	if c == nil {
		return 0, false
	}
	return math.Float64frombits(c.progress.Load()), true
}

// Abort ends the call with this address, which gets no answer (node.Running).
func (t *Table) Abort(from rpc.Address) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.calls[keyOf(from)]; c != nil && c.lane != nil {
		delete(t.calls, c.key)
		t.end(c, errAborted)
	}
}

// end cancels a call; one that waits for its turn will have none. t.mu is held.
func (t *Table) end(c *call, cause error) {
	c.cancel(cause)
	if c.lane != nil && c.lane.remove(&c.job) {
		t.running.Done()
	}
}

// Stop ends all calls, each with why for an answer, and does not wait for what they
// do; Close does. No others begin.
func (t *Table) Stop(why error) {
	t.mu.Lock()
	t.closed = true
	var stopped []*call
	for _, c := range t.calls {
		if c.lane != nil {
			stopped = append(stopped, c)
			delete(t.calls, c.key)
			t.end(c, why)
		}
	}
	t.mu.Unlock()
	for _, c := range stopped {
		_ = t.send(rpc.AppendError(nil, c.from, rpc.AsError(why)))
	}
}

// Close ends all calls, without answers, and waits for them, for grace at the
// most: one may be stuck in the kernel. No others begin.
func (t *Table) Close(grace time.Duration) {
	t.mu.Lock()
	t.closed = true
	for _, c := range t.calls {
		t.end(c, ErrLost)
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
		t.log.Warn().Msg("calls that do not end are left to themselves")
	}
}

func keyOf(from rpc.Address) string {
	return string(from.Callers.AppendKey(chainpack.AppendUIntData(nil, uint64(from.ID))))
}
