package transport

import (
	"net"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Peer is what a connection shows of the program at its other end.
type Peer struct {
	Scheme string     // "" for a connection of another package
	Addr   netip.Addr // zero for Unix
	Port   uint16
	UID    int // user of the process at the other end of a Unix socket; -1: unknown
}

// PeerOf returns the peer of an accepted connection. It does not wait.
func PeerOf(conn net.Conn) Peer {
	p := Peer{UID: -1}
	switch c := conn.(type) {
	case *TLSConn:
		p.Scheme = SSL
	case *WSConn:
		p.Scheme = WS
		if c.secure != nil {
			p.Scheme = WSS
		}
	case *serialConn:
		p.Scheme = TCPS
	case *net.TCPConn:
		p.Scheme = TCP
	case *net.UnixConn:
		p.Scheme, p.UID = Unix, uidOf(c)
	}
	p.setAddr(conn.RemoteAddr())
	return p
}

// PeerAt returns the peer of a connection that this program made to an address by a scheme.
func PeerAt(scheme string, addr net.Addr) Peer {
	p := Peer{Scheme: scheme, UID: -1}
	p.setAddr(addr)
	return p
}

func (p *Peer) setAddr(addr net.Addr) {
	if addr, ok := addr.(*net.TCPAddr); ok {
		at := addr.AddrPort()
		p.Addr, p.Port = at.Addr().Unmap(), at.Port()
	}
}

func uidOf(c *net.UnixConn) int {
	uid := -1
	raw, err := c.SyscallConn()
	if err != nil {
		return uid
	}
	_ = control(raw, func(fd int) error {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			uid = int(cred.Uid)
		}
		return err
	})
	return uid
}

// IsLocal reports whether the peer is on this machine, as far as its address shows.
func (p Peer) IsLocal() bool { return !p.Addr.IsValid() || p.Addr.IsLoopback() }

// IsEncrypted reports whether the connection is encrypted.
func (p Peer) IsEncrypted() bool { return Encrypts(p.Scheme) }

// CameBy reports whether the connection is one by a scheme that was offered: another encrypted
// one does for an encrypted one, and any does for a scheme without demands.
func (p Peer) CameBy(scheme string) bool {
	switch {
	case Encrypts(scheme):
		return p.IsEncrypted()
	case scheme == Unix:
		return p.Scheme == Unix
	}
	return true
}

// Source returns what limits count together: an IPv4 address, the /64 of an IPv6 address, or a user
// of this machine.
func (p Peer) Source() string {
	switch {
	case p.Addr.Is4():
		return p.Addr.String()
	case p.Addr.Is6():
		if net, err := p.Addr.WithZone("").Prefix(64); err == nil {
			return net.String()
		}
	case p.Scheme == Unix:
		return "uid " + strconv.Itoa(p.UID)
	}
	return p.Scheme
}

// String returns the peer for logs.
func (p Peer) String() string {
	if p.Addr.IsValid() {
		return netip.AddrPortFrom(p.Addr, p.Port).String()
	}
	return p.Source()
}

var (
	unrouted = netip.MustParsePrefix("0.0.0.0/8")
	carriers = netip.MustParsePrefix("100.64.0.0/10") // between a provider and its customers
)

// IsPublic reports whether an address, by what it shows, can be reached from everywhere.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap()
	reserved := a.Is4() && a.As4()[0] >= 224
	return a.IsGlobalUnicast() && !a.IsPrivate() && !unrouted.Contains(a) && !carriers.Contains(a) && !reserved
}
