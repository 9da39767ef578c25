package config

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/transport"
)

// Connection is a broker above that ours connects to.
type Connection struct {
	Name         string
	URL          transport.URL
	User         string // "": that of the URL
	PasswordFile string // "": the password stands in the URL
	MountPoint   string // that it is asked for
	DeviceID     string
	Root         string        // clean path of what it sees; "": everything
	Heartbeat    time.Duration // 0: the default
	Reconnect    time.Duration // the longest wait between two tries; 0: the default
	At           string        // file, line and column
}

const connectionExample = `{name: up, enabled: true, client: {url: "tcp://broker", mount: sites/prague}}`

// connections reads the list of them, with the keys of the Rust broker.
func (r *reader) connections(n *node, c *Config) {
	if !r.is(n, list, "connections", "["+connectionExample+"]") {
		return
	}
	names := make(map[string]bool)
	for _, item := range n.list {
		up, enabled := r.connection(item)
		if enabled && up.Name != "" && names[up.Name] {
			r.fail(up.At, "there are two connections %q", up.Name)
		}
		if enabled {
			names[up.Name] = true
			c.Connections = append(c.Connections, up)
			c.note("connections."+up.Name, shownURL(up.URL.String()), up.At)
		}
	}
}

func (r *reader) connection(n *node) (up Connection, enabled bool) {
	up.At = n.at
	var client *node
	r.fields(n, "an entry of connections", map[string]func(key){
		"name":    func(k key) { up.Name = r.text(k.value, "name") },
		"enabled": func(k key) { enabled = r.truth(k.value, "enabled") },
		"connection_settings": func(k key) {
			unused := func(k key) {
				if k.value.text != "" && k.value.text != "broker" {
					r.warn(k.at, "%s is not used by this broker", k.name)
				}
			}
			r.fields(k.value, k.name, map[string]func(key){
				"exported_shv_root":  func(k key) { up.Root = r.path(k.value, k.name) },
				"imported_shv_root":  unused,
				"mount_point":        unused,
				"exported_root_user": unused,
			})
		},
		"client": func(k key) { client = k.value },
	})
	if client == nil {
		if n.kind == table {
			r.fail(n.at, "a connection has no client; %s was expected", connectionExample)
		}
		return up, enabled
	}
	var url *node
	var trust transport.URL
	r.fields(client, "client of a connection", map[string]func(key){
		"url":                func(k key) { url = k.value },
		"user":               func(k key) { up.User = r.text(k.value, k.name) },
		"password-file":      func(k key) { up.PasswordFile = beside(k.at, r.text(k.value, k.name)) },
		"ca":                 func(k key) { trust.CA = beside(k.at, r.text(k.value, k.name)) },
		"cert":               func(k key) { trust.Cert = beside(k.at, r.text(k.value, k.name)) },
		"key":                func(k key) { trust.Key = beside(k.at, r.text(k.value, k.name)) },
		"crl":                func(k key) { trust.CRL = beside(k.at, r.text(k.value, k.name)) },
		"mount":              func(k key) { up.MountPoint = r.path(k.value, k.name) },
		"device_id":          func(k key) { up.DeviceID = r.text(k.value, k.name) },
		"heartbeat_interval": func(k key) { up.Heartbeat = r.interval(k.value, k.name) },
		"reconnect_interval": func(k key) { up.Reconnect = r.interval(k.value, k.name) },
	})
	if !enabled {
		return up, false // it may name what we do not know
	}
	if url == nil {
		r.fail(client.at, "a connection has no url, such as tcp://broker")
		return up, enabled
	}
	var err error
	if up.URL, err = transport.ParseClientURL(r.text(url, "url")); err != nil {
		r.fail(url.at, "a url of connections: %w", err)
	}
	up.URL.CA, up.URL.CRL = cmp.Or(up.URL.CA, trust.CA), cmp.Or(up.URL.CRL, trust.CRL)
	up.URL.Cert, up.URL.Key = cmp.Or(up.URL.Cert, trust.Cert), cmp.Or(up.URL.Key, trust.Key)
	if (up.URL.Cert == "") != (up.URL.Key == "") {
		r.fail(client.at, "cert and key go together")
	}
	if up.MountPoint == "" && up.DeviceID == "" {
		up.MountPoint, up.DeviceID = string(shvpath.Clean([]byte(up.URL.MountPoint))), up.URL.DeviceID
	}
	if names := strings.Split(up.MountPoint, "/"); slices.Contains(names, "..") || slices.Contains(names, ".") {
		r.fail(client.at, "a connection's mount is %q; a path from the root was expected, such as sites/prague", up.MountPoint)
	}
	if up.MountPoint == "" && up.DeviceID == "" {
		r.fail(client.at, "a connection has neither mount nor device_id: nobody would find this broker")
	}
	if up.Name == "" {
		up.Name = up.URL.Address()
	}
	return up, enabled
}

func (r *reader) path(n *node, what string) string {
	return string(shvpath.Clean([]byte(r.text(n, what))))
}

// interval reads a time as the Rust broker writes it, such as 1m or "1m 30s".
func (r *reader) interval(n *node, what string) time.Duration {
	d, err := time.ParseDuration(strings.ReplaceAll(n.text, " ", ""))
	if n.kind != scalar || err != nil || d < time.Second || d > 24*time.Hour {
		r.fail(n.at, "%s is %q; a time from 1s to 24h was expected, such as 1m", what, n.text)
		return 0
	}
	return d
}

// tunnel reads where helpers are told to connect.
func (r *reader) tunnel(n *node, c *Config) {
	r.fields(n, "tunnel", map[string]func(key){
		"advertise": func(k key) {
			r.eachText(k.value, "tunnel.advertise", "[tcp://shv.example.com:3755]", func(item *node, text string) error {
				u, err := transport.ParseURL(text)
				if err != nil {
					return err
				}
				c.Advertise = append(c.Advertise, u)
				c.note("tunnel.advertise", shownURL(text), item.at)
				return nil
			})
		},
	})
}
