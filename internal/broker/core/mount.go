package core

import (
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// mount mounts the session's device at a clean path. A device whose user may not
// mount there is only logged: it stays connected and unmounted, as with every
// broker. A mount point of another user's device refuses the login.
func (s *session) mount(path, deviceID string, welcome func()) *rpc.Error {
	if mounts.TooLong(path) {
		s.log.Provoked("device not mounted", "its mount point is too long", func(e *zerolog.Event) {
			e.Int("length", len(path))
		})
		welcome()
		return nil
	}
	b := s.broker
	b.mu.Lock()
	if mounts.Reserved(path) || !s.mayBeMounted(s.user.Load(), b.opts.Users.Load(), path, deviceID) {
		b.mu.Unlock()
		s.log.Provoked("device not mounted", "its user may not mount there", func(e *zerolog.Event) {
			e.Str("mount", path)
		})
		welcome()
		return nil
	}
	before, taken := b.mounts.Newest(path)
	if taken && before.Name() != s.Name() {
		b.mu.Unlock()
		return rpc.Errorf(rpc.CodeException, "mount point %s is taken by another user's device", path)
	}
	// Under the lock, so that no request overtakes it. It does not wait.
	s.mountPoint, s.deviceID = path, deviceID
	welcome()
	b.left.Return(path, s.Name(), &s.routes)
	stale := b.mounts.Mount(s, path)
	b.mu.Unlock()
	for _, old := range stale {
		old.link.Close(link.MountTaken)
	}
	if taken {
		s.routes.Inherit(&before.routes)
	}
	b.tellMounts()
	s.log.Info().Str("mount", path).Bool("takenOver", taken).Msg("device mounted")
	b.book.Mounted(s, path, taken, before)
	return nil
}

// unmountLocked takes the session from its mount point, which it returns; "" for none.
func (b *Broker) unmountLocked(s *session) string {
	path := s.mountPoint
	if path != "" {
		b.mounts.Unmount(s, path, time.Now(), b.closed || b.leaving)
		b.left.Leave(path, s.Name(), &s.routes)
		s.mountPoint = ""
	}
	return path
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
	since, offline := b.mounts.OfflineSince(path)
	return since, offline && !b.mounts.Leads(string(path))
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
