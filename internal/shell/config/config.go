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
	"os"
	"slices"

	"shvtools/internal/shell/sshargs"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
)

// Config is a configuration. The zero Config and nil are empty.
type Config struct {
	Warnings []string // each with its place

	defaults *entry
	exact    map[string]*entry
	patterns []*entry // in the order of the file
}

// entry is the settings of one name, or of defaults.
type entry struct {
	Host
	pattern shvpath.Pattern
}

// File is where a configuration is.
type File struct {
	Path  string // "": nowhere
	Named bool   // the user named it, so it must exist and say something
	// Check finds what may be wrong: a file that says nothing or seems to be cut off is then a fault
	// and not a warning.
	Check bool
}

// Load reads the configuration, which is empty if the file is not named and does not exist. One
// that says nothing is a fault if it is named, because the user counts on it; os.DevNull is the
// name for none.
//
// The error has one line for each fault, and unwraps to them as errors.Join has it.
func (f File) Load() (*Config, error) {
	if f.Path == "" && !f.Named {
		return new(Config), nil
	}
	data, err := conf.ReadFile(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !f.Named, err == nil && f.Path == os.DevNull:
		return new(Config), nil
	case err != nil:
		return nil, err
	}
	return f.Parse(data)
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
