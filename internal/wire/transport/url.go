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

// The schemes of URLs (spec.md 4.4).
const (
	TCP  = "tcp"
	SSL  = "ssl"
	TCPS = "tcps" // the serial framing over TCP
	WS   = "ws"   // WebSocket
	WSS  = "wss"  // and over TLS
	Unix = "unix"
)

// DefaultPort is the port of the scheme tcp.
const DefaultPort = "3755"

// kinds are the schemes over TCP.
var kinds = map[string]struct {
	port string // the default port
	tls  bool
	web  bool // WebSocket
}{
	TCP:  {port: DefaultPort},
	SSL:  {port: "3756", tls: true},
	TCPS: {port: "3765"},
	WS:   {port: "8755", web: true},
	WSS:  {port: "8766", tls: true, web: true},
}

// Schemes lists the supported schemes in words.
const Schemes = "tcp, ssl, tcps, ws, wss and unix"

// Encrypts reports whether connections of the scheme are encrypted.
func Encrypts(scheme string) bool { return kinds[scheme].tls }

// URL is a parsed SHV URL.
type URL struct {
	Scheme string // one of the constants above
	Host   string // a name or an address without brackets; "" for Unix
	Port   string // never empty, except for Unix
	Path   string // absolute path of the socket, or of a WebSocket request; "" for other schemes

	// User and Password come from `user@` or from the options user and password. HasUser and
	// HasPassword tell an empty one from an absent one.
	User, Password       string
	HasUser, HasPassword bool
	// ShaPass is the hex SHA1 of a password and replaces it. Token replaces user and password.
	ShaPass, Token string
	DeviceID       string // option devid
	MountPoint     string // option devmount

	// AllowPlaintext lets Dial leave this machine without encryption. No URL says it: it is a setting
	// of whoever connects. Owner, an option of clients of a Unix socket, is the user who may listen
	// there besides root and ourselves.
	AllowPlaintext bool
	Owner          string
	// Unjudged makes Dial connect wherever the URL leads and whoever listens: for a helper whose
	// agent, of C++ or an earlier release, does not say whom it trusts.
	Unjudged bool

	// Options of clients over TLS. CA is a file of certificates to trust instead of the system's;
	// NoVerify skips the verification of the broker's certificate; ServerName, if set, is the name
	// that this certificate must have instead of Host.
	CA         string
	NoVerify   bool
	ServerName string
	// Cert and Key are files of the certificate to show and its private key. CRL is a file of
	// revocation lists.
	Cert, Key, CRL string
	// Options of listeners. ClientCA is a file of authorities to trust for client certificates;
	// RequireClientCert means that each client must show one.
	ClientCA          string
	RequireClientCert bool
	// Origins are web pages whose browsers may connect, separated by commas; "*" means any.
	Origins string
	// Socket names a socket that the listener's parent process has opened for it; "" means none.
	// Mode is the file mode of a Unix socket; 0 means the default.
	Socket string
	Mode   fs.FileMode
}

// notSupported are schemes of the standard and of C++ that these programs do not have (spec.md 4.4).
// Without "//" they must not be taken for the name of a host.
var notSupported = []string{"can", "localsocket", "serial", "serialport", "ssls", "tty", "unixs"}

// ParseURL parses `scheme://[user@][host][:port][?options]` or `unix:path[?options]`. Without a host
// it is localhost. Without a scheme it is tcp on loopback and ssl elsewhere, by the text of the host.
// Unknown options are ignored. Errors never contain a password.
func ParseURL(text string) (URL, error) { return parse(text, anyOptions) }

// ParseListenURL is ParseURL for a listener. It refuses options that listeners do not have: a
// mistyped client-ca, ignored, would admit everybody.
func ParseListenURL(text string) (URL, error) { return parse(text, listenOptions) }

// ParseClientURL is ParseURL for a URL that a user gives. It refuses options that clients do not
// have: a mistyped crl, ignored, would revoke nothing.
func ParseClientURL(text string) (URL, error) { return parse(text, clientOptions) }

func parse(text string, known optionNames) (URL, error) {
	full, err := withScheme(text)
	if err != nil {
		return URL{}, fmt.Errorf("URL %s: %w", Redact(text), err)
	}
	parsed, err := url.Parse(full)
	if err != nil {
		return URL{}, fmt.Errorf("invalid URL %q (want ssl://[user@]host[:port])", Redact(text))
	}
	u := URL{Scheme: parsed.Scheme}
	if u.Scheme == "" {
		u.Scheme = SSL
		if isLoopbackHost(parsed.Hostname()) {
			u.Scheme = TCP
		}
	}
	switch _, overTCP := kinds[u.Scheme]; {
	case strings.Contains(text, "#"):
		err = errors.New("a URL of a broker has no fragment; write %23 for #")
	case overTCP:
		err = u.setHost(parsed, known.whose == listenOptions.whose)
	case u.Scheme == Unix:
		err = u.setPath(parsed)
	default:
		err = fmt.Errorf("scheme %q is not supported (want one of %s)", u.Scheme, Schemes)
	}
	if parsed.User != nil {
		u.User, u.HasUser = parsed.User.Username(), true
		u.Password, u.HasPassword = parsed.User.Password()
	}
	if err == nil {
		err = u.setOptions(parsed.RawQuery, known)
	}
	if err != nil {
		return URL{}, fmt.Errorf("URL %s: %w", Redact(text), err)
	}
	return u, nil
}

// withScheme returns text in a form that url.Parse takes apart rightly: without a scheme, it begins
// with "//".
func withScheme(text string) (string, error) {
	name, rest, found := strings.Cut(text, ":")
	scheme := strings.ToLower(name)
	_, overTCP := kinds[scheme]
	switch {
	case !found, strings.HasPrefix(rest, "//"):
	case slices.Contains(notSupported, scheme):
		return "", fmt.Errorf("scheme %q is not supported (want one of %s)", scheme, Schemes)
	case overTCP && (rest == "" || rest[0] == '?'):
		return scheme + "://" + rest, nil
	case overTCP:
		return "", fmt.Errorf("no // after the scheme (want %s://host)", scheme)
	case scheme == Unix:
		return text, nil
	}
	if strings.Contains(text, "://") {
		return text, nil
	}
	return "//" + text, nil
}

// optionNames are the options that a kind of URL may have.
type optionNames struct {
	whose string
	names []string // nil: any
}

var (
	anyOptions    optionNames
	listenOptions = optionNames{"listener", []string{
		"cert", "client-ca", "crl", "key", "mode", "origin", "require-client-cert", "socket"}}
	// clientOptions are those of the standard, and those of other programs that mean nothing here
	// (spec.md 4.4).
	clientOptions = optionNames{"client", []string{"ca", "cert", "crl", "devid", "devmount", "key",
		"owner", "password", "session", "shapass", "token", "user", "verify", "workflow"}}
)

// check returns an error if an option is unknown, or is there twice: the second would have no effect.
// Only origin adds up.
func (o optionNames) check(options url.Values) error {
	if o.names == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if !slices.Contains(o.names, name) {
			last := len(o.names) - 1
			want := strings.Join(o.names[:last], ", ") + " or " + o.names[last]
			if strings.Contains(name, "@") {
				// The end of a password with a question mark, perhaps.
				return fmt.Errorf("unknown option of a %s (want %s; write %%3F for ? in a password)", o.whose, want)
			}
			return fmt.Errorf("unknown option %q of a %s (want %s)", name, o.whose, want)
		}
		if len(options[name]) > 1 && name != "origin" {
			return fmt.Errorf("option %q is there twice", name)
		}
	}
	return nil
}

func (u *URL) setHost(parsed *url.URL, listens bool) error {
	u.Host, u.Port = parsed.Hostname(), parsed.Port()
	if u.Host == "" && parsed.Scheme != "" && !listens { // whoever listens says where
		u.Host = "localhost"
	}
	if u.Host == "" {
		return errors.New("no host")
	}
	if strings.Contains(u.Host, ":") && !strings.HasPrefix(parsed.Host, "[") {
		return errors.New("an IPv6 address needs brackets, such as tcp://[::1]:3755")
	}
	if _, err := netip.ParseAddr(u.Host); err != nil && strings.Contains(u.Host, ":") {
		return fmt.Errorf("invalid host %q (want a name or an IP address)", u.Host)
	}
	if u.Port == "" {
		u.Port = kinds[u.Scheme].port
	}
	if _, err := strconv.ParseUint(u.Port, 10, 16); err != nil {
		return fmt.Errorf("port %s is out of range (want 0 to 65535)", u.Port)
	}
	switch path := strings.TrimPrefix(parsed.Path, "/"); {
	case strings.Contains(path, "@"):
		return errors.New("an @ in the path (write %2F for / in a password)")
	case kinds[u.Scheme].web:
		u.Path = "/" + path
	case path != "" && listens:
		return fmt.Errorf("a path, which %s does not have", u.Scheme)
	case path != "":
		return fmt.Errorf("a path, which %s does not have; the path of a device is an argument of its own", u.Scheme)
	}
	return nil
}

func (u *URL) setPath(parsed *url.URL) error {
	path, err := parsed.Path, error(nil)
	if parsed.Opaque != "" {
		path, err = url.PathUnescape(parsed.Opaque) // relative
	}
	if parsed.Host != "" || path == "" || path == "/" || err != nil {
		return errors.New("a socket is a path without a host, such as unix:/run/shvbroker.sock")
	}
	u.Path = path
	return nil
}

// setOptions sets the options of the standard (spec.md 4.4) and ours.
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
	u.Socket, u.Owner = options.Get("socket"), options.Get("owner")
	switch {
	case !options.Has("owner"):
	case u.Scheme != Unix:
		return fmt.Errorf("option owner is for unix: only, not for %s", u.Scheme)
	case u.Owner == "":
		return errors.New("option owner names no user")
	}
	u.CRL, u.ClientCA = options.Get("crl"), options.Get("client-ca")
	if options.Has("crl") && u.CRL == "" {
		return errors.New("option crl names no file")
	}
	u.Origins = strings.Join(options["origin"], ",")
	if err := checkOrigins(u.Origins); err != nil {
		return err
	}
	if text := options.Get("require-client-cert"); text != "" {
		require, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("invalid require-client-cert %q (want true or false)", text)
		}
		u.RequireClientCert = require
	}
	if text := options.Get("verify"); text != "" {
		verify, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("invalid verify %q (want true or false)", text)
		}
		u.NoVerify = !verify
	}
	if text := options.Get("mode"); text != "" {
		mode, err := strconv.ParseUint(text, 8, 9)
		if err != nil || mode == 0 {
			return fmt.Errorf("invalid mode %q (want an octal number such as 660)", text)
		}
		u.Mode = fs.FileMode(mode)
	}
	return nil
}

// Redact removes everything from the text of a URL that may hold a password. Where a question mark
// may be part of one, nothing but the scheme is left.
func Redact(text string) string {
	scheme, rest, found := strings.Cut(text, "://")
	if found {
		scheme += "://"
	} else {
		scheme, rest = "", text
	}
	rest, options, _ := strings.Cut(rest, "?")
	at := strings.LastIndex(rest, "@")
	if strings.Contains(options, "@") && (at >= 0 || strings.Contains(rest, ":")) {
		return scheme + "…"
	}
	return scheme + rest[at+1:]
}

// Address returns host:port, or the path of a socket.
func (u URL) Address() string {
	if u.Scheme == Unix {
		return u.Path
	}
	return net.JoinHostPort(u.Host, u.Port)
}

// String returns the URL without its options and its user.
func (u URL) String() string {
	if u.Scheme == Unix && !strings.HasPrefix(u.Path, "/") {
		return Unix + ":" + (&url.URL{Path: u.Path}).EscapedPath()
	}
	if u.Scheme == Unix {
		return (&url.URL{Scheme: Unix, Path: u.Path}).String()
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Address()}
	if u.Path != "/" {
		shown.Path = u.Path
	}
	return shown.String()
}

// isLoopback reports whether the URL names this machine only: localhost or a loopback address.
// Other names are not looked up: whoever answers the look-up would decide who gets the development
// password.
func (u URL) isLoopback() bool { return isLoopbackHost(u.Host) }

func isLoopbackHost(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// IsLocal reports whether nothing leaves this machine: the URL names a loopback address or a
// socket.
func (u URL) IsLocal() bool { return u.Scheme == Unix || u.isLoopback() }

// IsEncrypted reports whether the connection is encrypted.
func (u URL) IsEncrypted() bool { return Encrypts(u.Scheme) }

// HasSecret reports whether the URL itself holds a password or a token.
func (u URL) HasSecret() bool { return u.Password != "" || u.ShaPass != "" || u.Token != "" }

// IsTrusted reports whether the password itself may be sent: over TLS with verification, or on a
// socket, whose owner Dial checks.
func (u URL) IsTrusted() bool {
	return u.Scheme == Unix || u.IsEncrypted() && !u.NoVerify
}
