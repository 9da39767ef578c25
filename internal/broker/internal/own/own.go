// Package own is the tree of nodes that a broker serves itself (spec.md 7.8 and
// 7.9): .app, .broker and what is below it. Clients of either generation find there
// what they look for; what ls shows makes each choose its own.
//
// It holds no state and no lock. What it needs of the broker, of a client and of the
// rights that calls may change are interfaces here, which the broker implements. It
// does not route: requests for the trees of clients never come here.
package own

import (
	"strings"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

const (
	// CurrentClient is the node where each client asks about itself.
	CurrentClient = ".broker/currentClient"
	// ClientNode and OldClientNode are the nodes below which the trees of clients are
	// found, mounted or not: that of the standard, and that of SHV 2, where the tree
	// of a client is below OldApp.
	ClientNode    = ".broker/client"
	OldClientNode = ".broker/clients"
	OldApp        = "app"

	// MaxParamItems bounds the values in the param of a call of these nodes: the most
	// of any is a role with thousands of rules.
	MaxParamItems = 16 << 10
)

// Options of the nodes.
type Options struct {
	Name    string                 // what the broker calls itself
	Version string                 // answered by .app:version
	Commit  string                 // that it was built from
	Rights  map[string]RightsTable // by the path of their node
	Reload  func() error           // reads the configuration again; nil: there is no such method
}

// Broker is what the nodes need of the broker. Its methods may be called
// concurrently and do not wait.
type Broker interface {
	// Client returns the client, or helper, that is logged in with an id.
	Client(id int64) (c Client, ok bool)
	// Clients returns all that are logged in, ordered by their ids.
	Clients() []Client
	// DeviceAt returns the client to whose mount point a clean path belongs.
	DeviceAt(path []byte) (c Client, ok bool)
	// MountsBelow returns the names on the way to mount points below a clean path.
	MountsBelow(path string) (names []string, ok bool)

	// Tunnels returns the open tunnels, the oldest first.
	Tunnels() []Tunnel
	// Tunnel returns the open tunnel with a number.
	Tunnel(number int64) (t Tunnel, ok bool)
	// CloseTunnel closes the tunnel with a number, if it is still open. Both of its
	// ends receive who closed it, and the reason if that is not "".
	CloseTunnel(number int64, by Client, reason string)

	// AnswerBrokersAbove answers a call of brokersAbove later.
	AnswerBrokersAbove(*node.Request) error
	// Later makes a change of rights in the background, since the disk may be slow,
	// then answers the call and logs what was changed, the entries of a table that
	// are named. The error is node.ErrLater, or says that too much is going on.
	Later(r *node.Request, change func() (what string, err error), names ...string) error
	// LaterForUser is Later for what every user may call: each has one change at a
	// time, which does not count against those of others.
	LaterForUser(r *node.Request, change func() (what string, err error), names ...string) error
}

// Client is a client of the broker: the caller of a request, or the one that it is
// about. Its methods may be called concurrently. Only CheckPassword waits.
type Client interface {
	ID() int64
	// Name is that of the user, or says what the client is that has none.
	Name() string
	// HasTree reports whether requests may be sent to the client: they may not be sent
	// to helpers and parent brokers.
	HasTree() bool
	// Info costs little, and so is asked for of all clients at once.
	Info() Info
	// Subscriptions are those of the client, and what is left of the time of each; less
	// than 0: no end. They may be thousands.
	Subscriptions() map[string]time.Duration
	// Silence is how long nothing has come from the client, and how long that may be.
	Silence() (silent, limit time.Duration)
	// Level is what the client may do with a method at a clean path.
	Level(path, method []byte) rpc.Access

	// Subscribe begins a subscription, or changes its end; a ttl of 0 means no end.
	Subscribe(ri shvpath.RI, ttl time.Duration) (added bool, err error)
	Unsubscribe(ri shvpath.RI) (removed bool, err error)
	// Reject ends the subscriptions that mean a signal; a source of "" is that of a
	// signal that names none.
	Reject(path, source, signal string) (removed bool, err error)

	// Disconnect closes the client's connection, on behalf of somebody.
	Disconnect(by string)
	// CheckPassword returns an error, after a penalty, if the user's password is
	// another one.
	CheckPassword(text string) error
	// RenewPassword gives the user another password, and leaves this session logged in
	// with it. It returns the password as it is stored; undo takes it back.
	RenewPassword(text string) (stored chainpack.Value, undo func())
}

// Info describes a client.
type Info struct {
	User          string // "" for a helper, which is not a user
	Roles         []string
	MountPoint    string // "": not mounted
	Peer          string
	Since         time.Time
	SignalsMissed uint64
	PasswordFixed bool // the user may not change the own password by a call
}

// Tunnel describes an open tunnel.
type Tunnel struct {
	Number                                 int64
	User                                   string // of the client
	ClientID, AgentID, HelperID            int64
	ClientPeer, AgentPeer, AgentMountPoint string
	Path, Method                           string // of the call that asked for it
	Session                                string // its name in logs and records
	Since                                  time.Time
	BytesToDevice, BytesToClient           int64
}

// New returns the tree of the nodes of b. Its requests have a Client for their
// caller.
func New(b Broker, o Options) *node.Tree {
	n := nodes{broker: b, options: o}
	tree := new(node.Tree)
	tree.Add("")
	tree.Add(".app", node.App("shvbroker", o.Version, time.Now)...)
	tree.Add(".broker", n.brokerMethods()...)
	tree.Add(".broker/app", direct(append(n.oldAppMethods(), n.reloadMethods()...))...)
	tree.Add(CurrentClient, direct(append(n.currentClientMethods(), n.passwordMethods()...))...)
	tree.AddDynamic(ClientNode, n.clients)
	tree.AddDynamic(OldClientNode, n.oldClients)
	tree.AddDynamic(".broker/mounts", n.mounts)
	tree.Add(".broker/tunnels", n.tunnelMethods()...)
	tree.AddDynamic(".broker/tunnels", n.tunnels)
	tree.More = b.MountsBelow
	tree.MaxItems = MaxParamItems
	tree.Hidden = map[string]bool{
		OldClientNode: true, ".broker/mounts": true, ".broker/tunnels": true, ".broker/etc": true, ".broker/access": true,
	}
	// They name clients, and lead to them, whatever the rules say of their mount points.
	for path, level := range map[string]rpc.Access{
		ClientNode: AdminLevel, OldClientNode: rpc.AccessService, ".broker/mounts": AdminLevel, ".broker/tunnels": AdminLevel,
	} {
		tree.Restrict(path, level)
	}
	for path, table := range o.Rights {
		// All of it takes su, ls and dir too: they tell the names of users.
		tree.Restrict(path, rpc.AccessSuper)
		tree.AddDynamic(path, n.rights(table, strings.HasSuffix(path, "/users")))
	}
	return tree
}

// nodes makes the nodes.
type nodes struct {
	broker  Broker
	options Options
}

// caller is the client that made a request.
func caller(r *node.Request) Client { return r.Caller.(Client) }

// ParseID reads the id of a client or a tunnel, as it is in a path; 0 for what is
// not an id. It does not allocate.
func ParseID(text []byte) (id int64) {
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
