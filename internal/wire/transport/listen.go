package transport

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// ListenOptions are what a listener needs beyond its URL, whose own options go
// before them.
type ListenOptions struct {
	CertFile, KeyFile string // in PEM form, for the schemes with TLS
	// Socket, if set, is listened on in the place of a new one: somebody else has
	// opened it. Its address goes before that of the URL.
	Socket net.Listener
	// OnlyIPv6: who comes by IPv4 is another listener's, where the host is [::].
	OnlyIPv6 bool
}

// Listener accepts connections at a URL. Some are a Handshaker, whose handshake has
// not happened. All methods may be called concurrently.
type Listener struct {
	net.Listener
	url   URL
	opts  ListenOptions
	trust atomic.Pointer[trust] // nil without TLS
}

// Listen opens a listener for u, whose port 0 means any free one. A socket file
// on which nobody answers any more is replaced, one in use is an error. A Socket of
// the options is closed by the listener; on an error it is left to the caller.
func Listen(ctx context.Context, u URL, o ListenOptions) (*Listener, error) {
	if err := checkPlain(u); err != nil {
		return nil, err
	}
	l := &Listener{url: u, opts: o}
	if o.Socket != nil {
		var err error
		if l.url, err = At(u, o.Socket.Addr()); err != nil {
			return nil, err
		}
	}
	if u.Scheme == Unix && o.Socket == nil {
		socket, err := listenUnix(ctx, u)
		l.Listener = socket
		return l, err
	}
	if u.IsEncrypted() {
		t, err := readTrust(u, o)
		if err != nil {
			return nil, err
		}
		l.trust.Store(t)
	}
	if o.Socket != nil {
		l.Listener = inherited{o.Socket}
		return l, nil
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	network := Network(u.Host)
	if o.OnlyIPv6 {
		network = "tcp6"
	}
	inner, err := lc.Listen(ctx, network, u.Address())
	if err != nil {
		return nil, err
	}
	l.Listener = inner
	l.url.Host, l.url.Port, _ = net.SplitHostPort(inner.Addr().String())
	return l, nil
}

// CheckListen reads the files that Listen would, and tells what is wrong with them.
func CheckListen(u URL, o ListenOptions) error {
	if !u.IsEncrypted() {
		return checkPlain(u)
	}
	_, err := readTrust(u, o)
	return err
}

// checkPlain is an error where u wants clients' certificates without TLS: nobody
// could show one, and everybody would be let in.
func checkPlain(u URL) error {
	if !u.IsEncrypted() && (u.ClientCA != "" || u.CRL != "" || u.RequireClientCert) {
		return fmt.Errorf("client-ca, crl and require-client-cert need ssl or wss; on %s nobody shows a certificate", u.Scheme)
	}
	return nil
}

// Network is that of package net for a listener on a host. Go listens to IPv6 too on
// 0.0.0.0, which nobody means who writes that.
func Network(host string) string {
	if host == "0.0.0.0" {
		return "tcp4"
	}
	return "tcp"
}

// At is u at an address that somebody else has chosen. It is an error where the scheme
// needs another kind of it.
func At(u URL, addr net.Addr) (URL, error) {
	switch addr := addr.(type) {
	case *net.TCPAddr:
		if u.Scheme != Unix {
			u.Host, u.Port, _ = net.SplitHostPort(addr.String())
			return u, nil
		}
	case *net.UnixAddr:
		if u.Scheme == Unix {
			u.Path = addr.Name
			return u, nil
		}
	}
	return u, fmt.Errorf("the scheme %s cannot be spoken on a socket of the kind %s", u.Scheme, addr.Network())
}

// inherited is a listener that somebody else has opened: its connections are to be
// found dead as soon as those of our own.
type inherited struct{ net.Listener }

func (l inherited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetKeepAliveConfig(keepAlive) // as good as the system's where it fails
	}
	return conn, err
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if l.trust.Load() != nil {
		conn = newTLSConn(conn, l)
	}
	if kinds[l.url.Scheme].web {
		return newWSConn(conn, l.url.Origins), nil
	}
	return framed(conn, l.url.Scheme), nil
}

// Reload reads all files again: the certificate with its key, whom to trust for
// those of clients, and the revocation list, which must not be outdated. use puts
// them in force, for the handshakes from now on and for TLSConn.Verify. On an error,
// which names the file, there is nothing to use.
func (l *Listener) Reload() (use func(), err error) {
	if l.trust.Load() == nil {
		return func() {}, nil
	}
	t, err := readTrust(l.url, l.opts)
	if err == nil && t.revoked != nil {
		err = t.revoked.current(time.Now())
	}
	if err != nil {
		return nil, err
	}
	return func() { l.trust.Store(t) }, nil
}

// Notices are what an operator should know about the files of the listener at a
// time, a line each: a revocation list that is outdated, a certificate in the last
// tenth of its life or past it.
func (l *Listener) Notices(now time.Time) []string {
	t := l.trust.Load()
	if t == nil {
		return nil
	}
	return t.notices(now)
}

// URL is where the listener listens, with the port that it got.
func (l *Listener) URL() URL { return l.url }

// ListenURL is the URL that l listens on; a listener that is not of this
// package counts as tcp.
func ListenURL(l net.Listener) URL {
	if ours, ok := l.(*Listener); ok {
		return ours.URL()
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	return URL{Scheme: TCP, Host: host, Port: port}
}
