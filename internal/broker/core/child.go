package core

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
)

// brokerRoles are the roles whose users may log in as brokers below this one, as
// the other brokers call them.
var brokerRoles = []string{"broker", "child-broker", "masterBroker"}

func mayBeBroker(u *auth.User) bool {
	return u != nil && slices.ContainsFunc(brokerRoles, func(role string) bool { return slices.Contains(u.Roles, role) })
}

// isBroker tells whether a login is that of a broker below (spec.md 5.4).
func isBroker(options chainpack.Value) bool {
	v, _ := options.Get("broker")
	return v.Kind() == chainpack.KindMap
}

const (
	// refresh is how often what a child is subscribed to is looked at without a
	// reason: subscriptions end with their time too. retry is when a call is made
	// again that failed, and callWait how long one may take.
	refresh  = time.Minute
	retry    = 10 * time.Second
	callWait = 10 * time.Second
	// gather is how long wishes are put together.
	gather = 10 * time.Millisecond
	// maxCalls is how many calls of ours may be under way to one child.
	maxCalls = 32
)

var (
	errChildGone = errors.New("it is gone")
	errNoAnswer  = errors.New("it does not answer")
)

// below is what a session has whose peer is a broker below: it is subscribed to
// what our clients want of its tree (spec.md 7.7).
type below struct {
	session *session
	mount   string
	poke    chan struct{} // capacity 1: something may have changed
	ctx     context.Context
	cancel  context.CancelFunc
	ended   sync.WaitGroup
	unwatch func() // nil before start

	mu     sync.Mutex
	lastID int64
	calls  map[int64]chan<- error // those under way, by request id
	result chainpack.Value        // of the last one

	// Of run.
	known bool                       // which API it has
	old   bool                       // that of SHV 2
	have  map[string]chainpack.Value // the params that it is subscribed with
}

// newBelow makes what a child at a mount point has; nil where its user may be none.
func (s *session) newBelow(mount string) *below {
	if !mayBeBroker(s.user.Load()) {
		s.log.Provoked("taken for a device and not for a broker: its user has no such role", func(e *zerolog.Event) { e.Strs("roles", brokerRoles) })
		return nil
	}
	d := &below{session: s, mount: mount, poke: make(chan struct{}, 1), calls: make(map[int64]chan<- error), have: make(map[string]chainpack.Value)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// setDown lets others know, who look under broker.mu before the login is done.
func (s *session) setDown(d *below) {
	s.broker.mu.Lock()
	s.down = d
	s.broker.mu.Unlock()
}

// start begins to subscribe, if the child is mounted.
func (d *below) start() {
	b := d.session.broker
	if b.mountPointOf(d.session) == "" {
		return
	}
	d.session.link.Share(b.limits.QueueBytes)
	d.unwatch = b.topics.Watch(d.concerns)
	d.ended.Go(d.run)
}

// stop ends it and waits for that.
func (d *below) stop() {
	if d.unwatch != nil {
		d.unwatch()
	}
	d.cancel()
	d.ended.Wait()
}

// concerns pokes the child when an identifier means something below it.
func (d *below) concerns(ri shvpath.RI) {
	if len(ri.Below(d.mount)) == 0 {
		return
	}
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

func (d *below) run() {
	for {
		wait := refresh
		pause := time.NewTimer(gather) // others may want something too
		select {
		case <-pause.C:
		case <-d.ctx.Done():
		}
		pause.Stop()
		err := d.sync()
		if !d.known && rpc.IsUnknown(err) {
			return // a device of a user who may be a broker
		}
		if err != nil && d.ctx.Err() == nil {
			d.session.log.Warn().Err(err).Msg("cannot subscribe to signals of the broker below")
			wait = retry
		}
		timer := time.NewTimer(wait)
		select {
		case <-d.poke:
		case <-timer.C:
		case <-d.ctx.Done():
		}
		timer.Stop()
		if d.ctx.Err() != nil {
			return
		}
	}
}

// sync makes the child's subscriptions what is wanted. The first error is told,
// after the rest was tried.
func (d *below) sync() error {
	if !d.known {
		errs := d.callAll([]ownCall{{".broker", "ls", chainpack.Null()}})
		if errs[0] != nil {
			return errs[0]
		}
		d.old = slices.Contains(texts(d.result), "clients")
		d.known = true
	}
	node := own.CurrentClient
	if d.old {
		node = ".broker/app"
	}
	want := d.params(d.session.broker.topics.Below(d.session, d.mount, time.Now()))
	var calls []ownCall
	var done []func()
	for key, param := range want {
		if _, ok := d.have[key]; !ok {
			calls = append(calls, ownCall{node, "subscribe", param})
			done = append(done, func() { d.have[key] = param })
		}
	}
	for key, param := range d.have {
		if _, ok := want[key]; !ok {
			calls = append(calls, ownCall{node, "unsubscribe", param})
			done = append(done, func() { delete(d.have, key) })
		}
	}
	var failed error
	for i, err := range d.callAll(calls) {
		if err == nil {
			done[i]()
		} else if failed == nil {
			failed = err
		}
	}
	return failed
}

// params are what the child is to be subscribed with, by a name for each. SHV 2
// knows paths and all below, without globs: that may be more than was wanted.
func (d *below) params(all []shvpath.RI) map[string]chainpack.Value {
	params := make(map[string]chainpack.Value)
	for _, ri := range all {
		param := chainpack.String(ri.String())
		if d.old {
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

// ownCall is a call that the broker makes by itself.
type ownCall struct {
	path, method string
	param        chainpack.Value
}

// callAll makes calls of the child, many at a time, and gives the errors of each.
func (d *below) callAll(calls []ownCall) []error {
	errs := make([]error, 0, len(calls))
	for part := range slices.Chunk(calls, maxCalls) {
		var waiting []chan error
		for _, c := range part {
			waiting = append(waiting, d.call(c))
		}
		late := time.NewTimer(callWait)
		for _, answer := range waiting {
			select {
			case err := <-answer:
				errs = append(errs, err)
				continue
			case <-late.C:
				late.Reset(0) // for the others too
				errs = append(errs, errNoAnswer)
			case <-d.ctx.Done():
				errs = append(errs, errChildGone)
			}
		}
		late.Stop()
		d.mu.Lock()
		clear(d.calls)
		d.mu.Unlock()
	}
	return errs
}

// call begins a call, with all rights: the child keeps what its parent grants.
func (d *below) call(c ownCall) chan error {
	answer := make(chan error, 1)
	d.mu.Lock()
	d.lastID++
	id := d.lastID
	d.calls[id] = answer
	d.mu.Unlock()
	var m rpc.Message
	if err := m.Parse(rpc.AppendRequest(nil, id, c.path, c.method, c.param)); err != nil {
		answer <- err
		return answer
	}
	m.SetAccess(rpc.AccessSuper)
	message := append(m.AppendMeta(nil), m.Body()...)
	s := d.session
	s.broker.opts.Journal.Sent(s.id, message, false)
	f := link.NewMessage(message)
	defer f.Release()
	if err := s.link.Send(f, nil); err != nil {
		answer <- err
	}
	return answer
}

// answered takes a response without caller ids: to a call of ours, or to none. It
// is called by the read loop.
func (d *below) answered(m *rpc.Message) bool {
	d.mu.Lock()
	answer := d.calls[m.ID()]
	delete(d.calls, m.ID())
	d.mu.Unlock()
	if answer == nil {
		return false
	}
	content, err := m.ContentWithin(own.MaxParamItems)
	if err == nil && content.Error != nil {
		err = content.Error
	}
	if err == nil {
		d.mu.Lock()
		d.result = content.Value
		d.mu.Unlock()
	}
	answer <- err // it has room for one
	return true
}
