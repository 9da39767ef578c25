package own

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"shvtools/internal/shv/node"
	"shvtools/internal/shv/shvpath"
)

// ForParent returns the tree of the nodes of b as a parent broker sees them, through an exported root,
// a clean path, or "" for none. Without manage it cannot change rights.
func ForParent(b Broker, o Options, root string, manage bool) *node.Tree {
	if root != "" {
		return exported(b, o.Version, root)
	}
	if !manage {
		o.Rights = nil
	}
	return New(b, o)
}

// exported returns the tree of the nodes that a parent broker sees through an exported root: what it
// needs to browse and to subscribe, in the words of either generation, and the names on the way to
// mount points below the root. It has no other node, so nothing else is reached by any name.
func exported(b Broker, version, root string) *node.Tree {
	n := nodes{broker: b}
	tree := new(node.Tree)
	tree.Add("")
	tree.Add(".app", node.App("shvbroker", version, time.Now)...)
	tree.Add(".broker")
	tree.Add(".broker/app", direct(slices.DeleteFunc(n.oldAppMethods(), func(m node.Method) bool {
		return !slices.Contains([]string{"ping", "subscribe", "unsubscribe", "rejectNotSubscribed"}, m.Name)
	}))...)
	tree.Add(CurrentClient, direct(n.currentClientMethods())...)
	tree.More = func(path string) ([]string, bool) { return b.MountsBelow(shvpath.Join(root, path)) }
	tree.MaxItems = MaxParamItems
	return tree
}

// IsOwn reports whether a clean path is one of the broker's own, so that no device is there.
func IsOwn(path []byte) bool {
	first, _, _ := bytes.Cut(path, []byte("/"))
	return string(first) == ".broker" || string(first) == ".app"
}

// Unrooted returns subscriptions below an exported root in the words of the parent broker that has
// them.
func Unrooted(all map[string]time.Duration, root string) map[string]time.Duration {
	if root == "" {
		return all
	}
	own, root := make(map[string]time.Duration, len(all)), shvpath.Escape(root)
	for ri, left := range all {
		own[strings.TrimPrefix(strings.TrimPrefix(ri, root), "/")] = left
	}
	return own
}
