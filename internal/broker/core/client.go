package core

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"time"

	"shvtools/internal/broker/internal/topics"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// Nodes below which the trees of clients are found, whether they are mounted or
// not: the one of the standard, and the one of SHV 2.
const (
	clientNode    = ".broker/client"
	clientNodeOld = ".broker/clients"
	appOfOld      = "app"
)

// target finds the client that a request for a clean path goes to, and the rest
// of the path there: a device by its mount point, or any client by its id. It
// does not allocate.
func (b *Broker) target(path []byte) (to *session, rest []byte) {
	if to, rest = b.mountedAt(path); to != nil || len(path) == 0 || path[0] != '.' {
		return to, rest
	}
	if below, ok := bytes.CutPrefix(path, []byte(clientNode+"/")); ok {
		return b.clientAt(below)
	}
	below, ok := bytes.CutPrefix(path, []byte(clientNodeOld+"/"))
	if !ok {
		return nil, nil
	}
	to, rest = b.clientAt(below)
	app, rest, _ := bytes.Cut(rest, []byte("/"))
	if string(app) != appOfOld {
		return nil, nil
	}
	return to, rest
}

// clientAt finds the client whose id a path begins with. Helpers are none: they
// serve their tunnel; and nobody below calls a broker above.
func (b *Broker) clientAt(path []byte) (to *session, rest []byte) {
	text, rest, _ := bytes.Cut(path, []byte("/"))
	if to = b.loggedIn(parseID(text)); to == nil || !to.hasTree() {
		return nil, nil
	}
	return to, rest
}

// parseID reads the id of a client or a tunnel; 0 for what is none.
func parseID(text []byte) (id int64) {
	if len(text) == 0 || len(text) > 18 || text[0] == '0' {
		return 0
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0
		}
		id = 10*id + int64(c-'0')
	}
	return id
}

// loggedIn gives the client or helper with an id, nil where there is none.
func (b *Broker) loggedIn(id int64) *session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if s := b.sessions[id]; s != nil && s.ready.Load() {
		return s
	}
	return nil
}

// everybody gives all who are logged in, by their ids.
func (b *Broker) everybody() []*session {
	b.mu.RLock()
	defer b.mu.RUnlock()
	all := make([]*session, 0, len(b.sessions))
	for _, s := range b.sessions {
		if s.ready.Load() {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(x, y *session) int { return cmp.Compare(x.id, y.id) })
	return all
}

// hasTree tells whether requests may be sent into the tree of the peer.
func (s *session) hasTree() bool { return s.ticket == nil && s.up == nil }

// info describes a client as real V3 clients read it (spec.md 7.9).
func (s *session) info() chainpack.Value {
	mountPoint := chainpack.Null()
	if path := s.broker.mountPointOf(s); path != "" {
		mountPoint = chainpack.String(path)
	}
	return chainpack.Map(
		chainpack.F("clientId", chainpack.Int(s.id)),
		chainpack.F("userName", chainpack.String(s.userName())),
		chainpack.F("mountPoint", mountPoint),
		chainpack.F("subscriptions", s.subscribed()),
		chainpack.F("peer", chainpack.String(s.from.String())),
		chainpack.F("since", chainpack.Time(s.since)),
		chainpack.F("signalsMissed", chainpack.Int(int64(s.missed.Load()))),
	)
}

// userName is "" for a helper, which is no user.
func (s *session) userName() string {
	if user := s.user.Load(); user != nil {
		return user.Name
	}
	return ""
}

func (s *session) roles() chainpack.Value {
	var names []chainpack.Value
	if user := s.user.Load(); user != nil {
		for _, role := range user.Roles {
			names = append(names, chainpack.String(role))
		}
	}
	return chainpack.List(names...)
}

// subscribed gives the subscriptions with the seconds that they have left, Null
// for no end.
func (s *session) subscribed() chainpack.Value {
	all := s.broker.topics.Of(s, time.Now())
	entries := make([]chainpack.Entry, 0, len(all))
	for ri, left := range all {
		ttl := chainpack.Null()
		if left >= 0 {
			ttl = chainpack.Int(int64((left + time.Second - 1) / time.Second))
		}
		entries = append(entries, chainpack.F(ri, ttl))
	}
	slices.SortFunc(entries, func(x, y chainpack.Entry) int { return bytes.Compare([]byte(x.Key.Str()), []byte(y.Key.Str())) })
	return chainpack.Map(entries...)
}

// subscribe takes a subscription in the form of the standard or of SHV 2.
func (s *session) subscribe(param chainpack.Value) (added bool, err error) {
	ri, ttl, err := topics.ParseParam(param)
	if err != nil {
		return false, err
	}
	now := time.Now()
	until := time.Time{}
	if ttl > 0 {
		until = now.Add(ttl)
	}
	if ri, err = s.rooted(ri); err != nil {
		return false, err
	}
	return s.broker.topics.Add(s, ri, until, now)
}

func (s *session) unsubscribe(param chainpack.Value) (removed bool, err error) {
	ri, _, err := topics.ParseParam(param)
	if err == nil {
		ri, err = s.rooted(ri)
	}
	if err != nil {
		return false, err
	}
	return s.broker.topics.Remove(s, ri.String(), time.Now()), nil
}

func idText(id int64) string { return strconv.FormatInt(id, 10) }

// clientIDs are the names of clients, with helpers or without.
func clientIDs(all []*session, helpers bool) (ids []string) {
	for _, s := range all {
		if helpers || s.hasTree() {
			ids = append(ids, idText(s.id))
		}
	}
	return ids
}

// accessFor reads [path, method] and tells the level there.
func (s *session) accessFor(param chainpack.Value) (rpc.Access, error) {
	path, ok := param.At(0).AsString()
	method, also := param.At(1).AsString()
	if param.Kind() != chainpack.KindList || param.Len() != 2 || !ok || !also {
		return 0, rpc.Errorf(rpc.CodeInvalidParam, "the param is to be [path, method], two Strings")
	}
	return s.level(shvpath.Clean([]byte(path)), []byte(method)), nil
}
