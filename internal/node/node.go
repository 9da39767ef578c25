// Package node serves a tree of nodes to RPC callers: ls and dir everywhere,
// and the methods of each node behind a check of the caller's access level
// (protocol.md 7.9, 7.10). It knows no connection: a Request goes in, a value or
// an error comes out.
package node

import (
	"errors"
	"slices"

	"shvtools/internal/chainpack"
	"shvtools/internal/rpc"
	"shvtools/internal/shvpath"
)

// Flags of a method (protocol.md 7.10).
const (
	FlagGetter    = 2
	FlagSetter    = 4
	FlagLarge     = 8
	FlagNotIdem   = 16
	FlagUserID    = 32
	FlagLongCalls = 128
)

// ErrLater is returned by a method that answers its call by itself, later.
var ErrLater = errors.New("node: answered later")

// Request is one call.
type Request struct {
	Path   string // clean
	Method string
	Param  chainpack.Value
	Access rpc.Access  // the caller's level
	From   rpc.Address // where the answer goes
	UserID chainpack.Value
}

// Method is a method of a node.
type Method struct {
	Name    string
	Flags   int64
	Param   string // type name, "" for none
	Result  string // type name, "" for Null
	Access  rpc.Access
	Signals []string
	// Call runs it. It must not wait: one that takes time answers later.
	Call func(*Request) (chainpack.Value, error)
}

// Tree is a tree of nodes. It must not be changed while it serves.
type Tree struct {
	nodes shvpath.Tree[[]Method]
	// More gives names below a path that are not in the tree itself; ok says
	// that the path exists there. Nil: none.
	More func(path string) (names []string, ok bool)
	// Hidden gives the methods of nodes that no ls shows and that not every
	// caller may know of; nil: there is no such node for the caller.
	Hidden func(r *Request) []Method
}

// Add puts a node with methods at a clean path; the nodes above it come to
// exist with it.
func (t *Tree) Add(path string, methods ...Method) { t.nodes.Set(path, methods) }

// Call serves a request. Its errors are RPC errors, or ErrLater.
func (t *Tree) Call(r *Request) (chainpack.Value, error) {
	children, exists := t.children(r.Path)
	own, _ := t.nodes.Get(r.Path)
	if !exists && t.Hidden != nil {
		own = t.Hidden(r)
	}
	if !exists && own == nil {
		return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
	}
	methods := append(builtin[:len(builtin):len(builtin)], own...)
	for _, m := range methods {
		if m.Name != r.Method {
			continue
		}
		if r.Access < m.Access {
			return chainpack.Value{}, rpc.Denied(r.Method, r.Path, r.Access, m.Access)
		}
		switch m.Name {
		case "ls":
			return ls(r.Param, children)
		case "dir":
			return dir(r.Param, methods)
		}
		return m.Call(r)
	}
	return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
}

func (t *Tree) children(path string) (names []string, exists bool) {
	names, exists = t.nodes.Children(path)
	if path == "" {
		exists = true
	}
	if t.More == nil {
		return names, exists
	}
	more, ok := t.More(path)
	names = append(names, more...)
	slices.Sort(names)
	return slices.Compact(names), exists || ok
}

// builtin are the methods that every node has, listed first.
var builtin = []Method{
	{Name: "dir", Param: "n|b|s", Result: "[!dir]|b", Access: rpc.AccessBrowse},
	{Name: "ls", Param: "s|n", Result: "[s]|b", Access: rpc.AccessBrowse, Signals: []string{"lsmod"}},
}

// ls answers the names of the children, or whether one is there.
func ls(param chainpack.Value, children []string) (chainpack.Value, error) {
	if name, ok := param.AsString(); ok {
		return chainpack.Bool(slices.Contains(children, name)), nil
	}
	items := make([]chainpack.Value, len(children))
	for i, name := range children {
		items[i] = chainpack.String(name)
	}
	return chainpack.List(items...), nil
}

// dir answers the methods, or whether one is there; other params than a String
// are taken for none, since old clients send several.
func dir(param chainpack.Value, methods []Method) (chainpack.Value, error) {
	if name, ok := param.AsString(); ok {
		for _, m := range methods {
			if m.Name == name {
				return chainpack.Bool(true), nil
			}
		}
		return chainpack.Bool(false), nil
	}
	items := make([]chainpack.Value, len(methods))
	for i, m := range methods {
		items[i] = m.describe()
	}
	return chainpack.List(items...), nil
}

// describe is the IMap of the standard with all of its keys.
func (m Method) describe() chainpack.Value {
	signals := make([]chainpack.Entry, len(m.Signals))
	for i, name := range m.Signals {
		signals[i] = chainpack.F(name, chainpack.Null())
	}
	return chainpack.IMap(
		chainpack.N(1, chainpack.String(m.Name)),
		chainpack.N(2, chainpack.Int(m.Flags)),
		chainpack.N(3, chainpack.String(m.Param)),
		chainpack.N(4, chainpack.String(m.Result)),
		chainpack.N(5, chainpack.Int(int64(m.Access))),
		chainpack.N(6, chainpack.Map(signals...)),
	)
}
