package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/broker/daemon"
	"shvtools/internal/shv/login"
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
		Reload: c.Bool(cliapp.FlagCheckConfig), // what is good for a reload is good for a start
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
	if err := s.check(s.config); err != nil {
		if c.Bool(cliapp.FlagCheckConfig) {
			_, faults := s.checkFiles()
			err = errors.Join(err, faults)
		}
		return cliapp.ConfigError(c, err)
	}
	if cliapp.ShowsConfig(c) {
		return nil
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
			return nil, l.Fault(err)
		}
		specs = append(specs, daemon.ListenSpec{URL: u, TLS: transport.ListenOptions{CertFile: l.Cert,
			KeyFile: l.Key, MinTLS: s.config.MinTLS},
			Entry: l})
	}
	if len(specs) > 0 {
		return specs, nil
	}
	l := config.DefaultListener()
	u, err := l.Parsed()
	return []daemon.ListenSpec{{URL: u, Entry: l}}, err
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
// that the broker is given shows when it has it. The error has a line for each listener.
func (s *settings) check(c *config.Config) error {
	var faults []error
	known := auth.WellKnown(c.Access)
	for _, d := range s.listen {
		if d.URL.IsLocal() || d.URL.Socket != "" && d.TLS.Socket == nil {
			continue
		}
		switch {
		case !d.URL.IsEncrypted() && !c.AllowPlaintext:
			faults = append(faults, refused(d, "not encrypted, so off loopback everyone on the path could read along; "+
				"listen on ssl or wss, or allow it with --allow-plaintext, or allow-plaintext: true in the configuration"))
		case c.Development:
			faults = append(faults, refused(d, "the development user is accepted on loopback only, such as %s; for other "+
				"addresses, name users in a configuration", cliapp.DefaultURL))
		case len(known) > 0:
			faults = append(faults, fmt.Errorf("%s: %s: users with a password that everybody knows are accepted on "+
				"loopback only; give them other passwords: %s", place(d), d.URL, strings.Join(known, ", ")))
			known = nil // it is about the users: once is enough
		}
	}
	return errors.Join(faults...)
}

// refused is the error for a listener that must not be. It is one of the command line
// only where that names the listener.
func refused(d daemon.ListenSpec, format string, args ...any) error {
	err := fmt.Errorf("%s: %s: %s", place(d), d.URL, fmt.Sprintf(format, args...))
	if d.Entry.InFile() {
		return err
	}
	return cliapp.UsageError{Err: err}
}

// place is where the address of a listener is said.
func place(d daemon.ListenSpec) string {
	if d.TLS.Socket != nil {
		return d.Entry.Where("socket")
	}
	return d.Entry.Where("url")
}

// show does what --check-config and --print-config ask for.
func (s *settings) show() error {
	return cliapp.ShowConfig(s.command, s.config.Print, s.config.Warnings, s.checkFiles)
}

// checkFiles reads the certificates, lists and passwords that listeners and connections
// name, and looks for listeners that take each other's addresses. It warns of certificates
// that end soon, as the broker does at its start.
func (s *settings) checkFiles() (warnings []string, err error) {
	faults := daemon.Clashes(s.listen, s.config)
	for _, l := range s.listen {
		notices, err := transport.CheckListen(l.URL, l.TLS, time.Now())
		if err != nil {
			faults = append(faults, l.Entry.Fault(err))
		}
		for _, notice := range notices {
			warnings = append(warnings, l.Entry.Fault(notice).Error())
		}
	}
	for _, c := range s.config.Connections {
		if err := transport.CheckDial(c.URL); err != nil {
			faults = append(faults, c.Fault(err))
		}
		login, err := daemon.ParentLogin(c)
		if err != nil {
			faults = append(faults, err)
		}
		for _, text := range login.Warnings {
			warnings = append(warnings, c.Where("")+": "+text)
		}
	}
	warning, err := cliapp.CheckAudit(s.config.Audit)
	if warning != "" {
		warnings = append(warnings, "audit.file: "+warning)
	}
	if err != nil {
		faults = append(faults, fmt.Errorf("audit.file: %w", err))
	}
	return warnings, errors.Join(faults...)
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
	if password = strings.TrimRight(password, "\r\n"); password == "" {
		if err == nil || err == io.EOF {
			err = errors.New("it is empty")
		}
		return fmt.Errorf("no password was given: %w", err)
	}
	if len(password) >= maxPassword {
		return fmt.Errorf("the password is too long (want less than %d bytes)", maxPassword)
	}
	if auth.WellKnownLogin("", password, login.Plain, "") {
		_, _ = fmt.Fprintf(c.App.ErrWriter, "%s: warning: everybody knows this password, so off loopback the broker refuses "+
			"it; choose another one\n", c.App.Name)
	}
	_, err = fmt.Fprintln(c.App.Writer, auth.HashPassword(password))
	return err
}
