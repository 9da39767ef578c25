package journal

import (
	"encoding/binary"
	"hash/maphash"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// secretMethods have a param or an answer that is secret as a whole: passwords, commands
// with their environment and output, the content of files, and signals with them.
var secretMethods = map[string]bool{
	"changePassword": true, "revokeToken": true,
	"runCmd": true, "runScript": true, "cmdlog": true,
	"read": true, "write": true, "append": true, "readCompressed": true,
}

// maxSecretCalls is how many of the latest secret calls are remembered, each with 8 bytes
// and its place in a map.
const maxSecretCalls = 1 << 16

// secretCalls remembers which calls were secret, so that their answers are masked, too: all
// of them, since one call may have several. The zero value is empty. It keeps hashes: that
// two calls have the same one masks an answer too many.
type secretCalls struct {
	seed  maphash.Seed
	known map[uint64]int // how often it is in order
	order []uint64       // a ring once there are maxSecretCalls
	next  int
}

// concern reports whether a message on the link id is a secret call, or an answer to one.
func (s *secretCalls) concern(id int64, meta []chainpack.Entry) bool {
	method, _ := chainpack.Lookup(meta, chainpack.IntKey(rpc.TagMethod))
	requestID, numbered := chainpack.Lookup(meta, chainpack.IntKey(rpc.TagRequestID))
	if name, isCall := method.AsString(); isCall {
		if secretMethods[name] && numbered {
			s.remember(s.key(id, requestID, meta))
		}
		return secretMethods[name]
	}
	return numbered && s.known != nil && s.known[s.key(id, requestID, meta)] > 0
}

// key identifies a call on a link: its id, and the stack of those for whom it is made.
func (s *secretCalls) key(id int64, requestID chainpack.Value, meta []chainpack.Entry) uint64 {
	if s.known == nil {
		s.seed, s.known = maphash.MakeSeed(), make(map[uint64]int)
	}
	var h maphash.Hash
	h.SetSeed(s.seed)
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], uint64(id))
	_, _ = h.Write(number[:])
	_, _ = h.Write(cpon.Append(nil, requestID))
	callers, _ := chainpack.Lookup(meta, chainpack.IntKey(rpc.TagCallerIDs))
	if callers.Kind() != chainpack.KindList {
		callers = chainpack.List(callers) // the same stack has two forms (spec.md 3.4)
	}
	for _, caller := range callers.Items() {
		n, _ := caller.AsInt()
		binary.LittleEndian.PutUint64(number[:], uint64(n))
		_, _ = h.Write(number[:])
	}
	return h.Sum64()
}

func (s *secretCalls) remember(key uint64) {
	if s.known[key]++; len(s.order) < maxSecretCalls {
		s.order = append(s.order, key)
		return
	}
	old := s.order[s.next]
	if s.known[old]--; s.known[old] == 0 {
		delete(s.known, old)
	}
	s.order[s.next] = key
	s.next = (s.next + 1) % maxSecretCalls
}
