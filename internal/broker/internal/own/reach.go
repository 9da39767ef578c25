package own

import (
	"bytes"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// AdminLevel is the level from which a user reaches clients by their ids, and what is about another
// peer: that of .broker:disconnectClient, as the standard suggests.
const AdminLevel = rpc.AccessSuperService

// Rules are what a user may do; see auth.User.
type Rules interface {
	// Level is the level for a method at a clean path.
	Level(path, method []byte) rpc.Access
	// Least is the lowest level that the rules give anywhere at or below a clean path.
	Least(path string) rpc.Access
}

// Level returns what rules grant for a method at a clean path, whatever name the path gives to a
// client: by its id, which takes AdminLevel, a client is never called with a higher level than by
// its mount point. The mount points of a child broker's clients are unknown here, so there the
// lowest level counts that the rules give anywhere below the child. It does not allocate for paths
// without an id.
func Level(b Broker, rules Rules, path, method []byte) rpc.Access {
	level := rules.Level(path, method)
	begin, end := idIn(path)
	switch {
	case begin < 0:
		return level
	case level < AdminLevel:
		return rpc.AccessNone
	case begin > 0:
		return min(level, rules.Least(string(path[:begin-1])))
	}
	if mounted, ok := byMount(b, path); ok { // its mount point is not one of our own nodes
		return min(level, Level(b, rules, mounted, method))
	}
	if next, _ := idIn(path[end:]); next >= 0 { // of a broker that is not mounted
		return min(level, rules.Least(string(path[:end])))
	}
	return level
}

// ByMount returns a clean path with the mount point of a client instead of its id. It returns other
// paths, and those of clients that are not mounted, as they are.
func ByMount(b Broker, path []byte) []byte {
	if mounted, ok := byMount(b, path); ok {
		return mounted
	}
	return path
}

func byMount(b Broker, path []byte) (mounted []byte, ok bool) {
	id, rest, ok := TreeOf(path)
	if !ok {
		return nil, false
	}
	c, ok := b.Client(id)
	if !ok {
		return nil, false
	}
	mount := c.Info().MountPoint
	if len(rest) > 0 && mount != "" {
		return append([]byte(mount+"/"), rest...), true
	}
	return []byte(mount), mount != ""
}

// NamesID reports whether a clean path names a client by its id, of this broker or of one below it.
func NamesID(path []byte) bool {
	begin, _ := idIn(path)
	return begin >= 0
}

// TreeOf returns the id of the client that a clean path leads to by its id, and the rest of the path
// there. It does not allocate.
func TreeOf(path []byte) (id int64, rest []byte, ok bool) {
	if below, ok := bytes.CutPrefix(path, []byte(ClientNode+"/")); ok {
		text, rest, _ := bytes.Cut(below, []byte("/"))
		return ParseID(text), rest, true
	}
	below, ok := bytes.CutPrefix(path, []byte(OldClientNode+"/"))
	if !ok {
		return 0, nil, false
	}
	text, rest, _ := bytes.Cut(below, []byte("/"))
	app, rest, _ := bytes.Cut(rest, []byte("/"))
	return ParseID(text), rest, string(app) == OldApp
}

// idIn returns where in a clean path the first client is named by its id, and where the rest of the
// path begins that is a place in its tree; begin is less than 0 if there is none. The C++ broker
// takes names in quotes for the same names.
func idIn(path []byte) (begin, end int) {
	for begin < len(path) {
		at := bytes.Index(path[begin:], []byte(".broker"))
		if at < 0 {
			return -1, 0
		}
		begin += at
		from := begin
		if from > 0 && path[from-1] == '\'' {
			from--
		}
		if from == 0 || path[from-1] == '/' {
			switch ends, n := nameEnds(path, from); {
			case n < 3 || string(unquoted(path[from:ends[0]])) != ".broker":
			case string(unquoted(path[ends[0]+1:ends[1]])) == "client":
				return from, ends[2]
			case n > 3 && string(unquoted(path[ends[0]+1:ends[1]])) == "clients" &&
				string(unquoted(path[ends[2]+1:ends[3]])) == OldApp:
				return from, ends[3]
			}
		}
		begin++
	}
	return -1, 0
}

// nameEnds returns the ends of the next n names of a path, four at most.
func nameEnds(path []byte, from int) (ends [4]int, n int) {
	for n < len(ends) && from <= len(path) {
		end := bytes.IndexByte(path[from:], '/')
		if end < 0 {
			ends[n] = len(path)
			return ends, n + 1
		}
		ends[n] = from + end
		n++
		from += end + 1
	}
	return ends, n
}

func unquoted(name []byte) []byte { return bytes.Trim(name, "'") }

// OfCaller reports whether a call, at a clean path of the tree of a client or of this broker, is one
// that only the direct peer of the broker may make which answers it: the answer would be about that
// peer, and so would what it changes, such as the subscriptions by which one broker gets signals
// from another (rpcmethods/broker of the standard). Administrators may look.
func OfCaller(path, method []byte, level rpc.Access) bool {
	if !bytes.Contains(path, []byte(".broker")) {
		return false
	}
	parent, name := cutLast(path)
	_, above := cutLast(parent)
	if string(unquoted(above)) != ".broker" {
		return false
	}
	switch string(method) {
	case "ls", "dir":
		return false
	}
	switch string(unquoted(name)) {
	case "app":
		switch string(method) {
		case "subscribe", "unsubscribe", "rejectNotSubscribed":
			return true
		}
	case "currentClient":
		switch string(method) {
		case "subscribe", "unsubscribe", "changePassword":
			return true
		}
		return level < AdminLevel
	}
	return false
}

// cutLast cuts a path before its last name.
func cutLast(path []byte) (parent, name []byte) {
	if i := bytes.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return nil, path
}

// direct makes methods refuse callers that are not the direct peer but somebody behind it, where
// they are OfCaller.
func direct(methods []node.Method) []node.Method {
	for i, m := range methods {
		methods[i].Call = func(r *node.Request) (chainpack.Value, error) {
			if len(r.From.Callers) > 0 && OfCaller([]byte(r.Path), []byte(r.Method), r.Access) {
				return chainpack.Value{}, rpc.NotFound(r.Method, r.Path)
			}
			return m.Call(r)
		}
	}
	return methods
}
