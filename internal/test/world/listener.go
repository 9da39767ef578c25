package world

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Listener is a net.Listener without a network. Its connections are those of net.Pipe:
// they work in bubbles, and a write lasts until its bytes are read.
type Listener struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// NewListener returns a Listener at an address, which is the local one of connections
// from an address. nil stands for that of a Unix socket.
func NewListener(addr net.Addr) *Listener {
	if addr == nil {
		addr = &net.UnixAddr{Name: "memory", Net: "memory"}
	}
	return &Listener{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next connection. It returns net.ErrClosed after Close.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is the address that the listener was made with.
func (l *Listener) Addr() net.Addr { return l.addr }

// Dial connects from an address such as "10.0.0.1:1", "" for none. It waits for Accept,
// for Patience at most.
func (l *Listener) Dial(from string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if from != "" {
		addr, err := net.ResolveTCPAddr("tcp", from)
		if err != nil {
			return nil, err
		}
		theirs = addressed{theirs, l.addr, addr}
	}
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-time.After(Patience):
		return nil, errors.New("the broker does not accept")
	}
}

// addressed is a connection between addresses.
type addressed struct {
	net.Conn
	at, from net.Addr
}

// LocalAddr returns the address that the peer connected to.
func (c addressed) LocalAddr() net.Addr { return c.at }

// RemoteAddr returns the address of the peer.
func (c addressed) RemoteAddr() net.Addr { return c.from }
