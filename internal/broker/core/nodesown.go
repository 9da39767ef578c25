package core

import (
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// currentClientMethods are those of .broker/currentClient: what everybody may
// ask for himself, in the words of either generation.
func currentClientMethods() []node.Method {
	return []node.Method{
		ownGetter("info", "!clientInfo", rpc.AccessBrowse, (*session).info),
		{Name: "subscribe", Param: "s|[s:RPCRI,i:TTL]", Result: "b", Access: rpc.AccessBrowse, Call: own(boolOf((*session).subscribe))},
		{Name: "unsubscribe", Param: "s", Result: "b", Access: rpc.AccessBrowse, Call: own(boolOf((*session).unsubscribe))},
		{Name: "brokersAbove", Param: "[s]", Result: "[s]", Access: rpc.AccessBrowse, Call: askAboveFor,
			Description: "the ids of this broker and of those above it"},
		ownGetter("subscriptions", "{i|n}", rpc.AccessBrowse, (*session).subscribed),
		ownGetter("clientId", "i", rpc.AccessRead, func(s *session) chainpack.Value { return chainpack.Int(s.id) }),
		ownGetter("mountPoint", "s", rpc.AccessRead, func(s *session) chainpack.Value {
			return chainpack.String(s.broker.mountPointOf(s))
		}),
		ownGetter("userRoles", "[s]", rpc.AccessRead, (*session).roles),
		node.Constant("userProfile", "?", rpc.AccessRead, chainpack.Null()),
		{Name: "accessGrantForMethodCall", Param: "[s,s]", Result: "s", Access: rpc.AccessRead,
			Call: own(func(s *session, param chainpack.Value) (chainpack.Value, error) {
				level, err := s.accessFor(param)
				return chainpack.String(level.String()), err
			})},
		{Name: "accessLevelForMethodCall", Param: "[s,s]", Result: "i", Access: rpc.AccessRead,
			Call: own(func(s *session, param chainpack.Value) (chainpack.Value, error) {
				level, err := s.accessFor(param)
				return chainpack.Int(int64(level)), err
			})},
	}
}

// oldAppMethods are those of .broker/app, which SHV 2 clients call.
func (b *Broker) oldAppMethods() []node.Method {
	text := func(name, value string, access rpc.Access) node.Method {
		return node.Constant(name, "s", access, chainpack.String(value))
	}
	return []node.Method{
		{Name: "ping", Result: "b", Access: rpc.AccessBrowse,
			Call: func(*node.Request) (chainpack.Value, error) { return chainpack.Bool(true), nil }},
		{Name: "echo", Param: "?", Result: "?", Access: rpc.AccessBrowse,
			Call: func(r *node.Request) (chainpack.Value, error) { return r.Param, nil }},
		text("appVersion", b.opts.Version, rpc.AccessBrowse),
		text("gitCommit", b.opts.Commit, rpc.AccessRead),
		text("shvVersion", "3.0", rpc.AccessRead),
		text("shvGitCommit", "", rpc.AccessRead),
		text("brokerId", b.opts.Name, rpc.AccessRead),
		text("masterBrokerId", "", rpc.AccessRead),
		{Name: "subscribe", Param: "{s}", Result: "b", Access: rpc.AccessRead,
			Call: own(func(s *session, param chainpack.Value) (chainpack.Value, error) {
				_, err := s.subscribe(param)
				return chainpack.Bool(err == nil), err
			})},
		{Name: "unsubscribe", Param: "{s}", Result: "b", Access: rpc.AccessRead, Call: own(boolOf((*session).unsubscribe))},
		{Name: "rejectNotSubscribed", Param: "{s}", Result: "b", Access: rpc.AccessRead, Call: own(boolOf((*session).rejected))},
	}
}

// rejected ends those subscriptions of the caller that a signal matches which he
// did not want.
func (s *session) rejected(param chainpack.Value) (removed bool, err error) {
	var names [3]string
	for i, name := range []string{"path", "method", "source"} {
		v, _ := param.Get(name)
		text, ok := v.AsString()
		if names[i] = text; !ok && !v.IsNull() {
			return false, rpc.Errorf(rpc.CodeInvalidParam, "%s is to be a String", name)
		}
	}
	source := defaultSource
	if names[2] != "" {
		source = []byte(names[2])
	}
	if len(names[0]) > maxSignalPath {
		return false, rpc.Errorf(rpc.CodeInvalidParam, "a path of %d bytes, more than %d", len(names[0]), maxSignalPath)
	}
	return s.broker.topics.RemoveMatching(s, s.rootedPath(shvpath.Clean([]byte(names[0]))), source, []byte(names[1])), nil
}

// own makes a method of the caller.
func own(f func(*session, chainpack.Value) (chainpack.Value, error)) func(*node.Request) (chainpack.Value, error) {
	return func(r *node.Request) (chainpack.Value, error) { return f(r.Caller.(*session), r.Param) }
}

func ownGetter(name, result string, access rpc.Access, get func(*session) chainpack.Value) node.Method {
	return node.Method{Name: name, Flags: node.FlagGetter, Result: result, Access: access,
		Call: own(func(s *session, _ chainpack.Value) (chainpack.Value, error) { return get(s), nil })}
}

func boolOf(f func(*session, chainpack.Value) (bool, error)) func(*session, chainpack.Value) (chainpack.Value, error) {
	return func(s *session, param chainpack.Value) (chainpack.Value, error) {
		b, err := f(s, param)
		return chainpack.Bool(b), err
	}
}
