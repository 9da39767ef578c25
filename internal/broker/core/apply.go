package core

import (
	"context"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/record"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/wire/link"
)

// Affected is a client that lost something by a change of rights.
type Affected struct {
	Client int64
	User   string
	What   string
}

// Apply puts another directory in force, at once and for all sessions. A client that
// may no longer be logged in, or be mounted where it is, is disconnected. A tunnel is
// closed if its user has lost the right that it was made with. Access levels count from
// the next request on. Other clients do not notice. Apply returns and logs what was
// lost.
func (b *Broker) Apply(d *auth.Directory) []Affected {
	endings, now := make(map[*session]link.Cause), time.Now()
	b.mu.Lock()
	b.opts.Users.Swap(d)
	for _, s := range b.sessions {
		if cause := s.judgeLocked(d, now); cause != link.Open {
			endings[s] = cause
		}
	}
	for _, s := range b.mounts.Evict(d) {
		s.mountPoint = ""
		if endings[s] == link.Open {
			endings[s] = link.MountLost
			s.user.Store(&auth.User{Name: s.Name()})
		}
	}
	return b.takeAwayAndUnlock(endings)
}

// Rejudge ends the sessions of clients whose certificates are no longer valid by what
// their listeners have read last, or who lack one. It returns and logs what was lost.
func (b *Broker) Rejudge() []Affected {
	var certified []*session
	b.mu.RLock()
	for _, s := range b.sessions {
		if s.secure != nil {
			certified = append(certified, s)
		}
	}
	b.mu.RUnlock()
	found := make(map[*session]link.Cause)
	for _, s := range certified { // this takes a while
		if err := s.secure.Verify(); err != nil {
			found[s] = auth.CertificateCause(err)
			// Not by s.log: the session may be logging in at this moment.
			b.opts.Log.Info().Int64("client", s.id).Stringer("peer", s.from).Err(err).
				Msg("client certificate no longer valid")
		}
	}
	endings := make(map[*session]link.Cause)
	b.mu.Lock()
	for s, cause := range found {
		if s.link.Cause() != link.Open {
			continue
		}
		endings[s] = cause
		if user := s.user.Load(); user != nil {
			s.user.Store(&auth.User{Name: user.Name})
		}
	}
	return b.takeAwayAndUnlock(endings)
}

// takeAwayAndUnlock ends the sessions in endings, which have no rights any more, and the
// tunnels that were made with rights that are gone. It unlocks b.mu.
func (b *Broker) takeAwayAndUnlock(endings map[*session]link.Cause) (affected []Affected) {
	for s, cause := range endings {
		affected = append(affected, Affected{s.id, s.Name(), "disconnected: " + cause.String()})
	}
	notices, tunnels := b.endForbiddenLocked(endings)
	told := make(map[*session]link.Cause)
	if !b.closed {
		for _, n := range notices {
			if cause, ends := endings[n.to]; ends && n.to.mountPoint == "" {
				told[n.to] = cause
				delete(endings, n.to)
			}
		}
	}
	if len(told) > 0 {
		b.running.Add(1) // for part
	}
	b.mu.Unlock()
	affected = append(affected, tunnels...)
	for _, n := range notices {
		n.send()
	}
	for s, cause := range endings {
		s.link.Close(cause)
	}
	if len(told) > 0 {
		go b.part(told)
	}
	for _, a := range affected {
		b.opts.Log.Warn().Int64("client", a.Client).Str("user", a.User).Str("lost", a.What).Msg("rights taken away")
	}
	return affected
}

// part closes links once the messages that were just queued for them are written. Their
// sessions have no rights any more.
func (b *Broker) part(told map[*session]link.Cause) {
	defer b.running.Done()
	ctx, stop := context.WithTimeout(context.Background(), lingering)
	defer stop()
	for s := range told {
		s.link.Flush(ctx)
	}
	for s, cause := range told {
		s.link.Close(cause)
	}
}

// endForbiddenLocked ends the tunnels, and the calls that wait for a tunnel, whose users
// have lost their login or the right that they were made with. endings are the sessions
// whose links are about to end.
func (b *Broker) endForbiddenLocked(endings map[*session]link.Cause) (notices []notice, affected []Affected) {
	for _, t := range b.numbered {
		client := t.client.session
		if client.holds(t.with) {
			continue
		}
		why := lost(t.with, endings[client])
		b.forgetLocked(t, record.How{Cause: why})
		notices = append(notices, t.closing(t.client, why), t.closing(t.helper, why))
		affected = append(affected, Affected{client.id, client.Name(), "tunnel closed: " + why})
	}
	for _, t := range b.calls {
		if b.mayTunnelLocked(t) {
			continue
		}
		caller := b.sessions[t.caller]
		why := lost(t.with, endings[caller])
		b.revokeLocked(t)
		notices = append(notices, notice{to: caller, message: t.refuse(why)}, notice{to: t.helper, linger: true})
		affected = append(affected, Affected{caller.id, caller.Name(), "tunnel refused: " + why})
	}
	return notices, affected
}

// lost returns the reason for the ends of a tunnel: the login is gone, or the right.
func lost(r replyroutes.Right, cause link.Cause) string {
	if cause != link.Open {
		return cause.String()
	}
	return r.String() + " was taken away"
}
