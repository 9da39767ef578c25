// Package config reads the configuration of shvagent: where to connect, who may
// do what, and how the agent stays clean. Each setting comes from the first of a
// flag, the environment, the file and the default.
//
// It is strict: what it does not know is an error with file, line and column, and
// all errors are told at once. It judges nobody; package policy does.
package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"shvtools/internal/device/policy"
	"shvtools/internal/sys/yamlread"
	"shvtools/internal/wire/transport"
)

// DefaultFile is read where it is there and no other is named.
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

	sources map[string]string // of settings, by key
	rules   string            // the source of the rules
}

// Files is what is served below sys/fs.
type Files struct {
	Root     string // "": nothing
	ReadOnly bool
	Max      int64 // bytes that a file may grow to; 0: to any
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

// Default finds the file that is read without being named, "" where there is none.
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

// Load reads everything, and tells all that is wrong in any of it, one line for
// each fault.
func Load(s Sources) (*Config, error) {
	c := defaults()
	if s.File != "" {
		data, err := yamlread.ReadFile(s.File)
		if err != nil {
			return nil, err
		}
		if err := c.parse(s.File, data); err != nil {
			return nil, err
		}
	}
	var faults []error
	for _, each := range settings {
		values, source := []string(nil), ""
		if text, ok := s.LookupEnv(each.env); each.env != "" && ok && text != "" {
			values, source = []string{text}, "$"+each.env
		}
		if given, ok := s.Flag(each.flag); each.flag != "" && ok {
			values, source = given, "--"+each.flag
		}
		if source == "" {
			continue
		}
		if err := each.apply(c, values); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", source, err))
			continue
		}
		c.sources[each.key] = source
	}
	return c, errors.Join(faults...)
}

// FromFile tells whether the file says a setting, and nothing that goes before it.
func (c *Config) FromFile(key string) bool {
	source := c.sources[key]
	return source != "" && !strings.HasPrefix(source, "-") && !strings.HasPrefix(source, "$")
}
