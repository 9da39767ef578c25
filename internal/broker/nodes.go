package broker

import (
	"time"

	"shvtools/internal/chainpack"
	"shvtools/internal/node"
	"shvtools/internal/rpc"
)

// addNodes builds the tree that the broker serves itself (protocol.md 7.8,
// 7.9).
func (b *Broker) addNodes() {
	b.nodes.Add("")
	b.nodes.Add(".app", node.App("shvbroker", b.opts.Version, time.Now)...)
	b.nodes.Add(".broker")
	b.nodes.Add(".broker/app", node.Method{
		Name: "ping", Result: "b", Access: rpc.AccessBrowse,
		Call: func(*node.Request) (chainpack.Value, error) { return chainpack.Bool(true), nil },
	})
	b.nodes.More = b.mountsBelow
	b.addRights()
}

// mountsBelow gives the names on the way to mount points below a clean path.
func (b *Broker) mountsBelow(path string) ([]string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mounts.Children(path)
}

// offlineSince tells when the device left whose mount point a clean path is at
// or below.
func (b *Broker) offlineSince(path []byte) (time.Time, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	since, _, ok := b.offline.Lookup(path)
	return since, ok
}
