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
	Audit        audit.Settings
	Warnings     []string // each with its place

	allowPlaintext bool    // where an entry of connection.url does not say it
	allow          []*bool // by URL; nil: it does not say it

	sources         conf.Sources
	defaults, rules *conf.Node // as they were read; rules is nil where there are none
}

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
// the file has none.
func Load(s Sources) (*Config, error) {
	c := defaults()
	c.sources = make(conf.Sources)
	var r conf.Reader
	if s.File != "" {
		data, err := conf.ReadFile(s.File)
		if err != nil {
			return nil, err
		}
		table.Read(&r, r.YAML(s.File, data), c, c.sources)
		c.readPolicy(&r)
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	table.Override(&r, s.Flag, s.LookupEnv, c, c.sources)
	if err := r.Err(); err != nil {
		return nil, err
	}
	c.settlePlaintext()
	c.Warnings = r.Warnings()
	return c, nil
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

// Print writes all settings in force, each with its source, and no secret. explain
// adds what each of them means.
func (c *Config) Print(w io.Writer, explain bool) error { return table.Print(w, c, c.sources, explain) }

// DefaultText returns the default of a setting as it is written, for --help.
func DefaultText(key string) string { return table.Get(key).Default }

// Declared returns what the table says of each setting.
func Declared() []conf.Declared { return table.Declared() }
