package core

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"time"

	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/transport"
)

// findTunnel handles an agent's FindTunnelRequest (spec.md 7.4). The public broker
// nearest to the client adds an address and a secret; if none is public, the client's
// own broker does. toID was popped from the caller ids of m. It returns true if the
// request is to be passed on.
func (s *session) findTunnel(m *rpc.Message, toID int64, with replyroutes.Right) (goesOn bool) {
	b := s.broker
	to := b.sessionOf(toID)
	last := len(m.Callers()) == 0
	if to == nil || !last && to.parent == nil {
		return true // whoever made caller ids up receives it
	}
	if s.child != nil {
		b.mu.Lock()
		b.expected.Add(tunnels.NewKey(toID, m.ID(), m.Callers()), s.id, with, rpc.SessionName(m.Tunnel().Secret), time.Now())
		b.mu.Unlock()
	}
	back := append(rpc.CallerIDs(nil), m.RevCallers()...)
	back, _, _ = back.Pop() // our own entry of s
	adjacent := len(back) == 0
	answer := rpc.Address{ID: m.ID(), Callers: back}

	ctl := *m.Tunnel()
	address, public := b.advertised(s)
	var t *ticket
	if public || last && ctl.Host == "" {
		raw := make([]byte, 20)
		_, _ = rand.Read(raw)
		ctl.Host, ctl.Port, ctl.Secret = address.Host, address.Port, hex.EncodeToString(raw)
		ctl.CallerIDs = append(append(rpc.CallerIDs(nil), m.Callers()...), toID)
		ctl.Withdraw()
		t = &ticket{
			key: sha256.Sum256([]byte(ctl.Secret)), agent: s, caller: toID, id: m.ID(),
			asked: ctl.CallerIDs, back: back, with: with,
		}
		if u, ok := b.offer(s, ctl.Schemes(), adjacent); ok {
			ctl.Offer(u.String())
			t.scheme = u.Scheme
		}
		t.offered, t.vouched = !last, last && to.parent == nil
		if refused := b.issue(t); refused != "" {
			s.answer(rpc.AppendError(nil, answer, rpc.Errorf(rpc.CodeException, "%s", refused)))
			return false
		}
	}
	if !last {
		m.SetTunnel(ctl)
		return true
	}
	found := rpc.TunnelCtl{
		State: rpc.FindTunnelResponse, Host: ctl.Host, Port: ctl.Port, Secret: ctl.Secret, CallerIDs: ctl.CallerIDs,
	}
	if url := ctl.Offered(); url != "" {
		found.Offer(url)
	}
	if s.child != nil && to.parent == nil {
		found.Vouch(1)
	}
	s.answer(rpc.AppendTunnel(nil, answer, rpc.Meta{Tunnel: &found}, 0, chainpack.Value{}))
	return false
}

// foundTunnel handles a FindTunnelResponse of a parent broker on its way to the session
// toID. It shows whether the tunnel will be made here. Like the brokers before it, this
// one promises to report the loss of the client.
func (s *session) foundTunnel(m *rpc.Message, toID int64) {
	b := s.broker
	ctl := *m.Tunnel()
	b.mu.Lock()
	defer b.mu.Unlock()
	to := b.sessions[toID]
	if t := b.tickets[sha256.Sum256([]byte(ctl.Secret))]; t != nil && t.caller == s.id && t.agent == to {
		t.offered = false
		t.vouched = ctl.Vouchers()+1 == int64(len(t.asked))
	} else {
		for _, t := range b.calls {
			if t.offered && t.caller == s.id && t.agent == to && t.id == m.ID() && slices.Equal(t.back, m.Callers()) {
				b.revokeLocked(t) // another broker was nearer
			}
		}
	}
	if n := ctl.Vouchers(); n > 0 {
		if n++; to == nil || to.child == nil || n > maxStack {
			n = 0 // an agent has no use for it
		}
		ctl.Vouch(n)
		m.SetTunnel(ctl)
	}
}

// sessionOf returns the session with an id, nil if it is gone.
func (b *Broker) sessionOf(id int64) *session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.sessions[id]
}

// advertised returns where a helper of the agent s can connect over plain TCP, the only
// way in the base protocol: at the address that the agent itself is connected to.
//
// public reports whether the address can be reached from outside our own network. If the
// operator has configured an address, it is taken to be public.
func (b *Broker) advertised(s *session) (at Address, public bool) {
	named := b.opts.Advertise != (Address{})
	public = named || len(b.opts.AdvertiseURLs) > 0
	if named {
		return b.opts.Advertise, public
	}
	local, ok := b.reachable(s, transport.TCP)
	if !ok {
		return Address{}, public
	}
	return Address{Host: local.Addr().String(), Port: int64(local.Port())}, public || transport.IsPublic(local.Addr())
}

// offer returns where a helper of the agent s can connect by a scheme that its agent
// accepts (docs/protocol.md). An agent behind a child broker is not adjacent: it may be
// on another machine, and so our Unix sockets are no use to it.
func (b *Broker) offer(s *session, schemes []string, adjacent bool) (u transport.URL, ok bool) {
	for _, scheme := range schemes {
		for _, u := range b.opts.AdvertiseURLs {
			if u.Scheme == scheme {
				return u, true
			}
		}
		if scheme == transport.Unix {
			if at, ok := s.link.LocalAddr().(*net.UnixAddr); ok && adjacent && s.from.Scheme == scheme {
				return transport.URL{Scheme: scheme, Path: at.Name}, true
			}
			continue
		}
		if at, ok := b.reachable(s, scheme); ok {
			u, err := transport.ParseURL(scheme + "://" + at.String())
			return u, err == nil
		}
	}
	return transport.URL{}, false
}

// reachable returns an address of ours that the peer of s reaches over a scheme that uses
// TCP: the one it is connected to, or another listener at the same host address.
func (b *Broker) reachable(s *session, scheme string) (at netip.AddrPort, ok bool) {
	local, ok := s.link.LocalAddr().(*net.TCPAddr)
	if !ok {
		return at, false
	}
	at = local.AddrPort()
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	if s.from.Scheme == scheme {
		return at, true
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for l := range b.listeners {
		other, ok := l.Addr().(*net.TCPAddr)
		if !ok || transport.ListenURL(l).Scheme != scheme {
			continue
		}
		addr := other.AddrPort().Addr().Unmap()
		if anywhere := addr.IsUnspecified() && (addr.Is6() || at.Addr().Is4()); anywhere || addr == at.Addr() {
			return netip.AddrPortFrom(at.Addr(), uint16(other.Port)), true
		}
	}
	return at, false
}
