// Package config reads the configuration of shvbroker: one file in YAML, in
// which that of the Rust broker loads as it is, or for the rights the directory
// of CPON files of the C++ broker, and over both the file where rights are kept
// that were changed at run time (spec.md 7.6, 7.11).
//
// It is strict: what it does not know is an error with file, line and column,
// and all errors are told at once. It opens no listener and serves nobody; flags
// and signals are the program's matter.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"shvtools/internal/broker/auth"
	"shvtools/internal/sys/yamlread"
	"shvtools/internal/wire/transport"
)

// DefaultFile is read where it is there and no other is named.
const DefaultFile = "/etc/shv/shvbroker.yaml"

// Sources are where a configuration comes from. Empty: not from there.
type Sources struct {
	File       string // must exist
	Dir        string // of the C++ broker
	AccessFile string // of run-time changes; goes before the one that File names
}

// Config is a configuration.
type Config struct {
	Name           string
	Listen         []Listen // empty: the caller's default
	AllowPlaintext bool
	Limits         Limits
	Operation      Operation
	Connections    []Connection    // to brokers above
	Advertise      []transport.URL // where helpers are told to connect; empty: where their agents did
	AccessFile     string          // "": rights cannot be changed at run time
	Access         auth.Access
	Directory      *auth.Directory // of Access
	Development    bool            // nothing says who may log in: the development user serves
	Warnings       []string        // each with its place

	base     *part // without the access file
	changes  *part // what that says
	settings []Setting
}

// Listen is a place to listen at.
type Listen struct {
	URL       string
	Cert, Key string // files; "" where the URL says it, or none is needed
	// The same of how clients are judged.
	ClientCA, CRL     string
	RequireClientCert bool
	Socket            string // name of one that the broker is given; "": it opens its own
	At                string // file, line and column
}

// Setting is one line of --print-config. No secret stands in it.
type Setting struct{ Key, Text, Source string }

func (c *Config) note(key, text, source string) {
	c.settings = append(c.settings, Setting{key, text, source})
}

// Override makes Print show other values for a key, which the caller has from
// elsewhere.
func (c *Config) Override(key, source string, texts ...string) {
	c.settings = slices.DeleteFunc(c.settings, func(s Setting) bool { return s.Key == key })
	for _, text := range texts {
		c.note(key, text, source)
	}
}

// Default finds the file that is read without being named, "" where it is not
// there.
func Default() string {
	if _, err := os.Stat(DefaultFile); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return DefaultFile
}

// Load reads everything, and tells all that is wrong in any of it, one line for
// each fault.
func Load(s Sources) (*Config, error) {
	var data []byte
	if s.File != "" {
		var err error
		if data, err = yamlread.ReadFile(s.File); err != nil {
			return nil, err
		}
	}
	return load(s, data)
}

// load is Load with what stands in s.File.
func load(s Sources, data []byte) (*Config, error) {
	c := &Config{Limits: DefaultLimits(), Operation: DefaultOperation(), AccessFile: s.AccessFile, base: newPart()}
	if c.AccessFile != "" {
		c.note("access-file", c.AccessFile, "--access-file")
	}
	var r reader
	hasAccess := false
	if s.File != "" {
		root, err := r.fromYAML(s.File, data)
		if err != nil {
			return nil, err
		}
		hasAccess = r.config(root, c)
	}
	switch {
	case s.Dir != "" && hasAccess:
		r.fail(s.File, "access and policies: the rights come from --config-dir %s, and can come from one place only", s.Dir)
	case s.Dir != "":
		r.dir(s.Dir, c.base)
	case !hasAccess:
		c.Development = true
		c.base.Access = auth.DevelopmentAccess()
		for name := range c.base.Users {
			c.base.at[entryName{auth.Users, name}] = "default"
		}
		for name := range c.base.Roles {
			c.base.at[entryName{auth.Roles, name}] = "default"
		}
	}
	var err error
	if c.changes, err = loadChanges(c.AccessFile); err != nil {
		r.faults = append(r.faults, err)
	}
	if err := errors.Join(r.faults...); err != nil {
		return nil, err
	}
	if err := c.combine(c.changes); err != nil {
		return nil, err
	}
	c.Warnings = append(r.warnings, c.Warnings...)
	return c, nil
}

// combine puts the changes over the base.
func (c *Config) combine(changes *part) error {
	sum := changes.over(c.base)
	d, faults := auth.Build(sum.Access)
	var errs []error
	for _, f := range faults {
		errs = append(errs, place(sum, f))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	for _, f := range sum.Unknown() {
		c.Warnings = append(c.Warnings, place(sum, f).Error())
	}
	c.Access, c.Directory = sum.Access, d
	c.Development = c.Development && len(changes.at) == 0
	c.settings = append(c.settings, accessSettings(sum)...)
	return nil
}

func place(p *part, f auth.Fault) error {
	if at := p.at[entryName{f.Section, f.Name}]; at != "" {
		return fmt.Errorf("%s: %w", at, f)
	}
	return f
}

// config reads the top of the file; hasAccess says that it is about rights too.
func (r *reader) config(root *node, c *Config) (hasAccess bool) {
	if root.kind == null {
		return false
	}
	var policies *node
	ignored := func(k key) {
		if asks(k.value) {
			r.warn(k.at, "%s is not used by this broker", k.name)
		}
	}
	r.fields(root, "the configuration", map[string]func(key){
		"name": func(k key) {
			c.Name = r.text(k.value, "name")
			c.note("name", c.Name, k.at)
		},
		"listen": func(k key) { r.listen(k.value, c) },
		"allow-plaintext": func(k key) {
			c.AllowPlaintext = r.truth(k.value, "allow-plaintext")
			c.note("allow-plaintext", k.value.text, k.at)
		},
		"connections": func(k key) { r.connections(k.value, c) },
		"tunnel":      func(k key) { r.tunnel(k.value, c) },
		"limits":      func(k key) { r.limits(k.value, &c.Limits, c) },
		"metrics":     func(k key) { r.metrics(k.value, c) },
		"drain":       func(k key) { r.drain(k.value, c) },
		"access": func(k key) {
			hasAccess = true
			r.access(k.value, "access", c.base, false)
		},
		"access-file": func(k key) {
			if c.AccessFile == "" {
				c.AccessFile = r.text(k.value, "access-file")
				if !filepath.IsAbs(c.AccessFile) {
					r.fail(k.value.at, "access-file is not an absolute path: %q", c.AccessFile)
				}
				c.note("access-file", c.AccessFile, k.at)
			}
		},
		"policies": func(k key) { hasAccess, policies = true, k.value },

		// Of the Rust broker. Both generations of clients are always served.
		"shv2_compatibility": func(k key) { r.truth(k.value, k.name) },
		"tunnelling":         ignored, "use_access_db": ignored, "time_broadcast": ignored,
		"data_directory": ignored, "azure": ignored, "google_auth": ignored, "trusted_user_ids_role": ignored,
		"deactivate_after_days": ignored,
	})
	if policies != nil {
		r.policies(policies, c.base)
	} else {
		defaultPolicies(c.base)
	}
	return hasAccess
}

// asks tells whether a value asks for anything.
func asks(n *node) bool {
	switch {
	case n.child("enabled") != nil:
		return n.child("enabled").text != "false"
	case n.kind == scalar:
		return n.text != "false"
	case n.kind == list:
		return slices.ContainsFunc(n.list, asks)
	}
	return len(n.keys) > 0
}

// listen reads the list of URLs.
func (r *reader) listen(n *node, c *Config) {
	if !r.is(n, list, "listen", `[{url: "tcp://127.0.0.1:3755"}]`) {
		return
	}
	for _, item := range n.list {
		l, unserved := Listen{At: item.at}, false
		r.fields(item, "an entry of listen", map[string]func(key){
			"url": func(k key) {
				l.URL, l.At = r.text(k.value, "url"), k.value.at
				unserved = !r.listenURL(k.value, l.URL)
			},
			"cert": func(k key) { l.Cert = beside(k.at, r.text(k.value, "cert")) },
			"key":  func(k key) { l.Key = beside(k.at, r.text(k.value, "key")) },

			"client-ca":           func(k key) { l.ClientCA = beside(k.at, r.text(k.value, k.name)) },
			"crl":                 func(k key) { l.CRL = beside(k.at, r.text(k.value, k.name)) },
			"socket":              func(k key) { l.Socket = r.text(k.value, k.name) },
			"require-client-cert": func(k key) { l.RequireClientCert = r.truth(k.value, k.name) },
		})
		if l.URL == "" && item.kind == table && item.child("url") == nil {
			r.fail(item.at, "an entry of listen has no url")
		}
		if (l.Cert == "") != (l.Key == "") {
			r.fail(item.at, "cert and key go together")
		}
		if !unserved {
			c.Listen = append(c.Listen, l)
			c.note("listen", shownURL(l.URL), l.At)
		}
	}
	if len(n.list) > 0 && len(c.Listen) == 0 {
		r.fail(n.at, "the broker would listen nowhere")
	}
}
