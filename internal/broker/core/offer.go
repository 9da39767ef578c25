package core

import (
	"net"
	"net/netip"

	"shvtools/internal/wire/transport"
)

// advertised is where a helper of the agent s can connect over plain TCP, as the
// base protocol has it: the agent's own connection shows an address that it
// reaches.
//
// public tells whether others than those of our own network can reach us there:
// that is what an operator says who names an address, or what the address shows.
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
	return Address{Host: local.Addr().String(), Port: int64(local.Port())}, public || isPublic(local.Addr())
}

// offer is where a helper of the agent s can connect by a scheme that its agent
// accepts (docs/protocol.md). The agent may be behind a broker below; then it is
// not adjacent, and our sockets are none of its machine's.
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

// reachable is an address of ours that the peer of s reaches over a scheme of TCP
// connections: where it is connected, or another listener at the same address.
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

// mayCome tells whether a helper at the far end of a connection came the way that
// its secret was given for.
func (t *ticket) mayCome(from transport.Peer) bool {
	switch {
	case transport.Encrypts(t.scheme):
		return from.IsEncrypted()
	case t.scheme == transport.Unix:
		return from.Scheme == transport.Unix
	}
	return true
}
