package core

import (
	"context"
	"time"
)

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
