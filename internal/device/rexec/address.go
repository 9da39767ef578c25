package rexec

import (
	"fmt"
	"net/netip"
	"strconv"

	"shvtools/internal/device/helperline"
	"shvtools/internal/wire/transport"
)

// address is where the tunnel is to be made: at the address that a broker has
// offered, and else at the host and port of the base protocol. Of an offer, no
// option counts: whom to trust is the agent's decision, not the broker's.
func address(line helperline.Line) (transport.URL, error) {
	find, trust := line.Find, line.Trust
	text := find.Offered()
	if text == "" {
		port := strconv.FormatInt(find.Port, 10)
		if find.Port == 0 {
			port = transport.DefaultPort
		}
		return transport.URL{Scheme: transport.TCP, Host: find.Host, Port: port}, nil
	}
	offered, err := transport.ParseURL(text)
	if err != nil {
		return offered, fmt.Errorf("the broker's offer: %w", err)
	}
	u := transport.URL{Scheme: offered.Scheme, Host: offered.Host, Port: offered.Port, Path: offered.Path}
	switch {
	case u.IsEncrypted():
		u.CA, u.CRL, u.NoVerify = trust.CA, trust.CRL, trust.NoVerify
		u.Cert, u.Key = trust.Cert, trust.Key
		if _, err := netip.ParseAddr(u.Host); err == nil {
			// What the broker knows of its name is the address that the agent
			// reached; its certificate is for the name by which the agent did.
			u.ServerName = trust.Name
		}
	case u.Scheme == transport.Unix:
		if trust.Socket != "" {
			u.Path = trust.Socket // the broker may see it under another name
		}
	}
	return u, nil
}
