package core

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// maxReason bounds what both ends of a tunnel are told that somebody closes, in
// bytes.
const maxReason = 256

// liveTunnels gives the tunnels of now, the oldest first.
func (b *Broker) liveTunnels() []*tunnel {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := slices.Collect(maps.Values(b.numbered))
	slices.SortFunc(all, func(x, y *tunnel) int { return cmp.Compare(x.number, y.number) })
	return all
}

func (b *Broker) liveTunnel(number int64) *tunnel {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.numbered[number]
}

// tunnelMethods are those of .broker/tunnels.
func (b *Broker) tunnelMethods() []node.Method {
	return []node.Method{
		node.Getter("list", "[{?}]", rpc.AccessSuperService, func() chainpack.Value {
			var items []chainpack.Value
			for _, t := range b.liveTunnels() {
				items = append(items, t.info())
			}
			return chainpack.List(items...)
		}),
		{Name: "close", Param: "i|[i,s]", Access: rpc.AccessSuperService, Call: b.closeByNumber,
			Description: "closes the tunnel of a number; both ends are told the reason"},
	}
}

// tunnelNodes are the tunnels by their numbers.
func (b *Broker) tunnelNodes(rest string) (methods []node.Method, children []string, ok bool) {
	if rest == "" {
		for _, t := range b.liveTunnels() {
			children = append(children, idText(t.number))
		}
		return nil, children, true
	}
	t := b.liveTunnel(parseID([]byte(rest)))
	if t == nil {
		return nil, nil, false
	}
	return []node.Method{
		node.Getter("info", "{?}", rpc.AccessSuperService, t.info),
		{Name: "close", Param: "s|n", Access: rpc.AccessSuperService, Call: func(r *node.Request) (chainpack.Value, error) {
			return b.closeByHand(r, t, r.Param)
		}},
	}, nil, true
}

// info tells who has the tunnel, to whom, since when, and what it carried.
func (t *tunnel) info() chainpack.Value {
	return chainpack.Map(
		chainpack.F("id", chainpack.Int(t.number)),
		chainpack.F("user", chainpack.String(t.client.session.userName())),
		chainpack.F("clientId", chainpack.Int(t.client.session.id)),
		chainpack.F("peer", chainpack.String(t.client.session.from.String())),
		chainpack.F("path", chainpack.String(t.with.Path)),
		chainpack.F("method", chainpack.String(t.with.Method)),
		chainpack.F("agent", chainpack.Map(
			chainpack.F("clientId", chainpack.Int(t.agent.id)),
			chainpack.F("mountPoint", chainpack.String(t.agentAt)),
			chainpack.F("peer", chainpack.String(t.agent.from.String())),
		)),
		chainpack.F("helperId", chainpack.Int(t.helper.session.id)),
		chainpack.F("since", chainpack.Time(t.since)),
		chainpack.F("bytesToDevice", chainpack.Int(t.toHelper.Load())),
		chainpack.F("bytesToClient", chainpack.Int(t.toClient.Load())),
	)
}

func (b *Broker) closeByNumber(r *node.Request) (chainpack.Value, error) {
	number, reason := r.Param, chainpack.Null()
	if r.Param.Kind() == chainpack.KindList && r.Param.Len() <= 2 {
		number, reason = r.Param.At(0), r.Param.At(1)
	}
	n, ok := number.AsInt()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the param is to be the number of a tunnel, or [number, reason]")
	}
	t := b.liveTunnel(n)
	if t == nil {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "there is no tunnel %d", n)
	}
	return b.closeByHand(r, t, reason)
}

// closeByHand closes a tunnel for somebody, who may give a reason.
func (b *Broker) closeByHand(r *node.Request, t *tunnel, reason chainpack.Value) (chainpack.Value, error) {
	text, ok := reason.AsString()
	if !ok && !reason.IsNull() || len(text) > maxReason {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the reason is to be a String of at most %d bytes", maxReason)
	}
	by := r.Caller.(*session)
	why := fmt.Sprintf("closed by %s", by.name())
	if text != "" {
		why += ": " + text
	}
	by.log.Warn().Int64("tunnel", t.number).Str("reason", text).Msg("tunnel is closed by hand")
	b.closeTunnel(t, why)
	return chainpack.Null(), nil
}
