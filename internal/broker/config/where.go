package config

import (
	"errors"
	"fmt"

	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// origin says where a listener or connection and its options stand.
type origin struct {
	at      string // of what has the options
	key     string // of what has the options; "": a flag or a default, whose place says enough
	options map[string]conf.Place
}

// note records where an option stands.
func (o *origin) note(n *conf.Node) { o.noteAt(n.Name(), n.Place()) }

func (o *origin) noteAt(option string, at conf.Place) {
	if o.options == nil {
		o.options = make(map[string]conf.Place)
	}
	o.options[option] = at
}

// inURL notes what the options of the URL say, which take precedence.
func (o *origin) inURL(u transport.URL) {
	for option, value := range map[string]string{
		"cert": u.Cert, "key": u.Key, "ca": u.CA, "client-ca": u.ClientCA, "crl": u.CRL, "socket": u.Socket,
	} {
		if value != "" {
			delete(o.options, option)
		}
	}
}

// where returns the place of an option with its key, such as `f:2:8: listen[1].cert`; that
// of the whole for "". An option that has no key is in the URL.
func (o *origin) where(option string) string {
	place, ok := o.options[option]
	if !ok && option != "" {
		option = "url"
		place, ok = o.options[option]
	}
	switch {
	case !ok && o.key == "":
		return o.at
	case !ok:
		return o.at + ": " + o.key
	case o.key == "" || !place.InFile():
		return place.String()
	}
	return place.String() + ": " + o.key + "." + option
}

// fault returns err with the place and the key of the option that it is about, the URL
// where it is about none; each, where there are several.
func fault(where func(option string) string, err error) error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		var faults []error
		for _, each := range all.Unwrap() {
			faults = append(faults, fault(where, each))
		}
		return errors.Join(faults...)
	}
	option := "url"
	var of *transport.OptionError
	if errors.As(err, &of) {
		option = of.Option
	}
	return fmt.Errorf("%s: %w", where(option), err)
}

// Where returns the place of a setting with its key, such as
// `f:2:8: metrics.listen`; a flag has no key.
func (c *Config) Where(setting string) string {
	if c.sources[setting].InFile() {
		return c.sources[setting].String() + ": " + setting
	}
	return c.sources.Of(setting)
}

// DefaultListener returns the listener of a broker whose configuration names none.
func DefaultListener() Listen {
	return Listen{URL: DefaultListen, At: "default", origin: origin{at: "default"}}
}

// InFile reports whether a file names the listener, and not a flag or a default.
func (l Listen) InFile() bool { return l.origin.key != "" }

// Where returns the place of an option of the listener with its key, such as
// `f:2:8: listen[1].cert`. Those of the URL are at the URL; "" is the whole listener.
func (l Listen) Where(option string) string { return l.origin.where(option) }

// Fault returns an error of package transport about the listener with its place and key,
// as Where has them. It must not be nil.
func (l Listen) Fault(err error) error { return fault(l.Where, err) }

// Where returns the place of a key of the connection's client with that key, such as
// `f:4:9: connections."up".client.cert`. Options of the URL are at the URL; "" is the
// whole client.
func (up Connection) Where(option string) string { return up.origin.where(option) }

// Fault returns an error of package transport about the connection with its place and
// key, as Where has them. It must not be nil.
func (up Connection) Fault(err error) error { return fault(up.Where, err) }
