package sentids

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"unsafe"
)

const (
	// MaxPlaces is how many devices an id is remembered of. Of an id that goes to more, as
	// from a client that numbers each call alike, nobody can tell whose answer is whose.
	MaxPlaces = 64

	// The first two entries are no ids, but hold the lists of the others together.
	open     = 0 // nobody has answered
	answered = 1
	lists    = 2

	firstIDs = 8 // for which there is space at first
	// freeIDs are not charged: so many are remembered of each connection, whatever others take.
	freeIDs = 128*(lists+firstIDs) - lists

	// Tables consist of chunks, so that no call copies one or makes a large one: that took 44 ms
	// of the processor for the last doubling of a broker's table.
	chunkBits = 12
	chunkSize = 1 << chunkBits // entries
)

// seed keeps peers from choosing stacks with the same hash.
var seed = maphash.MakeSeed()

// Memory is an account that pays for what is remembered. Its method may be called
// concurrently and does not wait.
type Memory interface {
	// Remember charges for n bytes more, unless that is refused; a negative n gives back.
	Remember(n int) bool
}

// IDs are the latest request ids that one connection has sent. Only its read loop may call
// Sent and TakeBack; all methods may be called concurrently. Its lock is a leaf.
type IDs struct {
	limit     int // of ids
	maxStacks int
	memory    Memory // may be nil

	mu      sync.Mutex
	gone    bool
	stacks  map[uint64]*Stack // by their hashes
	highest int64             // of stacks that were dropped from the map
	entries [][]entry         // chunks: lists, then one for each id; without pointers
	heads   [][]uint32        // chunks: a hash table of chains of entries; it has as many chains as entries
	size    uint32            // how many entries are used, with lists; 0: none
	last    uint32            // the entry that the latest Sent made; 0: none
	space   int               // of all chunks, in entries
	charged int               // bytes
}

// Stack is a stack of caller ids with which the connection has sent requests.
type Stack struct {
	hash    uint64
	highest int64 // of the ids sent with it; guarded by the lock of its IDs
}

// entry is one id at one device.
type entry struct {
	key          uint64 // of its stack and id
	at           place
	newer, older uint32 // in its list, which is a ring
	chain        uint32 // the next one of the chain; 0: none
}

// entry returns an entry that is used.
func (s *IDs) entry(i uint32) *entry { return &s.entries[i>>chunkBits][i&(chunkSize-1)] }

// New returns the IDs of a connection, which remember limit of them, or as many as memory
// has space for, but freeIDs at least. The highest id is known for the latest maxStacks
// stacks at least. A nil memory has space for all.
func New(limit, maxStacks int, memory Memory) *IDs {
	return &IDs{limit: limit, maxStacks: maxStacks, memory: memory}
}

// Stack returns the Stack with a key. It allocates, so its caller keeps it.
func (s *IDs) Stack(key []byte) *Stack {
	hash := maphash.Bytes(seed, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	stack := s.stacks[hash]
	if stack == nil {
		if len(s.stacks) >= s.maxStacks {
			for _, dropped := range s.stacks {
				s.highest = max(s.highest, dropped.highest)
			}
			s.stacks = nil
		}
		if s.stacks == nil {
			s.stacks = make(map[uint64]*Stack)
		}
		stack = &Stack{hash: hash, highest: s.highest}
		s.stacks[hash] = stack
	}
	return stack
}

// SentToBroker says that the broker itself answers a request with an id.
func (s *IDs) SentToBroker(stack *Stack, id int64) { s.Sent(stack, id, &broker) }

// Sent says that a request with an id goes to the link of a device. It is remembered in place
// of the oldest one that is answered, or of the oldest one if none is.
func (s *IDs) Sent(stack *Stack, id int64, to *Places) {
	key := stack.key(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	stack.highest = max(stack.highest, id)
	s.last = 0
	if s.gone {
		return
	}
	devices := 0
	for i := s.head(key); i != 0; i = s.entry(i).chain {
		e := s.entry(i)
		if e.key != key || e.at == nobody {
			continue
		}
		if e.at == anyone || to.Has(e.at) {
			s.unlist(i)
			s.list(i, open)
			return
		}
		devices++
	}
	if devices >= MaxPlaces {
		s.letAnyone(key)
		return
	}
	s.last = s.slot()
	e := s.entry(s.last)
	e.key, e.at = key, to.current()
	s.enchain(s.last)
	s.list(s.last, open)
}

// TakeBack says that the request of the latest Sent reached no device after all.
func (s *IDs) TakeBack() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != 0 && !s.gone {
		s.unlist(s.last)
		s.list(s.last, s.entry(answered).newer) // as the first to go
		s.entry(s.last).at = nobody
		s.last = 0
	}
}

// MayAnswer reports whether a response with an id may come from a link that was asked under
// places: the id is known to have gone there, or it is not known to have gone
// anywhere and is one that may have been sent. That renews what is remembered of it.
func (s *IDs) MayAnswer(stack *Stack, id int64, link *Places) bool {
	key := stack.key(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return true // nobody is there to be deceived
	}
	here, elsewhere := false, false
	for i := s.head(key); i != 0; i = s.entry(i).chain {
		e := s.entry(i)
		if e.key != key || e.at == nobody {
			continue
		}
		if e.at == anyone || link.Has(e.at) {
			here = true
			s.unlist(i)
			s.list(i, answered)
		} else {
			elsewhere = true
		}
	}
	return here || !elsewhere && id <= stack.highest
}

// Forget says that the connection has ended. It frees the memory.
func (s *IDs) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone, s.stacks, s.entries, s.heads, s.size, s.space = true, nil, nil, nil, 0, 0
	if s.charged > 0 {
		s.memory.Remember(-s.charged)
		s.charged = 0
	}
}

// Len returns how many ids are remembered, each once for each device.
func (s *IDs) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, int(s.size)-lists)
}

// letAnyone lets anyone answer a call that went to MaxPlaces devices.
func (s *IDs) letAnyone(key uint64) {
	for i := s.head(key); i != 0; i = s.entry(i).chain {
		if e := s.entry(i); e.key == key && e.at != nobody {
			e.at = anyone
			s.unlist(i)
			s.list(i, open)
		}
	}
}

// key returns the key of an id. For one stack, no two ids have the same. Ids in a row share
// all but the last bits, so that they are near each other in the hash table, which the
// processor's cache needs; the other bits are mixed as by SplitMix64 (Steele, Lea, Flood
// 2014), so that no client can choose ids that share one chain.
func (k *Stack) key(id int64) uint64 {
	const near = 4
	x := (k.hash + uint64(id)>>near*0x9e3779b97f4a7c15) << near
	x = (x ^ x>>30&^(1<<near-1)) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27&^(1<<near-1)) * 0x94d049bb133111eb
	x ^= x >> 31 &^ (1<<near - 1)
	return x | uint64(id)&(1<<near-1)
}

// slot returns an entry for a new id, which is in no list and no chain.
func (s *IDs) slot() uint32 {
	if s.size == 0 {
		s.grow()
		s.add() // open
		s.add() // answered
		s.entry(answered).newer, s.entry(answered).older = answered, answered
	}
	if s.size == uint32(lists+s.limit) || !s.grow() {
		oldest := s.entry(answered).newer
		if oldest == answered {
			oldest = s.entry(open).newer
		}
		s.unlist(oldest)
		s.unchain(oldest)
		return oldest
	}
	return s.add()
}

// add adds an entry, and a chain to the hash table. That takes its entries from one other
// chain (linear hashing, Litwin 1980), so the table grows without being made anew.
func (s *IDs) add() uint32 {
	i := s.size
	s.size++
	if i == 0 {
		return i
	}
	top := uint32(1) << (bits.Len32(i) - 1)
	from, to := s.chain(i&^top), s.chain(i)
	for *from != 0 {
		e := s.entry(*from)
		if uint32(e.key)&(2*top-1) == i {
			moved := *from
			*from, e.chain, *to = e.chain, *to, moved
		} else {
			from = &e.chain
		}
	}
	return i
}

// grow makes space for one more entry, if it may. The first chunk begins small and doubles.
func (s *IDs) grow() bool {
	at := int(s.size >> chunkBits)
	used := int(s.size & (chunkSize - 1))
	most := min(chunkSize, lists+s.limit-at*chunkSize)
	switch {
	case at == len(s.entries):
		space := most
		if at == 0 {
			space = min(most, lists+firstIDs)
		}
		if !s.charge(space) {
			return false
		}
		s.entries = append(s.entries, make([]entry, space))
		s.heads = append(s.heads, make([]uint32, space))
	case used == len(s.entries[at]):
		space := min(most, 2*used)
		if !s.charge(space - used) {
			return false
		}
		s.entries[at] = grown(s.entries[at], space)
		s.heads[at] = grown(s.heads[at], space)
	}
	return true
}

// charge reports whether there may be space for more entries.
func (s *IDs) charge(more int) bool {
	if s.memory != nil && s.space+more > lists+freeIDs {
		n := more * int(unsafe.Sizeof(entry{})+unsafe.Sizeof(uint32(0)))
		if !s.memory.Remember(n) {
			return false
		}
		s.charged += n
	}
	s.space += more
	return true
}

func grown[T any](old []T, size int) []T {
	larger := make([]T, size)
	copy(larger, old)
	return larger
}

// head returns the first entry of the chain of a key, 0 if there is none.
func (s *IDs) head(key uint64) uint32 {
	if s.size == 0 {
		return 0
	}
	return *s.chainOf(key)
}

// chainOf returns the chain of a key.
func (s *IDs) chainOf(key uint64) *uint32 {
	mask := uint32(1)<<bits.Len32(s.size-1) - 1
	i := uint32(key) & mask
	if i >= s.size { // there is no such chain yet
		i &= mask >> 1
	}
	return s.chain(i)
}

func (s *IDs) chain(i uint32) *uint32 { return &s.heads[i>>chunkBits][i&(chunkSize-1)] }

func (s *IDs) enchain(i uint32) {
	e := s.entry(i)
	first := s.chainOf(e.key)
	e.chain, *first = *first, i
}

func (s *IDs) unchain(i uint32) {
	e := s.entry(i)
	at := s.chainOf(e.key)
	for *at != i {
		at = &s.entry(*at).chain
	}
	*at = e.chain
}

// list puts an entry into the list of another one, as the next older one than that. So it
// becomes the newest of a list whose name is given.
func (s *IDs) list(i, newer uint32) {
	e, next := s.entry(i), s.entry(newer)
	older := next.older
	e.older, e.newer = older, newer
	s.entry(older).newer = i
	next.older = i
}

func (s *IDs) unlist(i uint32) {
	e := s.entry(i)
	s.entry(e.older).newer = e.newer
	s.entry(e.newer).older = e.older
}
