package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Slots bound how many handshakes compute at once. A handshake takes one when
// it has the client's hello and gives it back when it has to wait for the client
// again: who says nothing takes none.
type Slots chan struct{}

// NewSlots makes n slots, one at least.
func NewSlots(n int) Slots { return make(Slots, max(n, 1)) }

// Handshaker is an accepted connection on which nothing is read or written before
// its handshake: *TLSConn or *WSConn.
type Handshaker interface{ Handshake(slots Slots) error }

// SecureOf is the TLS of an accepted connection; nil: it has none.
func SecureOf(conn net.Conn) *TLSConn {
	switch c := conn.(type) {
	case *TLSConn:
		return c
	case *WSConn:
		return c.secure
	}
	return nil
}

// TLSConn is an accepted connection of the scheme ssl, or below one of wss. Nothing is
// read or written before Handshake.
type TLSConn struct {
	*tls.Conn
	gate     *helloGate
	listener *Listener
	shown    atomic.Pointer[proof]
}

// proof is what a client has shown of itself, and what was verified.
type proof struct {
	certificates []*x509.Certificate // its own first
	ends         time.Time
}

func newTLSConn(conn net.Conn, l *Listener) *TLSConn {
	g := &helloGate{Conn: conn, closed: make(chan struct{})}
	return &TLSConn{Conn: tls.Server(g, l.trust.Load().config), gate: g, listener: l}
}

// Handshake does it, with one of slots. It waits for slot and client until the
// connection is closed: deadlines are the caller's. The error is a *CertificateError
// where it is about the certificate of the client.
func (c *TLSConn) Handshake(slots Slots) error {
	c.gate.slots = slots
	defer c.gate.release()
	if err := c.Conn.Handshake(); err != nil {
		return clientCertError(err)
	}
	state := c.ConnectionState()
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	c.shown.Store(&proof{state.PeerCertificates, validUntil(state.VerifiedChains)})
	// A reload that came meanwhile has not seen this certificate.
	if err := c.Verify(); err != nil {
		return &CertificateError{err, "it was good until the last reload"}
	}
	return nil
}

// Certificate is the one that the client has shown, and that the listener has
// verified; nil for none, and before the handshake is done. It does not wait.
func (c *TLSConn) Certificate() *x509.Certificate {
	if s := c.shown.Load(); s != nil {
		return s.certificates[0]
	}
	return nil
}

// Expired tells whether the certificate of the client is at its end. It does not
// wait.
func (c *TLSConn) Expired(now time.Time) bool {
	s := c.shown.Load()
	return s != nil && now.After(s.ends)
}

// Verify tells whether the client would be let in with its certificate by the files
// that the listener has read last; one that has shown none would be. It computes a
// little, and does not wait.
func (c *TLSConn) Verify() error {
	s := c.shown.Load()
	if s == nil {
		return nil
	}
	return c.listener.trust.Load().verify(s.certificates)
}

// closeWait is how long the end of a connection may take. It never does where the
// system has room for a few bytes more.
const closeWait = 100 * time.Millisecond

// Close ends the connection, and what waits on it. Crypto/tls alone would wait 5 s for
// a peer that does not read, and whoever closes many connections for all of them.
func (c *TLSConn) Close() error {
	late := time.AfterFunc(closeWait, func() { _ = c.gate.Close() })
	defer late.Stop()
	return c.Conn.Close()
}

// Waiting tells whether the handshake waits for a slot, and not for the client.
func (c *TLSConn) Waiting() bool { return c.gate.waiting.Load() }

// helloGate is the connection below a TLSConn.
type helloGate struct {
	net.Conn
	closing sync.Once
	closed  chan struct{}
	waiting atomic.Bool

	// Of the goroutine of the handshake.
	slots Slots
	held  atomic.Bool // read by Read, which outlives the handshake
}

// admitHello takes a slot for a handshake whose hello has come; it is a tls.Config's
// GetConfigForClient.
func admitHello(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	g, ok := hello.Conn.(*helloGate)
	if !ok || g.slots == nil {
		return nil, nil
	}
	g.waiting.Store(true)
	defer g.waiting.Store(false)
	select {
	case g.slots <- struct{}{}:
		g.held.Store(true)
		return nil, nil
	case <-g.closed:
		return nil, errors.New("closed while too many handshakes were under way")
	}
}

func (g *helloGate) release() {
	if g.held.CompareAndSwap(true, false) {
		<-g.slots
	}
}

// Read gives the slot back before it waits.
func (g *helloGate) Read(b []byte) (int, error) {
	if g.held.Load() {
		g.release()
	}
	return g.Conn.Read(b)
}

// NetConn is the connection below it.
func (g *helloGate) NetConn() net.Conn { return g.Conn }

// Close ends the wait for a slot too.
func (g *helloGate) Close() error {
	g.closing.Do(func() { close(g.closed) })
	return g.Conn.Close()
}
