package core

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/broker/internal/record"
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
)

// DefaultName is the default of Options.Name, the name of the C++ broker.
const DefaultName = "broker.local"

// RightsTable is a part of the rights that calls can read and change.
type RightsTable = own.RightsTable

// ownNodes is the broker as its own nodes see it; see own.Broker.
type ownNodes struct{ *Broker }

func (b *Broker) ownOptions() own.Options {
	o := &b.opts
	return own.Options{Name: o.Name, Version: o.Version, Commit: o.Commit, Rights: o.Rights, Reload: o.Reload}
}

func (b ownNodes) Client(id int64) (own.Client, bool) {
	s := b.loggedIn(id)
	return s, s != nil
}

func (b ownNodes) Clients() []own.Client {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make([]own.Client, 0, len(b.sessions))
	for _, s := range b.sessions {
		if s.ready.Load() {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y own.Client) int { return cmp.Compare(x.ID(), y.ID()) })
	return all
}

func (b ownNodes) DeviceAt(path []byte) (own.Client, bool) {
	s, _ := b.mountedAt(path)
	return s, s != nil
}

func (b ownNodes) MountsBelow(path string) ([]string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mounts.Children(path)
}

func (b ownNodes) Tunnels() []own.Tunnel {
	b.mu.RLock()
	tunnels := slices.Collect(maps.Values(b.numbered))
	b.mu.RUnlock()
	slices.SortFunc(tunnels, func(x, y *tunnel) int { return cmp.Compare(x.number, y.number) })
	all := make([]own.Tunnel, len(tunnels))
	for i, t := range tunnels {
		all[i] = t.info()
	}
	return all
}

func (b ownNodes) Tunnel(number int64) (own.Tunnel, bool) {
	if t := b.liveTunnel(number); t != nil {
		return t.info(), true
	}
	return own.Tunnel{}, false
}

func (b ownNodes) CloseTunnel(number int64, by own.Client, reason string) {
	t := b.liveTunnel(number)
	if t == nil {
		return
	}
	why := fmt.Sprintf("closed by %s", by.Name())
	if reason != "" {
		why += ": " + reason
	}
	by.(*session).log.Warn().Int64("tunnel", number).Str("session", t.account.Name()).Str("of", t.client.session.Name()).
		Str("path", t.with.Path).Str("reason", reason).Msg("tunnel closed by hand")
	b.closeTunnel(t, why)
}

func (b ownNodes) liveTunnel(number int64) *tunnel {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.numbered[number]
}

func (b ownNodes) AnswerBrokersAbove(r *node.Request) error { return b.answerBrokersAbove(r) }

func (b ownNodes) Later(r *node.Request, change func() (string, error), names ...string) error {
	return b.changeLater(r, change, names...)
}

func (b ownNodes) LaterForUser(r *node.Request, change func() (string, error), names ...string) error {
	return b.changeLaterForUser(r, change, names...)
}

func (t *tunnel) info() own.Tunnel {
	client := t.client.session
	return own.Tunnel{
		Number: t.number, User: client.userName(), ClientID: client.id, ClientPeer: client.from.String(),
		Path: t.with.Path, Method: t.with.Method, Session: t.account.Name(),
		AgentID: t.agent.id, AgentMountPoint: t.agentAt, AgentPeer: t.agent.from.String(), HelperID: t.helper.session.id,
		Since: t.since, BytesToDevice: t.toHelper.Load(), BytesToClient: t.toClient.Load(),
	}
}

// The methods of own.Client, and of topics.Member.

func (s *session) ID() int64 { return s.id }

// Who is the method of record.Client.
func (s *session) Who() record.Who {
	return record.Who{ID: s.id, User: s.Name(), Peer: s.from.String(), Source: s.from.Source(),
		LoggedIn: s.user.Load() != nil, Broker: s.isBroker(), Open: &s.recorded}
}

// Owner tells topics whose subscriptions the peer's are.
func (s *session) Owner() (user string, parent bool) { return s.Name(), s.parent != nil }

// Payer tells topics whose budget comparing with them uses.
func (s *session) Payer() *shares.Owner { return s.owner.Load() }

func (s *session) HasTree() bool { return s.ticket == nil && s.parent == nil }

func (s *session) Info() own.Info {
	info := own.Info{
		User: s.userName(), MountPoint: s.broker.mountPointOf(s), Peer: s.from.String(), Since: s.since,
		SignalsMissed: s.missed.Load(),
	}
	if user := s.user.Load(); user != nil {
		info.Roles, info.PasswordFixed = user.Roles, !user.MayChangePassword()
	}
	return info
}

func (s *session) Subscriptions() map[string]time.Duration {
	all := s.broker.topics.Of(s, time.Now())
	if s.parent != nil {
		return own.Unrooted(all, s.parent.Root)
	}
	return all
}

func (s *session) Silence() (silent, limit time.Duration) { return s.link.Silence() }

func (s *session) Subscribe(ri shvpath.RI, ttl time.Duration) (added bool, err error) {
	if ri.String() == mounts.TakeoverRI {
		return s.watchTakeover(), nil
	}
	now := time.Now()
	until := time.Time{}
	if ttl > 0 {
		until = now.Add(ttl)
	}
	if ri, err = s.rooted(ri); err != nil {
		return false, err
	}
	return s.broker.topics.Add(s, ri, until, now)
}

func (s *session) Unsubscribe(ri shvpath.RI) (removed bool, err error) {
	if ri.String() == mounts.TakeoverRI {
		return s.pings.Want(false), nil
	}
	if ri, err = s.rooted(ri); err != nil {
		return false, err
	}
	return s.broker.topics.Remove(s, ri.String(), time.Now()), nil
}

func (s *session) Reject(path, source, signal string) (removed bool, err error) {
	from := defaultSource
	if source != "" {
		from = []byte(source)
	}
	if len(path) > maxSignalPath {
		return false, rpc.Errorf(rpc.CodeInvalidParam, "a path of %d bytes, more than %d", len(path), maxSignalPath)
	}
	at := s.rootedPath(shvpath.Clean([]byte(path)))
	return s.broker.topics.RemoveMatching(s, at, from, []byte(signal)), nil
}

func (s *session) Disconnect(by string) {
	s.log.Warn().Str("by", by).Msg("client disconnected")
	s.link.Close(link.Dropped)
}
