package sshargs

import (
	"errors"
	"fmt"
	"time"
)

// option is what an option does. set gets the option as it was written.
type option struct {
	value bool // the option takes a value
	set   func(p *parser, name, value string) error
}

// shortOptions are those of ssh, and the C++ tool's -u, which ssh does not have. The C++
// tool's -t, -s and -m mean something else in ssh; only their long forms work.
var shortOptions = withIgnored(map[byte]option{
	't': flag(func(p *parser) {
		if p.args.TTY.Value == TTYYes {
			p.args.TTY.last(TTYForce)
			return
		}
		p.args.TTY.last(TTYYes)
	}),
	'T': flag(func(p *parser) { p.args.TTY.last(TTYNo) }),
	'n': flag(func(p *parser) { p.args.StdinNull = true }),
	'q': flag(func(p *parser) { p.args.LogLevel.last(LogQuiet) }),
	'v': flag((*parser).verbose),
	's': flag(func(p *parser) { p.args.Subsystem = true }),
	'G': flag(func(p *parser) { p.args.PrintConfig = true }),
	'V': flag((*parser).version),
	'h': flag((*parser).help),
	'e': parsed(ParseEscape, func(p *parser) *Opt[Escape] { return &p.args.Escape }, (*Opt[Escape]).last),
	'l': user(),
	'u': user(),
	'p': port(),
	'F': text(func(p *parser) *string { return &p.args.Config }),
	'o': {value: true, set: func(p *parser, _, value string) error { return p.keyword(value) }},

	'N': refused(false, "shvrsh has no port forwarding to wait for"),
	'f': refused(false, "shvrsh does not go to the background; use -n and end the line with &"),
	'L': refused(true, noForwards),
	'R': refused(true, noForwards),
	'D': refused(true, noForwards),
	'W': refused(true, noForwards),
	'w': refused(true, noForwards),
	'J': refused(true, noJumps),
	'O': refused(true, "shvrsh has no shared connections to control"),
}, "12469aACgkKMxXyY", "bBcEiImS")

// withIgnored adds the letters of ssh that shvrsh ignores: switches, and options with a
// value.
func withIgnored(options map[byte]option, switches, valued string) map[byte]option {
	for i := range len(switches) {
		options[switches[i]] = ignored(false)
	}
	for i := range len(valued) {
		options[valued[i]] = ignored(true)
	}
	return options
}

// longOptions are those of shvrsh and of the C++ tool, by name without dashes.
var longOptions = map[string]option{
	"help":                 flag((*parser).help),
	"version":              flag((*parser).version),
	"verbose":              flag((*parser).verbose),
	"print-config":         flag(func(p *parser) { p.args.PrintConfig = true }),
	"allow-unknown-status": flag(func(p *parser) { p.args.AllowUnknownStatus = true }),
	"allow-plaintext":      flag(func(p *parser) { p.args.AllowPlaintext = true }),
	"check-config":         flag(func(p *parser) { p.args.CheckConfig = true }),
	"url":                  text(func(p *parser) *string { return &p.args.URL }),
	"user":                 user(),
	"password":             text(func(p *parser) *string { return &p.args.Password }),
	"password-file":        text(func(p *parser) *string { return &p.args.PasswordFile }),
	"config":               text(func(p *parser) *string { return &p.args.Config }),
	"log-level":            text(func(p *parser) *string { return &p.args.ShvLogLevel }),
	"log-format":           text(func(p *parser) *string { return &p.args.LogFormat }),

	// The C++ tool's (spec.md 10.2, 10.4).
	"tunnel-shvPath": {value: true, set: (*parser).setTunnelPath},
	"tunnel-method":  text(func(p *parser) *string { return &p.args.TunnelMethod }),
	"server-host":    text(func(p *parser) *string { return &p.args.ServerHost }),
	"server-port":    port(),
	"rpc-time-out":   rpcTimeout(),
	"rto":            rpcTimeout(),
	// Another value would ask for more safety than shvrsh then gives.
	"server-scheme": {value: true, set: (*parser).setScheme},
	"sec-type":      only("none"),
	"security-type": only("none"),
	"protocol-type": only("chainpack"),
	// The broker decides the type of login; the other two are 0 in the C++ shvrsh, too.
	"lt":                     ignored(true),
	"login-type":             ignored(true),
	"hbi":                    ignored(true),
	"rpc-heartbeat-interval": ignored(true),
	"rci":                    ignored(true),
	"rpc-reconnect-interval": ignored(true),
}

const (
	noForwards = "shvrsh forwards no ports"
	noJumps    = "shvrsh reaches devices through a broker (--url), not through other hosts"
)

func flag(set func(p *parser)) option {
	return option{set: func(p *parser, _, _ string) error {
		set(p)
		return nil
	}}
}

func text(field func(p *parser) *string) option {
	return option{value: true, set: func(p *parser, _, value string) error {
		*field(p) = value
		return nil
	}}
}

// parsed is an option whose value parse reads; keep is (*Opt[T]).first or last.
func parsed[T any](parse func(string) (T, error), field func(p *parser) *Opt[T], keep func(*Opt[T], T)) option {
	return option{value: true, set: func(p *parser, name, value string) error {
		v, err := parse(value)
		if err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
		keep(field(p), v)
		return nil
	}}
}

func user() option {
	return parsed(parseUser, func(p *parser) *Opt[string] { return &p.args.User }, (*Opt[string]).first)
}

func port() option {
	return parsed(parsePort, func(p *parser) *Opt[int] { return &p.args.Port }, (*Opt[int]).first)
}

func rpcTimeout() option {
	field := func(p *parser) *Opt[time.Duration] { return &p.args.RPCTimeout }
	return parsed(ParseTime, field, (*Opt[time.Duration]).last)
}

func ignored(value bool) option {
	return option{value: value, set: func(p *parser, name, value string) error {
		p.note(name, value)
		return nil
	}}
}

func refused(value bool, why string) option {
	return option{value: value, set: func(_ *parser, name, _ string) error {
		return fmt.Errorf("option %s is not supported: %s", name, why)
	}}
}

func only(supported string) option {
	return option{value: true, set: func(_ *parser, name, value string) error {
		if value == supported {
			return nil
		}
		return fmt.Errorf("option %s: %s is not supported, only %s is", name, quoted(value), supported)
	}}
}

// verbose is -v as in ssh: the first one sets DEBUG whatever the level was, each further
// one raises the level.
func (p *parser) verbose() {
	level := LogDebug
	if p.debugging {
		level = min(p.args.LogLevel.Value+1, LogDebug3)
	}
	p.debugging = true
	p.args.LogLevel.last(level)
}

func (p *parser) help() { p.args.Help, p.ended = true, true }

func (p *parser) version() { p.args.Version, p.ended = true, true }

func (p *parser) setScheme(name, value string) error {
	p.args.ServerScheme = value
	return only("tcp").set(p, name, value)
}

func (p *parser) setTunnelPath(name, value string) error {
	if value == "" {
		return errors.New("option " + name + ": the path is empty")
	}
	p.tunnelPath = value
	return nil
}
