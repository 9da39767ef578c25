package own

import (
	"strconv"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// maxReason bounds the reason that both ends of a tunnel receive when somebody closes
// it, in bytes.
const maxReason = 256

// tunnelMethods are those of .broker/tunnels.
func (n nodes) tunnelMethods() []node.Method {
	return []node.Method{
		node.Getter("list", "[{?}]", rpc.AccessSuperService, func() chainpack.Value {
			var items []chainpack.Value
			for _, t := range n.broker.Tunnels() {
				items = append(items, t.info())
			}
			return chainpack.List(items...)
		}),
		{Name: "close", Param: "i|[i,s]", Access: rpc.AccessSuperService, Call: n.closeByNumber,
			Description: "closes the tunnel of a number; both ends receive the reason"},
	}
}

// tunnels are the tunnels by their numbers.
func (n nodes) tunnels(rest string) (methods []node.Method, children []string, ok bool) {
	if rest == "" {
		for _, t := range n.broker.Tunnels() {
			children = append(children, strconv.FormatInt(t.Number, 10))
		}
		return nil, children, true
	}
	t, ok := n.broker.Tunnel(ParseID([]byte(rest)))
	if !ok {
		return nil, nil, false
	}
	return []node.Method{
		node.Getter("info", "{?}", rpc.AccessSuperService, t.info),
		{Name: "close", Param: "s|n", Access: rpc.AccessSuperService, Call: func(r *node.Request) (chainpack.Value, error) {
			return n.closeTunnel(r, t.Number, r.Param)
		}},
	}, nil, true
}

// info tells who has the tunnel, to whom, since when, and what it carried.
func (t Tunnel) info() chainpack.Value {
	return chainpack.Map(
		chainpack.F("id", chainpack.Int(t.Number)),
		chainpack.F("user", chainpack.String(t.User)),
		chainpack.F("clientId", chainpack.Int(t.ClientID)),
		chainpack.F("peer", chainpack.String(t.ClientPeer)),
		chainpack.F("path", chainpack.String(t.Path)),
		chainpack.F("method", chainpack.String(t.Method)),
		chainpack.F("agent", chainpack.Map(
			chainpack.F("clientId", chainpack.Int(t.AgentID)),
			chainpack.F("mountPoint", chainpack.String(t.AgentMountPoint)),
			chainpack.F("peer", chainpack.String(t.AgentPeer)),
		)),
		chainpack.F("helperId", chainpack.Int(t.HelperID)),
		chainpack.F("since", chainpack.Time(t.Since)),
		chainpack.F("bytesToDevice", chainpack.Int(t.BytesToDevice)),
		chainpack.F("bytesToClient", chainpack.Int(t.BytesToClient)),
		chainpack.F("session", chainpack.String(t.Session)),
	)
}

func (n nodes) closeByNumber(r *node.Request) (chainpack.Value, error) {
	param, reason := r.Param, chainpack.Null()
	if r.Param.Kind() == chainpack.KindList && r.Param.Len() <= 2 {
		param, reason = r.Param.At(0), r.Param.At(1)
	}
	number, ok := param.AsInt()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam,
			"the param must be the number of a tunnel, or [number, reason]")
	}
	if _, ok := n.broker.Tunnel(number); !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "there is no tunnel %d", number)
	}
	return n.closeTunnel(r, number, reason)
}

// closeTunnel closes a tunnel on behalf of the caller, who may give a reason.
func (n nodes) closeTunnel(r *node.Request, number int64, reason chainpack.Value) (chainpack.Value, error) {
	text, ok := reason.AsString()
	if !ok && !reason.IsNull() || len(text) > maxReason {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam,
			"the reason must be a String of at most %d bytes", maxReason)
	}
	n.broker.CloseTunnel(number, caller(r), text)
	return chainpack.Null(), nil
}
