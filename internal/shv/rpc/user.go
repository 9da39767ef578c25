package rpc

import (
	"strings"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
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

// AddUser adds user:broker to the chain of users of a request, as each broker on its way does for the
// user who sent it; not if the request has no chain, since its caller did not ask for one (spec.md
// 3.8). The entries before it remain, but the caller may have made them up.
//
// A request of a parent broker is trusted to name its user: user does not count, and the name is
// repeated, so that a device judges the same user wherever in a tree it is.
func (m *Message) AddUser(user, broker string, trusted bool) {
	if !m.Has(TagUserID) {
		return
	}
	v, err := m.MetaValue(TagUserID)
	chain, ok := v.AsString()
	switch {
	case err != nil:
		chain = "" // nobody further on is to read what we cannot
	case !ok && v.Len() == 0:
		return // it names nobody
	case !ok && trusted && UserOf(v) != "": // of a C++ broker above
		brokerID, _ := v.Get("brokerId")
		name, _ := brokerID.AsString()
		chain = entryOf(UserOf(v), name)
	case !ok:
		// A C++ broker's Map, or a forged value. A device cannot tell them apart, and would take
		// it for the caller.
		chain = cpon.String(v)
	}
	if trusted {
		user = UserOf(v)
	}
	if chain != "" {
		chain += ";"
	}
	m.SetUserID(chainpack.String(chain + entryOf(user, broker)))
}

// entryOf returns one entry of a chain. A name cannot add to it, or pass for a part of it.
func entryOf(user, broker string) string {
	return separators.Replace(user) + ":" + separators.Replace(broker)
}

var separators = strings.NewReplacer(";", "%3B", ":", "%3A")
