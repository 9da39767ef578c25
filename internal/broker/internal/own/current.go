package own

import (
	"shvtools/internal/broker/internal/topics"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// currentClientMethods are those of .broker/currentClient: what each client may ask
// for itself, in the words of either generation.
func (n nodes) currentClientMethods() []node.Method {
	return []node.Method{
		ownGetter("info", "!clientInfo", rpc.AccessBrowse, info),
		{Name: "subscribe", Param: "s|[s:RPCRI,i:TTL]", Result: "b", Access: rpc.AccessBrowse, Call: ofCaller(subscribe)},
		{Name: "unsubscribe", Param: "s", Result: "b", Access: rpc.AccessBrowse, Call: ofCaller(unsubscribe)},
		{Name: "brokersAbove", Param: "[s]", Result: "[s]", Access: rpc.AccessBrowse,
			Call: func(r *node.Request) (chainpack.Value, error) {
				return chainpack.Value{}, n.broker.AnswerBrokersAbove(r)
			},
			Description: "the ids of this broker and of those above it"},
		ownGetter("subscriptions", "{i|n}", rpc.AccessBrowse, subscriptions),
		ownGetter("clientId", "i", rpc.AccessRead, func(c Client) chainpack.Value { return chainpack.Int(c.ID()) }),
		ownGetter("mountPoint", "s", rpc.AccessRead, func(c Client) chainpack.Value {
			return chainpack.String(c.Info().MountPoint)
		}),
		ownGetter("userRoles", "[s]", rpc.AccessRead, func(c Client) chainpack.Value { return roles(c.Info()) }),
		node.Constant("userProfile", "?", rpc.AccessRead, chainpack.Null()),
		{Name: "accessGrantForMethodCall", Param: "[s,s]", Result: "s", Access: rpc.AccessRead,
			Call: ofCaller(func(c Client, param chainpack.Value) (chainpack.Value, error) {
				level, err := levelFor(c, param)
				return chainpack.String(level.String()), err
			})},
		{Name: "accessLevelForMethodCall", Param: "[s,s]", Result: "i", Access: rpc.AccessRead,
			Call: ofCaller(func(c Client, param chainpack.Value) (chainpack.Value, error) {
				level, err := levelFor(c, param)
				return chainpack.Int(int64(level)), err
			})},
	}
}

// oldAppMethods are those of .broker/app, which SHV 2 clients call.
func (n nodes) oldAppMethods() []node.Method {
	text := func(name, value string, access rpc.Access) node.Method {
		return node.Constant(name, "s", access, chainpack.String(value))
	}
	return []node.Method{
		{Name: "ping", Result: "b", Access: rpc.AccessBrowse,
			Call: func(*node.Request) (chainpack.Value, error) { return chainpack.Bool(true), nil }},
		{Name: "echo", Param: "?", Result: "?", Access: rpc.AccessBrowse,
			Call: func(r *node.Request) (chainpack.Value, error) { return r.Param, nil }},
		text("appVersion", n.options.Version, rpc.AccessBrowse),
		text("gitCommit", n.options.Commit, rpc.AccessRead),
		text("shvVersion", "3.0", rpc.AccessRead),
		text("shvGitCommit", "", rpc.AccessRead),
		text("brokerId", n.options.Name, rpc.AccessRead),
		text("masterBrokerId", "", rpc.AccessRead),
		{Name: "subscribe", Param: "{s}", Result: "b", Access: rpc.AccessRead,
			Call: ofCaller(func(c Client, param chainpack.Value) (chainpack.Value, error) {
				_, err := subscribe(c, param)
				return chainpack.Bool(err == nil), err
			})},
		{Name: "unsubscribe", Param: "{s}", Result: "b", Access: rpc.AccessRead, Call: ofCaller(unsubscribe)},
		{Name: "rejectNotSubscribed", Param: "{s}", Result: "b", Access: rpc.AccessRead, Call: ofCaller(reject)},
	}
}

// subscribe takes a subscription in the form of the standard or of SHV 2. The result
// is whether the caller did not have it.
func subscribe(c Client, param chainpack.Value) (chainpack.Value, error) {
	ri, ttl, err := topics.ParseParam(param)
	if err != nil {
		return chainpack.Bool(false), err
	}
	added, err := c.Subscribe(ri, ttl)
	return chainpack.Bool(added), err
}

func unsubscribe(c Client, param chainpack.Value) (chainpack.Value, error) {
	ri, _, err := topics.ParseParam(param)
	if err != nil {
		return chainpack.Bool(false), err
	}
	removed, err := c.Unsubscribe(ri)
	return chainpack.Bool(removed), err
}

// reject ends those subscriptions of the caller that mean a signal which it did not
// want.
func reject(c Client, param chainpack.Value) (chainpack.Value, error) {
	var texts [3]string
	for i, name := range []string{"path", "method", "source"} {
		v, _ := param.Get(name)
		text, ok := v.AsString()
		if texts[i] = text; !ok && !v.IsNull() {
			return chainpack.Bool(false), rpc.Errorf(rpc.CodeInvalidParam, "%s must be a String", name)
		}
	}
	removed, err := c.Reject(texts[0], texts[2], texts[1])
	return chainpack.Bool(removed), err
}

// levelFor reads [path, method] and returns the caller's level there.
func levelFor(c Client, param chainpack.Value) (rpc.Access, error) {
	path, ok := param.At(0).AsString()
	method, also := param.At(1).AsString()
	if param.Kind() != chainpack.KindList || param.Len() != 2 || !ok || !also {
		return 0, rpc.Errorf(rpc.CodeInvalidParam, "the param must be [path, method], two Strings")
	}
	return c.Level(shvpath.Clean([]byte(path)), []byte(method)), nil
}

// ofCaller makes a method about the caller.
func ofCaller(f func(Client, chainpack.Value) (chainpack.Value, error)) func(*node.Request) (chainpack.Value, error) {
	return func(r *node.Request) (chainpack.Value, error) { return f(caller(r), r.Param) }
}

func ownGetter(name, result string, access rpc.Access, get func(Client) chainpack.Value) node.Method {
	return node.Method{Name: name, Flags: node.FlagGetter, Result: result, Access: access,
		Call: ofCaller(func(c Client, _ chainpack.Value) (chainpack.Value, error) { return get(c), nil })}
}
