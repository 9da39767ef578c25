// Package transport turns SHV URLs into connections and listeners (spec.md 4.3 to 4.5): tcp, ssl,
// tcps, ws, wss and unix. TLS is version 1.2 or newer. It separates the frames of a WebSocket and
// knows what a connection shows of its peer. What is not encrypted stays on this machine unless the
// caller allows it, and a Unix socket has an owner (Dial). The package does not read or write any other frame: package
// link does.
package transport

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects to u and, over TLS, verifies the certificate of the broker. Without encryption it
// stays on this machine unless u.AllowPlaintext is set; otherwise its error is a *PlaintextError. A
// Unix socket must be root's, ours or that of u.Owner. Dial gives up when ctx ends. An error about a
// certificate is a *CertificateError.
//
// The system ends a TCP connection whose data stays unacknowledged for longer than stall; 0 leaves
// that to the system's own, much longer limit. Linux counts a live peer that does not read as one
// that does not acknowledge. So use stall only with a peer that always reads.
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

// framed returns conn with the framing of the scheme.
func framed(conn net.Conn, scheme string) net.Conn {
	if scheme == TCPS {
		return &serialConn{conn}
	}
	return conn
}

// serialConn marks a connection that uses the serial framing.
type serialConn struct{ net.Conn }

// Serial returns the connection itself. Package link looks for this method.
func (c *serialConn) Serial() net.Conn { return c.Conn }

// dialSocket connects to u, including TLS.
func dialSocket(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	if u.IsEncrypted() {
		return dialTLS(ctx, u, stall)
	}
	return dialPlain(ctx, u, stall)
}

func dialPlain(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	if u.Scheme == Unix {
		return dialUnix(ctx, u)
	}
	d := net.Dialer{KeepAliveConfig: keepAlive}
	if stall > 0 {
		d.Control = func(_, _ string, c syscall.RawConn) error { return setUserTimeout(c, stall) }
	}
	if u.isJudged() {
		return dialLoopback(ctx, &d, u)
	}
	return d.DialContext(ctx, TCP, u.Address())
}

// DialBlocking is Dial for a program with one connection: each read and write blocks a thread,
// which has less latency than Go's poller. The connection does not support deadlines. TLS and
// WebSockets need them, so for these DialBlocking is Dial.
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

// keepAlive finds the dead peer of an idle connection after a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}

func setUserTimeout(c syscall.RawConn, d time.Duration) error {
	return control(c, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}

// control calls f with the file descriptor of a connection.
func control(c syscall.RawConn, f func(fd int) error) error {
	var failed error
	err := c.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}
