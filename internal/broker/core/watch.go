package core

import (
	"context"
	"time"

	"shvtools/internal/broker/internal/stall"
	"shvtools/internal/wire/link"
)

// looks is how often in the shortest of its limits a watch looks at each link.
const looks = 4

// watch ends links that stand still, or whose client certificates expire, until the
// broker closes. One goroutine looks at all of them: a timer for each frame would cost
// more than the frame.
func (b *Broker) watch() {
	ticker := time.NewTicker(b.lookEvery())
	defer ticker.Stop()
	for {
		began := time.Now()
		b.looked.Store(&began)
		select {
		case now := <-ticker.C:
			for s, cause := range b.stalled(now) {
				s.link.Close(cause)
			}
		case <-b.done:
			return
		}
	}
}

// lookEvery is the time between two looks of the watch.
func (b *Broker) lookEvery() time.Duration {
	return max(min(b.limits.WriteStall, b.limits.FrameStall)/looks, time.Millisecond)
}

// stalled finds the sessions that stand still, or whose time is over.
func (b *Broker) stalled(now time.Time) map[*session]link.Cause {
	bounds := stall.Bounds{Write: b.limits.WriteStall, Frame: b.limits.FrameStall}
	var found map[*session]link.Cause
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, s := range b.sessions {
		tunnels := len(s.tunnels) > 0 && !s.isBroker() || s.ticket != nil
		cause := s.watched.Look(s.link.Pulse(), tunnels, now, bounds)
		if s.secure != nil && s.secure.Expired(now) {
			cause = link.CertificateExpired
		}
		if cause == link.Open {
			continue
		}
		if found == nil {
			found = make(map[*session]link.Cause)
		}
		found[s] = cause
	}
	return found
}

const (
	// healthPause is between two looks at a lock that is taken.
	healthPause = 5 * time.Millisecond
	// missedLooks is how many times the watch may have had its turn and not come.
	missedLooks = 4
)

// Healthy tells whether what all clients share answers before ctx ends: each of the
// locks is to be had, and the watch over the links comes round. It starts nothing
// that could wait for a lock for ever.
func (b *Broker) Healthy(ctx context.Context) bool {
	for _, free := range b.shared() {
		for !free() {
			select {
			case <-time.After(healthPause):
			case <-ctx.Done():
				return false
			}
		}
	}
	return true
}

// shared are the parts that all clients share, each as a look whether it answers.
func (b *Broker) shared() []func() bool {
	topics, watchers := b.topics.Mutexes()
	return []func() bool{
		func() bool { return try(b.mu.TryRLock, b.mu.RUnlock) },
		func() bool { return try(b.telling.TryLock, b.telling.Unlock) },
		func() bool { return try(b.connections.Mutex().TryLock, b.connections.Mutex().Unlock) },
		func() bool { return try(b.penalties.Mutex().TryLock, b.penalties.Mutex().Unlock) },
		func() bool { return try(topics.TryRLock, topics.RUnlock) },
		func() bool { return try(watchers.TryLock, watchers.Unlock) },
		func() bool {
			at := b.looked.Load()
			return at == nil || time.Since(*at) < missedLooks*b.lookEvery()
		},
	}
}

func try(lock func() bool, unlock func()) bool {
	if !lock() {
		return false
	}
	unlock()
	return true
}
