// Package node serves a tree of nodes to RPC callers: ls and dir on every node, and the methods of
// each node if the caller's access level permits (spec.md 7.9, 7.10). It knows no connection: a
// Request goes in, a value or an error comes out.
package node

import (
	"errors"
	"runtime/debug"
	"slices"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// Flags of a method (spec.md 7.10).
const (
	FlagGetter    = 2
	FlagSetter    = 4
	FlagLarge     = 8
	FlagNotIdem   = 16
	FlagUserID    = 32
	FlagLongCalls = 128
)

// ErrLater is returned by a method that will answer its call later, by itself.
var ErrLater = errors.New("node: answered later")

// Request is one call.
type Request struct {
	Path   string // a clean path
	Method string
	Param  chainpack.Value
	Access rpc.Access  // the caller's level
	From   rpc.Address // where the answer goes
	UserID chainpack.Value
	Caller any // what the caller of Answer passed; nil: nothing
	Size   int // size of the body in bytes
}

// Method is a method of a node.
type Method struct {
	Name    string
	Flags   int64
	Param   string // type name, "" for none
	Result  string // type name, "" for Null
	Access  rpc.Access
	Signals []string
	// Description is for people, in the extra of dir; "" for none.
	Description string
	// Call runs the method. It must not wait: a method that takes time returns ErrLater.
	Call func(*Request) (chainpack.Value, error)
}

// Dynamic returns the nodes below a path that exist only as long as something lives. rest is the
// clean path relative to it, "" for the path itself, which always exists. A node without methods
// and children is served by somebody else. The tree calls it concurrently if it serves
// concurrently.
type Dynamic func(rest string) (methods []Method, children []string, ok bool)

// Server serves all requests at and below a path, ls and dir too, usually by Tree.Serve. rest is
// the clean path relative to it. It must not wait: what takes time returns ErrLater.
type Server func(r *Request, rest string) (chainpack.Value, error)

// Running knows the calls that are answered later. Its methods may be called concurrently.
type Running interface {
	// Progress returns the progress, from 0 to 1, of the call with this address; ok is false if no
	// such call runs.
	Progress(rpc.Address) (progress float64, ok bool)
	// Abort ends the call with this address, if it runs. The call gets no answer.
	Abort(rpc.Address)
}

// Tree is a tree of nodes. It must not be changed while it serves; it may serve concurrently.
type Tree struct {
	nodes   shvpath.Tree[[]Method]
	dynamic shvpath.Tree[Dynamic]
	floors  shvpath.Tree[rpc.Access]
	servers shvpath.Tree[Server]
	// More returns names below a path that are not in the tree itself; ok reports that the path
	// exists there. Nil: none.
	More func(path string) (names []string, ok bool)
	// Hidden holds clean paths that ls does not show, although they answer.
	Hidden map[string]bool
	// MaxItems bounds the values in the body of a request; 0 means chainpack.DefaultItems.
	MaxItems int
	// Running knows the calls that are answered later. Nil: there are none.
	Running Running
	// Calling, if set, is called for each method except ls and dir just before it runs.
	Calling func(*Request, Method)
	// Panicked, if set, is called where serving a request panicked, with the cause and the stack of
	// the panic; the caller gets an error. Nil: the panic is the caller's of Answer.
	Panicked func(r *Request, cause any, stack []byte)
	// Denied, if set, is called for each request that is refused for the level of its caller.
	Denied func(*Request, *rpc.Error)
}

// Add puts a node with methods at a clean path. The nodes above it exist from then on, too.
func (t *Tree) Add(path string, methods ...Method) { t.nodes.Set(path, methods) }

// AddDynamic puts nodes that come and go at and below a clean path. Add may give methods to the
// path itself.
func (t *Tree) AddDynamic(path string, nodes Dynamic) {
	if _, ok := t.nodes.Get(path); !ok {
		t.nodes.Set(path, nil) // so that it is listed
	}
	t.dynamic.Set(path, nodes)
}

// AddServer makes s serve a clean path and everything below it.
func (t *Tree) AddServer(path string, s Server) {
	if _, ok := t.nodes.Get(path); !ok {
		t.nodes.Set(path, nil) // so that it is listed
	}
	t.servers.Set(path, s)
}

// Restrict sets the lowest level for everything at and below a clean path, ls and dir too.
func (t *Tree) Restrict(path string, level rpc.Access) { t.floors.Set(path, level) }

// ErrInternal answers a call that panicked.
var ErrInternal = rpc.Errorf(rpc.CodeInternal,
	"internal error: this is a fault of the program, and its log has the details")

// guarded serves a request. One that panics must not take the connection with it, and all other
// calls on it.
func (t *Tree) guarded(r *Request) (result chainpack.Value, err error) {
	if t.Panicked != nil {
		defer func() {
			if cause := recover(); cause != nil {
				t.Panicked(r, cause, debug.Stack())
				result, err = chainpack.Value{}, ErrInternal
			}
		}()
	}
	return t.call(r)
}

// call serves a request. Its errors are RPC errors, or ErrLater.
func (t *Tree) call(r *Request) (chainpack.Value, error) {
	if floor, _, ok := t.floors.Lookup([]byte(r.Path)); ok && r.Access < floor {
		return chainpack.Value{}, t.denied(r, floor)
	}
	if s, rest, ok := t.servers.Lookup([]byte(r.Path)); ok {
		return s(r, string(rest))
	}
	at := t.find(r.Path)
	if !at.exists {
		return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
	}
	return t.Serve(r, at.methods, func(*Request) (chainpack.Value, error) { return t.ls(r, at) })
}

// Serve serves a request to one node that has the given methods: dir, ls by the given function, and
// the methods.
func (t *Tree) Serve(
	r *Request, methods []Method, ls func(*Request) (chainpack.Value, error),
) (chainpack.Value, error) {
	methods = append(builtin[:len(builtin):len(builtin)], methods...)
	i := slices.IndexFunc(methods, func(m Method) bool { return m.Name == r.Method })
	if i < 0 {
		return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
	}
	m := methods[i]
	if r.Access < m.Access {
		return chainpack.Value{}, t.denied(r, m.Access)
	}
	switch m.Name {
	case "ls":
		return ls(r)
	case "dir":
		return dir(r.Param, methods)
	}
	if t.Calling != nil {
		t.Calling(r, m)
	}
	return m.Call(r)
}

// denied returns the error for a caller whose level is too low.
func (t *Tree) denied(r *Request, needed rpc.Access) *rpc.Error {
	err := rpc.Denied(r.Method, r.Path, r.Access, needed)
	if t.Denied != nil {
		t.Denied(r, err)
	}
	return err
}

// place is what is known of a path.
type place struct {
	methods  []Method // without the built-in ones
	children []string // sorted
	exists   bool
}

func (t *Tree) find(path string) (at place) {
	at.children, at.exists = t.nodes.Children(path)
	at.exists = at.exists || path == ""
	at.methods, _ = t.nodes.Get(path)
	if nodes, rest, ok := t.dynamic.Lookup([]byte(path)); ok {
		methods, children, exists := nodes(string(rest))
		at.methods = append(at.methods[:len(at.methods):len(at.methods)], methods...)
		at.children = append(at.children, children...)
		at.exists = at.exists || exists
	}
	if t.More != nil {
		more, ok := t.More(path)
		at.children = append(at.children, more...)
		at.exists = at.exists || ok
	}
	slices.Sort(at.children)
	at.children = slices.Compact(at.children)
	return at
}

// builtin are the methods of every node, listed first.
var builtin = []Method{
	{Name: "dir", Param: "n|b|s", Result: "[!dir]|b", Access: rpc.AccessBrowse},
	{Name: "ls", Param: "s|n", Result: "[s]|b", Access: rpc.AccessBrowse, Signals: []string{"lsmod"}},
}
