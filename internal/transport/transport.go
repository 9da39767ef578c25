// Package transport turns SHV URLs into connections and listeners
// (protocol.md 4.4). So far it knows one scheme, tcp; what runs over a
// connection is package link's matter.
package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultPort of the scheme tcp.
const DefaultPort = "3755"

// URL is a parsed SHV URL.
type URL struct {
	Scheme string // "tcp"
	Host   string // without brackets
	Port   string // never empty
	// User and Password of `user@` or of the options user and password;
	// HasUser and HasPassword tell an empty one from an absent one.
	User, Password       string
	HasUser, HasPassword bool
}

// ParseURL reads `scheme://[user@]host[:port][?options]`; without a scheme it
// is tcp. The errors never repeat a password.
func ParseURL(text string) (URL, error) {
	full := text
	if !strings.Contains(text, "://") {
		full = "tcp://" + text
	}
	parsed, err := url.Parse(full)
	if err != nil {
		return URL{}, fmt.Errorf("not a URL of the form tcp://[user@]host[:port]: %s", redact(text))
	}
	if parsed.Scheme != "tcp" {
		return URL{}, fmt.Errorf("URL %s: scheme %q is not supported, only tcp is", redact(text), parsed.Scheme)
	}
	u := URL{Scheme: parsed.Scheme, Host: parsed.Hostname(), Port: parsed.Port()}
	if u.Host == "" {
		return URL{}, fmt.Errorf("URL %s: no host", redact(text))
	}
	if u.Port == "" {
		u.Port = DefaultPort
	}
	if parsed.User != nil {
		u.User, u.HasUser = parsed.User.Username(), true
		u.Password, u.HasPassword = parsed.User.Password()
	}
	options := parsed.Query()
	if options.Has("user") {
		u.User, u.HasUser = options.Get("user"), true
	}
	if options.Has("password") {
		u.Password, u.HasPassword = options.Get("password"), true
	}
	return u, nil
}

// redact leaves out everything of a URL text that may hold a password.
func redact(text string) string {
	text, _, _ = strings.Cut(text, "?")
	if at := strings.LastIndex(text, "@"); at >= 0 {
		scheme, _, found := strings.Cut(text, "://")
		if !found {
			return text[at+1:]
		}
		return scheme + "://" + text[at+1:]
	}
	return text
}

// Address is host:port.
func (u URL) Address() string { return net.JoinHostPort(u.Host, u.Port) }

// String is the URL without user and password.
func (u URL) String() string { return u.Scheme + "://" + u.Address() }

// IsLoopback tells whether the URL names this machine only: localhost or a
// loopback address. No other name is looked up, since whoever answers the
// look-up would decide who gets the development password.
func (u URL) IsLoopback() bool {
	if strings.EqualFold(strings.TrimSuffix(u.Host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(u.Host)
	return err == nil && addr.Unmap().IsLoopback()
}

// Dial connects to u. It ends with ctx.
//
// The system gives the connection up when data stays unacknowledged for longer
// than stall; 0 leaves that to its own, much longer limit. Linux counts a peer
// that is alive but does not read as one that does not acknowledge, so stall is
// for connections whose peer always reads.
func Dial(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: keepAlive}
	if stall > 0 {
		d.Control = func(_, _ string, c syscall.RawConn) error { return setUserTimeout(c, stall) }
	}
	return d.DialContext(ctx, "tcp", u.Address())
}

// DialBlocking is Dial for a program with one connection: each read and write
// blocks a thread, which is quicker than Go's poller. Such a connection knows no
// deadlines.
func DialBlocking(ctx context.Context, u URL, stall time.Duration) (net.Conn, error) {
	conn, err := Dial(ctx, u, stall)
	if err != nil {
		return nil, err
	}
	return newBlockingConn(conn)
}

// Listen opens a listener for u, whose port 0 means any free one.
func Listen(ctx context.Context, u URL) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	return lc.Listen(ctx, "tcp", u.Address())
}

// ListenURL is the URL that l listens on.
func ListenURL(l net.Listener) URL {
	host, port, _ := net.SplitHostPort(l.Addr().String())
	return URL{Scheme: "tcp", Host: host, Port: port}
}

// keepAlive finds a dead peer of an idle connection after a minute.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 3}

func setUserTimeout(c syscall.RawConn, d time.Duration) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}

// Inherited is the connected socket that the parent process gave as file
// descriptor fd. Processes that are started later do not get it.
func Inherited(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "inherited socket")
	if f == nil {
		return nil, os.ErrInvalid
	}
	defer f.Close()
	return net.FileConn(f)
}

// Pair is two connected sockets: one to use, and one for a process to inherit.
func Pair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	f := os.NewFile(uintptr(fds[0]), "socket to the helper")
	defer f.Close()
	theirs = os.NewFile(uintptr(fds[1]), "socket of the helper")
	if ours, err = net.FileConn(f); err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}
