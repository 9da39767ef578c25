package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"shvtools/internal/device/policy"
	"shvtools/internal/sys/audit"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// Defaults that package agent shares.
const (
	DefaultHeartbeat     = time.Minute
	DefaultSessions      = 32
	DefaultCommandTime   = 5 * time.Minute
	DefaultCommandOutput = 4 << 20
)

func defaults() *Config {
	return &Config{
		URLs:       []transport.URL{{Scheme: "tcp", Host: "127.0.0.1", Port: transport.DefaultPort}},
		Mount:      "test/agent",
		Heartbeat:  DefaultHeartbeat,
		Timeout:    10 * time.Second,
		StatusFile: "/run/shvagent/conn-status.txt", // others can prepare the C++ agent's /tmp/shvagent
		Files:      Files{Max: 1 << 30},
		Commands:   Commands{Time: DefaultCommandTime, Output: DefaultCommandOutput},
		Total:      DefaultSessions,
		PerUser:    DefaultSessions - reserve,
		Policy:     policy.Default(),
		Audit:      audit.Settings{Command: audit.WholeCommand},
	}
}

const day = 24 * time.Hour

// table is all settings, in the order in which they are printed.
var table = newTable()

func newTable() *conf.Table[Config] {
	settings := []conf.Setting[Config]{
		conf.Setting[Config]{Key: "connection.url",
			About: "the brokers, tried in this order", Read: readURLs, Lines: showURLs}.
			OnFlag("url").OnEnv("SHV_URL").OnList(),
		conf.Value(allowPlaintext, "connect without encryption off loopback too, where everyone on the path could read "+
			"along and answer for the broker; an entry of url may say it for itself",
			conf.Switch, func(c *Config) *bool { return &c.allowPlaintext }).
			OnFlag("allow-plaintext").OnEnv("SHV_ALLOW_PLAINTEXT"),
		conf.Value("connection.user", "the user to log in as", conf.Text, func(c *Config) *string { return &c.User }).
			OnFlag("user").OnEnv("SHV_USER"),
		conf.Value("connection.password-file", "the file with the password", conf.Text,
			func(c *Config) *string { return &c.PasswordFile }).
			OnFlag("password-file").OnEnv("SHV_PASSWORD_FILE"),
		conf.Value("connection.mount", "where the device is in the broker's tree", mountPoint,
			func(c *Config) *string { return &c.Mount }).
			OnFlag("mount"),
		conf.Value("connection.device-id", "an id by which the broker may find the mount point", conf.Text,
			func(c *Config) *string { return &c.DeviceID }).
			OnFlag("device-id"),
		conf.Value("connection.heartbeat", "time between pings; the broker gives the device up after three",
			conf.Between(conf.Duration, time.Second, day),
			func(c *Config) *time.Duration { return &c.Heartbeat }).OnFlag("heartbeat"),
		conf.Value("connection.timeout", "how long connecting and logging in may take", conf.Between(conf.Duration,
			time.Second, 10*time.Minute),
			func(c *Config) *time.Duration { return &c.Timeout }),
		conf.Value("files.root", "the directory that is exported as sys/fs", conf.Text,
			func(c *Config) *string { return &c.Files.Root }).
			OnFlag("sysfs-rootdir"),
		conf.Value("files.read-only", "nobody may change what is there", conf.Bool,
			func(c *Config) *bool { return &c.Files.ReadOnly }).
			OnFlag("fs-read-only"),
		conf.Value("files.max-file", "size up to which a file there may grow; 0: no limit", conf.Size,
			func(c *Config) *int64 { return &c.Files.Max }).
			OnFlag("fs-max-file"),
		conf.Value("commands.time", "how long what runCmd and runScript start may run", conf.Between(conf.Duration,
			time.Second, day),
			func(c *Config) *time.Duration { return &c.Commands.Time }).OnFlag("cmd-timeout"),
		conf.Value("commands.output", "how much it may write to stdout and stderr", conf.Between(conf.Size, 1, MaxOutput),
			func(c *Config) *int64 { return &c.Commands.Output }).OnFlag("cmd-max-output"),
		conf.Value("conn-status-file", "a file that holds 1 while connected, else 0", conf.Text,
			func(c *Config) *string { return &c.StatusFile }).
			OnFlag("conn-status-file"),
		conf.Value("conn-status-update-interval", "how often that file is written; 0: never", conf.Between(conf.Duration, 0,
			day),
			func(c *Config) *time.Duration { return &c.StatusEvery }).OnFlag("conn-status-update-interval"),
		conf.Value("socket", "where `shvagent status` asks; default: /run/shvagent.sock or $XDG_RUNTIME_DIR/shvagent.sock",
			conf.Text,
			func(c *Config) *string { return &c.Socket }).OnFlag("socket"),
		conf.Value("drain", "how long sessions and calls may go on when the agent stops", conf.Between(conf.Duration, 0, day),
			func(c *Config) *time.Duration { return &c.Drain }).OnFlag("drain"),
		conf.Int("sessions.total", "sessions at once, including running calls of runCmd and runScript",
			conf.Between(conf.Count, 1, mostSessions),
			func(c *Config) *int { return &c.Total }),
		conf.Int(perUser, "those of one user, whose user id is then required; 0: as many as in total; default: all but the "+
			"last two, which are for users who have none", conf.Between(conf.Count, 0, mostSessions),
			func(c *Config) *int { return &c.PerUser }),
	}
	settings = append(settings, audit.Declare(func(c *Config) *audit.Settings { return &c.Audit })...)
	settings = append(settings,
		conf.Setting[Config]{Key: "defaults",
			About: "limits of all rules", Read: func(_ *conf.Reader, n *conf.Node, c *Config) { c.defaults = n }},
		conf.Setting[Config]{Key: "rules",
			About: "the first rule that matches user, level and use decides; what none matches is refused",
			Read:  func(_ *conf.Reader, n *conf.Node, c *Config) { c.rules = n }, Lines: showRules},
	)
	t := conf.NewTable(defaults(), settings...)
	t.Notes = append(t.Notes, "Keys of a rule; those from env on can be in defaults too, for all rules:")
	for _, f := range ruleFields {
		t.Notes = append(t.Notes, fmt.Sprintf("  %s: %s", f.Name, f.about))
	}
	for _, f := range limitFields {
		t.Notes = append(t.Notes, fmt.Sprintf("  %s: %s", f.Name, f.about))
	}
	return t
}

const (
	mostSessions = 10000
	perUser      = "sessions.per-user"
	// reserve is how many sessions one user leaves to others by default.
	reserve = 2
)

var mountPoint = conf.Type[string]{
	Name: "mount point", Want: "a path such as test/agent",
	Parse: func(text string) (string, error) { return text, checkMount(text) },
	Show:  func(path string) string { return path },
}

var brokerURL = conf.Type[transport.URL]{
	Name: "URL", Want: "a URL such as ssl://broker:3756",
	Parse: parseURL, Show: transport.URL.String,
}

// parseURL finds what would keep the device from its broker whatever the files hold.
func parseURL(text string) (transport.URL, error) {
	u, err := transport.ParseClientURL(text)
	if err != nil {
		return u, err
	}
	_, query, _ := strings.Cut(text, "?")
	options, _ := url.ParseQuery(query)
	for _, name := range []string{"ca", "cert", "key"} {
		if options.Has(name) && options.Get(name) == "" { // such as ca=$CA, which would trust the system's authorities
			return u, fmt.Errorf("%s: option %s names no file", u, name)
		}
	}
	switch {
	case u.Scheme != transport.Unix && strings.Trim(u.Port, "0") == "":
		return u, fmt.Errorf("%s: port 0 (want 1 to 65535)", u)
	case u.MountPoint != "":
		if err := checkMount(u.MountPoint); err != nil {
			return u, fmt.Errorf("%s: devmount: %w", u, err)
		}
	}
	return u, nil
}

// allowPlaintext is the key of what goes for all brokers.
const allowPlaintext = "connection.allow-plaintext"

// brokerEntry is an item of connection.url that says more than a URL.
type brokerEntry struct {
	url   transport.URL
	named bool  // url is there
	allow *bool // nil: as for all brokers
}

var brokerFields = []conf.Field[brokerEntry]{
	{Name: "url", Read: func(r *conf.Reader, n *conf.Node, e *brokerEntry) {
		e.url, _ = brokerURL.Read(r, n)
		e.named = true
	}},
	{Name: "allow-plaintext", Read: func(r *conf.Reader, n *conf.Node, e *brokerEntry) {
		if allow, ok := conf.Switch.Read(r, n); ok {
			e.allow = &allow
		}
	}},
}

func readURLs(r *conf.Reader, n *conf.Node, c *Config) {
	c.URLs, c.allow = nil, nil
	read := func(item *conf.Node) {
		var e brokerEntry
		if item.Kind() != conf.Map {
			var ok bool
			if e.url, ok = brokerURL.Read(r, item); !ok {
				return
			}
		} else if conf.ReadMap(r, item, &e, brokerFields); !e.named {
			r.Fail(item, "no url (want {url: \"ssl://broker\"})")
			return
		}
		c.URLs, c.allow = append(c.URLs, e.url), append(c.allow, e.allow)
	}
	if n.Kind() != conf.List {
		read(n)
		return
	}
	r.EachItem(n, `["ssl://broker", {url: "ssl://spare"}]`, read)
	if len(n.Items()) == 0 {
		r.Fail(n, "an empty list (want at least one URL)")
	}
}

// settlePlaintext gives each URL what is allowed for it: by a flag or the environment, its own
// entry, or the key for all.
func (c *Config) settlePlaintext() {
	for i := range c.URLs {
		if c.URLs[i].AllowPlaintext = c.allowPlaintext; c.ownAllow(i) {
			c.URLs[i].AllowPlaintext = *c.allow[i]
		}
	}
}

// ownAllow reports whether the entry of a URL decides what is allowed for it.
func (c *Config) ownAllow(i int) bool {
	_, said := c.sources[allowPlaintext]
	return i < len(c.allow) && c.allow[i] != nil && (!said || c.FromFile(allowPlaintext))
}

// showURLs shows all of them, and of each what decides on trust.
func showURLs(c *Config) []conf.Line {
	texts := make([]string, len(c.URLs))
	lines := make([]conf.Line, 1, 8)
	for i, u := range c.URLs {
		texts[i] = u.String()
		for _, o := range u.ShownForClient() {
			line := conf.Line{Key: fmt.Sprintf("connection.url[%d].%s", i+1, o.Name), Text: o.Value}
			switch {
			case o.Name == "allow-plaintext" && !c.ownAllow(i):
				line.Source = c.sources.Of(allowPlaintext)
			case !o.Set && o.Name != "allow-plaintext":
				line.Source = "default"
			}
			lines = append(lines, line)
		}
	}
	lines[0] = conf.Line{Key: "connection.url", Text: strings.Join(texts, " ")}
	return lines
}

func showRules(c *Config) []conf.Line {
	lines := []conf.Line{{Key: "rules", Text: strconv.Itoa(len(c.Policy.Rules))}}
	for i := range c.Policy.Rules {
		lines = append(lines, conf.Line{Text: ruleText(&c.Policy.Rules[i])})
	}
	return lines
}
