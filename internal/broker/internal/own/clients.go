package own

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// brokerMethods are those of .broker.
func (n nodes) brokerMethods() []node.Method {
	name := chainpack.String(n.options.Name)
	return []node.Method{
		node.Constant("name", "s", rpc.AccessBrowse, name),
		{Name: "clientInfo", Param: "i", Result: "!clientInfo|n", Access: rpc.AccessSuperService, Call: n.clientInfo},
		{Name: "mountedClientInfo", Param: "s", Result: "!clientInfo|n", Access: rpc.AccessSuperService,
			Call: n.mountedClientInfo},
		node.Getter("clients", "[i]", rpc.AccessSuperService, n.listClients),
		node.Getter("mounts", "[s]", rpc.AccessSuperService, n.listMounts),
		{Name: "disconnectClient", Param: "i", Access: rpc.AccessSuperService, Call: n.disconnectClient},
		node.Constant("brokerId", "s", rpc.AccessService, name),
	}
}

func (n nodes) clientInfo(r *node.Request) (chainpack.Value, error) {
	id, ok := r.Param.AsInt()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the param must be the id of a client, an Int")
	}
	if c, ok := n.broker.Client(id); ok {
		return info(c), nil
	}
	return chainpack.Null(), nil
}

func (n nodes) mountedClientInfo(r *node.Request) (chainpack.Value, error) {
	path, ok := r.Param.AsString()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the param must be a path, a String")
	}
	if c, ok := n.broker.DeviceAt(shvpath.Clean([]byte(path))); ok {
		return info(c), nil
	}
	return chainpack.Null(), nil
}

// info describes a client as real V3 clients read it (spec.md 7.9).
func info(c Client) chainpack.Value {
	of := c.Info()
	mountPoint := chainpack.Null()
	if of.MountPoint != "" {
		mountPoint = chainpack.String(of.MountPoint)
	}
	return chainpack.Map(
		chainpack.F("clientId", chainpack.Int(c.ID())),
		chainpack.F("userName", chainpack.String(of.User)),
		chainpack.F("mountPoint", mountPoint),
		chainpack.F("subscriptions", subscriptions(c)),
		chainpack.F("peer", chainpack.String(of.Peer)),
		chainpack.F("since", chainpack.Time(of.Since)),
		chainpack.F("signalsMissed", chainpack.Int(int64(of.SignalsMissed))),
	)
}

// subscriptions are those of a client with the seconds that they have left, Null for
// no end.
func subscriptions(c Client) chainpack.Value {
	all := c.Subscriptions()
	entries := make([]chainpack.Entry, 0, len(all))
	for ri, left := range all {
		ttl := chainpack.Null()
		if left >= 0 {
			ttl = chainpack.Int(int64((left + time.Second - 1) / time.Second))
		}
		entries = append(entries, chainpack.F(ri, ttl))
	}
	slices.SortFunc(entries, func(x, y chainpack.Entry) int { return strings.Compare(x.Key.Str(), y.Key.Str()) })
	return chainpack.Map(entries...)
}

func roles(of Info) chainpack.Value { return texts(of.Roles) }

func texts(all []string) chainpack.Value {
	values := make([]chainpack.Value, len(all))
	for i, text := range all {
		values[i] = chainpack.String(text)
	}
	return chainpack.List(values...)
}

func (n nodes) listClients() chainpack.Value {
	var ids []chainpack.Value
	for _, c := range n.broker.Clients() {
		ids = append(ids, chainpack.Int(c.ID()))
	}
	return chainpack.List(ids...)
}

func (n nodes) listMounts() chainpack.Value {
	var paths []string
	for _, c := range n.broker.Clients() {
		if path := c.Info().MountPoint; path != "" {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return texts(slices.Compact(paths))
}

func (n nodes) disconnectClient(r *node.Request) (chainpack.Value, error) {
	id, ok := r.Param.AsInt()
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "the param must be the id of a client, an Int")
	}
	c, ok := n.broker.Client(id)
	if !ok {
		return chainpack.Null(), rpc.Errorf(rpc.CodeInvalidParam, "there is no client %d", id)
	}
	c.Disconnect(caller(r).Name())
	return chainpack.Null(), nil
}

// clients are the clients by their ids. Requests for them never come here, since the
// broker passes them on to the client.
func (n nodes) clients(rest string) ([]node.Method, []string, bool) {
	if rest == "" {
		return nil, n.ids(Client.HasTree), true
	}
	id, _, _ := strings.Cut(rest, "/")
	c, ok := n.broker.Client(ParseID([]byte(id)))
	return nil, nil, ok && c.HasTree()
}

// ids are the ids of clients, as the names of nodes.
func (n nodes) ids(which func(Client) bool) (ids []string) {
	for _, c := range n.broker.Clients() {
		if which(c) {
			ids = append(ids, strconv.FormatInt(c.ID(), 10))
		}
	}
	return ids
}

// oldClients are what SHV 2 tools see of clients.
func (n nodes) oldClients(rest string) ([]node.Method, []string, bool) {
	if rest == "" {
		return nil, n.ids(func(Client) bool { return true }), true
	}
	id, below, _ := strings.Cut(rest, "/")
	c, ok := n.broker.Client(ParseID([]byte(id)))
	switch {
	case !ok:
		return nil, nil, false
	case below != "":
		return nil, nil, below == OldApp && c.HasTree()
	case !c.HasTree():
		return n.oldClientMethods(c), nil, true
	}
	return n.oldClientMethods(c), []string{OldApp}, true
}

func (n nodes) oldClientMethods(c Client) []node.Method {
	return []node.Method{
		node.Getter("userName", "s", rpc.AccessService, func() chainpack.Value { return chainpack.String(c.Info().User) }),
		node.Getter("userRoles", "[s]", rpc.AccessService, func() chainpack.Value { return roles(c.Info()) }),
		node.Constant("userProfile", "?", rpc.AccessService, chainpack.Null()),
		node.Getter("mountPoint", "s", rpc.AccessService, func() chainpack.Value {
			return chainpack.String(c.Info().MountPoint)
		}),
		{Name: "dropClient", Access: rpc.AccessService, Call: func(r *node.Request) (chainpack.Value, error) {
			r.Param = chainpack.Int(c.ID())
			_, err := n.disconnectClient(r)
			return chainpack.Bool(err == nil), err
		}},
		node.Getter("idleTime", "i", rpc.AccessService, func() chainpack.Value {
			silent, _ := c.Silence()
			return chainpack.Int(silent.Milliseconds())
		}),
		node.Getter("idleTimeMax", "i", rpc.AccessService, func() chainpack.Value {
			_, limit := c.Silence()
			return chainpack.Int(limit.Milliseconds())
		}),
	}
}

// mounts are the mount points as a tree.
func (n nodes) mounts(rest string) ([]node.Method, []string, bool) {
	names, ok := n.broker.MountsBelow(rest)
	return nil, names, ok || rest == ""
}
