// Package childbroker keeps a broker subscribed, at a child broker, to what the
// broker's clients want of the child's tree (spec.md 7.7).
//
// It is not a connection: the broker sends its calls, and hands it the answers. A
// child is called with all rights, since it keeps what its parent grants.
package childbroker

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

const (
	// Refresh is how often what is wanted is looked at without a reason, since
	// subscriptions end with their time too, and is subscribed again, since somebody may
	// have ended it at the child.
	Refresh = time.Minute
	// Retry is when a call is repeated that failed, and CallWait how long one may
	// take.
	Retry    = 10 * time.Second
	CallWait = 10 * time.Second
	// Gather is how long wishes are put together.
	Gather = 10 * time.Millisecond
	// MaxCalls is how many calls may be under way to one child.
	MaxCalls = 32
)

var (
	errGone     = errors.New("it is gone")
	errNoAnswer = errors.New("it does not answer")
)

// Options of a Child.
type Options struct {
	Mount string // where the child is mounted
	// Watch calls concerns with each topic that begins, or may end, to be wanted, until
	// stop is called; see topics.Table.
	Watch func(concerns func(shvpath.RI)) (stop func())
	// Wanted returns what others want of the child's tree now, in its words.
	Wanted func() []shvpath.RI
	// Send sends a message to the child, and does not wait.
	Send func(message []byte) error
	// Failed is called when not all could be subscribed, before the next try.
	Failed func(error)
}

// Child is a child broker. Answered may be called at any time, Start and Stop one after
// the other.
type Child struct {
	options Options
	unwatch func()        // nil before Start
	poke    chan struct{} // capacity 1: something may have changed
	ctx     context.Context
	cancel  context.CancelFunc
	ended   sync.WaitGroup

	mu     sync.Mutex
	lastID int64
	calls  map[int64]chan<- answer // those under way, by request id

	// Of run.
	known bool                       // which API it has
	fresh map[string]bool            // those of have that were subscribed since then
	since time.Time                  // when all was to be subscribed again
	old   bool                       // that of SHV 2
	have  map[string]chainpack.Value // the params that it is subscribed with
}

// New returns a Child, which does nothing before Start.
func New(o Options) *Child {
	c := &Child{
		options: o,
		poke:    make(chan struct{}, 1),
		calls:   make(map[int64]chan<- answer),
		have:    make(map[string]chainpack.Value),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Start begins to subscribe.
func (c *Child) Start() {
	c.unwatch = c.options.Watch(c.concerns)
	c.ended.Go(c.run)
}

// Stop ends that and waits for it. It does not unsubscribe: the child is gone. It may
// be called without Start.
func (c *Child) Stop() {
	if c.unwatch != nil {
		c.unwatch()
	}
	c.cancel()
	c.ended.Wait()
}

// concerns wakes run if a topic means something in the child's tree.
func (c *Child) concerns(ri shvpath.RI) {
	if !ri.MayMean(c.options.Mount) { // cheap, since whoever subscribes waits for it
		return
	}
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// Answered takes a response of the child without caller ids. It returns false if that
// answers no call of ours. It does not wait.
func (c *Child) Answered(m *rpc.Message) bool {
	c.mu.Lock()
	waiting := c.calls[m.ID()]
	delete(c.calls, m.ID())
	c.mu.Unlock()
	if waiting == nil {
		return false
	}
	content, err := m.ContentWithin(own.MaxParamItems)
	if err == nil && content.Error != nil {
		err = content.Error
	}
	waiting <- answer{content.Value, err} // it has the capacity for one
	return true
}

func (c *Child) run() {
	for {
		c.wait(Gather, nil) // others may want something too
		pause := Refresh
		err := c.sync()
		if !c.known && rpc.IsUnknown(err) {
			return // a device of a user who may be a broker
		}
		if err != nil && c.ctx.Err() == nil {
			c.options.Failed(err)
			pause = Retry
		}
		if c.wait(pause, c.poke); c.ctx.Err() != nil {
			return
		}
	}
}

// wait waits for a time, for early, or for Stop.
func (c *Child) wait(d time.Duration, early <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-early:
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// sync makes the child's subscriptions what is wanted. It returns the first error,
// after the rest was tried.
func (c *Child) sync() error {
	if !c.known {
		ls := c.callAll([]call{{".broker", "ls", chainpack.Null()}})[0]
		if ls.err != nil {
			return ls.err
		}
		c.old = slices.ContainsFunc(ls.value.Items(), func(name chainpack.Value) bool {
			text, _ := name.AsString()
			return text == "clients"
		})
		c.known = true
	}
	node := own.CurrentClient
	if c.old {
		node = ".broker/app"
	}
	want := c.params(c.options.Wanted())
	var calls []call
	var done []func()
	if now := time.Now(); now.Sub(c.since) >= Refresh {
		c.since, c.fresh = now, make(map[string]bool)
	}
	for key, param := range want {
		if !c.fresh[key] {
			calls = append(calls, call{node, "subscribe", param})
			done = append(done, func() { c.have[key], c.fresh[key] = param, true })
		}
	}
	for key, param := range c.have {
		if _, ok := want[key]; !ok {
			calls = append(calls, call{node, "unsubscribe", param})
			done = append(done, func() {
				delete(c.have, key)
				delete(c.fresh, key)
			})
		}
	}
	var failed error
	for i, a := range c.callAll(calls) {
		if a.err == nil {
			done[i]()
		} else if failed == nil {
			failed = a.err
		}
	}
	return failed
}

// params are what the child is to be subscribed with, by a name for each. SHV 2
// knows paths and all below, without globs: that may be more than was wanted.
func (c *Child) params(all []shvpath.RI) map[string]chainpack.Value {
	params := make(map[string]chainpack.Value)
	for _, ri := range all {
		param := chainpack.String(ri.String())
		if c.old {
			param = oldForm(ri)
		}
		params[cpon.String(param)] = param
	}
	return params
}

// oldForm is the param of SHV 2 that means at least what ri means.
func oldForm(ri shvpath.RI) chainpack.Value {
	return chainpack.Map(
		chainpack.F("method", chainpack.String(ri.ExactSignal())),
		chainpack.F("path", chainpack.String(ri.Path().Stem(mounts.MaxDepth))),
		chainpack.F("source", chainpack.String(ri.ExactMethod())),
	)
}
