package agent

import (
	"context"
	"sync"
	"time"

	"shvtools/internal/device/config"
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/rpc"
)

// Terms are what an agent may be given while it runs.
type Terms struct {
	Policy   *policy.Policy // nil: policy.Default
	Sessions Sessions
	Drain    time.Duration // how long sessions and calls may go on after the agent was stopped
	Brokers  []Broker      // are tried in this order, from the next connection on
}

// InForce holds the terms of an agent, and what runs under them: Replace ends what they no
// longer allow. All methods may be called concurrently.
type InForce struct {
	mu      sync.Mutex
	terms   Terms
	running map[*permit]func(why error)
}

// permit is the policy's grant for a request.
type permit struct {
	ask   policy.Ask
	grant *policy.Grant
}

// NewInForce returns the terms with which an agent begins.
func NewInForce(t Terms) *InForce {
	return &InForce{terms: t.complete(), running: make(map[*permit]func(error))}
}

func (t Terms) complete() Terms {
	if t.Policy == nil {
		t.Policy = policy.Default()
	}
	if t.Sessions.Total == 0 {
		t.Sessions.Total = config.DefaultSessions
	}
	return t
}

func (f *InForce) now() Terms {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.terms
}

// Brokers returns the brokers of the next connection.
func (f *InForce) Brokers() []Broker { return f.now().Brokers }

// Drain returns how long sessions and calls may go on after the agent was stopped.
func (f *InForce) Drain() time.Duration { return f.now().Drain }

// Replace puts t in force, ends the sessions and calls that it does not allow, and returns
// their number. Their users read why. It waits a second at most for each session that does not
// listen.
func (f *InForce) Replace(t Terms) (ended int) {
	t = t.complete()
	for permit, end := range f.replace(t) {
		end(t.Policy.Still(permit.ask, permit.grant))
		ended++
	}
	return ended
}

// replace returns what must end. None of it is registered any more.
func (f *InForce) replace(t Terms) map[*permit]func(error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.terms = t
	over := make(map[*permit]func(error))
	for permit, end := range f.running {
		if t.Policy.Still(permit.ask, permit.grant) != nil {
			over[permit] = end
			delete(f.running, permit)
		}
	}
	return over
}

// renew returns the permit of what is about to begin, some time after it was asked for: its limits are
// those of now. The error, for the user, says that the terms no longer allow it.
func (f *InForce) renew(p permit) (permit, error) {
	rules := f.now().Policy
	if err := rules.Still(p.ask, p.grant); err != nil {
		return permit{}, rpc.Errorf(rpc.CodeException, "%v", err)
	}
	grant, err := rules.Judge(p.ask)
	return permit{p.ask, grant}, err
}

// begin registers what begins under p until leave is called. It is ended by end, once, when the
// terms no longer allow it. The error, for the user, says that they do not do so already.
func (f *InForce) begin(p permit, end func(why error)) (leave func(), err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.terms.Policy.Still(p.ask, p.grant); err != nil {
		return nil, err
	}
	at := &p
	f.running[at] = end
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.running, at)
	}, nil
}

// during is begin for a call: the context ends when the terms no longer allow it.
func (f *InForce) during(ctx context.Context, p permit) (context.Context, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	leave, err := f.begin(p, cancel)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	return ctx, func() { leave(); cancel(nil) }, nil
}
