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
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/limits"
	"shvtools/internal/sys/audit"
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
	// Reload says that what is read is to replace what is in force: a file that seems to be cut off
	// is then a fault, and not a warning.
	Reload bool
	// Flag returns the values of a flag; nil: there are no flags.
	Flag func(name string) (values []string, set bool)

	before []string // files that were read for what is in force, and must not be missing
}

// Config is a configuration.
type Config struct {
	Name           string
	Listen         []Listen // empty: the caller's default
	AllowPlaintext bool
	SHA1Logins     bool   // are accepted
	MinTLS         uint16 // of listeners, as crypto/tls has it
	RefuseTakeover bool
	Limits         limits.Limits
	Operation      Operation
	Audit          audit.Settings
	Connections    []Connection    // to parent brokers
	Advertise      []transport.URL // where helpers are told to connect; empty: where their agents did
	AccessFile     string          // "": rights cannot be changed at run time
	Accounts       string          // file of the accounts that --issue makes; "": none
	Access         auth.Access     // configuration and changes
	Directory      *auth.Directory // of Access
	Development    bool            // no file is read: the development user may log in
	Warnings       []string        // each with its place

	base    *part // without the access file
	changes *part // the access file
	sum     *part // both

	hasChanges bool // there is an access file
	rewrite    bool // it has entries that have ended
	files      []string

	sources          conf.Sources
	saidAccessFile   string      // in the file
	listening        []listening // as Listen
	connectionLines  []conf.Line
	advertiseSources []string
	hasAccess        bool     // the file is about rights
	guarding         []string // those of guards that the file has
	dir              bool     // a directory is
	size             int      // of all files, in bytes

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
	c.AccessFile, c.dir = s.AccessFile, s.Dir != ""
	in := newReader()
	in.Reload = s.Reload
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
	case s.File == "" && c.AccessFile != "":
		in.FailAt(c.sources["access-file"], "no configuration (want --config or --config-dir too: the development user "+
			"changes no rights)")
	case s.File == "":
		c.development()
	}
	c.changes = newPart()
	if c.hasChanges = in.changes(c.AccessFile, c.changes); c.hasChanges {
		in.files = append(in.files, c.AccessFile)
	}
	if s.Flag != nil {
		table.Override(&in.Reader, s.Flag, func(string) (string, bool) { return "", false }, c, c.sources)
		c.defaultPair(s.Flag)
	}
	for _, file := range s.before {
		if !slices.Contains(in.files, file) && (file != c.AccessFile || !wasWritten(file)) {
			in.FailAt(conf.FilePlace(file), "the file is missing, and was there before")
		}
	}
	if fault := c.Audit.Fault(); fault != "" {
		in.FailAt(c.sources["audit.unwritable"], "audit.unwritable: %s", fault)
	}
	if err := in.Err(); err != nil {
		return nil, err
	}
	c.checkAccessFile()
	if err := c.combine(); err != nil {
		return nil, err
	}
	if c.dir && len(c.base.Users) == 0 {
		in.FailAt(conf.FilePlace(filepath.Join(s.Dir, "users.cpon")), "no users: nobody could log in")
		return nil, in.Err()
	}
	if len(c.Access.Users) == 0 && len(c.Connections) == 0 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: no users: nobody can log in", s.File))
	}
	c.Warnings = append(in.Warnings(), c.Warnings...)
	c.size, c.files = in.size, in.files
	return c, nil
}

// checkAccessFile warns of a directory in which no file can be kept.
func (c *Config) checkAccessFile() {
	if c.AccessFile == "" {
		return
	}
	dir := filepath.Dir(c.AccessFile)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		c.Warnings = append(c.Warnings, fmt.Sprintf("%s: rights cannot be changed: %s is not a directory that exists",
			c.Where("access-file"), dir))
	}
}

// file reads the file of the configuration.
func (in *reader) file(file string, data []byte, c *Config) {
	in.size += len(data)
	in.files = append(in.files, file)
	root := in.Whole(file, data, conf.People)
	c.in = in
	table.Read(&in.Reader, root, c, c.sources)
	c.in = nil
	if c.Limits.QueueBytes > c.Limits.QueueTotal {
		in.Fail(root.Child("limits"), "queue is above queue-total: %s and %s",
			conf.Size.Show(int64(c.Limits.QueueBytes)), conf.Size.Show(int64(c.Limits.QueueTotal)))
	}
	for _, key := range guards {
		if root.Child(key) != nil {
			c.guarding = append(c.guarding, key)
		}
	}
	if root.Kind() == conf.Map && !c.dir {
		in.wantAccess(file, root)
	}
	if c.Limits.MaxFrame > c.Limits.FramesTotal/2 {
		in.Fail(root.Child("limits"), "frame is above half of frames-total: %s and %s",
			conf.Size.Show(int64(c.Limits.MaxFrame)), conf.Size.Show(int64(c.Limits.FramesTotal)))
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

// guards are the keys that say who is let in. A reload takes none of them away.
var guards = []string{"access", "accounts", "policies"}

// keepsGuards returns a fault for each of guards that old had and c lacks: it was lost rather
// than taken away on purpose, and the old rights are better than what is left.
func (c *Config) keepsGuards(old *Config, file string) error {
	var faults []error
	for _, key := range old.guarding {
		if !slices.Contains(c.guarding, key) {
			faults = append(faults, &conf.Fault{Place: conf.FilePlace(file), Key: key, Err: errors.New(
				"the key was there and is gone; write it, or restart to go on without it")})
		}
	}
	return errors.Join(faults...)
}

// wantAccess wants a file to say who may log in.
func (in *reader) wantAccess(file string, root *conf.Node) {
	const want = "no access: nobody could log in (want access: {users: {…}, roles: {…}}; the development user is for a " +
		"broker without a configuration)"
	at := func(name string) int {
		return slices.IndexFunc(root.Items(), func(n *conf.Node) bool { return n.Name() == name })
	}
	switch i := at("access"); {
	case i < 0 && at("accounts") >= 0:
	case i < 0:
		if in.Err() == nil { // a key with a fault may have been meant for it
			in.FailAt(conf.FilePlace(file), want)
		}
	case root.Items()[i].Kind() == conf.Null && root.Items()[i].Text() != "": // no value at all is a fault already
		in.FailKey(root.Items()[i], want)
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
	warnings, rewrite := c.changes.settle(c.base)
	c.rewrite = rewrite
	sum := c.changes.over(c.base)
	var errs []error
	for _, f := range c.build(sum) {
		errs = append(errs, sum.fault(f))
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	c.Warnings = append(c.Warnings, warnings...)
	told := make(map[string]bool)
	for _, p := range []*part{c.sum, c.base} { // what a call has changed hides faults of the configuration
		faults := append(p.Unknown(), p.Nameless()...)
		if !c.verifiesClients() {
			faults = append(faults, p.NeedCommonNames()...)
		}
		for _, f := range faults {
			if text := p.fault(f).Error(); !told[text] {
				told[text] = true
				c.Warnings = append(c.Warnings, text)
			}
		}
	}
	return nil
}

// verifiesClients reports whether a listener takes client certificates.
func (c *Config) verifiesClients() bool {
	return slices.ContainsFunc(c.Listen, func(l Listen) bool {
		u, err := l.Parsed()
		return err == nil && u.IsEncrypted() && u.ClientCA != ""
	})
}

// build makes the rights of sum those of the configuration, or returns their faults.
func (c *Config) build(sum *part) []auth.Fault {
	d, faults := auth.Build(sum.Access)
	if len(faults) > 0 {
		return faults
	}
	if !c.SHA1Logins {
		d.RefuseSHA1()
	}
	c.sum, c.Access, c.Directory = sum, sum.Access, d
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
