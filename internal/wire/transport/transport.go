// Package transport turns SHV URLs into connections and listeners
// (spec.md 4.3 to 4.5): tcp, ssl (TLS 1.2 and newer, the server shows a
// certificate), tcps, ws, wss and unix. Of a WebSocket it keeps the frames apart; what
// else runs over a connection is package link's matter.
package transport

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects to u and, over TLS, judges the certificate that it is shown. It
// ends with ctx.
//
// The system gives a TCP connection up when data stays unacknowledged for longer
// than stall; 0 leaves that to its own, much longer limit. Linux counts a peer
// that is alive but does not read as one that does not acknowledge, so stall is
// for connections whose peer always reads.
func Dial(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	if kinds[u.Scheme].web {
		return dialWS(ctx, u, stall)
	}
	conn, err := dialSocket(ctx, u, stall)
	if err != nil {
		return nil, err
	}
	return framed(conn, u.Scheme), nil
}

// framed is a connection of the scheme, with the framing that is spoken on it.
func framed(conn net.Conn, scheme string) net.Conn {
	if scheme == TCPS {
		return &serialConn{conn}
	}
	return conn
}

// serialConn is a connection on which the serial framing is spoken.
type serialConn struct{ net.Conn }

// Serial gives the connection itself.
func (c *serialConn) Serial() net.Conn { return c.Conn }

// dialSocket connects to u, up to its TLS.
func dialSocket(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	if u.IsEncrypted() {
		return dialTLS(ctx, u, stall)
	}
	return dialPlain(ctx, u, stall)
}

func dialPlain(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	if u.Scheme == Unix {
		return new(net.Dialer).DialContext(ctx, Unix, u.Path)
	}
	d := net.Dialer{KeepAliveConfig: keepAlive}
	if stall > 0 {
		d.Control = func(_, _ string, c syscall.RawConn) error { return setUserTimeout(c, stall) }
	}
	return d.DialContext(ctx, TCP, u.Address())
}

// DialBlocking is Dial for a program with one connection: each read and write
// blocks a thread, which is quicker than Go's poller. Such a connection knows no
// deadlines. TLS and WebSockets need them, so with these it is Dial.
func DialBlocking(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	if u.IsEncrypted() || kinds[u.Scheme].web {
		return Dial(ctx, u, stall)
	}
	conn, err := dialPlain(ctx, u, stall)
	if err != nil {
		return nil, err
	}
	if conn, err = newBlockingConn(conn); err != nil {
		return nil, err
	}
	return framed(conn, u.Scheme), nil
}

// keepAlive finds a dead peer of an idle connection after a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}

func setUserTimeout(c syscall.RawConn, d time.Duration) error {
	return control(c, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}

// control calls f with the descriptor of a connection.
func control(c syscall.RawConn, f func(fd int) error) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}
