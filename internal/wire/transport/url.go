package transport

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The schemes.
const (
	TCP  = "tcp"
	SSL  = "ssl"
	TCPS = "tcps" // the serial framing over TCP
	WS   = "ws"   // WebSocket
	WSS  = "wss"  // and over TLS
	Unix = "unix"
)

// DefaultPort is that of the scheme tcp.
const DefaultPort = "3755"

// kinds are the schemes of TCP connections.
var kinds = map[string]struct {
	port string // where the URL names none
	tls  bool
	web  bool // a WebSocket
}{
	TCP:  {port: DefaultPort},
	SSL:  {port: "3756", tls: true},
	TCPS: {port: "3765"},
	WS:   {port: "8755", web: true},
	WSS:  {port: "8766", tls: true, web: true},
}

// Schemes are those that are supported, in words.
const Schemes = "tcp, ssl, tcps, ws, wss and unix"

// Encrypts tells whether what goes over a connection of the scheme is encrypted.
func Encrypts(scheme string) bool { return kinds[scheme].tls }

// URL is a parsed SHV URL.
type URL struct {
	Scheme string // one of the constants
	Host   string // without brackets; "" for Unix
	Port   string // never empty but for Unix
	Path   string // of the socket, or what a client of a WebSocket asks for; absolute, "" for others

	// User and Password of `user@` or of the options user and password;
	// HasUser and HasPassword tell an empty one from an absent one.
	User, Password       string
	HasUser, HasPassword bool
	// ShaPass is the hex SHA1 of a password, in its place; Token stands for user
	// and password both.
	ShaPass, Token string
	DeviceID       string // option devid
	MountPoint     string // option devmount

	// Of the schemes with TLS: a file of certificates to trust in the place of the
	// system's, whether the broker's is not judged at all, and in whose name it
	// must be where that is not Host.
	CA         string
	NoVerify   bool
	ServerName string
	// Files of a certificate to show and its key, and of the lists of those that
	// were revoked.
	Cert, Key, CRL string
	// Of listeners: a file of whom to trust for clients' certificates, whether a
	// client must show one, and who may connect to a socket; 0: its owner.
	ClientCA          string
	RequireClientCert bool
	// Origins are web pages whose browsers may connect, with commas between them; "*":
	// any.
	Origins string
	// Socket names one that the listener's parent has opened for it; "": none.
	Socket string
	Mode   fs.FileMode
}

// ParseURL reads `scheme://[user@]host[:port][?options]` or `unix:path[?options]`;
// without a scheme it is tcp. Unknown options are passed over. The errors never repeat
// a password.
func ParseURL(text string) (URL, error) { return parse(text, anyOptions) }

// ParseListenURL is ParseURL for a listener. There an option that is not one of
// listeners is an error: a mistyped client-ca would let everybody in, and say nothing.
func ParseListenURL(text string) (URL, error) { return parse(text, listenOptions) }

// ParseClientURL is ParseURL for what a user gives to connect to. An option that is
// not one of clients is an error: a mistyped crl would revoke nothing, and say nothing.
func ParseClientURL(text string) (URL, error) { return parse(text, clientOptions) }

func parse(text string, known optionNames) (URL, error) {
	full := text
	if !strings.Contains(text, "://") && !strings.HasPrefix(text, Unix+":") {
		full = TCP + "://" + text
	}
	parsed, err := url.Parse(full)
	if err != nil {
		return URL{}, fmt.Errorf("not a URL of the form tcp://[user@]host[:port]: %s", redact(text))
	}
	u := URL{Scheme: parsed.Scheme}
	switch _, known := kinds[u.Scheme]; {
	case known:
		err = u.setHost(parsed)
	case u.Scheme == Unix:
		err = u.setPath(parsed)
	default:
		err = fmt.Errorf("scheme %q is not supported, only %s are", u.Scheme, Schemes)
	}
	if parsed.User != nil {
		u.User, u.HasUser = parsed.User.Username(), true
		u.Password, u.HasPassword = parsed.User.Password()
	}
	if err == nil {
		err = u.setOptions(parsed.RawQuery, known)
	}
	if err != nil {
		return URL{}, fmt.Errorf("URL %s: %w", redact(text), err)
	}
	return u, nil
}

// optionNames are the options that the URLs of somebody may have.
type optionNames struct {
	whose string
	names []string // nil: any
}

var (
	anyOptions    optionNames
	listenOptions = optionNames{"listener", []string{"cert", "client-ca", "crl", "key", "mode", "origin", "require-client-cert", "socket"}}
	// clientOptions are those of the standard, and those of other programs that ask
	// for nothing here (spec.md 4.4).
	clientOptions = optionNames{"client", []string{"ca", "cert", "crl", "devid", "devmount", "key", "password", "session", "shapass", "token", "user", "verify", "workflow"}}
)

// check is an error where an option is none of them.
func (o optionNames) check(options url.Values) error {
	if o.names == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !slices.Contains(o.names, name) {
			return fmt.Errorf("unknown option %q of a %s; known are %s", name, o.whose, strings.Join(o.names, ", "))
		}
	}
	return nil
}

func (u *URL) setHost(parsed *url.URL) error {
	u.Host, u.Port = parsed.Hostname(), parsed.Port()
	if u.Host == "" {
		return errors.New("no host")
	}
	if strings.Contains(u.Host, ":") && !strings.HasPrefix(parsed.Host, "[") {
		return errors.New("an IPv6 address stands in brackets, as in tcp://[::1]:3755")
	}
	if _, err := netip.ParseAddr(u.Host); err != nil && strings.Contains(u.Host, ":") {
		return errors.New("its host is neither a name nor an address")
	}
	if u.Port == "" {
		u.Port = kinds[u.Scheme].port
	}
	if kinds[u.Scheme].web {
		u.Path = "/" + strings.TrimPrefix(parsed.Path, "/")
	}
	return nil
}

func (u *URL) setPath(parsed *url.URL) error {
	if parsed.Host != "" || !strings.HasPrefix(parsed.Path, "/") {
		return errors.New("the path of a socket begins with a slash, as in unix:///run/shvbroker.sock")
	}
	u.Path = parsed.Path
	return nil
}

// setOptions takes the options of the standard (spec.md 4.4) and ours.
func (u *URL) setOptions(query string, known optionNames) error {
	options, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("unreadable options")
	}
	if err := known.check(options); err != nil {
		return err
	}
	if options.Has("user") {
		u.User, u.HasUser = options.Get("user"), true
	}
	if options.Has("password") {
		u.Password, u.HasPassword = options.Get("password"), true
	}
	u.ShaPass, u.Token = options.Get("shapass"), options.Get("token")
	u.DeviceID, u.MountPoint = options.Get("devid"), options.Get("devmount")
	u.CA, u.Cert, u.Key = options.Get("ca"), options.Get("cert"), options.Get("key")
	u.Socket = options.Get("socket")
	u.CRL, u.ClientCA = options.Get("crl"), options.Get("client-ca")
	if options.Has("crl") && u.CRL == "" {
		return errors.New("the option crl names no file")
	}
	u.Origins = strings.Join(options["origin"], ",")
	if err := checkOrigins(u.Origins); err != nil {
		return err
	}
	if text := options.Get("require-client-cert"); text != "" {
		require, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("the option require-client-cert is neither true nor false")
		}
		u.RequireClientCert = require
	}
	if text := options.Get("verify"); text != "" {
		verify, err := strconv.ParseBool(text)
		if err != nil {
			return errors.New("the option verify is neither true nor false")
		}
		u.NoVerify = !verify
	}
	if text := options.Get("mode"); text != "" {
		mode, err := strconv.ParseUint(text, 8, 9)
		if err != nil || mode == 0 {
			return errors.New("the option mode is no octal number such as 660")
		}
		u.Mode = fs.FileMode(mode)
	}
	return nil
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

// Address is host:port, or the path of a socket.
func (u URL) Address() string {
	if u.Scheme == Unix {
		return u.Path
	}
	return net.JoinHostPort(u.Host, u.Port)
}

// String is the URL without its options and its user.
func (u URL) String() string {
	if u.Scheme == Unix {
		return (&url.URL{Scheme: Unix, Path: u.Path}).String()
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Address()}
	if u.Path != "/" {
		shown.Path = u.Path
	}
	return shown.String()
}

// isLoopback tells whether the URL names this machine only: localhost or a
// loopback address. No other name is looked up, since whoever answers the
// look-up would decide who gets the development password.
func (u URL) isLoopback() bool {
	if strings.EqualFold(strings.TrimSuffix(u.Host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(u.Host)
	return err == nil && addr.Unmap().IsLoopback()
}

// IsLocal tells whether nothing leaves this machine: a loopback address or a
// socket.
func (u URL) IsLocal() bool { return u.Scheme == Unix || u.isLoopback() }

// IsEncrypted tells whether what goes over the wire is.
func (u URL) IsEncrypted() bool { return Encrypts(u.Scheme) }

// IsTrusted tells whether the password itself may be sent: the other side has
// shown who it is and nobody between can read it, or it is on a socket, whose
// owner the file system tells.
func (u URL) IsTrusted() bool {
	return u.Scheme == Unix || u.IsEncrypted() && !u.NoVerify
}
