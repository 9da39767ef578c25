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

// Slots limits how many handshakes compute at once. A handshake takes a slot when it has the
// client's hello and gives it back before it waits for the client again. So a silent client holds
// no slot.
type Slots chan struct{}

// NewSlots makes n slots, at least one.
func NewSlots(n int) Slots { return make(Slots, max(n, 1)) }

// Handshaker is an accepted connection on which nothing is read or written before its handshake: a
// *TLSConn or *WSConn.
type Handshaker interface{ Handshake(slots Slots) error }

// SecureOf returns the TLS of an accepted connection, nil if it has none.
func SecureOf(conn net.Conn) *TLSConn {
	switch c := conn.(type) {
	case *TLSConn:
		return c
	case *WSConn:
		return c.secure
	}
	return nil
}

// TLSConn is an accepted connection of the scheme ssl, or the one under a WebSocket of wss. Nothing
// is read or written before Handshake. The other methods may be called concurrently.
type TLSConn struct {
	*tls.Conn
	gate     *helloGate
	listener *Listener
	shown    atomic.Pointer[proof]
}

// proof is what a client has shown of itself and the listener has verified.
type proof struct {
	certificates []*x509.Certificate // the client's own first
	ends         time.Time           // when the first of them expires, of the chain that lasts longest
}

func newTLSConn(conn net.Conn, l *Listener) *TLSConn {
	g := &helloGate{Conn: conn, closed: make(chan struct{})}
	return &TLSConn{Conn: tls.Server(g, l.trust.Load().config), gate: g, listener: l}
}

// Handshake performs the TLS handshake with one of slots; nil means no limit. It waits for slot and
// client until the connection is closed: deadlines are the caller's. An error about the certificate
// of the client is a *CertificateError.
func (c *TLSConn) Handshake(slots Slots) error {
	c.gate.slots = slots
	defer c.gate.release()
	if err := c.Conn.Handshake(); err != nil {
		return clientCertError(err)
	}
	state := c.ConnectionState()
	shown := &proof{}
	if len(state.VerifiedChains) > 0 {
		shown = &proof{state.PeerCertificates, validUntil(state.VerifiedChains)}
	}
	c.shown.Store(shown)
	// A reload during the handshake has not seen this certificate.
	if err := c.Verify(); err != nil {
		return &CertificateError{err, "it was valid until the last reload"}
	}
	return nil
}

// Certificate returns the verified certificate of the client. It is nil if the client showed none,
// and before the handshake is done. It does not wait.
func (c *TLSConn) Certificate() *x509.Certificate {
	if s := c.shown.Load(); s != nil && len(s.certificates) > 0 {
		return s.certificates[0]
	}
	return nil
}

// Expired reports whether the certificate of the client has expired. It does not wait.
func (c *TLSConn) Expired(now time.Time) bool {
	s := c.shown.Load()
	return s != nil && len(s.certificates) > 0 && now.After(s.ends)
}

// Verify verifies the client's certificate again, by the options and files that the listener has read
// last. A client without a certificate passes unless they require one, and so does each before its
// handshake is done. Verify computes for a moment, but does not wait.
func (c *TLSConn) Verify() error {
	s := c.shown.Load()
	if s == nil {
		return nil
	}
	return c.listener.trust.Load().verify(s.certificates)
}

// closeWait is how long Close may take. It takes that long only if the system's buffer is full.
const closeWait = 100 * time.Millisecond

// Close ends the connection and everything that waits on it. Crypto/tls alone would wait 5 s for a
// peer that does not read, and a caller that closes many connections would wait for each.
func (c *TLSConn) Close() error {
	late := time.AfterFunc(closeWait, func() { _ = c.gate.Close() })
	defer late.Stop()
	return c.Conn.Close()
}

// Waiting reports whether the handshake waits for a slot rather than for the client.
func (c *TLSConn) Waiting() bool { return c.gate.waiting.Load() }

// helloGate is the connection under a TLSConn. It takes a slot when the hello of the client has
// come.
type helloGate struct {
	net.Conn
	closing sync.Once
	closed  chan struct{}
	waiting atomic.Bool

	// Owned by the goroutine of the handshake.
	slots Slots
	held  atomic.Bool // read by Read, which outlives the handshake
}

// admitHello takes a slot for a handshake whose hello has come. It serves as GetConfigForClient of
// a tls.Config.
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
		return nil, errors.New("closed while waiting for other TLS handshakes")
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

// NetConn returns the connection under it.
func (g *helloGate) NetConn() net.Conn { return g.Conn }

// Close also ends the wait for a slot.
func (g *helloGate) Close() error {
	g.closing.Do(func() { close(g.closed) })
	return g.Conn.Close()
}
