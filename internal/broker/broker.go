package broker

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/auth"
	"shvtools/internal/journal"
	"shvtools/internal/link"
	"shvtools/internal/node"
	"shvtools/internal/shvpath"
)

// Defaults of Options.
const (
	DefaultLoginDeadline = 10 * time.Second
	DefaultLoginPenalty  = time.Second
	DefaultSecretLife    = 10 * time.Second
)

const (
	// longIdle is what a client gets that asks for a watchdog of 0 seconds: the
	// C++ helper and shvrsh do, and may be silent for hours (protocol.md 6).
	longIdle = 10 * time.Hour
	// defaultIdle is for clients that do not ask.
	defaultIdle = 180 * time.Second
	// maxLogins is how many logins may fail on one connection.
	maxLogins = 3
	// maxMount and maxMountDepth bound a mount point, since mount points are
	// remembered: in bytes, and in names.
	maxMount      = 512
	maxMountDepth = 32
	// maxStack bounds the caller ids that come with a message, and maxTags the
	// entries of a meta that is passed on: what grows on its way must not get
	// longer than the next one takes.
	maxStack = 32
	maxTags  = 96
	// keptHead is how much memory for a head a session keeps.
	keptHead = 4 << 10
	// maxOffline bounds the mount points that are remembered as offline.
	maxOffline = 10000
	// lingering is how long a link may outlive its purpose: what was sent last
	// shall arrive, and the C++ helper does not know that a tunnel can be closed
	// from the other side.
	lingering = time.Second
)

// ErrClosed is returned by Serve after Close.
var ErrClosed = errors.New("broker: closed")

// Options of a broker. Zero fields have defaults, but for Users.
type Options struct {
	Users      *auth.Store // who may log in; changed by Apply
	Log        zerolog.Logger
	Journal    *journal.Writer // nil: none
	Version    string          // answered by .app:version
	Advertise  Address         // where helpers connect; zero: where their agent did
	QueueBytes int             // that may wait for one peer

	LoginDeadline time.Duration // from the connection to the login
	LoginPenalty  time.Duration // how long the answer to a failed login is held back
	SecretLife    time.Duration // of a tunnel secret that nobody redeems
}

// Address is a host and a port for helpers to connect to.
type Address struct {
	Host string
	Port int64
}

// Broker serves connections. All methods may be called concurrently.
type Broker struct {
	opts  Options
	nodes node.Tree
	stats counters

	running sync.WaitGroup // sessions and Serve calls
	wanted  subscriptions
	telling sync.Mutex // keeps changes of mounts in order; taken before mu

	mu         sync.RWMutex
	closed     bool
	listeners  map[net.Listener]struct{}
	lastID     int64
	lastTunnel int64
	sessions   map[int64]*session
	mounts     shvpath.Tree[*mount]
	changes    []mountChange           // that nobody was told of yet
	offline    shvpath.Tree[time.Time] // since when, below which mount point
	tickets    map[secretKey]*ticket   // that nobody redeemed yet
	calls      map[tunnelKey]*ticket   // by the call that still waits for its tunnel
	tunnels    map[tunnelKey]*tunnel   // by the key of either end
}

// New makes a broker.
func New(o Options) *Broker {
	if o.LoginDeadline == 0 {
		o.LoginDeadline = DefaultLoginDeadline
	}
	if o.LoginPenalty == 0 {
		o.LoginPenalty = DefaultLoginPenalty
	}
	if o.SecretLife == 0 {
		o.SecretLife = DefaultSecretLife
	}
	b := &Broker{
		opts:      o,
		listeners: make(map[net.Listener]struct{}),
		sessions:  make(map[int64]*session),
		tickets:   make(map[secretKey]*ticket),
		calls:     make(map[tunnelKey]*ticket),
		tunnels:   make(map[tunnelKey]*tunnel),
	}
	b.addNodes()
	return b
}

// Serve accepts connections from l until Close, then returns ErrClosed; any
// other error is the listener's. It closes l.
func (b *Broker) Serve(l net.Listener) error {
	if !b.addListener(l) {
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
			b.start(conn)
			continue
		case b.isClosed():
			return ErrClosed
		case errors.Is(err, net.ErrClosed):
			return err
		}
		// Out of descriptors or the like: who is connected goes on.
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		b.opts.Log.Warn().Err(err).Stringer("pause", pause).Msg("cannot accept a connection")
		time.Sleep(pause)
	}
}

func (b *Broker) addListener(l net.Listener) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.listeners[l] = struct{}{}
	b.running.Add(1)
	return true
}

func (b *Broker) removeListener(l net.Listener) {
	b.mu.Lock()
	delete(b.listeners, l)
	b.mu.Unlock()
	_ = l.Close()
}

func (b *Broker) isClosed() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.closed
}

// start gives a new connection its session and runs it.
func (b *Broker) start(conn net.Conn) {
	l := link.New(conn, link.Options{MaxFrame: link.LoginMaxFrame, QueueBytes: b.opts.QueueBytes})
	s := b.newSession(l)
	if s == nil {
		l.Close(link.Shutdown)
		return
	}
	go func() {
		defer b.running.Done()
		p := &peer{session: s}
		cause := l.Run(p)
		p.session.end(cause)
	}()
}

// Close ends all sessions and listeners and waits for them.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	for l := range b.listeners {
		_ = l.Close()
	}
	links := make([]*link.Link, 0, len(b.sessions))
	for _, s := range b.sessions {
		links = append(links, s.link)
	}
	b.mu.Unlock()
	for _, l := range links {
		l.Close(link.Shutdown)
	}
	b.running.Wait()
}
