package rpc

import (
	"strings"

	"shvtools/internal/shv/chainpack"
)

// UserOf returns the name of the user who calls, from the value of TagUserID; "" if it
// names nobody. Of a chain it is the last entry, which the broker of the callee has
// written: the entries before it came from afar and prove nothing (spec.md 3.8).
func UserOf(tag chainpack.Value) string {
	if shvUser, ok := tag.Get("shvUser"); ok { // the form of C++ brokers
		name, _ := shvUser.AsString()
		return name
	}
	chain, _ := tag.AsString()
	last := chain[strings.LastIndexByte(chain, ';')+1:]
	name, _, _ := strings.Cut(last, ":") // "user:broker"
	return strings.TrimSpace(name)
}
