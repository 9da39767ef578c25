package daemon

import (
	"fmt"
	"net"
	"net/netip"

	"shvtools/internal/broker/config"
	"shvtools/internal/wire/transport"
)

// Clashes returns an error for each listener, and for metrics, whose address an earlier listener has,
// as far as their texts show it. Sockets that are given are not looked at.
func Clashes(specs []ListenSpec, c *config.Config) (faults []error) {
	for i, s := range specs {
		for _, other := range specs[:i] {
			if s.URL.Socket != "" || other.URL.Socket != "" || !clash(s.URL, other.URL) {
				continue
			}
			faults = append(faults, s.Entry.Fault(fmt.Errorf("cannot listen on %s: %s listens there already",
				s.URL, other.Entry.Where("url"))))
			break
		}
	}
	host, port, err := net.SplitHostPort(c.Operation.Metrics)
	if err != nil {
		return faults
	}
	for _, other := range specs {
		if other.URL.Socket == "" && clash(transport.URL{Scheme: transport.TCP, Host: host, Port: port}, other.URL) {
			return append(faults, fmt.Errorf("%s: cannot listen on %s: %s listens there already", c.Where("metrics.listen"),
				c.Operation.Metrics, other.Entry.Where("url")))
		}
	}
	return faults
}

// clash reports whether two URLs have an address in common.
func clash(a, b transport.URL) bool {
	if a.Scheme == transport.Unix || b.Scheme == transport.Unix {
		return a.Scheme == b.Scheme && a.Path == b.Path
	}
	if a.Port != b.Port || a.Port == "0" {
		return false
	}
	x, y := hostAddr(a.Host), hostAddr(b.Host)
	switch {
	case !x.IsValid() || !y.IsValid():
		return a.Host == b.Host
	case x == y:
		return true
	case x.IsUnspecified() && y.IsUnspecified():
		return false // [::] leaves IPv4 to 0.0.0.0
	case x.IsUnspecified():
		return x.Is6() || y.Is4()
	case y.IsUnspecified():
		return y.Is6() || x.Is4()
	}
	return false
}

// hostAddr is the address of a host, as a listener takes it; invalid for a name.
func hostAddr(host string) netip.Addr {
	switch host {
	case "":
		return netip.IPv6Unspecified()
	case "localhost":
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}
