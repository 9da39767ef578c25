package agent

import (
	"shvtools/internal/device/helperline"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/transport"
)

// request returns the FindTunnelRequest of an agent that is connected to own. Over plain
// TCP it is that of the C++ agent. Otherwise the helper must use the same transport, so the
// request asks for an address (docs/protocol.md).
func request(own transport.URL) rpc.TunnelCtl {
	ctl := rpc.TunnelCtl{State: rpc.FindTunnelRequest}
	if own.Scheme != transport.TCP {
		ctl.Accept(own.Scheme)
	}
	return ctl
}

// judge returns an error, for the caller, if a helper must not connect to the address of the
// answer: a session must not use a weaker transport than its agent, and not leave the device without
// encryption where its agent may not. The helper judges what a name leads to.
func judge(own transport.URL, find rpc.TunnelCtl) error {
	if own.Scheme == transport.TCP && find.Offered() == "" {
		plain := transport.URL{Scheme: transport.TCP, Host: find.Host, AllowPlaintext: own.AllowPlaintext}
		return leaves(plain)
	}
	u, err := transport.ParseURL(find.Offered())
	if err != nil || u.Scheme != own.Scheme {
		return rpc.Errorf(rpc.CodeException,
			"cannot start a session: the device is connected by %s, and the broker offers no %s address for sessions",
			own.Scheme, own.Scheme)
	}
	u.AllowPlaintext = own.AllowPlaintext
	return leaves(u)
}

// leaves returns the error of an address that a helper must not connect to without encryption.
func leaves(u transport.URL) error {
	if err := transport.CheckPlaintext(u); err != nil {
		return rpc.Errorf(rpc.CodeException, "cannot start a session: the broker's address for sessions: %v, "+
			"or set allow-plaintext at shvagent", err)
	}
	return nil
}

// trust returns what a helper needs to judge the broker as its agent does.
func trust(own transport.URL) helperline.Trust {
	switch {
	case own.IsEncrypted():
		return helperline.Trust{
			CA: own.CA, CRL: own.CRL, Cert: own.Cert, Key: own.Key, NoVerify: own.NoVerify, Name: own.Host,
		}
	case own.Scheme == transport.Unix:
		return helperline.Trust{Socket: own.Path, Owner: own.Owner}
	}
	return helperline.Trust{Plaintext: own.AllowPlaintext}
}
