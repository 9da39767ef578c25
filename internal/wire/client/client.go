// Package client is one logged-in connection to a broker: it dials, says hello,
// logs in, calls methods, serves requests and keeps the connection alive
// (spec.md 5, 6). It does not reconnect: a Client has one life, and its
// owner begins the next one, after a Backoff.
package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// DefaultTimeout is how long Dial takes at the most.
const DefaultTimeout = 10 * time.Second

// stallLimit is how long the broker may leave our data unacknowledged.
const stallLimit = 60 * time.Second

// Login is what a client logs in with. Without a password, the URL may have one
// in another form: a token, a hash, or a certificate that stands for user and
// password both.
type Login struct {
	User, Password string
	Tunnel         string // secret of a tunnel; user and password then do not matter
	MountPoint     string
	DeviceID       string
	Watchdog       time.Duration // how long the broker may hear nothing from us; 0: for ever
	Broker         bool          // we are a broker below the one that we log in to
}

// Options of a client. Zero fields have defaults.
type Options struct {
	URL       transport.URL
	Login     Login
	Timeout   time.Duration // of Dial
	Heartbeat time.Duration // between pings; 0: none
	// Alive is called after each answered ping, by a goroutine of its own; nil: nobody
	// wants to know.
	Alive func()
	// Patient: the broker may stop reading us for long, and that is no reason
	// to give the connection up.
	Patient bool
	// Blocking: this is the program's one connection, and what it carries is
	// urgent.
	Blocking bool
	// Serve answers requests; nil: a tree of nothing but its root.
	Serve *node.Tree
	// Tunnel takes the responses that carry a TunnelCtl and that no Expect is
	// for. It is called by the read loop.
	Tunnel func(m *rpc.Message)
	// Signal takes the signals of the broker; nil: nobody does. It is called by the
	// read loop and must not wait; m is valid during the call.
	Signal func(m *rpc.Message)
	// Begin, if set, is given the Client before anything is read: a request may
	// follow the answer to the login at once.
	Begin func(*Client)
	// Relay, if set, takes everything that is no answer to a call of this Client:
	// requests, signals, and responses that somebody behind us waits for. It is
	// called by the read loop; Serve and Tunnel then have no use.
	Relay func(m *rpc.Message, f *link.Frame)
	// Link bounds what the connection carries.
	Link link.Options
}

// ErrRefused is matched by the error of Dial when the broker refused the login.
var ErrRefused = errors.New("login refused")

// Receiver takes the responses with one request id. It is called by the read
// loop and must not wait; m and f are valid during the call.
type Receiver func(m *rpc.Message, f *link.Frame)

// Client is a connection to a broker. All methods may be called concurrently.
type Client struct {
	opts Options
	link *link.Link
	id   int64 // clientId of the login, 0 if the broker told none

	vouched bool // the broker tells when the other end of our tunnel is lost

	running sync.WaitGroup

	mu        sync.Mutex
	lastID    int64
	receivers map[int64]Receiver
}

// Dial connects and logs in. The Client must be closed.
func Dial(ctx context.Context, o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	stall := stallLimit
	if o.Patient {
		stall = 0
	}
	dial := transport.Dial
	if o.Blocking {
		dial = transport.DialBlocking
	}
	conn, err := dial(ctx, o.URL, stall)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to %s: %w", o.URL, o.timeoutError(err))
	}
	return start(ctx, conn, o)
}

// timeoutError says for people that the time for connecting is over.
func (o *Options) timeoutError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", o.Timeout)
	}
	return err
}

// portHint asks for the port where a hello had no answer: a port for TLS ends the
// connection of who begins in the clear, and others wait for more of what they take
// for the beginning of something else.
func (o *Options) portHint(err error) string {
	var end *link.EndError
	if errors.Is(err, context.DeadlineExceeded) && o.URL.Scheme != transport.Unix {
		return "; is this the broker's port for " + o.URL.Scheme + "?"
	}
	if o.URL.Scheme != transport.TCP && o.URL.Scheme != transport.TCPS || !errors.As(err, &end) || end.Cause != link.PeerClosed && end.Cause != link.ReadError {
		return ""
	}
	return "; is this the broker's port for " + o.URL.Scheme + "? One for TLS wants ssl://"
}

// Direct is a client of the peer on conn, which wants no login. The Client must be
// closed; it takes conn over.
func Direct(conn net.Conn, o Options) *Client {
	c := &Client{opts: o, link: link.New(conn, o.Link), receivers: make(map[int64]Receiver)}
	if o.Begin != nil {
		o.Begin(c)
	}
	c.running.Go(func() { c.link.Run(c) })
	return c
}

// start logs in on a connection, which it takes over.
func start(ctx context.Context, conn net.Conn, o Options) (*Client, error) {
	c := Direct(conn, o)
	if err := c.login(ctx); err != nil {
		c.Close()
		return nil, err
	}
	if o.Heartbeat > 0 {
		c.running.Go(c.heartbeat)
	}
	return c, nil
}

// login says hello and logs in.
func (c *Client) login(ctx context.Context) error {
	hello, err := c.Call(ctx, "", "hello", chainpack.Null())
	var certificate *transport.CertificateError
	if errors.As(err, &certificate) {
		return fmt.Errorf("cannot connect to %s: %w", c.opts.URL, certificate)
	}
	if err != nil {
		return fmt.Errorf("no login at %s: hello: %w%s", c.opts.URL, c.opts.timeoutError(err), c.opts.portHint(err))
	}
	nonce, _ := hello.Get("nonce")
	text, _ := nonce.AsString()
	result, err := c.Call(ctx, "", "login", c.opts.Login.param(c.opts.URL, text))
	var refused *rpc.Error
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%w at %s: %w", ErrRefused, c.opts.URL, refused)
	case err != nil:
		return fmt.Errorf("no login at %s: %w", c.opts.URL, c.opts.timeoutError(err))
	}
	id, _ := result.Get("clientId")
	c.id, _ = id.AsInt()
	ext, _ := result.Get("ext")
	vouches, _ := ext.Get("vouches")
	c.vouched, _ = vouches.AsBool()
	return nil
}

// param is the parameter of the method login, its keys in the order of the
// C++ programs.
func (l Login) param(u transport.URL, nonce string) chainpack.Value {
	var options, device []chainpack.Entry
	if l.Broker {
		options = append(options, chainpack.F("broker", chainpack.Map()))
	}
	if l.DeviceID != "" {
		device = append(device, chainpack.F("deviceId", chainpack.String(l.DeviceID)))
	}
	if l.MountPoint != "" {
		device = append(device, chainpack.F("mountPoint", chainpack.String(l.MountPoint)))
	}
	if len(device) > 0 {
		options = append(options, chainpack.F("device", chainpack.Map(device...)))
	}
	options = append(options, chainpack.F("idleWatchDogTimeOut", chainpack.Int(int64(l.Watchdog/time.Second))))
	if l.Tunnel != "" {
		options = append(options, chainpack.F("tunnel", chainpack.Map(chainpack.F("secret", chainpack.String(l.Tunnel)))))
	}
	return chainpack.Map(
		chainpack.F("login", l.credentials(u, nonce)),
		chainpack.F("options", chainpack.Map(options...)),
	)
}

// credentials say who we are (spec.md 5.2). A broker that keeps no more than
// a slow hash of a password needs the password itself; it is sent where the
// transport protects it, and its hash elsewhere.
func (l Login) credentials(u transport.URL, nonce string) chainpack.Value {
	password, kind := login.Hash(nonce, l.Password), login.SHA1
	switch {
	case l.Tunnel != "": // neither matters
	case l.Password == "" && u.Token != "":
		return chainpack.Map(
			chainpack.F("token", chainpack.String(u.Token)),
			chainpack.F("type", chainpack.String(login.Token)),
		)
	case l.Password == "" && u.ShaPass != "":
		password = login.HashSHA1(nonce, u.ShaPass)
	case l.Password == "" && u.Cert != "":
		return chainpack.Map(
			chainpack.F("type", chainpack.String(login.External)),
			chainpack.F("user", chainpack.String(l.User)),
		)
	case u.IsTrusted():
		password, kind = l.Password, login.Plain
	}
	return chainpack.Map(
		chainpack.F("password", chainpack.String(password)),
		chainpack.F("type", chainpack.String(kind)),
		chainpack.F("user", chainpack.String(l.User)),
	)
}

// ID is the client id that the broker told at login, 0 if none.
func (c *Client) ID() int64 { return c.id }

// Vouched tells whether the broker promised, at a tunnel login, to say when the
// other end is lost.
func (c *Client) Vouched() bool { return c.vouched }

// Link is the connection.
func (c *Client) Link() *link.Link { return c.link }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.link.Done() }

// Err tells how the connection ended, nil before that.
func (c *Client) Err() error { return c.link.Err() }

// Close ends the connection at once and waits for its goroutines. It must not
// be called by the read loop.
func (c *Client) Close() {
	c.link.Close(link.Done)
	c.running.Wait()
}

// Finish ends the connection after what is queued has reached the broker, and
// waits for ctx at the most.
func (c *Client) Finish(ctx context.Context) {
	c.link.Finish(ctx, link.Done)
	c.running.Wait()
}

// NewID gives a request id that was not used on this connection yet.
func (c *Client) NewID() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastID == math.MaxInt32 {
		c.lastID = 0 // C++ peers answer no larger id
	}
	c.lastID++
	return c.lastID
}

// Expect lets r take all responses with the request id, until Forget.
func (c *Client) Expect(id int64, r Receiver) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.receivers[id] = r
}

// Forget ends an Expect.
func (c *Client) Forget(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.receivers, id)
}

// Send queues a message. It never waits.
func (c *Client) Send(message []byte) error {
	f := link.NewMessage(message)
	defer f.Release()
	return c.link.Send(f, nil)
}

// SendNow sends a message and waits for room in the queue, so that a read loop must
// not call it.
func (c *Client) SendNow(message []byte) error {
	f := link.NewMessage(message)
	defer f.Release()
	return c.link.SendNow(f)
}

// Request queues a request whose responses an Expect of its id takes.
func (c *Client) Request(id int64, path, method string, param chainpack.Value) error {
	return c.Send(rpc.AppendRequest(nil, id, path, method, param))
}

// Call calls a method and waits for its result. An error of the peer is an
// *rpc.Error, the end of the connection a *link.EndError, and the end of ctx
// its own error.
func (c *Client) Call(ctx context.Context, path, method string, param chainpack.Value) (chainpack.Value, error) {
	type outcome struct {
		value chainpack.Value
		err   error
	}
	answered := make(chan outcome, 1)
	id := c.NewID()
	c.Expect(id, func(m *rpc.Message, _ *link.Frame) {
		content, err := m.Content()
		switch {
		case err != nil:
			err = fmt.Errorf("unreadable response: %w", err)
		case content.Key == rpc.KeyDelay:
			return // not the end of the call
		case content.Error != nil:
			err = content.Error
		}
		select {
		case answered <- outcome{content.Value, err}:
		default:
		}
	})
	defer c.Forget(id)
	if err := c.Request(id, path, method, param); err != nil {
		return chainpack.Value{}, c.endOr(err)
	}
	select {
	case o := <-answered:
		return o.value, o.err
	case <-c.Done():
		select {
		case o := <-answered: // it came just before the end
			return o.value, o.err
		default:
			return chainpack.Value{}, c.Err()
		}
	case <-ctx.Done():
		return chainpack.Value{}, context.Cause(ctx)
	}
}

// endOr gives how the connection ended, or err while it lives.
func (c *Client) endOr(err error) error {
	if end := c.Err(); end != nil {
		return end
	}
	return err
}

// Message takes a message of the broker; it is the link's.
func (c *Client) Message(m *rpc.Message, f *link.Frame) {
	if c.opts.Relay != nil && (m.Kind() != rpc.Response || len(m.Callers()) > 0) {
		c.opts.Relay(m, f)
		return
	}
	switch m.Kind() {
	case rpc.Response:
		c.response(m, f)
	case rpc.Request:
		c.request(m)
	case rpc.Signal:
		if c.opts.Signal != nil {
			c.opts.Signal(m)
		}
	}
}

// Reset ends the connection: a broker that begins anew has forgotten us.
func (c *Client) Reset() { c.link.Close(link.PeerClosed) }

func (c *Client) response(m *rpc.Message, f *link.Frame) {
	// A FindTunnelResponse carries the id of somebody else's call, which may
	// equal one of ours: tag 15 is looked at first (spec.md 8.2).
	if c.opts.Tunnel != nil && m.Tunnel().State != rpc.NoTunnel {
		c.opts.Tunnel(m)
		return
	}
	c.mu.Lock()
	r := c.receivers[m.ID()]
	c.mu.Unlock()
	if r != nil {
		r(m, f)
	}
}

func (c *Client) request(m *rpc.Message) {
	level := m.Access()
	if level == rpc.AccessNone {
		level = rpc.AccessBrowse
	}
	tree := c.opts.Serve
	if tree == nil {
		tree = new(node.Tree)
	}
	if answer := node.Answer(tree, m, level, nil); answer != nil && c.Send(answer) == link.ErrQueueFull {
		c.link.Close(link.SlowPeer) // no answer may get lost without a word
	}
}
