package config

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/limits"
	"shvtools/internal/sys/audit"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// Operation is how the program is run and watched.
type Operation struct {
	Metrics string        // host and port of metrics and health, or socket:NAME; "": none
	Grace   time.Duration // of open tunnels when the broker stops
	Spread  time.Duration // over which it closes connections then
}

// maxDrain bounds both times of drain: whoever stops the broker waits for them.
const maxDrain = time.Hour

// MetricsSocket precedes the name of a socket that systemd passes, in
// Operation.Metrics.
const MetricsSocket = "socket:"

func defaults() *Config {
	nobody := newPart()
	return &Config{
		Limits: limits.Default(),
		MinTLS: tls.VersionTLS12, SHA1Logins: true,
		Operation: Operation{Grace: 10 * time.Second},
		Audit:     audit.Settings{Command: audit.FirstWord},
		base:      nobody,
		sum:       nobody,
		sources:   make(conf.Sources),
	}
}

// table is all settings, in the order in which they are printed.
var table = newTable()

func newTable() *conf.Table[Config] {
	settings := []conf.Setting[Config]{
		conf.Value("name", "what the broker is called; default: broker.local", conf.Text,
			func(c *Config) *string { return &c.Name }),
		conf.Setting[Config]{Key: "listen",
			About: "where it listens", Read: readListen, Lines: showListen}.OnFlag("listen").OnList(),
		conf.Value("allow-plaintext", "listen without TLS off loopback too, where everyone on the path can read along",
			conf.Bool,
			func(c *Config) *bool { return &c.AllowPlaintext }).OnFlag("allow-plaintext"),
		conf.Value("min-tls", "the oldest TLS that listeners accept", tlsVersion,
			func(c *Config) *uint16 { return &c.MinTLS }),
		conf.Value("sha1-logins", "accept SHA1 logins, which show no password but can be guessed offline", conf.Bool,
			func(c *Config) *bool { return &c.SHA1Logins }),
		conf.Value("takeover", "whether a device may take the mount point of another one of its user that answers", takeover,
			func(c *Config) *bool { return &c.RefuseTakeover }),
		{Key: "connections",
			About: "parent brokers that it connects to",
			Read:  func(_ *conf.Reader, n *conf.Node, c *Config) { c.in.connections(n, c) },
			Lines: func(c *Config) []conf.Line { return c.connectionLines }},
		{Key: "tunnel.advertise",
			About: "where devices connect for sessions; default: the address that their agent uses",
			Read:  readAdvertise, Lines: showAdvertise},
	}
	settings = append(settings, limits.Settings(func(c *Config) *limits.Limits { return &c.Limits })...)
	drain := conf.Between(conf.Duration, 0, maxDrain)
	settings = append(settings, audit.Declare(func(c *Config) *audit.Settings { return &c.Audit })...)
	settings = append(settings,
		conf.Value("metrics.listen", "where metrics and health are served", metricsAddress,
			func(c *Config) *string { return &c.Operation.Metrics }).OnFlag("metrics-listen"),
		conf.Value("drain.grace", "how long open sessions may go on when the broker stops", drain,
			func(c *Config) *time.Duration { return &c.Operation.Grace }).OnFlag("drain-grace"),
		conf.Value("drain.spread", "the time within which it then closes all connections", drain,
			func(c *Config) *time.Duration { return &c.Operation.Spread }).OnFlag("drain-spread"),
		conf.Setting[Config]{Key: "access-file",
			About: "the file of rights that are changed at run time; without it, they cannot be changed", Read: readAccessFile,
			Lines: func(c *Config) []conf.Line { return []conf.Line{{Key: "access-file", Text: c.AccessFile}} }},
		conf.Setting[Config]{Key: "accounts",
			About: "the file of the accounts that shvbroker --issue makes",
			Read:  func(_ *conf.Reader, n *conf.Node, c *Config) { c.hasAccess, c.accounts = true, n },
			Lines: func(c *Config) []conf.Line { return []conf.Line{{Key: "accounts", Text: c.Accounts}} }},
		conf.Setting[Config]{Key: "access",
			About: "users, roles and the mount points of devices", Read: readAccess, Lines: showAccess, Brief: countAccess},
		conf.Setting[Config]{Key: "policies",
			Read: func(_ *conf.Reader, n *conf.Node, c *Config) { c.hasAccess, c.policies = true, n }},
		// Of the Rust broker. Both generations of clients are always served.
		conf.Setting[Config]{Key: "shv2_compatibility",
			Read: func(r *conf.Reader, n *conf.Node, _ *Config) { conf.Bool.Read(r, n) }},
	)
	for _, key := range []string{"tunnelling", "use_access_db", "time_broadcast", "data_directory", "azure", "google_auth",
		"trusted_user_ids_role", "deactivate_after_days"} {
		settings = append(settings, conf.Setting[Config]{Key: key, Read: func(r *conf.Reader, n *conf.Node, _ *Config) {
			if asks(n) {
				r.WarnKey(n, "not used by this broker")
			}
		}})
	}
	return conf.NewTable(defaults(), settings...)
}

// asks reports whether a value asks for anything.
func asks(n *conf.Node) bool {
	switch {
	case n.Child("enabled") != nil:
		return n.Child("enabled").Text() != "false"
	case n.Kind() == conf.Scalar:
		return n.Text() != "false"
	case n.Kind() == conf.List:
		for _, item := range n.Items() {
			if asks(item) {
				return true
			}
		}
		return false
	}
	return len(n.Items()) > 0
}

var tlsVersion = conf.Type[uint16]{
	Name: "version of TLS", Want: "1.2 or 1.3",
	Parse: func(text string) (uint16, error) {
		switch text {
		case "1.2":
			return tls.VersionTLS12, nil
		case "1.3":
			return tls.VersionTLS13, nil
		}
		return 0, conf.ErrInvalid
	},
	Show: func(v uint16) string { return strings.TrimPrefix(tls.VersionName(v), "TLS ") },
}

// takeover is true if a take-over is refused.
var takeover = conf.Either("takeover", "newest", "refuse-alive")

var metricsAddress = conf.Type[string]{
	Name: "address", Want: "a host and port such as 127.0.0.1:9375, or socket:NAME",
	Parse: func(text string) (string, error) {
		if strings.HasPrefix(text, MetricsSocket) {
			return text, nil
		}
		_, port, err := net.SplitHostPort(text)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return "", conf.ErrInvalid
		}
		return text, nil
	},
	Show: func(text string) string { return text },
}

func readAccessFile(r *conf.Reader, n *conf.Node, c *Config) {
	file, ok := conf.Text.Read(r, n)
	c.saidAccessFile = file
	switch {
	case !ok || c.AccessFile != "": // --access-file takes precedence
	case !filepath.IsAbs(file):
		r.Fail(n, "not an absolute path: %q (want one such as /var/lib/shvbroker/access.yaml)", file)
	default:
		c.AccessFile = file
	}
}

func readAccess(_ *conf.Reader, n *conf.Node, c *Config) {
	c.hasAccess = true
	c.in.access(n, c.base)
}

func readAdvertise(r *conf.Reader, n *conf.Node, c *Config) {
	r.EachItem(n, "[ssl://shv.example.com:3756]", func(item *conf.Node) {
		if u, ok := anyURL.Read(r, item); ok {
			c.Advertise = append(c.Advertise, u)
			c.advertiseSources = append(c.advertiseSources, item.Place().String())
		}
	})
}

func showAdvertise(c *Config) []conf.Line {
	if len(c.Advertise) == 0 {
		return []conf.Line{{Key: "tunnel.advertise", Text: "(none)"}}
	}
	lines := make([]conf.Line, len(c.Advertise))
	for i, u := range c.Advertise {
		lines[i] = conf.Line{Key: fmt.Sprintf("tunnel.advertise[%d]", i+1), Text: u.String(), Source: c.advertiseSources[i]}
	}
	return lines
}

var anyURL = conf.Type[transport.URL]{
	Name: "URL", Want: "a URL such as ssl://shv.example.com:3756",
	Parse: transport.ParseURL, Show: transport.URL.String,
}

// showAccess shows each entry of the rights, without secrets.
func showAccess(c *Config) []conf.Line {
	var lines []conf.Line
	for _, section := range []auth.Section{auth.Users, auth.Roles, auth.Devices} {
		for _, entry := range c.sum.entries(section) {
			text, err := jsonText(shown(c.sum, entry))
			if err != nil {
				text = err.Error()
			}
			source := sourceText(c.sum.at[entry])
			if at, ok := c.sum.changed[entry]; ok {
				source += ", changed by " + at.String()
			}
			lines = append(lines, conf.Line{Key: entry.String(), Text: text, Source: source})
		}
	}
	return lines
}

// countAccess counts them.
func countAccess(c *Config) []conf.Line {
	return []conf.Line{
		{Key: "access.users", Text: strconv.Itoa(len(c.Access.Users))},
		{Key: "access.roles", Text: strconv.Itoa(len(c.Access.Roles))},
		{Key: "access.mounts", Text: strconv.Itoa(len(c.Access.Devices))},
	}
}

// defaultPlace is that of the development user's entries.
var defaultPlace = conf.Place{}

func sourceText(at conf.Place) string {
	if at == defaultPlace {
		return "default"
	}
	return at.String()
}
