package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/broker/daemon"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/tty"
	"shvtools/internal/wire/transport"
)

// settings are the command line and the configuration together.
type settings struct {
	command *cli.Context
	log     zerolog.Logger

	sources config.Sources
	config  *config.Config
	listen  []daemon.ListenSpec
}

// load reads everything, and refuses what must not serve.
func (s *settings) load() error {
	c := s.command
	s.sources = config.Sources{
		File: c.String("config"), Dir: c.String("config-dir"), AccessFile: c.String("access-file"), Flag: s.flag,
	}
	if s.sources.File == "" && !c.IsSet("config") {
		s.sources.File = config.Default()
	}
	var err error
	if s.config, err = config.Load(s.sources); err != nil {
		return cliapp.ConfigError(c, err)
	}
	if s.listen, err = s.listenSpecs(); err != nil {
		return err
	}
	if err := s.check(s.config); err != nil || cliapp.ShowsConfig(c) {
		return err
	}
	for _, text := range s.config.Warnings {
		s.log.Warn().Str("warning", text).Msg("configuration: warning")
	}
	return nil
}

// flag returns the values of a flag for the configuration.
func (s *settings) flag(name string) (values []string, set bool) {
	switch c := s.command; {
	case !c.IsSet(name):
		return nil, false
	case name == "listen":
		return c.StringSlice(name), true
	default:
		return []string{c.String(name)}, true
	}
}

// listenSpecs are those of the configuration, else the default.
func (s *settings) listenSpecs() (specs []daemon.ListenSpec, err error) {
	for _, l := range s.config.Listen {
		u, err := l.Parsed()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.At, err)
		}
		specs = append(specs, daemon.ListenSpec{URL: u, TLS: transport.ListenOptions{CertFile: l.Cert, KeyFile: l.Key},
			At: l.At})
	}
	if len(specs) > 0 {
		return specs, nil
	}
	u, err := transport.ParseURL(config.DefaultListen)
	return []daemon.ListenSpec{{URL: u, At: "default"}}, err
}

// advertised returns the addresses that helpers are given to connect to, the plain one
// apart.
func advertised(all []transport.URL) (plain core.Address, others []transport.URL) {
	for _, u := range all {
		if u.Scheme != transport.TCP {
			others = append(others, u)
		} else if plain == (core.Address{}) {
			port, _ := strconv.ParseInt(u.Port, 10, 64) // a URL's is a number, or helpers fail
			plain = core.Address{Host: u.Host, Port: port}
		}
	}
	return plain, others
}

// check refuses a configuration that lets in anybody from anywhere. Where a socket is
// that the broker is given shows when it has it.
func (s *settings) check(c *config.Config) error {
	for _, d := range s.listen {
		if d.URL.IsLocal() || d.URL.Socket != "" && d.TLS.Socket == nil {
			continue
		}
		if !d.URL.IsEncrypted() && !c.AllowPlaintext {
			return cliapp.Usagef("%s: %s: not encrypted, so off loopback everyone on the path could read along; listen on "+
				"ssl or wss, or allow it with --allow-plaintext, or allow-plaintext: true in the configuration", d.At, d.URL)
		}
		if c.Development {
			return cliapp.Usagef("%s: %s: the development user is accepted on loopback only, such as %s; for other "+
				"addresses, name users in a configuration", d.At, d.URL, cliapp.DefaultURL)
		}
		if users := auth.WellKnown(c.Access); len(users) > 0 {
			return fmt.Errorf("%s: %s: users with a password that everybody knows are accepted on loopback only; "+
				"give them other passwords: %s", d.At, d.URL, strings.Join(users, ", "))
		}
	}
	return nil
}

// show does what --check-config and --print-config ask for.
func (s *settings) show() error {
	return cliapp.ShowConfig(s.command, s.config.Print, s.config.Warnings,
		func() ([]string, error) { return nil, s.checkFiles() })
}

// checkFiles reads the certificates, lists and passwords that listeners and connections
// name.
func (s *settings) checkFiles() error {
	var faults []error
	for _, l := range s.listen {
		if err := transport.CheckListen(l.URL, l.TLS); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", l.At, err))
		}
	}
	for _, c := range s.config.Connections {
		if err := transport.CheckDial(c.URL); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", c.At, err))
		}
		if _, err := daemon.ParentLogin(c); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// maxPassword bounds what --hash-password reads, in bytes.
const maxPassword = 4096

// hashPassword reads a password and prints its hash.
func hashPassword(c *cli.Context) error {
	read := func() (string, error) { return tty.ReadPassword("Password: ") }
	if !tty.IsTerminal(os.Stdin) {
		read = func() (string, error) { return bufio.NewReader(io.LimitReader(os.Stdin, maxPassword)).ReadString('\n') }
	}
	password, err := read()
	password = strings.TrimRight(password, "\r\n")
	if password == "" {
		return errors.Join(errors.New("no password was given"), err)
	}
	_, err = fmt.Fprintln(c.App.Writer, auth.HashPassword(password))
	return err
}
