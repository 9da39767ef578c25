package agent

import (
	"shvtools/internal/device/helperline"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/transport"
)

// request is the FindTunnelRequest of an agent that is connected to own. Over plain
// TCP it is that of the C++ agent; otherwise a helper has to come the same way, so
// an offer is asked for (docs/protocol.md).
func request(own transport.URL) rpc.TunnelCtl {
	ctl := rpc.TunnelCtl{State: rpc.FindTunnelRequest}
	if own.Scheme != transport.TCP {
		ctl.Accept(own.Scheme)
	}
	return ctl
}

// judge tells whether a helper may go where the answer says. What a session carries
// must not go over a plain connection when the agent itself would not.
func judge(own transport.URL, find rpc.TunnelCtl) error {
	if own.Scheme == transport.TCP {
		return nil
	}
	if u, err := transport.ParseURL(find.Offered()); err != nil || u.Scheme != own.Scheme {
		return rpc.Errorf(rpc.CodeException,
			"the device is connected by %s, and the broker offers no address of that kind for the session: it is not sent any other way", own.Scheme)
	}
	return nil
}

// trust is what a helper needs to know to judge the broker as its agent does.
func trust(own transport.URL) helperline.Trust {
	switch {
	case own.IsEncrypted():
		return helperline.Trust{CA: own.CA, CRL: own.CRL, Cert: own.Cert, Key: own.Key, NoVerify: own.NoVerify, Name: own.Host}
	case own.Scheme == transport.Unix:
		return helperline.Trust{Socket: own.Path}
	}
	return helperline.Trust{}
}
