package core

import (
	"cmp"
	"crypto/rand"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/broker/internal/peerlog"
	"shvtools/internal/broker/internal/record"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/broker/internal/topics"
	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/broker/journal"
	"shvtools/internal/shv/node"
	"shvtools/internal/sys/audit"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// DefaultSecretLife is the default of Options.SecretLife.
const DefaultSecretLife = 10 * time.Second

// ErrClosed is returned by Serve after Drain or Close.
var ErrClosed = errors.New("broker: closed")

// Options of a broker. All fields but Users may be zero.
type Options struct {
	Users      *auth.Store            // who may log in; changed by Apply
	Rights     map[string]RightsTable // that calls may read and change, by the path of their node
	Reload     func() error           // reads the configuration again, for .broker/app:reloadConfig; nil: no such method
	Log        zerolog.Logger
	Journal    *journal.Writer // nil: none
	Name       string          // what the broker calls itself; "": DefaultName
	Version    string          // answered by .app:version
	Commit     string          // that it was built from, answered by .broker/app:gitCommit
	Advertise  Address         // where helpers connect over plain TCP; zero: where their agent did
	SecretLife time.Duration   // of a tunnel secret that nobody redeems
	// RefuseTakeover refuses a device whose mount point has another one of the same user
	// that answers a ping.
	RefuseTakeover bool
	// AdvertiseURLs are offered to helpers instead of the address where their agent
	// connected: the first with a scheme that the agent accepts.
	AdvertiseURLs []transport.URL
	Limits        Limits
	Audit         *audit.Trail // takes the record of who did what; may be nil
}

// Address is a host and a port for helpers to connect to.
type Address struct {
	Host string
	Port int64
}

// Broker serves connections. All methods may be called concurrently.
type Broker struct {
	opts    Options
	limits  Limits
	nodes   *node.Tree
	stats   counters
	peerLog *peerlog.Log // of lines that peers can provoke
	book    *record.Book // of the sessions, for the record of who did what

	connections *door.Connections
	penalties   *door.Penalties // of failed logins
	handshakes  transport.Slots
	shares      *shares.Table
	runID       string

	running  sync.WaitGroup // sessions, Serve calls and the watch
	done     chan struct{}  // closed by Close
	idle     chan struct{}  // has one element after the last tunnel ended; for Drain
	draining atomic.Bool    // no connection and no login is accepted
	serving  sync.Once
	looked   atomic.Pointer[time.Time] // when the watch last looked; nil: not yet

	topics  topics.Table[*session]
	telling sync.Mutex // keeps the signals of mount changes in order; taken before mu

	mu          sync.RWMutex
	closed      bool
	leaving     bool // connections are being closed because the broker stops
	listeners   map[net.Listener]struct{}
	counted     []*listenerCounts // of all listeners, past ones too; few
	endedTotals endedTotals
	lastID      int64
	lastTunnel  int64
	sessions    map[int64]*session
	mounts      mounts.Table[*session]
	left        replyroutes.Left
	tickets     map[secretKey]*ticket   // that are not redeemed
	calls       map[tunnels.Key]*ticket // by the call that waits for its tunnel
	tunnels     map[tunnels.Key]*tunnel // by the key of either end
	numbered    map[int64]*tunnel       // the same by their numbers
	ended       tunnels.Ended           // that went through other brokers
	expected    tunnels.Expected        // that child brokers may make
	parents     map[*session]struct{}   // the parent brokers
	asking      int                     // calls of brokersAbove by child brokers, under way
	curious     int                     // those of other clients
	edits       int                     // changes of rights under way
	renewing    map[string]bool         // users whose change of their own password is under way
}

// New returns a broker that serves no listener yet.
func New(o Options) *Broker {
	if o.SecretLife == 0 {
		o.SecretLife = DefaultSecretLife
	}
	o.Name = cmp.Or(o.Name, DefaultName)
	limits := o.Limits.OrDefaults()
	b := &Broker{
		opts:       o,
		limits:     limits,
		penalties:  door.NewPenalties(limits.LoginPenalty),
		handshakes: transport.NewSlots(limits.Handshakes),
		connections: door.NewConnections(door.Bounds{
			Pending: limits.Unauthenticated, PendingPerSource: limits.UnauthenticatedPerSource,
		}),
		shares: shares.New(shares.Bounds{
			Totals:  shares.Totals(int64(limits.QueueTotal), int64(limits.FramesTotal), int64(limits.Connections)),
			Devices: limits.DevicesPerUser, Work: int64(limits.Work), WorkEach: int64(limits.WorkPerUser),
		}),
		done: make(chan struct{}),
		idle: make(chan struct{}, 1),

		listeners: make(map[net.Listener]struct{}),
		sessions:  make(map[int64]*session),
		tickets:   make(map[secretKey]*ticket),
		calls:     make(map[tunnels.Key]*ticket),
		tunnels:   make(map[tunnels.Key]*tunnel),
		numbered:  make(map[int64]*tunnel),
		renewing:  make(map[string]bool),
		parents:   make(map[*session]struct{}),
		runID:     rand.Text(),
		book:      record.New(o.Audit),
	}
	b.peerLog = peerlog.New(&b.opts.Log)
	b.topics.Exhausted = b.tooCostly
	b.nodes = own.New(ownNodes{b}, b.ownOptions())
	b.nodes.Denied = b.book.NodeDenied
	return b
}

// Serve accepts connections from l until Drain or Close, and then returns ErrClosed. Any
// other error is the listener's. It closes l.
func (b *Broker) Serve(l net.Listener) error {
	from := newListenerCounts(l)
	if !b.addListener(l, from) {
		_ = l.Close()
		return ErrClosed
	}
	defer b.running.Done()
	defer b.removeListener(l)
	for pause := time.Duration(0); ; {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			b.start(conn, from)
			continue
		case b.Draining():
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return err
		}
		// Out of descriptors or the like: established connections go on.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		e := b.opts.Log.Warn().Err(err).Stringer("pause", pause)
		b.aside(func() { e.Msg("accept failed") })
		time.Sleep(pause)
	}
}

func (b *Broker) addListener(l net.Listener, e *listenerCounts) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.draining.Load() {
		return false
	}
	b.listeners[l] = struct{}{}
	b.counted = append(b.counted, e)
	b.running.Add(1)
	b.serving.Do(func() { b.running.Go(b.watch) })
	return true
}

func (b *Broker) removeListener(l net.Listener) {
	b.mu.Lock()
	delete(b.listeners, l)
	b.mu.Unlock()
	_ = l.Close()
}

// aside runs wait, which may wait for a peer or the log, in a goroutine of its own; not
// at all if the broker is closed.
func (b *Broker) aside(wait func()) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if !b.closed {
		b.running.Go(wait)
	}
}

func (b *Broker) isClosed() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.closed
}

// Close closes all connections and listeners, and waits for their ends.
func (b *Broker) Close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
	listeners := slices.Collect(maps.Keys(b.listeners))
	links := make([]*link.Link, 0, len(b.sessions))
	for _, s := range b.sessions {
		links = append(links, s.link)
	}
	b.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	for _, l := range links {
		l.Close(link.Shutdown)
	}
	b.running.Wait()
	b.peerLog.Close()
}
