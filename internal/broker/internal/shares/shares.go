package shares

import (
	"sync"
	"sync/atomic"
	"time"
)

// Kind is one of the totals.
type Kind int

// The totals.
const (
	Queued      Kind = iota // bytes that wait for peers
	Begun                   // bytes of frames that are not complete yet
	Connections             // connections that are logged in
	Remembered              // bytes that remember which device each call went to
	kinds       = int(iota)
)

// busyAbove is the use above which an owner counts in the even part. It keeps the many
// that have next to nothing from making that part small, as the devices of a fleet with one
// connection each, and their messages from changing a number that all share.
var busyAbove = [kinds]int64{Queued: 16 << 10, Begun: 16 << 10, Connections: 4, Remembered: 64 << 10}

// brokerWeight is how many times a broker counts: it stands for all behind it, as with
// other limits of the connections of brokers.
const brokerWeight = 20

// Name is what tells owners apart. Only the fields that apply are set.
type Name struct {
	User   string
	Mount  string // of a device: it is an owner of its own
	Link   int64  // of a broker: the id of its session
	Source string // of a connection before its login
}

// String names the owner for people.
func (n Name) String() string {
	switch {
	case n.Link != 0:
		return "this broker"
	case n.Mount != "":
		return "device " + n.Mount
	case n.User != "":
		return "user " + n.User
	}
	return "this source"
}

// Bounds are the totals of a table. A total of 0 means no bound.
type Bounds struct {
	Totals [kinds]int64
	// Devices is how many devices of one user are owners of their own at once. Further
	// ones share the user's.
	Devices int
	// Work is how many steps of work may be done in a second in all, and WorkEach for one
	// owner of weight 1.
	Work, WorkEach int64
}

// maxRemembered is the total of Remembered: some 7 million calls, as many as a hundred busy
// clients remember at the most. A client that gets no more forgets its oldest calls sooner.
const maxRemembered = 256 << 20

// Totals returns bounds for the given totals.
func Totals(queued, begun, connections int64) [kinds]int64 {
	return [kinds]int64{Queued: queued, Begun: begun, Connections: connections, Remembered: maxRemembered}
}

// Table holds the owners. All methods may be called concurrently.
type Table struct {
	bounds Bounds
	pools  [kinds]pool
	over   chan Kind

	began         time.Time // the first window of work
	work, workers windowed  // steps, and the weights of those that they were for

	mu      sync.Mutex
	owners  map[Name]*Owner
	devices map[string]int // owners with a mount point, by user
}

// pool is the use of one total.
type pool struct {
	used    atomic.Int64
	weights atomic.Int64 // of the busy owners
	_       [48]byte     // each on a cache line of its own
}

// Owner is an owner that is in use: somebody has entered as it, or something is charged to
// it.
type Owner struct {
	table  *Table
	name   Name
	weight int64
	refs   atomic.Int64
	used   [kinds]atomic.Int64
	work   windowed
}

// New returns a table without owners.
func New(b Bounds) *Table {
	return &Table{
		bounds: b, over: make(chan Kind, kinds), began: time.Now(),
		owners: make(map[Name]*Owner), devices: make(map[string]int),
	}
}

// Enter returns the owner with a name until Leave. Its even part is weight times that of an
// owner with weight 1, the lowest, and 20 times as large for a broker; one that is known
// already keeps its weight.
func (t *Table) Enter(n Name, weight int) *Owner {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.Mount != "" && t.owners[n] == nil && t.devices[n.User] >= t.bounds.Devices {
		n.Mount = ""
	}
	o := t.owners[n]
	if o == nil {
		o = &Owner{table: t, name: n, weight: int64(max(weight, 1))}
		if n.Link != 0 {
			o.weight *= brokerWeight
		}
		t.owners[n] = o
		if n.Mount != "" {
			t.devices[n.User]++
		}
	}
	o.refs.Add(1)
	return o
}

// Leave ends one Enter. The owner is remembered as long as something is charged to it, so
// that nobody gets rid of a debt by reconnecting.
func (o *Owner) Leave() {
	if o.refs.Add(-1) == 0 {
		o.table.forget(o)
	}
}

// forget drops an owner that nobody has entered as and nothing is charged to.
func (t *Table) forget(o *Owner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if o.refs.Load() > 0 || t.owners[o.name] != o {
		return
	}
	for k := range o.used {
		if o.used[k].Load() > 0 {
			return
		}
	}
	delete(t.owners, o.name)
	if o.name.Mount == "" {
		return
	}
	if t.devices[o.name.User]--; t.devices[o.name.User] == 0 {
		delete(t.devices, o.name.User)
	}
}

// Name returns what o was entered as.
func (o *Owner) Name() Name { return o.name }

// Used returns what is charged to o.
func (o *Owner) Used(k Kind) int64 { return o.used[k].Load() }

// Add charges n to o, whatever its share; a negative n gives back. It does not wait.
func (o *Owner) Add(k Kind, n int64) {
	p := &o.table.pools[k]
	now := o.used[k].Add(n)
	switch before := now - n; {
	case before <= busyAbove[k] && now > busyAbove[k]:
		p.weights.Add(o.weight)
	case before > busyAbove[k] && now <= busyAbove[k]:
		p.weights.Add(-o.weight)
	}
	used, total := p.used.Add(n), o.table.bounds.Totals[k]
	switch {
	case k == Remembered: // nobody loses a link for it
	case n > 0 && total > 0 && used > total:
		select {
		case o.table.over <- k:
		default: // it is known already
		}
	}
	if n < 0 && now == 0 && o.refs.Load() == 0 {
		o.table.forget(o)
	}
}

// May reports whether o may take more: there is more left than the last quarter of the
// total, or o has less than an even part of it, in which one more is counted than are
// there, so that somebody who comes finds something. Beyond twice the total nobody may:
// the one with the most is about to lose.
func (o *Owner) May(k Kind) bool {
	p, total := &o.table.pools[k], o.table.bounds.Totals[k]
	all := p.used.Load()
	if total == 0 || all < total-total/4 { // a small total has no last quarter
		return true
	}
	used, weights := o.used[k].Load(), p.weights.Load()+1
	if used <= busyAbove[k] {
		weights += o.weight // as if it were busy
	}
	return all < 2*total && used < max(1, total*o.weight/weights) // who has nothing may begin
}

// Fits reports whether o may take one more of a total of which each one lasts, such as
// connections: o may take more, and if nothing is left, another owner has more for its weight
// than o would have then, so that it is the one to lose.
func (o *Owner) Fits(k Kind) bool {
	if !o.May(k) {
		return false
	}
	if total := o.table.bounds.Totals[k]; total == 0 || o.table.Used(k) < total {
		return true
	}
	_, most := o.table.Owners(k)
	return most.used[k].Load()*o.weight > (o.used[k].Load()+1)*most.weight
}

// Take charges n to o if it may take more.
func (o *Owner) Take(k Kind, n int64) bool {
	if !o.May(k) {
		return false
	}
	o.Add(k, n)
	return true
}

// Over returns a channel that gets the kind of a total that has been exceeded. Whoever
// receives from it makes the owner with the most lose.
func (t *Table) Over() <-chan Kind { return t.over }

// Exceeded reports whether more than the total is taken.
func (t *Table) Exceeded(k Kind) bool {
	return t.bounds.Totals[k] > 0 && t.Used(k) > t.bounds.Totals[k]
}

// Used returns what all owners have taken.
func (t *Table) Used(k Kind) int64 { return t.pools[k].used.Load() }

// Owners returns how many owners there are, and the most that one of them has for its
// weight.
func (t *Table) Owners(k Kind) (count int, most *Owner) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.owners {
		if most == nil || o.Heavier(k, most) {
			most = o
		}
	}
	return len(t.owners), most
}

// Heavier reports whether o uses more of its share than other.
func (o *Owner) Heavier(k Kind, other *Owner) bool {
	return o.used[k].Load()*other.weight > other.used[k].Load()*o.weight
}

// Queue charges o for bytes that wait for peers. With Begin, it makes o an account of
// links.
func (o *Owner) Queue(n int) { o.Add(Queued, int64(n)) }

// Begin charges o for memory of unfinished frames, if it may take more; a negative n
// gives back.
func (o *Owner) Begin(n int) bool {
	if n > 0 {
		return o.Take(Begun, int64(n))
	}
	o.Add(Begun, int64(n))
	return true
}

// Remember charges o for memory of which device each call went to, if it may take more; a
// negative n gives back.
func (o *Owner) Remember(n int) bool {
	if n > 0 {
		return o.Take(Remembered, int64(n))
	}
	o.Add(Remembered, int64(n))
	return true
}
