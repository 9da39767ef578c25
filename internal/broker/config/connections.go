package config

import (
	"cmp"
	"fmt"
	"time"

	"shvtools/internal/broker/internal/mounts"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// Connection is a parent broker that ours connects to.
type Connection struct {
	Name         string
	URL          transport.URL
	User         string // "": that of the URL
	PasswordFile string // "": the URL has the password
	MountPoint   string // that it is asked for
	DeviceID     string
	Root         string        // clean path of what it sees; "": everything
	Manage       bool          // it may change our rights
	Heartbeat    time.Duration // 0: the default
	Reconnect    time.Duration // the longest wait between two tries; 0: the default
	At           string        // file, line and column

	origin origin // of the client
}

const connectionExample = `{name: up, enabled: true, client: {url: "ssl://broker", mount: sites/prague}}`

// connecting is an entry that is being read.
type connecting struct {
	Connection
	enabled     bool
	client, url *conf.Node
	trust       transport.URL // of the keys beside the URL
	lines       []conf.Line
}

func (up *connecting) note(n *conf.Node, name, text string) {
	up.origin.note(n)
	up.lines = append(up.lines, conf.Line{Key: name, Text: text, Source: n.KeyPlace().String()})
}

// upText is a key of a connection that is a text.
func upText(name string, t conf.Type[string], to func(*connecting) *string) conf.Field[connecting] {
	return conf.Field[connecting]{Name: name, Read: func(r *conf.Reader, n *conf.Node, up *connecting) {
		*to(up), _ = t.Read(r, n)
		up.note(n, name, *to(up))
	}}
}

// upFile is a key that names a file.
func upFile(name string, to func(*connecting) *string) conf.Field[connecting] {
	return conf.Field[connecting]{Name: name, Read: func(r *conf.Reader, n *conf.Node, up *connecting) {
		text, _ := conf.Text.Read(r, n)
		*to(up) = conf.Beside(n.Place(), text)
		up.note(n, name, *to(up))
	}}
}

// upTime is a key that is a time.
func upTime(name string, to func(*connecting) *time.Duration) conf.Field[connecting] {
	interval := conf.Between(conf.Duration, time.Second, 24*time.Hour)
	return conf.Field[connecting]{Name: name, Read: func(r *conf.Reader, n *conf.Node, up *connecting) {
		*to(up), _ = interval.Read(r, n)
		up.note(n, name, interval.Show(*to(up)))
	}}
}

// The keys are those of the Rust broker.
var (
	connectionFields = []conf.Field[connecting]{
		{Name: "name", Read: func(r *conf.Reader, n *conf.Node, up *connecting) { up.Name, _ = conf.Text.Read(r, n) }},
		{Name: "enabled", Read: func(r *conf.Reader, n *conf.Node, up *connecting) { up.enabled, _ = conf.Bool.Read(r, n) }},
		{Name: "connection_settings",
			Read: func(r *conf.Reader, n *conf.Node, up *connecting) { conf.ReadMap(r, n, up, exportFields) }},
		{Name: "client", Read: func(_ *conf.Reader, n *conf.Node, up *connecting) { up.client = n }},
	}
	exportFields = []conf.Field[connecting]{
		upText("exported_shv_root", conf.Path, func(up *connecting) *string { return &up.Root }),
		{Name: "manage", Read: func(r *conf.Reader, n *conf.Node, up *connecting) {
			up.Manage, _ = conf.Bool.Read(r, n)
			up.note(n, "manage", conf.Bool.Show(up.Manage))
		}},
		{Name: "imported_shv_root", Silent: true, Read: unused}, {Name: "mount_point", Silent: true, Read: unused},
		{Name: "exported_root_user", Silent: true, Read: unused},
	}
	clientFields = []conf.Field[connecting]{
		{Name: "url", Read: func(_ *conf.Reader, n *conf.Node, up *connecting) {
			up.url = n
			up.origin.note(n)
		}},
		upText("user", conf.Text, func(up *connecting) *string { return &up.User }),
		upFile("password-file", func(up *connecting) *string { return &up.PasswordFile }),
		{Name: "ca", Read: trustFile(func(up *connecting) *string { return &up.trust.CA })},
		{Name: "cert", Read: trustFile(func(up *connecting) *string { return &up.trust.Cert })},
		{Name: "key", Read: trustFile(func(up *connecting) *string { return &up.trust.Key })},
		{Name: "crl", Read: trustFile(func(up *connecting) *string { return &up.trust.CRL })},
		{Name: "allow-plaintext", Read: func(r *conf.Reader, n *conf.Node, up *connecting) {
			up.trust.AllowPlaintext, _ = conf.Bool.Read(r, n)
			up.origin.note(n)
		}},
		upText("mount", conf.Path, func(up *connecting) *string { return &up.MountPoint }),
		upText("device_id", conf.Text, func(up *connecting) *string { return &up.DeviceID }),
		upTime("heartbeat_interval", func(up *connecting) *time.Duration { return &up.Heartbeat }),
		upTime("reconnect_interval", func(up *connecting) *time.Duration { return &up.Reconnect }),
	}
)

func unused(r *conf.Reader, n *conf.Node, _ *connecting) {
	if n.Text() != "" && n.Text() != "broker" {
		r.WarnKey(n, "not used by this broker")
	}
}

// trustFile reads a file that may also be an option of the URL, and is shown with those.
func trustFile(to func(*connecting) *string) func(*conf.Reader, *conf.Node, *connecting) {
	return func(r *conf.Reader, n *conf.Node, up *connecting) {
		text, _ := conf.Text.Read(r, n)
		*to(up) = conf.Beside(n.Place(), text)
		up.origin.note(n)
	}
}

// connections reads the list of them.
func (in *reader) connections(n *conf.Node, c *Config) {
	names := make(map[string]bool)
	in.EachItem(n, "["+connectionExample+"]", func(item *conf.Node) {
		up := in.connection(item)
		if !up.enabled {
			return
		}
		if up.Name != "" && names[up.Name] {
			in.Fail(item, "there are two connections %q", up.Name)
		}
		names[up.Name] = true
		c.Connections = append(c.Connections, up.Connection)
		c.connectionLines = append(c.connectionLines, up.shown()...)
	})
}

func (in *reader) connection(n *conf.Node) (up connecting) {
	up.At = n.Place().String()
	if !conf.ReadMap(&in.Reader, n, &up, connectionFields) {
		return up
	}
	if up.client == nil {
		in.Fail(n, "no client (want %s)", connectionExample)
		return up
	}
	if !conf.ReadMap(&in.Reader, up.client, &up, clientFields) || !up.enabled {
		return up // it may name what we do not know
	}
	if up.url == nil {
		in.Fail(up.client, "no url (want one such as ssl://broker)")
		return up
	}
	var readable bool
	up.URL, readable = clientURL.Read(&in.Reader, up.url)
	up.origin.inURL(up.URL)
	up.URL.AllowPlaintext = up.trust.AllowPlaintext
	if readable {
		in.judgePlaintext(up.url, up.URL)
	}
	up.URL.CA, up.URL.CRL = cmp.Or(up.URL.CA, up.trust.CA), cmp.Or(up.URL.CRL, up.trust.CRL)
	up.URL.Cert, up.URL.Key = cmp.Or(up.URL.Cert, up.trust.Cert), cmp.Or(up.URL.Key, up.trust.Key)
	if (up.URL.Cert == "") != (up.URL.Key == "") {
		in.Fail(up.client, "cert and key go together (want both or none)")
	}
	if t := up.URL; up.url.Kind() == conf.Scalar && !t.IsEncrypted() && t.CA+t.CRL+t.Cert+t.Key != "" {
		in.Warn(up.client, "ca, cert, key and crl have no effect on %s (want ssl or wss)", t.Scheme)
	}
	if up.MountPoint == "" && up.DeviceID == "" {
		up.MountPoint, up.DeviceID = string(shvpath.Clean([]byte(up.URL.MountPoint))), up.URL.DeviceID
	}
	if up.MountPoint != "" {
		if err := checkMount(up.MountPoint); err != nil {
			in.Fail(up.client, "%w", err)
		}
	}
	if up.MountPoint == "" && up.DeviceID == "" {
		in.Fail(up.client, "neither mount nor device_id: nobody would find this broker")
	}
	if up.Root != "" {
		if err := mounts.Check(up.Root); err != nil {
			in.Fail(up.client, "invalid exported_shv_root %q: %w (want a place for devices, such as plant)", up.Root, err)
		}
	}
	if up.Root != "" && up.Manage {
		in.Warn(up.client, "manage has no effect beside exported_shv_root: the parent reaches nothing but what is exported")
	}
	if up.Name == "" {
		up.Name = up.URL.Address()
	}
	up.origin.at, up.origin.key = up.client.Place().String(), fmt.Sprintf("connections.%q.client", up.Name)
	return up
}

// judgePlaintext notes what the broker would refuse to connect to, or may. What is refused is an
// error here and not of the exit code of clients, which end by it.
func (in *reader) judgePlaintext(n *conf.Node, u transport.URL) {
	if err := transport.CheckPlaintext(u); err != nil {
		in.Fail(n, "%v, or set allow-plaintext: true beside the URL", err)
		return
	}
	if u.MayLeave() && !u.AllowPlaintext {
		in.Warn(n, "%s is not encrypted and refused whenever the name leads to another machine (want ssl or wss, or "+
			"allow-plaintext: true beside the URL)", u)
	}
	if u.HasSecret() && n.Place().InFile() && conf.OthersCanRead(n.Place().File()) {
		in.Warn(n, "every user of this machine can read the password in this file; run chmod 640 on it, or use password-file")
	}
}

// shown are the lines of --print-config.
func (up *connecting) shown() []conf.Line {
	key := func(name string) string { return fmt.Sprintf("connections.%q.%s", up.Name, name) }
	lines := []conf.Line{{Key: key("url"), Text: up.URL.String(), Source: up.At}}
	for _, o := range up.URL.ShownForClient() {
		source := up.At
		if !o.Set {
			source = "default"
		}
		lines = append(lines, conf.Line{Key: key(o.Name), Text: o.Value, Source: source})
	}
	for _, line := range up.lines {
		line.Key = key(line.Key)
		lines = append(lines, line)
	}
	return lines
}

var clientURL = conf.Type[transport.URL]{
	Name: "URL", Want: "one such as ssl://broker",
	Parse: transport.ParseClientURL, Show: transport.URL.String,
}
