package config

import (
	"fmt"
	"time"

	"shvtools/internal/shell/sshargs"
	"shvtools/internal/wire/transport"
)

// Host is the settings of one destination.
type Host struct {
	URL            Value[transport.URL] // of the broker
	AllowPlaintext Value[bool]          // connect to it without encryption off loopback too
	Path           Value[string]        // of the device, a clean SHV path
	User           Value[string]        // to log in as
	// Shell on the device, as written.
	Shell Value[string]
	// PasswordFile is as written, but a relative one is beside the configuration unless
	// it begins with `~/`, which the caller expands.
	PasswordFile   Value[string]
	Escape         Value[sshargs.Escape]
	Env            Value[[]string] // patterns for sshargs.EnvWanted
	ConnectTimeout Value[time.Duration]
}

// Value is a setting, and where it was made.
type Value[T any] struct {
	Value  T
	Set    bool
	Source Source
}

// Or returns the value, or other if there is none.
func (v Value[T]) Or(other T) T {
	if v.Set {
		return v.Value
	}
	return other
}

// Source is the place of a setting.
type Source struct {
	File  string
	Line  int
	Entry string // the name or pattern as written; "" is defaults
}

// String is the place for --print-config.
func (s Source) String() string {
	return fmt.Sprintf("%s:%d, %s", s.File, s.Line, s.section())
}

func (s Source) section() string {
	if s.Entry == "" {
		return "defaults"
	}
	return fmt.Sprintf("host %q", s.Entry)
}

// Setting is one line of --print-config.
type Setting struct {
	Key, Text string
	Source    Source
}

// Settings returns those that are set, in the order of the documentation. The URL has no
// user and no password.
func (h *Host) Settings() []Setting {
	var list []Setting
	for _, k := range keys {
		if text, source, ok := k.show(h); ok {
			list = append(list, Setting{Key: k.name, Text: text, Source: source})
		}
	}
	return list
}

// fill takes what h lacks from other.
func (h *Host) fill(other *Host) {
	for _, k := range keys {
		k.fill(h, other)
	}
}
