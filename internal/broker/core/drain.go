package core

import (
	"cmp"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"shvtools/internal/broker/internal/record"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// stopping is the reason that peers receive.
const stopping = "the broker is stopping"

// Drain says how a broker stops.
type Drain struct {
	Grace  time.Duration // how long open tunnels may continue
	Spread time.Duration // connections are closed at random moments within it
}

// Drain stops the broker in good order. From now on, no connection and no login is
// accepted, and no session begins. Tunnels may end by themselves within the grace, and
// then are closed. Then all connections are closed, spread over time so that a fleet
// does not reconnect at once. Drain returns when that is done, or ctx ends; the caller
// still calls Close.
func (b *Broker) Drain(ctx context.Context, d Drain) {
	b.stopEntry()
	if !b.awaitTunnels(ctx, d.Grace) {
		return
	}
	for _, n := range b.endTunnels() {
		n.send()
	}
	b.closeSpread(ctx, d.Spread)
}

// Draining reports whether Drain or Close was called.
func (b *Broker) Draining() bool { return b.draining.Load() || b.isClosed() }

// stopEntry closes the listeners, and refuses the calls that wait for a helper, since
// none can connect any more.
func (b *Broker) stopEntry() {
	var notices []notice
	b.mu.Lock()
	b.draining.Store(true)
	listeners := slices.Collect(maps.Keys(b.listeners))
	for _, t := range b.calls {
		if t.helper == nil && b.revokeLocked(t) {
			notices = append(notices, notice{to: b.sessions[t.caller], message: rpc.AppendError(nil,
				rpc.Address{ID: t.id, Callers: t.rest()}, rpc.Errorf(rpc.CodeTryAgainLater, stopping))})
		}
	}
	b.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	for _, n := range notices {
		n.send()
	}
}

// awaitTunnels waits until no tunnel is open, for the grace at most. It returns false if
// ctx has ended.
func (b *Broker) awaitTunnels(ctx context.Context, grace time.Duration) bool {
	end := time.NewTimer(grace)
	defer end.Stop()
	for b.busy() {
		select {
		case <-b.idle:
		case <-end.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (b *Broker) busy() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.tunnels)+len(b.calls) > 0
}

// noteIdleLocked wakes Drain when the last tunnel has ended.
func (b *Broker) noteIdleLocked() {
	if len(b.tunnels)+len(b.calls) > 0 {
		return
	}
	select {
	case b.idle <- struct{}{}:
	default: // it is awake
	}
}

// endTunnels drops the records of all tunnels, and returns the notices for their ends.
func (b *Broker) endTunnels() (notices []notice) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.tunnels {
		if b.forgetLocked(t, record.How{Cause: stopping}) { // each occurs twice
			notices = append(notices, t.closing(t.client, stopping), t.closing(t.helper, stopping))
		}
	}
	return notices
}

// closeSpread closes all connections, each at a random moment within the spread.
func (b *Broker) closeSpread(ctx context.Context, spread time.Duration) {
	var all []parting
	b.mu.Lock()
	b.leaving = true
	for _, s := range b.sessions {
		p := parting{session: s}
		if spread > 0 {
			p.after = rand.N(spread)
		}
		all = append(all, p)
	}
	b.mu.Unlock()
	slices.SortFunc(all, func(x, y parting) int { return cmp.Compare(x.after, y.after) })

	var parted sync.WaitGroup
	defer parted.Wait()
	wait := time.NewTimer(0)
	defer wait.Stop()
	began := time.Now()
	for _, p := range all {
		wait.Reset(p.after - time.Since(began))
		select {
		case <-wait.C:
		case <-ctx.Done():
			return
		}
		parted.Go(func() { p.session.part(ctx) })
	}
}

// parting is when a session is closed.
type parting struct {
	session *session
	after   time.Duration
}

// part closes a session after its last messages have gone out. Clients of the Rust broker
// know the signal (spec.md 7.2), others ignore it. A parent broker would pass it on as
// one of ours, so it receives none.
func (s *session) part(ctx context.Context) {
	if s.ready.Load() && s.ticket == nil && s.parent == nil {
		s.answer(rpc.AppendSignal(nil, "", disconnectSignal, "", rpc.AccessNone, chainpack.String(stopping)))
	}
	ctx, cancel := context.WithTimeout(ctx, lingering)
	defer cancel()
	s.link.Finish(ctx, link.Shutdown)
}
