package config

import (
	"cmp"
	"fmt"
	"net/url"

	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// Listen is a place to listen at.
type Listen struct {
	URL       string
	Cert, Key string // files; "" if the URL has them, or none is needed
	// The same of how clients are verified.
	ClientCA, CRL     string
	RequireClientCert bool
	Socket            string // name of one that the broker is given; "": it opens its own
	At                string // file, line and column, or the flag

	origin origin
}

// Parsed returns the URL with the options of the keys beside it.
func (l Listen) Parsed() (transport.URL, error) {
	u, err := transport.ParseListenURL(l.URL)
	if err != nil {
		return u, err
	}
	u.ClientCA, u.CRL = cmp.Or(u.ClientCA, l.ClientCA), cmp.Or(u.CRL, l.CRL)
	u.Socket = cmp.Or(u.Socket, l.Socket)
	u.RequireClientCert = u.RequireClientCert || l.RequireClientCert
	return u, nil
}

// listening is an entry that is being read.
type listening struct {
	Listen
	url      *conf.Node
	unserved bool
	sources  map[string]string
}

var listenFields = []conf.Field[listening]{
	{Name: "url", Read: func(r *conf.Reader, n *conf.Node, l *listening) {
		l.url = n
		l.origin.note(n)
		if text, ok := conf.Text.Read(r, n); ok {
			l.URL, l.At = text, n.Place().String()
			l.unserved = !checkListenURL(r, n, text)
		}
	}},
	listenFile("cert", func(l *listening) *string { return &l.Cert }),
	listenFile("key", func(l *listening) *string { return &l.Key }),
	listenFile("client-ca", func(l *listening) *string { return &l.ClientCA }),
	listenFile("crl", func(l *listening) *string { return &l.CRL }),
	{Name: "socket", Read: func(r *conf.Reader, n *conf.Node, l *listening) {
		l.Socket, _ = conf.Text.Read(r, n)
		l.origin.note(n)
		l.sources["socket"] = n.KeyPlace().String()
	}},
	{Name: "require-client-cert", Read: func(r *conf.Reader, n *conf.Node, l *listening) {
		l.RequireClientCert, _ = conf.Bool.Read(r, n)
		l.origin.note(n)
		l.sources["require-client-cert"] = n.KeyPlace().String()
	}},
}

// listenFile is a key that names a file.
func listenFile(name string, field func(*listening) *string) conf.Field[listening] {
	return conf.Field[listening]{Name: name, Read: func(r *conf.Reader, n *conf.Node, l *listening) {
		text, _ := conf.Text.Read(r, n)
		*field(l) = conf.Beside(n.Place(), text)
		l.origin.note(n)
		l.sources[name] = n.KeyPlace().String()
	}}
}

// readListen reads the list of the file, or the URLs of the flag.
func readListen(r *conf.Reader, n *conf.Node, c *Config) {
	c.Listen, c.listening = nil, nil
	unserved := 0
	r.EachItem(n, `[{url: "tcp://127.0.0.1:3755"}]`, func(item *conf.Node) {
		l := listening{Listen: Listen{At: item.Place().String()}, sources: make(map[string]string)}
		l.origin.at, l.origin.key = l.At, item.Key()
		if item.Kind() == conf.Scalar && !item.Place().InFile() {
			l.URL, l.url = item.Text(), item
			if _, err := transport.ParseListenURL(l.URL); err != nil {
				r.Fail(item, "%w", err)
			}
		} else if !conf.ReadMap(r, item, &l, listenFields) {
			return
		}
		if l.url == nil {
			r.Fail(item, `no url (want {url: "tcp://127.0.0.1:3755"})`)
		}
		if (l.Cert == "") != (l.Key == "") {
			r.Fail(item, "cert and key go together (want both or none)")
		}
		if l.unserved {
			unserved++
		} else {
			if u, err := transport.ParseListenURL(l.URL); err == nil {
				l.origin.inURL(u)
			}
			l.url = nil // it would keep the whole file
			c.Listen = append(c.Listen, l.Listen)
			c.listening = append(c.listening, l)
		}
	})
	if unserved > 0 && unserved == len(n.Items()) {
		r.Fail(n, "none of the entries can be served")
	}
}

// defaultPair gives the certificate of the flags to the entries that name none.
func (c *Config) defaultPair(flag func(name string) ([]string, bool)) {
	for i := range c.listening {
		l := &c.listening[i]
		if l.Cert != "" {
			continue
		}
		for _, each := range []struct {
			flag, name string
			field      *string
		}{{"tls-cert", "cert", &l.Cert}, {"tls-key", "key", &l.Key}} {
			if values, ok := flag(each.flag); ok && len(values) == 1 {
				*each.field, l.sources[each.name] = values[0], conf.FlagPlace(each.flag).String()
				l.origin.noteAt(each.name, conf.FlagPlace(each.flag))
			}
		}
		if u, err := transport.ParseListenURL(l.URL); err == nil {
			l.origin.inURL(u)
		}
		c.Listen[i] = l.Listen
	}
}

// DefaultListen is where a broker listens whose configuration does not say.
const DefaultListen = "tcp://127.0.0.1:3755"

func showListen(c *Config) []conf.Line {
	if len(c.listening) == 0 {
		return []conf.Line{{Key: "listen[1].url", Text: DefaultListen, Source: "default"}}
	}
	var lines []conf.Line
	for i := range c.listening {
		lines = append(lines, c.listening[i].lines(i+1)...)
	}
	return lines
}

// lines shows an entry with what decides on trust, set or not.
func (l *listening) lines(number int) []conf.Line {
	key := func(name string) string { return fmt.Sprintf("listen[%d].%s", number, name) }
	lines := []conf.Line{{Key: key("url"), Text: transport.Redact(l.URL), Source: l.At}}
	u, err := l.Parsed()
	if err != nil {
		return lines
	}
	add := func(name, value string, set bool) {
		source := "default"
		if set {
			source = cmp.Or(l.sources[name], l.At)
		}
		lines = append(lines, conf.Line{Key: key(name), Text: value, Source: source})
	}
	if u.IsEncrypted() {
		for _, file := range []struct{ name, value string }{{"cert", cmp.Or(u.Cert, l.Cert)}, {"key", cmp.Or(u.Key, l.Key)}} {
			add(file.name, cmp.Or(file.value, "(none)"), file.value != "")
		}
	}
	for _, o := range u.ShownForListener() {
		add(o.Name, o.Value, o.Set)
	}
	return lines
}

// checkListenURL checks a URL, and reports whether its scheme is one to listen on; a URL
// with a fault counts as such.
func checkListenURL(r *conf.Reader, n *conf.Node, text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		r.Fail(n, "invalid URL %s (want one such as tcp://127.0.0.1:3755)", transport.Redact(text))
		return true
	}
	switch u.Scheme {
	case transport.TCP, transport.SSL, transport.TCPS, transport.WS, transport.WSS, transport.Unix:
		if _, err := transport.ParseListenURL(text); err != nil {
			r.Fail(n, "%w", err)
		}
	case "ssls", "unixs", "serial", "tty", "can":
		r.Warn(n, "the broker does not listen on %s: the scheme %s is not supported", transport.Redact(text), u.Scheme)
		return false
	default:
		r.Fail(n, "URL %s: scheme %q is not supported (want one of %s)", transport.Redact(text), u.Scheme, transport.Schemes)
	}
	return true
}
