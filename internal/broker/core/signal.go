package core

import (
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
)

const (
	// maxSignalPath bounds the path of a signal or request, and the method of that, in bytes.
	maxSignalPath = 4 << 10
	// keptTargets is how large a list of subscribers a session keeps for reuse.
	keptTargets = 1 << 10
)

// The defaults of a signal without a name or a source (spec.md 3.3, 7.6).
var (
	defaultSignal = []byte("chng")
	defaultSource = []byte("get")
)

// disconnectSignal is the signal for a peer that a broker is about to disconnect
// (spec.md 7.2).
const disconnectSignal = "disconnectbybroker"

// signal sends a signal to all subscribers that may have it, in one frame (spec.md 7.1d).
// It is one of the mount point of its sender.
func (s *session) signal(m *rpc.Message, f *link.Frame) {
	b := s.broker
	mountPoint := b.mountPointOf(s)
	if mountPoint == "" {
		b.stats.unmounted.Add(1)
		return
	}
	if rest := shvpath.Clean(m.Path()); len(rest) > 0 {
		s.path = append(append(append(s.path[:0], mountPoint...), '/'), rest...)
	} else {
		s.path = append(s.path[:0], mountPoint...)
	}
	if len(s.path) > maxSignalPath {
		b.stats.malformed.Add(1)
		s.path = nil
		return
	}
	if !b.belongsTo(s, s.path) {
		b.stats.forged.Add(1)
		return
	}
	name, source, level := m.Method(), m.Source(), m.Access()
	if string(name) == disconnectSignal {
		// It is between two neighbours. Peers further away, such as a parent broker and
		// its clients, could take it for their own broker's, and disconnect.
		b.stats.forged.Add(1)
		return
	}
	if len(name) == 0 {
		name = defaultSignal
	}
	if len(source) == 0 {
		source = defaultSource
	}
	if level == rpc.AccessNone {
		level = rpc.AccessRead
	}
	b.stats.signals.Add(1)
	s.targets = b.topics.Find(s.targets[:0], s.path, source, name, time.Now())
	defer s.forgetTargets()
	if len(s.targets) == 0 {
		return
	}
	m.SetPath(s.path)
	if s.rehead(m, f) != nil {
		b.stats.malformed.Add(1)
		return
	}
	b.publish(f, audience{s.targets, s.path, source, level}, s)
}

func (s *session) forgetTargets() {
	clear(s.targets)
	if cap(s.targets) > keptTargets {
		s.targets = nil
	}
}

// audience is the subscribers of a signal, and what they need to receive it.
type audience struct {
	sessions     []*session
	path, source []byte
	level        rpc.Access
}

// publish queues a signal for all that may have it. A subscriber that does not keep up
// misses it, which is counted: signals leave queue space for what must not be missed.
// from is the session whose read loop this is, nil for a signal of the broker's own.
func (b *Broker) publish(f *link.Frame, a audience, from *session) {
	var (
		user    *auth.User
		granted bool
	)
	for _, to := range a.sessions {
		if to.parent != nil {
			b.publishUp(f, to, from)
			continue
		}
		now := to.user.Load()
		if now == nil {
			continue // it has just lost all its rights
		}
		if now != user {
			user, granted = now, now.Level(a.path, a.source) >= a.level
		}
		if !granted {
			continue
		}
		if !b.hasRoomFor(f, to) || b.sendSignal(f, to, from) == link.ErrQueueFull {
			to.missed.Add(1)
			b.stats.missed.Add(1)
		}
	}
}

// publishUp queues a signal for a parent broker, which checks who may have it.
func (b *Broker) publishUp(f *link.Frame, to, from *session) {
	own := b.cutFor(to, f)
	if own == nil {
		return
	}
	defer own.Release()
	var err error
	if from == nil {
		err = b.sendSignal(own, to, nil)
	} else {
		b.opts.Journal.Sent(to.id, own.Message(), false)
		// The sender has its own queue space there, whatever waits of others.
		flow := from.flowTo(to, nil)
		waiting := to.link.QueuedIn(flow)
		if waiting == 0 || waiting+own.Size() <= b.limits.QueueBytes/2 && to.owner.Load().May(shares.Queued) {
			err = to.link.Relay(own, flow, from.link)
		} else {
			err = link.ErrQueueFull
		}
	}
	if err == link.ErrQueueFull {
		to.missed.Add(1)
		b.stats.missed.Add(1)
	}
}

func (b *Broker) sendSignal(f *link.Frame, to, from *session) error {
	b.opts.Journal.Sent(to.id, f.Message(), false)
	if from == nil {
		return to.link.Send(f, nil)
	}
	return to.link.Relay(f, nil, from.link)
}

// hasRoomFor reports whether a signal may wait for a subscriber: signals fill half of a
// queue at most, and none of it while the subscriber is over its share.
func (b *Broker) hasRoomFor(f *link.Frame, to *session) bool {
	waiting := to.link.Queued()
	return waiting == 0 || waiting+f.Size() <= b.limits.QueueBytes/2 && to.owner.Load().May(shares.Queued)
}

// emit sends a signal of the broker's own to all that may list its path. Its source is
// ls, since V3 clients take a signal of get for a value of the node.
func (b *Broker) emit(path, name string, value chainpack.Value) {
	const source = "ls"
	a := audience{path: []byte(path), source: []byte(source), level: rpc.AccessBrowse}
	a.sessions = b.topics.Find(nil, a.path, a.source, []byte(name), time.Now())
	if len(a.sessions) == 0 {
		return
	}
	f := link.NewMessage(rpc.AppendSignal(nil, path, name, source, a.level, value))
	defer f.Release()
	b.publish(f, a, nil)
}
