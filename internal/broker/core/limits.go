package core

import "shvtools/internal/broker/limits"

// Limits keep one client from hurting another; see the package limits, which declares
// them.
type Limits = limits.Limits

// Defaults of Limits that callers name.
const (
	DefaultLoginDeadline = limits.DefaultLoginDeadline
	DefaultLoginPenalty  = limits.DefaultLoginPenalty
	DefaultWriteStall    = limits.DefaultWriteStall
	DefaultFrameStall    = limits.DefaultFrameStall
)

// overloaded reports whether so much waits for slow peers that no more is accepted.
func (b *Broker) overloaded() bool { return b.queued.Bytes() >= int64(b.limits.QueueTotal) }
