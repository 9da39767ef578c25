package transport

import (
	"context"
	"net"
	"sync/atomic"
	"time"
)

// ListenOptions are what a listener needs beyond its URL, whose own options go
// before them.
type ListenOptions struct {
	CertFile, KeyFile string // in PEM form, for the schemes with TLS
}

// Listener accepts connections at a URL. Those of the scheme ssl are *TLSConn,
// whose handshake has not happened. All methods may be called concurrently.
type Listener struct {
	net.Listener
	url   URL
	opts  ListenOptions
	trust atomic.Pointer[trust] // nil without TLS
}

// Listen opens a listener for u, whose port 0 means any free one. A socket file
// on which nobody answers any more is replaced, one in use is an error.
func Listen(ctx context.Context, u URL, o ListenOptions) (*Listener, error) {
	l := &Listener{url: u, opts: o}
	if u.Scheme == Unix {
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
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	inner, err := lc.Listen(ctx, TCP, u.Address())
	if err != nil {
		return nil, err
	}
	l.Listener = inner
	l.url.Host, l.url.Port, _ = net.SplitHostPort(inner.Addr().String())
	return l, nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
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
	return framed(conn, l.url.Scheme), nil
}

// Reload reads all files again: the certificate with its key, whom to trust for
// those of clients, and the revocation list, which must not be outdated. use puts
// them in force, for the handshakes from now on and for TLSConn.Judge. On an error,
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
// time, a line each: a revocation list that is outdated.
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
