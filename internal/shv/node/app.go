package node

import (
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// Getter returns a method without a param that answers what get returns.
func Getter(name, result string, access rpc.Access, get func() chainpack.Value) Method {
	return Method{Name: name, Flags: FlagGetter, Result: result, Access: access,
		Call: func(*Request) (chainpack.Value, error) { return get(), nil }}
}

// Constant returns a getter of a value that never changes.
func Constant(name, result string, access rpc.Access, v chainpack.Value) Method {
	return Getter(name, result, access, func() chainpack.Value { return v })
}

// App returns the methods of a program's node .app (spec.md 7.9). now is the clock.
func App(name, version string, now func() time.Time) []Method {
	return []Method{
		Constant("shvVersionMajor", "i", rpc.AccessBrowse, chainpack.Int(3)),
		Constant("shvVersionMinor", "i", rpc.AccessBrowse, chainpack.Int(0)),
		Constant("name", "s", rpc.AccessBrowse, chainpack.String(name)),
		Constant("version", "s", rpc.AccessBrowse, chainpack.String(version)),
		{Name: "ping", Access: rpc.AccessBrowse,
			Call: func(*Request) (chainpack.Value, error) { return chainpack.Null(), nil }},
		Getter("date", "t", rpc.AccessBrowse, func() chainpack.Value { return chainpack.Time(now()) }),
	}
}
