package world

import (
	"errors"
	"net"
	"time"
)

// Listener is a net.Listener without a network: its connections are those of net.Pipe,
// so a write lasts until its bytes are read.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
}

// NewListener gives one that nobody connects to but by World's Connect.
func NewListener() *Listener { return &Listener{make(chan net.Conn), make(chan struct{})} }

// Accept waits for the next connection, or gives net.ErrClosed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. It is not for two goroutines at once.
func (l *Listener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

// Addr is that of a Unix socket, from which logins count as local.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// dial connects from an address, "" for none.
func (l *Listener) dial(address string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if address != "" {
		from, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			return nil, err
		}
		theirs = addressed{theirs, from}
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

// addressed is a connection from an address.
type addressed struct {
	net.Conn
	from net.Addr
}

// RemoteAddr is what the broker takes for the peer's address.
func (c addressed) RemoteAddr() net.Addr { return c.from }
