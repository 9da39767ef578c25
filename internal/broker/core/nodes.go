package core

import (
	"slices"
	"strings"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
)

// DefaultName is what a broker calls itself that was given no name, as the C++
// broker does.
const DefaultName = "broker.local"

// maxParamItems bounds the values in the param of a call of the broker's own nodes: the
// most of any is a role with thousands of rules.
const maxParamItems = 16 << 10

// ownNode is where every client asks about himself.
const ownNode = ".broker/currentClient"

// addNodes builds the tree that the broker serves itself (spec.md 7.8,
// 7.9). What clients of either generation look for is there; what ls shows makes
// each choose its own (7.9).
func (b *Broker) addNodes() {
	b.nodes.Add("")
	b.nodes.Add(".app", node.App("shvbroker", b.opts.Version, time.Now)...)
	b.nodes.Add(".broker", b.brokerMethods()...)
	b.nodes.Add(".broker/app", append(b.oldAppMethods(), b.reloadMethods()...)...)
	b.nodes.Add(ownNode, append(currentClientMethods(), b.passwordMethods()...)...)
	b.nodes.AddDynamic(clientNode, b.clientNodes)
	b.nodes.AddDynamic(clientNodeOld, b.oldClientNodes)
	b.nodes.AddDynamic(".broker/mounts", b.mountNodes)
	b.nodes.Add(".broker/tunnels", b.tunnelMethods()...)
	b.nodes.AddDynamic(".broker/tunnels", b.tunnelNodes)
	b.nodes.More = b.mountsBelow
	b.nodes.MaxItems = maxParamItems
	b.nodes.Hidden = map[string]bool{
		clientNodeOld: true, ".broker/mounts": true, ".broker/tunnels": true, ".broker/etc": true, ".broker/access": true,
	}
	b.addRights()
}

// brokerMethods are those of .broker.
func (b *Broker) brokerMethods() []node.Method {
	return []node.Method{
		node.Constant("name", "s", rpc.AccessBrowse, chainpack.String(b.opts.Name)),
		{Name: "clientInfo", Param: "i", Result: "!clientInfo|n", Access: rpc.AccessSuperService, Call: b.clientInfo},
		{Name: "mountedClientInfo", Param: "s", Result: "!clientInfo|n", Access: rpc.AccessSuperService, Call: b.mountedClientInfo},
		node.Getter("clients", "[i]", rpc.AccessSuperService, b.listClients),
		node.Getter("mounts", "[s]", rpc.AccessSuperService, b.listMounts),
		{Name: "disconnectClient", Param: "i", Access: rpc.AccessSuperService, Call: b.disconnectClient},
		node.Constant("brokerId", "s", rpc.AccessService, chainpack.String(b.opts.Name)),
	}
}

func (b *Broker) clientInfo(r *node.Request) (chainpack.Value, error) {
	id, ok := r.Param.AsInt()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the param is to be the id of a client, an Int")
	}
	if s := b.loggedIn(id); s != nil {
		return s.info(), nil
	}
	return chainpack.Null(), nil
}

func (b *Broker) mountedClientInfo(r *node.Request) (chainpack.Value, error) {
	path, ok := r.Param.AsString()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the param is to be a path, a String")
	}
	if s, _ := b.mountedAt(shvpath.Clean([]byte(path))); s != nil {
		return s.info(), nil
	}
	return chainpack.Null(), nil
}

func (b *Broker) listClients() chainpack.Value {
	var ids []chainpack.Value
	for _, s := range b.everybody() {
		ids = append(ids, chainpack.Int(s.id))
	}
	return chainpack.List(ids...)
}

func (b *Broker) listMounts() chainpack.Value {
	var paths []string
	for _, s := range b.everybody() {
		if path := b.mountPointOf(s); path != "" {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	var items []chainpack.Value
	for _, path := range slices.Compact(paths) {
		items = append(items, chainpack.String(path))
	}
	return chainpack.List(items...)
}

func (b *Broker) disconnectClient(r *node.Request) (chainpack.Value, error) {
	id, ok := r.Param.AsInt()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the param is to be the id of a client, an Int")
	}
	s := b.loggedIn(id)
	if s == nil {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "there is no client %d", id)
	}
	s.log.Warn().Str("by", r.Caller.(*session).name()).Msg("client is disconnected")
	s.link.Close(link.Dropped)
	return chainpack.Null(), nil
}

// clientNodes are the clients by their ids; requests for them never come here,
// since target finds the client itself.
func (b *Broker) clientNodes(rest string) ([]node.Method, []string, bool) {
	if rest == "" {
		return nil, clientIDs(b.everybody(), false), true
	}
	to, _ := b.clientAt([]byte(rest))
	return nil, nil, to != nil
}

// oldClientNodes are what SHV 2 tools see of clients.
func (b *Broker) oldClientNodes(rest string) ([]node.Method, []string, bool) {
	if rest == "" {
		return nil, clientIDs(b.everybody(), true), true
	}
	id, below, _ := strings.Cut(rest, "/")
	s := b.loggedIn(parseID([]byte(id)))
	switch {
	case s == nil:
		return nil, nil, false
	case below != "":
		return nil, nil, below == appOfOld && s.hasTree()
	case !s.hasTree():
		return b.oldClientMethods(s), nil, true
	}
	return b.oldClientMethods(s), []string{appOfOld}, true
}

func (b *Broker) oldClientMethods(s *session) []node.Method {
	return []node.Method{
		node.Getter("userName", "s", rpc.AccessService, func() chainpack.Value { return chainpack.String(s.userName()) }),
		node.Getter("userRoles", "[s]", rpc.AccessService, s.roles),
		node.Constant("userProfile", "?", rpc.AccessService, chainpack.Null()),
		node.Getter("mountPoint", "s", rpc.AccessService, func() chainpack.Value { return chainpack.String(b.mountPointOf(s)) }),
		{Name: "dropClient", Access: rpc.AccessService, Call: func(r *node.Request) (chainpack.Value, error) {
			r.Param = chainpack.Int(s.id)
			_, err := b.disconnectClient(r)
			return chainpack.Bool(err == nil), err
		}},
		node.Getter("idleTime", "i", rpc.AccessService, func() chainpack.Value {
			silent, _ := s.link.Silence()
			return chainpack.Int(silent.Milliseconds())
		}),
		node.Getter("idleTimeMax", "i", rpc.AccessService, func() chainpack.Value {
			_, limit := s.link.Silence()
			return chainpack.Int(limit.Milliseconds())
		}),
	}
}

// mountNodes are the mount points as a tree.
func (b *Broker) mountNodes(rest string) ([]node.Method, []string, bool) {
	names, ok := b.mountsBelow(rest)
	return nil, names, ok || rest == ""
}
