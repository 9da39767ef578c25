// Package config reads the configuration of shvagent: where to connect, who may do
// what, and how the agent behaves. Each setting comes from the first of a flag, the
// environment, the file and the default; Table declares them all.
//
// It is strict: what it does not know is a fault with file, line and column, and all
// faults are reported at once. It does not apply the rules; package policy does.
package config

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"shvtools/internal/device/policy"
	"shvtools/internal/sys/audit"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// DefaultFile is read where it exists and no other is named.
const DefaultFile = "/etc/shv/shvagent.yaml"

// Config is a configuration.
type Config struct {
	URLs         []transport.URL
	User         string
	PasswordFile string
	Mount        string
	DeviceID     string
	Heartbeat    time.Duration
	Timeout      time.Duration // to connect and log in
	Files        Files
	Commands     Commands
	StatusFile   string
	StatusEvery  time.Duration // 0: no such file
	Socket       string        // "": none
	Drain        time.Duration
	Total        int // sessions at once
	PerUser      int // 0: as many as Total
	Policy       *policy.Policy
	File         string // "": none
	Audit        audit.Settings
	Warnings     []string // each with its place

	allowPlaintext bool    // where an entry of connection.url does not say it
	allow          []*bool // by URL; nil: it does not say it

	sources         conf.Sources
	defaults, rules *conf.Node // as they were read; rules is nil where there are none
}

// NeedsUser reports whether the file limits the sessions of each user. Callers must then say
// which user they are; the default limit asks nobody.
func (c *Config) NeedsUser() bool { _, set := c.sources[perUser]; return set && c.PerUser > 0 }

// Files is what is served below sys/fs.
type Files struct {
	Root     string // "": nothing
	ReadOnly bool
	Max      int64 // bytes that a file may grow to; 0: to any size
}

// Commands are the limits of runCmd and runScript.
type Commands struct {
	Time   time.Duration
	Output int64 // bytes
}

// MaxOutput is the most that Commands.Output may be: an answer must fit a frame.
const MaxOutput = 8 << 20

// Sources are where a configuration comes from.
type Sources struct {
	File      string // "": none
	Flag      func(name string) (values []string, set bool)
	LookupEnv func(name string) (string, bool)
}

// Default returns the file that is read without being named, "" where none exists.
// userDir is the user's own directory of configurations, "" without one.
func Default(userDir string) string {
	files := []string{DefaultFile}
	if userDir != "" {
		files = append(files, filepath.Join(userDir, "shv", "shvagent.yaml"))
	}
	for _, file := range files {
		if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
			return file
		}
	}
	return ""
}

// Load reads the file, the environment and the flags. The error has a line for each
// fault, each a *conf.Fault; those of flags and the environment are reported only where
// the file has none. A file that says nothing is a fault: its rules would be gone.
func Load(s Sources) (*Config, error) { return load(new(conf.Reader), s, nil) }

// Check is Load for --check-config. It finds what a reload would refuse, too: a file that seems
// to be cut off is a fault.
func Check(s Sources) (*Config, error) { return load(&conf.Reader{Reload: true}, s, nil) }

// Reload is Load for a running agent with the configuration old. Whatever shows that the
// file was cut off is a fault, and so is a file without the rules or defaults that old has:
// nobody may gain a right because something is missing.
func Reload(old *Config, s Sources) (*Config, error) {
	return load(&conf.Reader{Reload: true}, s, old)
}

func load(r *conf.Reader, s Sources, old *Config) (*Config, error) {
	c := defaults()
	c.File, c.sources = s.File, make(conf.Sources)
	if s.File != "" {
		data, err := conf.ReadFile(s.File)
		if err != nil {
			return nil, err
		}
		root := r.Whole(s.File, data, conf.People)
		for _, section := range root.Items() {
			if section.Kind() == conf.Null && isSection(section.Name()) {
				r.Is(section, conf.Map, "a map; remove the key if it says nothing")
			}
		}
		table.Read(r, root, c, c.sources)
		for i := range c.URLs {
			c.URLs[i] = c.URLs[i].Beside(filepath.Dir(s.File))
		}
		c.readPolicy(r)
		if old != nil && r.Err() == nil {
			c.keepsWhatGuards(r, s.File, old)
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	table.Override(r, s.Flag, s.LookupEnv, c, c.sources)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if fault := c.Audit.Fault(); fault != "" {
		return nil, c.Fault("audit.unwritable", errors.New(fault))
	}
	c.settlePlaintext()
	if _, set := c.sources[perUser]; !set {
		c.PerUser = max(c.Total-reserve, 1)
	}
	c.Warnings = r.Warnings()
	if !c.has("rules") {
		c.Warnings = append(c.Warnings, noRules(s.File))
	}
	return c, nil
}

// keepsWhatGuards finds what limited callers before and is missing now.
func (c *Config) keepsWhatGuards(r *conf.Reader, file string, old *Config) {
	for _, key := range [][2]string{{"defaults", "{}: no limits"}, {"rules", "[{}]: everybody may do everything"}} {
		if old.has(key[0]) && !c.has(key[0]) {
			r.FailAt(conf.FilePlace(file), "%s: missing, and the configuration in force has it (want it, or %s)",
				key[0], key[1])
		}
	}
}

// has reports whether the file has a key.
func (c *Config) has(key string) bool { return c.FromFile(key) }

func noRules(file string) string {
	where := "no configuration file"
	if file != "" {
		where = file + ": rules: none"
	}
	return where + "; every caller that the broker admits may do everything (want rules, such as [{level: su}])"
}

// isSection reports whether a key of the file has keys of its own.
func isSection(name string) bool {
	return name == "defaults" || slices.ContainsFunc(table.Settings, func(s conf.Setting[Config]) bool {
		return strings.HasPrefix(s.Key, name+".")
	})
}

// FromFile reports whether a setting comes from the file, and not from a flag or the
// environment.
func (c *Config) FromFile(key string) bool { return c.sources[key].InFile() }

// Source returns where a setting comes from, such as `f:2:8`, a flag, or default.
func (c *Config) Source(key string) string { return c.sources.Of(key) }

// SecretFile returns the file that holds a password in the URL of a broker, "" for none.
func (c *Config) SecretFile() string {
	if c.FromFile("connection.url") && slices.ContainsFunc(c.URLs, transport.URL.HasSecret) {
		return c.sources["connection.url"].File()
	}
	return ""
}

// Fault returns err as a fault of a setting, with its place.
func (c *Config) Fault(key string, err error) error {
	name, _, _ := strings.Cut(key, "[")
	return &conf.Fault{Place: c.sources[name], Key: key, Err: err}
}

// Print writes all settings in force, each with its source, and no secret. explain
// adds what each of them means.
func (c *Config) Print(w io.Writer, explain bool) error { return table.Print(w, c, c.sources, explain) }

// DefaultText returns the default of a setting as it is written, for --help.
func DefaultText(key string) string { return table.Get(key).Default }

// Declared returns what the table says of each setting.
func Declared() []conf.Declared { return table.Declared() }
