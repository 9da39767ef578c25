package main

import (
	"bufio"
	"cmp"
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
	listen  []door
}

// door is a place to listen at.
type door struct {
	url transport.URL
	tls transport.ListenOptions
	at  string // who says so
}

// load reads everything, and refuses what must not serve.
func (s *settings) load() error {
	c := s.command
	s.sources = config.Sources{File: c.String("config"), Dir: c.String("config-dir"), AccessFile: c.String("access-file")}
	if s.sources.File == "" && !c.IsSet("config") {
		s.sources.File = config.Default()
	}
	var err error
	if s.config, err = config.Load(s.sources); err != nil {
		return s.tell(err)
	}
	for _, text := range s.config.Warnings {
		s.log.Warn().Msg(text)
	}
	if s.listen, err = s.doors(); err != nil {
		return err
	}
	if c.IsSet("allow-plaintext") {
		s.config.Override("allow-plaintext", "--allow-plaintext", strconv.FormatBool(c.Bool("allow-plaintext")))
	}
	if err := s.overrideOperation(); err != nil {
		return err
	}
	return s.check(s.config)
}

// overrideOperation takes the flags that go before metrics and drain.
func (s *settings) overrideOperation() error {
	c, o := s.command, &s.config.Operation
	if c.IsSet("metrics-listen") {
		o.Metrics = c.String("metrics-listen")
		if err := config.CheckMetrics(o.Metrics); err != nil {
			return cliapp.Usagef("--metrics-listen: %w", err)
		}
		s.config.Override("metrics.listen", "--metrics-listen", o.Metrics)
	}
	for _, each := range []struct {
		flag, key string
		value     *time.Duration
	}{{"drain-grace", "drain.grace", &o.Grace}, {"drain-spread", "drain.spread", &o.Spread}} {
		if !c.IsSet(each.flag) {
			continue
		}
		if *each.value = c.Duration(each.flag); *each.value < 0 {
			return cliapp.Usagef("--%s must not be negative", each.flag)
		}
		s.config.Override(each.key, "--"+each.flag, each.value.String())
	}
	return nil
}

// tell prints each fault of a configuration in a line of its own.
func (s *settings) tell(err error) error {
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(s.command.App.ErrWriter, "%s: %s\n", s.command.App.Name, strings.TrimSpace(line))
	}
	return cliapp.Exit{Code: 1}
}

// doors are those of the command line, else of the file, else the default.
func (s *settings) doors() (doors []door, err error) {
	texts := s.command.StringSlice("listen")
	tls := transport.ListenOptions{CertFile: s.command.String("tls-cert"), KeyFile: s.command.String("tls-key")}
	for _, text := range texts {
		u, err := transport.ParseListenURL(text)
		if err != nil {
			return nil, cliapp.UsageError{Err: fmt.Errorf("--listen: %w", err)}
		}
		doors = append(doors, door{u, tls, "--listen"})
	}
	if len(doors) > 0 {
		s.overrideListen("--listen", doors)
		return doors, nil
	}
	for _, l := range s.config.Listen {
		u, err := transport.ParseListenURL(l.URL)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.At, err)
		}
		u.ClientCA, u.CRL = cmp.Or(u.ClientCA, l.ClientCA), cmp.Or(u.CRL, l.CRL)
		u.Socket = cmp.Or(u.Socket, l.Socket)
		u.RequireClientCert = u.RequireClientCert || l.RequireClientCert
		own := tls
		if l.Cert != "" {
			own = transport.ListenOptions{CertFile: l.Cert, KeyFile: l.Key}
		}
		doors = append(doors, door{u, own, l.At})
	}
	if len(doors) == 0 {
		u, err := transport.ParseURL(cliapp.DefaultURL)
		doors = []door{{url: u, at: "default"}}
		s.overrideListen("default", doors)
		return doors, err
	}
	return doors, nil
}

func (s *settings) overrideListen(source string, doors []door) {
	texts := make([]string, len(doors))
	for i, d := range doors {
		texts[i] = d.url.String()
	}
	s.config.Override("listen", source, texts...)
}

// limits are those of the configuration, for the broker.
func limits(l config.Limits) core.Limits {
	return core.Limits{
		MaxFrame:                 l.Frame,
		LoginFrame:               l.LoginFrame,
		Connections:              l.Connections,
		Unauthenticated:          l.Unauthenticated,
		UnauthenticatedPerSource: l.UnauthenticatedPerSource,
		Handshakes:               l.Handshakes,
		LoginDeadline:            l.LoginDeadline,
		QueueBytes:               l.Queue,
		QueueTotal:               l.QueueTotal,
		WriteStall:               l.WriteStall,
		FrameStall:               l.FrameStall,
	}
}

// advertised are the addresses where helpers are told to connect, the plain one
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
	plaintext := c.AllowPlaintext
	if s.command.IsSet("allow-plaintext") {
		plaintext = s.command.Bool("allow-plaintext")
	}
	for _, d := range s.listen {
		if d.url.IsLocal() || d.url.Socket != "" && d.tls.Socket == nil {
			continue
		}
		if !d.url.IsEncrypted() && !plaintext {
			return cliapp.Usagef("%s: off loopback everyone on the way could read along; listen on ssl or wss, or allow it by --allow-plaintext or by allow-plaintext: true in the configuration", d.url)
		}
		if c.Development {
			return cliapp.Usagef("%s: the development user may be let in on loopback only, such as %s", d.url, cliapp.DefaultURL)
		}
		if users := auth.WellKnown(c.Access); len(users) > 0 {
			return fmt.Errorf("%s: users with a password that everybody knows may be let in on loopback only: %s", d.url, strings.Join(users, ", "))
		}
	}
	return nil
}

// show does what --check-config and --print-config ask for.
func (s *settings) show() error {
	out := s.command.App.Writer
	if s.command.Bool("print-config") {
		return s.config.Print(out)
	}
	if err := s.checkFiles(); err != nil {
		return s.tell(err)
	}
	_, err := fmt.Fprintln(out, "the configuration is fine")
	return err
}

// checkFiles reads the certificates, lists and passwords that listeners and connections
// name.
func (s *settings) checkFiles() error {
	var faults []error
	for _, d := range s.listen {
		if err := transport.CheckListen(d.url, d.tls); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", d.at, err))
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
