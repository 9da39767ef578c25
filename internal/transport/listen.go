package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
)

// ListenOptions are what a listener needs beyond its URL, whose own options go
// before them.
type ListenOptions struct {
	CertFile, KeyFile string // in PEM form, for the scheme ssl
}

// Listener accepts connections at a URL. Those of the scheme ssl are *TLSConn,
// whose handshake has not happened. All methods may be called concurrently.
type Listener struct {
	net.Listener
	url     URL
	cert    *certificate // nil but for ssl
	tls     *tls.Config
	revoked atomic.Pointer[revoked] // nil without a list
}

// Listen opens a listener for u, whose port 0 means any free one. A socket file
// on which nobody answers any more is replaced, one in use is an error.
func Listen(ctx context.Context, u URL, o ListenOptions) (*Listener, error) {
	l := &Listener{url: u}
	if u.Scheme == Unix {
		socket, err := listenUnix(ctx, u)
		l.Listener = socket
		return l, err
	}
	if u.Scheme == SSL {
		l.cert = &certificate{certFile: first(u.Cert, o.CertFile), keyFile: first(u.Key, o.KeyFile)}
		if err := l.cert.read(); err != nil {
			return nil, err
		}
		l.tls = &tls.Config{MinVersion: minTLS, GetCertificate: l.cert.get, GetConfigForClient: admitHello}
		if err := l.judgeClients(); err != nil {
			return nil, err
		}
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

// judgeClients sets how the certificates of clients are judged.
func (l *Listener) judgeClients() error {
	if l.url.ClientCA == "" {
		if l.url.RequireClientCert || l.url.CRL != "" {
			return errors.New("the options require-client-cert and crl of a listener go with client-ca")
		}
		return nil
	}
	pool, err := readPool(l.url.ClientCA)
	if err != nil {
		return err
	}
	l.tls.ClientCAs, l.tls.ClientAuth = pool, tls.VerifyClientCertIfGiven
	if l.url.RequireClientCert {
		l.tls.ClientAuth = tls.RequireAndVerifyClientCert
	}
	l.tls.SessionTicketsDisabled = true // each connection shows its certificate anew
	if l.url.CRL == "" {
		return nil
	}
	l.tls.VerifyConnection = func(state tls.ConnectionState) error { return l.revoked.Load().check(state) }
	return l.readRevoked()
}

func (l *Listener) readRevoked() error {
	lists, err := readRevoked(l.url.CRL)
	if err == nil {
		l.revoked.Store(&lists)
	}
	return err
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
	if err != nil || l.tls == nil {
		return conn, err
	}
	return newTLSConn(conn, l.tls), nil
}

// Reload reads the certificate with its key and the revocation list again, for
// the connections from now on. On an error, which names the file, the old ones stay.
func (l *Listener) Reload() error {
	if l.cert == nil {
		return nil
	}
	err := l.cert.read()
	if l.url.CRL != "" {
		err = errors.Join(err, l.readRevoked())
	}
	return err
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
