package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// ListenOptions are what a listener needs beyond its URL. Options in the URL take precedence.
type ListenOptions struct {
	CertFile, KeyFile string // files in PEM form, for the schemes with TLS
	MinTLS            uint16 // the oldest version that is accepted; 0: TLS 1.2
	// Socket, if set, is used instead of a new one, such as one that systemd opened. Its address
	// takes precedence over that of the URL.
	Socket net.Listener
	// OnlyIPv6 makes a listener on [::] leave IPv4 to another listener.
	OnlyIPv6 bool
}

// Listener accepts connections at a URL. Connections that are a Handshaker have not done their
// handshake yet. All methods may be called concurrently.
type Listener struct {
	net.Listener
	url   URL
	trust atomic.Pointer[trust] // nil without TLS
}

// Listen opens a listener for u; port 0 means any free port. It replaces a socket file on which
// nobody answers; one in use is an error. The listener closes the Socket of the options, but after
// an error the caller still owns it.
func Listen(ctx context.Context, u URL, o ListenOptions) (*Listener, error) {
	if err := checkPlain(u); err != nil {
		return nil, err
	}
	l := &Listener{url: u}
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
		if err == nil {
			err = t.outdated(time.Now())
		}
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

// CheckListen reads the files that Listen and Reload would read. It returns the Notices of the
// listener at time now, or errors of all files that one of them would refuse. Both are OptionErrors
// where an option is at fault.
func CheckListen(u URL, o ListenOptions, now time.Time) (notices []error, err error) {
	if !u.IsEncrypted() {
		if dir := filepath.Dir(u.Path); u.Scheme == Unix && u.Socket == "" {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				notices = append(notices, ofOption("url",
					fmt.Errorf("cannot listen on %s: %s is not a directory that exists", u, dir)))
			}
		}
		return notices, checkPlain(u)
	}
	t, err := readTrust(u, o)
	if err == nil {
		err = errors.Join(append(t.unended, t.outdated(now))...)
	}
	if err != nil {
		return nil, err
	}
	return t.notices(now), nil
}

// checkPlain returns an error if u asks for client certificates without TLS. Nobody could show one,
// and everybody would be admitted.
func checkPlain(u URL) error {
	if !u.IsEncrypted() && (u.ClientCA != "" || u.CRL != "" || u.RequireClientCert) {
		option := "require-client-cert"
		switch {
		case u.ClientCA != "":
			option = "client-ca"
		case u.CRL != "":
			option = "crl"
		}
		return ofOption(option,
			fmt.Errorf("client-ca, crl and require-client-cert need ssl or wss: %s has no certificates", u.Scheme))
	}
	return nil
}

// Network returns the network of package net for a listener on host. A user who writes 0.0.0.0 does
// not expect IPv6, but Go would listen on that, too.
func Network(host string) string {
	if host == "0.0.0.0" {
		return "tcp4"
	}
	return "tcp"
}

// At returns u at an address that somebody else has chosen. It returns an error if the scheme needs
// another kind of address.
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
	return u, fmt.Errorf("scheme %s does not fit a socket of type %s", u.Scheme, addr.Network())
}

// inherited is a listener that somebody else has opened. It gives its connections our keep-alive.
type inherited struct{ net.Listener }

func (l inherited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetKeepAliveConfig(keepAlive) // if this fails, the system's own remains
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

// Reload reads all files again, those that the options of u and o name now: the certificate with
// its key, the authorities of clients, and the revocation list. None may seem to be cut off, and
// none may be outdated while the one in force is not. A revocation list may be no older than the one
// in force, nor missing beside others. use puts them in force for TLSConn.Verify and
// for handshakes from then on. An error names the file; use is then nil. All else of u and o is
// ignored.
func (l *Listener) Reload(u URL, o ListenOptions) (use func(), err error) {
	old := l.trust.Load()
	if old == nil {
		return func() {}, checkPlain(u)
	}
	t, err := readTrust(u, o)
	if err == nil {
		err = errors.Join(t.unended...)
	}
	if err == nil {
		err = t.replaces(old, time.Now())
	}
	if err != nil {
		return nil, err
	}
	t.forgot = len(t.authorities) > 0 && t.revoked == nil && (old.revoked != nil || old.forgot)
	return func() { l.trust.Store(t) }, nil
}

// Notices returns what an operator should know at time now about the files of the listener, one
// line each: an outdated revocation list, or a certificate that has expired or has less than a
// tenth of its lifetime left, at most maxNotice.
func (l *Listener) Notices(now time.Time) (texts []string) {
	t := l.trust.Load()
	if t == nil {
		return nil
	}
	for _, notice := range t.notices(now) {
		texts = append(texts, notice.Error())
	}
	return texts
}

// URL returns the URL that the listener listens on, with the actual port.
func (l *Listener) URL() URL { return l.url }

// ListenURL returns the URL that l listens on. A listener of another package counts as tcp.
func ListenURL(l net.Listener) URL {
	if ours, ok := l.(*Listener); ok {
		return ours.URL()
	}
	host, port, _ := net.SplitHostPort(l.Addr().String())
	return URL{Scheme: TCP, Host: host, Port: port}
}
