package rpc

import (
	"strings"

	"shvtools/internal/shv/chainpack"
)

// Access is an access level (spec.md 3.8). A caller may call methods whose level is not above its
// own. Zero is no access.
type Access int

// The levels of the standard, with its numbers.
const (
	AccessNone         Access = 0
	AccessBrowse       Access = 1
	AccessRead         Access = 8
	AccessWrite        Access = 16
	AccessCommand      Access = 24
	AccessConfig       Access = 32
	AccessService      Access = 40
	AccessSuperService Access = 48
	AccessDevelopment  Access = 56
	AccessSuper        Access = 63
)

var accessNames = []struct {
	level Access
	name  string
}{
	{AccessSuper, "su"},
	{AccessDevelopment, "dev"},
	{AccessSuperService, "ssrv"},
	{AccessService, "srv"},
	{AccessConfig, "cfg"},
	{AccessCommand, "cmd"},
	{AccessWrite, "wr"},
	{AccessRead, "rd"},
	{AccessBrowse, "bws"},
}

// String returns the name of the highest level that a does not exceed, "" below browse. A level
// between two names has the rights of the lower one.
func (a Access) String() string {
	for _, n := range accessNames {
		if a >= n.level {
			return n.name
		}
	}
	return ""
}

// ParseAccess returns the highest level named in text, a comma-separated list as in tag 14. It
// ignores unknown words; ok is false if it knows none.
func ParseAccess(text string) (level Access, ok bool) {
	for word := range strings.SplitSeq(text, ",") {
		for _, n := range accessNames {
			if word == n.name {
				level, ok = max(level, n.level), true
			}
		}
	}
	return level, ok
}

// accessOf reads the two tags of a request: the number in tag 17, else the highest name in tag 14.
func accessOf(level, grant chainpack.Value) (Access, bool) {
	if n, ok := level.AsInt(); ok && level.Kind() == chainpack.KindInt {
		return Access(min(max(n, 0), int64(AccessSuper))), true
	}
	if text, ok := grant.AsString(); ok {
		return ParseAccess(text)
	}
	return AccessNone, false
}
