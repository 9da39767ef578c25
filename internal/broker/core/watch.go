package core

import (
	"context"
	"time"

	"shvtools/internal/broker/internal/stall"
	"shvtools/internal/wire/link"
)

// looks is how often the watch looks at each link within the shorter of both limits.
const looks = 4

// watch ends links that stand still, or whose client certificates expire, until the broker
// closes.
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
		case k := <-b.shares.Over():
			b.shares.Relieve(k, b.accounts)
		case <-b.done:
			return
		}
	}
}

// lookEvery returns the time between two looks of the watch.
func (b *Broker) lookEvery() time.Duration {
	return max(min(b.limits.WriteStall, b.limits.FrameStall)/looks, time.Millisecond)
}

// stalled returns the sessions whose links are to be ended, and why.
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
	// healthPause is the time between two tries of a lock that is held.
	healthPause = 5 * time.Millisecond
	// missedLooks is how many looks the watch may miss.
	missedLooks = 4
)

// Healthy reports whether what all clients share works: before ctx ends, each of the locks
// is free, and the watch over the links looks in time. It never waits for a lock.
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

// shared returns a check of each part that all clients share.
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
