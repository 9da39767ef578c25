package core

import (
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// mount mounts the session's device at the place of its claim. A device whose user may
// not mount there is only logged: it stays connected and unmounted, as with every
// broker. A place that belongs to another user's device refuses the login.
func (s *session) mount(c *auth.Claim, welcome func()) *rpc.Error {
	b := s.broker
	var silent *session // does not answer, so it may be taken over
	b.mu.Lock()
	for b.opts.RefuseTakeover {
		holder, taken := b.mounts.Newest(c.Path)
		if !taken || holder == silent || holder.Name() != s.Name() {
			break
		}
		b.mu.Unlock()
		if holder.pings.Alive(holder.send, holder.link.Done(), s.link.Done()) {
			b.stats.takeoversRefused.Add(1)
			return rpc.Errorf(rpc.CodeException, "mount point %s is taken: a device of the same user is connected there", c.Path)
		}
		silent = holder
		b.mu.Lock()
	}
	d := b.opts.Users.Load()
	err := mounts.Check(c.Path)
	if err != nil || !d.Standing(c).May {
		b.mu.Unlock()
		s.log.Provoked("device not mounted", mounts.Reason(err), func(e *zerolog.Event) {
			e.Str("mount", c.Path[:min(len(c.Path), mounts.MaxLength)])
		})
		welcome()
		return nil
	}
	// The answer goes under the lock, so that no request overtakes it. It does not wait.
	o := b.mounts.Mount(s, c, d, func() {
		s.mountPoint, s.claim = c.Path, c
		welcome()
	})
	if o.Holder != nil {
		b.mu.Unlock()
		s.log.Provoked("mount point refused", "it belongs to another user", func(e *zerolog.Event) {
			e.Str("mount", c.Path).Str("holder", o.Holder.User).Str("holderMount", o.Holder.Path)
		})
		return rpc.Errorf(rpc.CodeException, "mount point %s is taken by another user's device", c.Path)
	}
	for _, lost := range o.Lost {
		lost.mountPoint = ""
	}
	b.left.Return(c.Path, s.Name(), &s.routes)
	b.mu.Unlock()
	for _, old := range o.Stale {
		old.link.Close(link.MountTaken)
	}
	for _, lost := range o.Lost {
		lost.log.Warn().Str("mount", lost.claim.Path).Str("for", c.Path).Str("by", c.User).Msg("mount point lost")
		lost.link.Close(link.MountLost)
	}
	if o.Taken {
		s.routes.Inherit(&o.Before.routes)
		o.Before.displaced(s)
	}
	b.tellMounts()
	s.log.Visit("device mounted", c.Path).Str("mount", c.Path).Bool("takenOver", o.Taken).Msg("device mounted")
	b.book.Mounted(s, c.Path, o.Taken, o.Before)
	return nil
}

// displaced tells the device of s that it is not called any more. If it lives, two devices
// have one mount point.
func (s *session) displaced(by *session) {
	s.pings.Tell(s.send, by.id, by.from.String())
	s.broker.aside(func() {
		if s.pings.AliveLater(s.send, s.link.Done(), by.link.Done()) {
			s.broker.stats.takeoversAlive.Add(1)
			by.log.Provoked("mount point taken over, and its device still answers", "", func(e *zerolog.Event) {
				e.Str("mount", by.claim.Path).Int64("from", s.id).Stringer("fromPeer", s.from)
			})
		}
	})
}

// watchTakeover subscribes a device to the signal takeover. One that is not called any more
// gets it at once.
func (s *session) watchTakeover() (added bool) {
	added = s.pings.Want(true)
	newest, _ := s.broker.mountedAt([]byte(s.broker.mountPointOf(s)))
	if newest != nil && newest != s {
		s.pings.Tell(s.send, newest.id, newest.from.String())
	}
	return added
}

// unmountLocked takes the session from its mount point, which it returns; "" for none.
// back, if not nil, is called again there.
func (b *Broker) unmountLocked(s *session) (path string, back *session) {
	if path = s.mountPoint; path != "" {
		back, _ = b.mounts.Unmount(s, path, time.Now(), b.closed || b.leaving)
		b.left.Leave(path, s.Name(), &s.routes)
		s.mountPoint = ""
	}
	return path, back
}

// mountedAt returns the device that a clean path belongs to, and the rest of the path
// below its mount point. It does not allocate.
func (b *Broker) mountedAt(path []byte) (s *session, rest []byte) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	s, rest, _ = b.mounts.Lookup(path)
	return s, rest
}

// mountPointOf returns where a session is mounted, "" for nowhere.
func (b *Broker) mountPointOf(s *session) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return s.mountPoint
}

// belongsTo reports whether a clean path is a device's own. Another device may be mounted
// inside it, and speaks for itself.
func (b *Broker) belongsTo(s *session, path []byte) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mounts.Has(s, path)
}

// offlineSince returns when the device left that a clean path belonged to; false for a
// path that leads to a mounted device, or never belonged to one.
func (b *Broker) offlineSince(path []byte) (time.Time, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mounts.OfflineSince(path)
}

// tellMounts sends the signals of all changes of mount points, in their order.
func (b *Broker) tellMounts() {
	b.telling.Lock()
	defer b.telling.Unlock()
	b.mu.Lock()
	changes := b.mounts.TakeChanges()
	b.mu.Unlock()
	for _, c := range changes {
		mounted := chainpack.Bool(c.Mounted)
		if c.Name != "" {
			b.emit(c.Parent, "lsmod", chainpack.Map(chainpack.F(c.Name, mounted)))
		}
		b.emit(c.Path, "mntchng", mounted)
	}
}
