// Package client is one logged-in connection to a broker. It dials, says hello, logs in, calls
// methods, serves requests and keeps the connection alive (spec.md 5, 6). It does not reconnect: a
// Client has one life, and its owner starts the next one, after a Backoff.
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

// DefaultTimeout is how long Dial takes at most.
const DefaultTimeout = 10 * time.Second

// stallLimit is how long the broker may leave our data unacknowledged.
const stallLimit = 60 * time.Second

// Login is what a client logs in with. Without a password, the URL may hold another credential: a
// token, a hash, or a certificate, which replaces user and password.
type Login struct {
	User, Password string
	Tunnel         string // secret of a tunnel, which replaces user and password
	MountPoint     string
	DeviceID       string
	Watchdog       time.Duration // how long the broker shall tolerate our silence, in whole seconds; 0: for ever
	Broker         bool          // this client is a child broker
}

// Options of a client. A zero field means its default.
type Options struct {
	URL       transport.URL
	Login     Login
	Timeout   time.Duration // of Dial; 0: DefaultTimeout
	Heartbeat time.Duration // between pings; 0: none
	// Alive, if set, is called after each answered ping, by the goroutine that pings.
	Alive func()
	// Patient tolerates a broker that does not read from us for a long time.
	Patient bool
	// Blocking uses transport.DialBlocking: for the only connection of a program, with urgent data.
	Blocking bool
	// Serve answers requests. Nil serves a tree with nothing but its root.
	Serve *node.Tree
	// Tunnel takes the responses that carry a TunnelCtl, whatever their request id (spec.md 8.2).
	// The read loop calls it, so it must not wait; m is valid during the call. Nil: Expect gets
	// them.
	Tunnel func(m *rpc.Message)
	// Signal, if set, takes the signals of the broker. The read loop calls it, so it must not wait;
	// m is valid during the call.
	Signal func(m *rpc.Message)
	// Begin, if set, gets the Client before anything is read. It serves a client that must not miss
	// a request which follows the answer to the login at once.
	Begin func(*Client)
	// Relay, if set, takes everything except the answers to calls of this Client: requests,
	// signals, and responses with caller ids. The read loop calls it, so it must not wait. Serve,
	// Signal and, for such responses, Tunnel are then not used.
	Relay func(m *rpc.Message, f *link.Frame)
	// Link limits what the connection carries.
	Link link.Options
}

// ErrRefused matches the error of Dial if the broker refused the login.
var ErrRefused = errors.New("login refused")

// Receiver takes the responses with one request id. The read loop calls it, so it must not wait; m
// and f are valid during the call.
type Receiver func(m *rpc.Message, f *link.Frame)

// Client is a connection to a broker. All methods may be called concurrently.
type Client struct {
	opts Options
	link *link.Link
	id   int64 // clientId of the login; 0 if the broker gave none

	vouched bool // the broker will report the loss of the other end of our tunnel

	running sync.WaitGroup

	mu        sync.Mutex
	lastID    int64
	receivers map[int64]Receiver
}

// Dial connects and logs in. It gives up when ctx ends or after the Timeout. A refused login
// matches ErrRefused. The caller must close the Client.
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

// timeoutError replaces the error of an expired Timeout by one for people.
func (o *Options) timeoutError(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %v", o.Timeout)
	}
	return err
}

// portHint asks about the port if a hello got no answer. A TLS port closes a connection that starts
// without TLS. Other ports may wait for the rest of what they take the hello for.
func (o *Options) portHint(err error) string {
	question := "; is this the broker's " + o.URL.Scheme + " port?"
	if errors.Is(err, context.DeadlineExceeded) && o.URL.Scheme != transport.Unix {
		return question
	}
	var end *link.EndError
	plainTCP := o.URL.Scheme == transport.TCP || o.URL.Scheme == transport.TCPS
	if !plainTCP || !errors.As(err, &end) || end.Cause != link.PeerClosed && end.Cause != link.ReadError {
		return ""
	}
	return question + " A TLS port needs ssl://"
}

// Direct returns a client of the peer on conn, which needs no login. It takes conn over. The caller
// must close the Client.
func Direct(conn net.Conn, o Options) *Client {
	c := &Client{opts: o, link: link.New(conn, o.Link), receivers: make(map[int64]Receiver)}
	if o.Begin != nil {
		o.Begin(c)
	}
	c.running.Go(func() { c.link.Run(c) })
	return c
}

// start logs in on conn and takes it over.
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

// login says hello and logs in (spec.md 5.1).
func (c *Client) login(ctx context.Context) error {
	hello, err := c.Call(ctx, "", "hello", chainpack.Null())
	var certificate *transport.CertificateError
	if errors.As(err, &certificate) {
		return fmt.Errorf("cannot connect to %s: %w", c.opts.URL, certificate)
	}
	if err != nil {
		return fmt.Errorf("cannot log in to %s: hello: %w%s", c.opts.URL, c.opts.timeoutError(err), c.opts.portHint(err))
	}
	nonce, _ := hello.Get("nonce")
	text, _ := nonce.AsString()
	result, err := c.Call(ctx, "", "login", c.opts.Login.param(c.opts.URL, text))
	var refused *rpc.Error
	switch {
	case errors.As(err, &refused):
		return fmt.Errorf("%w at %s: %w", ErrRefused, c.opts.URL, refused)
	case err != nil:
		return fmt.Errorf("cannot log in to %s: %w", c.opts.URL, c.opts.timeoutError(err))
	}
	id, _ := result.Get("clientId")
	c.id, _ = id.AsInt()
	ext, _ := result.Get("ext")
	vouches, _ := ext.Get("vouches")
	c.vouched, _ = vouches.AsBool()
	return nil
}

// param returns the parameter of the method login (spec.md 5.4), with its keys in the order of the
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

// credentials returns the key login of that parameter (spec.md 5.2). A broker that stores only a
// slow hash of a password needs the password itself. So it is sent if the transport protects it,
// and its hash otherwise (protocol.md 5).
func (l Login) credentials(u transport.URL, nonce string) chainpack.Value {
	password, kind := login.Hash(nonce, l.Password), login.SHA1
	switch {
	case l.Tunnel != "": // the broker looks at the secret only
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

// ID returns the client id that the broker gave at login, 0 if none.
func (c *Client) ID() int64 { return c.id }

// Vouched reports whether the broker promised, at a tunnel login, to report the loss of the other
// end (protocol.md 5).
func (c *Client) Vouched() bool { return c.vouched }

// Link returns the link of the connection.
func (c *Client) Link() *link.Link { return c.link }

// Done returns a channel that is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.link.Done() }

// Err describes the end of the connection, nil before that.
func (c *Client) Err() error { return c.link.Err() }

// Close ends the connection at once and waits for its goroutines. The read loop must not call it.
func (c *Client) Close() {
	c.link.Close(link.Done)
	c.running.Wait()
}

// Finish ends the connection when the broker has got everything that is queued, or when ctx ends.
// The read loop must not call it.
func (c *Client) Finish(ctx context.Context) {
	c.link.Finish(ctx, link.Done)
	c.running.Wait()
}

// NewID returns the next request id of this connection, from 1 to 2^31-1 (spec.md 3.1).
func (c *Client) NewID() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lastID == math.MaxInt32 {
		c.lastID = 0 // C++ peers do not answer larger ids
	}
	c.lastID++
	return c.lastID
}

// Expect makes r take all responses with the request id, until Forget.
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

// Send queues a message, of which it takes a copy. It never waits.
func (c *Client) Send(message []byte) error {
	f := link.NewMessage(message)
	defer f.Release()
	return c.link.Send(f, nil)
}

// SendNow sends a message, of which it takes a copy. It waits for queue space, so a read loop must
// not call it.
func (c *Client) SendNow(message []byte) error {
	f := link.NewMessage(message)
	defer f.Release()
	return c.link.SendNow(f)
}

// Request queues a request. Its responses go to the Receiver that Expect has set for its id.
func (c *Client) Request(id int64, path, method string, param chainpack.Value) error {
	return c.Send(rpc.AppendRequest(nil, id, path, method, param))
}

// Call calls a method and waits for its result. An error of the peer is an *rpc.Error, the end of
// the connection a *link.EndError, and the end of ctx its cause. The read loop must not call it.
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
			return // the call goes on
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

// endOr returns how the connection ended, or err if it has not ended.
func (c *Client) endOr(err error) error {
	if end := c.Err(); end != nil {
		return end
	}
	return err
}

// Message takes a message of the broker. The link calls it.
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

// Reset ends the connection: a broker that starts over has forgotten our login.
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
		c.link.Close(link.SlowPeer) // an answer must not get lost silently
	}
}
