// Package config reads the configuration of shvrsh, where a user gives devices
// names and says how to reach them (design.md section 9):
//
//	defaults: {url: ssl://broker:3756, user: eva}
//	hosts:
//	  pump7: {path: test/pump7, shell: /bin/ash}
//	  "site/**": {url: ssl://site-broker}
//
// It is strict: what it does not know is an error with file, line and column. It
// looks up no environment, opens none of the files that the configuration names,
// and knows no flags; the caller decides on precedence.
package config

import (
	"errors"
	"io/fs"
	"maps"
	"slices"

	"shvtools/internal/shell/sshargs"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
)

// Config is a configuration. The zero Config and nil are empty.
type Config struct {
	defaults *entry
	exact    map[string]*entry
	patterns []*entry // in the order of the file
}

// entry is the settings of one name, or of defaults.
type entry struct {
	Host
	pattern shvpath.Pattern
}

// Load reads the file at path. If it does not exist, or path is empty, the configuration
// is empty.
func Load(path string) (*Config, error) {
	if path == "" {
		return new(Config), nil
	}
	c, err := LoadNamed(path)
	if errors.Is(err, fs.ErrNotExist) {
		return new(Config), nil
	}
	return c, err
}

// LoadNamed is Load for a file that the user named, so that it must exist.
//
// The error has one line for each fault, and unwraps to them as errors.Join has it.
func LoadNamed(path string) (*Config, error) {
	data, err := conf.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Entries returns the settings of each entry that names a broker or a password file, with what
// it takes from patterns and defaults: the entries of names in their order, the patterns in
// that of the file, and defaults.
func (c *Config) Entries() (all []Host) {
	if c == nil {
		return nil
	}
	add := func(own *Host, host Host) {
		if own.URL.Set || own.PasswordFile.Set || own.AllowPlaintext.Set {
			all = append(all, host)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.exact)) {
		add(&c.exact[name].Host, c.Lookup(name))
	}
	for _, e := range c.patterns {
		host := e.Host
		if c.defaults != nil {
			host.fill(&c.defaults.Host)
		}
		add(&e.Host, host)
	}
	if c.defaults != nil {
		add(&c.defaults.Host, c.defaults.Host)
	}
	return all
}

// Lookup returns the settings of a destination, which is without its `user@`. Each
// setting comes from the first of these that has it: the entry of exactly that name,
// the patterns that match in the order of the file, defaults.
//
// Names and destinations are compared as SHV paths, so that test/pump7 and
// test%2Fpump7 are never two devices with different settings.
func (c *Config) Lookup(alias string) Host {
	var host Host
	if c == nil {
		return host
	}
	name := sshargs.DecodePath(alias)
	if e := c.exact[name]; e != nil {
		host.fill(&e.Host)
	}
	for _, e := range c.patterns {
		if e.pattern.Match([]byte(name)) {
			host.fill(&e.Host)
		}
	}
	if c.defaults != nil {
		host.fill(&c.defaults.Host)
	}
	return host
}
