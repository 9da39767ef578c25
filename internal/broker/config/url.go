package config

import (
	"net/url"
	"path/filepath"
	"strings"

	"shvtools/internal/wire/transport"
)

// listenURL judges a URL of listen, and tells whether the broker can listen
// there.
func (r *reader) listenURL(n *node, text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		r.fail(n.at, "a url of listen: %s is no URL such as tcp://127.0.0.1:3755", shownURL(text))
		return false
	}
	switch u.Scheme {
	case transport.TCP, transport.SSL, transport.TCPS, transport.WS, transport.WSS, transport.Unix:
		if _, err := transport.ParseListenURL(text); err != nil {
			r.fail(n.at, "a url of listen: %w", err)
		}
	case "ssls", "unixs", "serial", "tty", "can":
		r.warn(n.at, "the broker does not listen on %s: the scheme %s is not supported", shownURL(text), u.Scheme)
		return false
	default:
		r.fail(n.at, "a url of listen: %s: the scheme is none of %s", shownURL(text), transport.Schemes)
	}
	return true
}

// shownURL leaves out of a URL what may be secret.
func shownURL(text string) string {
	text, _, _ = strings.Cut(text, "?")
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		if i := strings.LastIndex(rest, "@"); i >= 0 {
			text = scheme + "://" + rest[i+1:]
		}
	}
	return text
}

// beside makes the name of a file that is not absolute one beside the file that
// names it, at a place "file:line:col".
func beside(at, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	for range 2 {
		if i := strings.LastIndex(at, ":"); i >= 0 {
			at = at[:i]
		}
	}
	return filepath.Join(filepath.Dir(at), name)
}
