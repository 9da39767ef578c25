// Package config reads the configuration of shvbroker: one file in YAML, in which that
// of the Rust broker loads as it is, or for the rights the directory of CPON files of
// the C++ broker, and over both the file of rights that were changed at run time
// (spec.md 7.6, 7.11). A table declares all settings.
//
// It is strict: what it does not know is a fault with file, line and column, and all
// faults are reported at once. It opens no listeners and handles no signals.
package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime/debug"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/limits"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// DefaultFile is read where it exists and no other is named.
const DefaultFile = "/etc/shv/shvbroker.yaml"

// Sources are where a configuration comes from. Empty: not from there.
type Sources struct {
	File       string // must exist
	Dir        string // of the C++ broker
	AccessFile string // of run-time changes; takes precedence over the one that File names
	// Flag returns the values of a flag; nil: there are no flags.
	Flag func(name string) (values []string, set bool)
}

// Config is a configuration.
type Config struct {
	Name           string
	Listen         []Listen // empty: the caller's default
	AllowPlaintext bool
	Limits         limits.Limits
	Operation      Operation
	Connections    []Connection    // to parent brokers
	Advertise      []transport.URL // where helpers are told to connect; empty: where their agents did
	AccessFile     string          // "": rights cannot be changed at run time
	Accounts       string          // file of the accounts that --issue makes; "": none
	Access         auth.Access     // configuration and changes
	Directory      *auth.Directory // of Access
	Development    bool            // no users are configured: the development user may log in
	Warnings       []string        // each with its place

	base    *part // without the access file
	changes *part // the access file
	sum     *part // both

	sources          conf.Sources
	listening        []listening // as Listen
	connectionLines  []conf.Line
	advertiseSources []string
	hasAccess        bool // the file is about rights
	size             int  // of all files, in bytes

	// While the file is read:
	in       *reader
	policies *conf.Node
	accounts *conf.Node
}

// Default returns the file that is read without being named, "" where it does not exist.
func Default() string {
	if _, err := os.Stat(DefaultFile); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return DefaultFile
}

// Load reads everything. The error has a line for each fault of any of it.
func Load(s Sources) (*Config, error) {
	var data []byte
	if s.File != "" {
		var err error
		if data, err = conf.ReadFile(s.File); err != nil {
			return nil, err
		}
	}
	c, err := load(s, data)
	if err != nil {
		return nil, err
	}
	giveBack(c.size)
	return c, nil
}

// muchText is the size of files, in bytes, from which their garbage is worth returning.
const muchText = 256 << 10

// giveBack returns the memory to the system that reading a large file took: twenty
// times its size, which a broker with few changes would keep for hours.
func giveBack(read int) {
	if read > muchText {
		debug.FreeOSMemory()
	}
}

// load is Load with the text of s.File.
func load(s Sources, data []byte) (*Config, error) {
	c := defaults()
	c.AccessFile = s.AccessFile
	in := newReader()
	if s.File != "" {
		in.file(s.File, data, c)
	}
	if s.AccessFile != "" {
		c.sources["access-file"] = conf.FlagPlace("access-file")
	}
	switch {
	case s.Dir != "" && c.hasAccess:
		in.FailAt(conf.FilePlace(s.File),
			"access and policies: the rights come from --config-dir %s, and can come from one place only", s.Dir)
	case s.Dir != "":
		in.dir(s.Dir, c.base)
	case !c.hasAccess:
		c.development()
	}
	c.changes = newPart()
	in.changes(c.AccessFile, c.changes)
	if s.Flag != nil {
		table.Override(&in.Reader, s.Flag, func(string) (string, bool) { return "", false }, c, c.sources)
		c.defaultPair(s.Flag)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	if err := c.combine(); err != nil {
		return nil, err
	}
	c.Warnings = append(in.Warnings(), c.Warnings...)
	c.size = in.size
	return c, nil
}

// file reads the file of the configuration.
func (in *reader) file(file string, data []byte, c *Config) {
	in.size += len(data)
	root := in.YAML(file, data)
	c.in = in
	table.Read(&in.Reader, root, c, c.sources)
	c.in = nil
	if c.Limits.QueueBytes > c.Limits.QueueTotal {
		in.Fail(root.Child("limits"), "queue is above queue-total: %s and %s",
			conf.Size.Show(int64(c.Limits.QueueBytes)), conf.Size.Show(int64(c.Limits.QueueTotal)))
	}
	if c.accounts != nil {
		in.accounts(c.accounts, c)
		c.accounts = nil
	}
	if c.policies != nil {
		in.readPolicies(c.policies, c.base)
		c.policies = nil
	} else if root.Kind() == conf.Map {
		defaultPolicies(c.base)
	}
}

// development makes the development user the only one.
func (c *Config) development() {
	c.Development = true
	c.base.Access = auth.DevelopmentAccess()
	for name := range c.base.Users {
		c.base.at[entryName{auth.Users, name}] = defaultPlace
	}
	for name := range c.base.Roles {
		c.base.at[entryName{auth.Roles, name}] = defaultPlace
	}
}

// combine puts the changes over the base.
func (c *Config) combine() error {
	c.sum = c.changes.over(c.base)
	d, faults := auth.Build(c.sum.Access)
	var errs []error
	for _, f := range faults {
		errs = append(errs, c.sum.fault(f))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	for _, f := range c.sum.Unknown() {
		c.Warnings = append(c.Warnings, c.sum.fault(f).Error())
	}
	c.Access, c.Directory = c.sum.Access, d
	c.Development = c.Development && len(c.changes.at) == 0
	return nil
}

// fault is a fault of an entry, with its place.
func (p *part) fault(f auth.Fault) error {
	entry := entryName{f.Section, f.Name}
	return &conf.Fault{Place: p.at[entry], Key: entry.String(), Err: f.Err}
}

// forget lets go of the rights.
func (c *Config) forget() {
	c.Access, c.Directory = auth.Access{}, nil
	c.base, c.changes, c.sum = nil, nil, nil
}

// Print writes the whole configuration, a value in a line with its source, and no
// secret. explain adds what the settings mean, and counts the rights instead.
func (c *Config) Print(w io.Writer, explain bool) error { return table.Print(w, c, c.sources, explain) }

// DefaultText returns the default of a setting as it is written, for --help.
func DefaultText(key string) string { return table.Get(key).Default }

// Declared returns what the table says of each setting.
func Declared() []conf.Declared { return table.Declared() }
