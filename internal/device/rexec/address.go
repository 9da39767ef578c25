package rexec

import (
	"fmt"
	"net/netip"
	"strconv"

	"shvtools/internal/device/helperline"
	"shvtools/internal/wire/transport"
)

// address returns the URL at which to create the tunnel: the address that a broker
// offered, or else the host and port of the base protocol. The options of an offered URL
// are ignored, since the agent decides whom to trust, not the broker.
func address(line helperline.Line) (transport.URL, error) {
	find, trust := line.Find, line.Trust
	text := find.Offered()
	if text == "" {
		port := strconv.FormatInt(find.Port, 10)
		if find.Port == 0 {
			port = transport.DefaultPort
		}
		return transport.URL{Scheme: transport.TCP, Host: find.Host, Port: port, AllowPlaintext: trust.Plaintext,
			Unjudged: trust.Untold}, nil
	}
	offered, err := transport.ParseURL(text)
	if err != nil {
		return offered, fmt.Errorf("cannot use the address that the broker offers: %w", err)
	}
	u := transport.URL{Scheme: offered.Scheme, Host: offered.Host, Port: offered.Port, Path: offered.Path,
		Unjudged: trust.Untold}
	switch {
	case u.IsEncrypted():
		u.CA, u.CRL, u.NoVerify = trust.CA, trust.CRL, trust.NoVerify
		u.Cert, u.Key = trust.Cert, trust.Key
		if _, err := netip.ParseAddr(u.Host); err == nil {
			// A broker that does not know its own name offers the address at which
			// the agent reached it. Its certificate is for the name that the agent used.
			u.ServerName = trust.Name
		}
	case u.Scheme == transport.Unix:
		if trust.Socket != "" {
			u.Path = trust.Socket // the broker may see it at another path
		}
		u.Owner = trust.Owner
	default:
		u.AllowPlaintext = trust.Plaintext
	}
	return u, nil
}
