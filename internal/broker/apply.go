package broker

import (
	"time"

	"shvtools/internal/auth"
	"shvtools/internal/link"
)

// Affected is a client that lost something by a change of rights.
type Affected struct {
	Client int64
	User   string
	What   string
}

// Apply puts another directory in force, at once for everybody: who may not be
// logged in any more, or not be mounted where he is, is disconnected, a tunnel
// whose user lost the right that it was made with is closed, and levels count
// from the next request on. Nobody else notices. What was lost is told, and
// logged.
func (b *Broker) Apply(d *auth.Directory) []Affected {
	type ending struct {
		session *session
		cause   link.Cause
	}
	var (
		affected []Affected
		endings  []ending
		now      = time.Now()
	)
	b.mu.Lock()
	b.opts.Users.Swap(d)
	for _, s := range b.sessions {
		if cause := s.judge(d, now); cause != link.Open {
			endings = append(endings, ending{s, cause})
			affected = append(affected, Affected{s.id, s.name(), "disconnected: " + cause.String()})
		}
	}
	notices, tunnels := b.endForbidden()
	b.mu.Unlock()
	affected = append(affected, tunnels...)
	for _, n := range notices {
		n.send()
	}
	for _, e := range endings {
		e.session.link.Close(e.cause)
	}
	for _, a := range affected {
		b.opts.Log.Warn().Int64("client", a.Client).Str("user", a.User).Str("lost", a.What).Msg("rights taken away")
	}
	return affected
}

// endForbidden ends the tunnels, and the calls that wait for theirs, whose users
// lost the right that they were made with. b.mu is held.
func (b *Broker) endForbidden() (notices []notice, affected []Affected) {
	for key, t := range b.tunnels {
		client := t.client.session
		if key != t.client.key() || client.holds(t.with) {
			continue // each tunnel is there twice
		}
		why := t.with.String() + " was taken away"
		b.forget(t)
		notices = append(notices, t.closing(t.client, why), t.closing(t.helper, why))
		affected = append(affected, Affected{client.id, client.name(), "tunnel closed: " + why})
	}
	for _, t := range b.calls {
		if b.mayTunnel(t) {
			continue
		}
		why := t.with.String() + " was taken away"
		caller := b.sessions[t.caller]
		b.revoke(t)
		notices = append(notices, notice{to: caller, message: t.refuse(why)}, notice{to: t.helper, linger: true})
		affected = append(affected, Affected{caller.id, caller.name(), "tunnel refused: " + why})
	}
	return notices, affected
}
