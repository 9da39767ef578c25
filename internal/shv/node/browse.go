package node

import (
	"slices"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/shvpath"
)

// Bits of the masks that clients of 2022 send (spec.md 7.10).
const (
	lsHasChildren = 1

	dirSignature   = 1
	dirFlags       = 2
	dirGrant       = 4
	dirDescription = 8
	dirTags        = 16
)

// oldForm reads the param [name, mask] of 2022; ok is false for other params.
func oldForm(param chainpack.Value) (name string, mask int64, ok bool) {
	if param.Kind() != chainpack.KindList || param.Len() != 2 {
		return "", 0, false
	}
	name, ok = param.At(0).AsString()
	if !ok && !param.At(0).IsNull() {
		return "", 0, false
	}
	mask, ok = param.At(1).AsInt()
	return name, mask, ok
}

// ls returns the names of the children, or whether one exists.
func (t *Tree) ls(r *Request, at place) (chainpack.Value, error) {
	if name, ok := r.Param.AsString(); ok {
		return chainpack.Bool(slices.Contains(at.children, name)), nil
	}
	shown := slices.DeleteFunc(at.children, func(child string) bool { return t.Hidden[shvpath.Join(r.Path, child)] })
	return Names(r.Param, shown, func(child string) chainpack.Value {
		return t.hasChildren(shvpath.Join(r.Path, child))
	}), nil
}

// Names returns the result of ls for a param that is not a name: the names of the children, or what
// the form of 2022 asks for (spec.md 7.10).
func Names(param chainpack.Value, children []string, hasChildren func(name string) chainpack.Value) chainpack.Value {
	name, mask, _ := oldForm(param)
	items := make([]chainpack.Value, 0, len(children))
	for _, child := range children {
		switch {
		case name != "" && name != child:
		case mask&lsHasChildren != 0:
			items = append(items, chainpack.List(chainpack.String(child), hasChildren(child)))
		default:
			items = append(items, chainpack.String(child))
		}
	}
	return chainpack.List(items...)
}

// hasChildren returns Null for a node that somebody else serves, since only they know.
func (t *Tree) hasChildren(path string) chainpack.Value {
	at := t.find(path)
	if _, own := t.nodes.Get(path); len(at.children) == 0 && len(at.methods) == 0 && !own {
		return chainpack.Null()
	}
	return chainpack.Bool(len(at.children) > 0)
}

// dir returns the methods, or whether one exists. It treats params that are neither a String nor
// the form of 2022 as none, since old clients send several.
func dir(param chainpack.Value, methods []Method) (chainpack.Value, error) {
	if name, ok := param.AsString(); ok {
		return chainpack.Bool(slices.ContainsFunc(methods, func(m Method) bool { return m.Name == name })), nil
	}
	name, mask, old := oldForm(param)
	items := make([]chainpack.Value, 0, len(methods))
	for _, m := range methods {
		switch {
		case !old:
			items = append(items, m.describe())
		case name == "" || name == m.Name:
			items = append(items, m.attributes(mask))
		}
	}
	return chainpack.List(items...), nil
}

// describe returns the IMap of the standard with all of its keys (spec.md 7.10), and the extra if
// there is one.
func (m Method) describe() chainpack.Value {
	signals := make([]chainpack.Entry, len(m.Signals))
	for i, name := range m.Signals {
		signals[i] = chainpack.F(name, chainpack.Null())
	}
	entries := []chainpack.Entry{
		chainpack.N(1, chainpack.String(m.Name)),
		chainpack.N(2, chainpack.Int(m.Flags)),
		chainpack.N(3, chainpack.String(m.Param)),
		chainpack.N(4, chainpack.String(m.Result)),
		chainpack.N(5, chainpack.Int(int64(m.Access))),
		chainpack.N(6, chainpack.Map(signals...)),
	}
	if m.Description != "" {
		entries = append(entries, chainpack.N(63, chainpack.Map(chainpack.F("description", chainpack.String(m.Description)))))
	}
	return chainpack.IMap(entries...)
}

// attributes returns the List of 2022: the name and what the mask asks for, or the name alone.
func (m Method) attributes(mask int64) chainpack.Value {
	items := []chainpack.Value{chainpack.String(m.Name)}
	for _, a := range []struct {
		bit   int64
		value chainpack.Value
	}{
		{dirSignature, chainpack.UInt(m.signature())},
		{dirFlags, chainpack.UInt(uint64(m.Flags))},
		{dirGrant, chainpack.String(m.Access.String())},
		{dirDescription, chainpack.String(m.Description)},
		{dirTags, chainpack.Map()},
	} {
		if mask&a.bit != 0 {
			items = append(items, a.value)
		}
	}
	if len(items) == 1 {
		return items[0]
	}
	return chainpack.List(items...)
}

// signature returns 0 VoidVoid, 1 VoidParam, 2 RetVoid or 3 RetParam.
func (m Method) signature() (n uint64) {
	if m.Param != "" {
		n |= 1
	}
	if m.Result != "" {
		n |= 2
	}
	return n
}
