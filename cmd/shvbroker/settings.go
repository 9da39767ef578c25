package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/auth"
	"shvtools/internal/brokerconf"
	"shvtools/internal/cliapp"
	"shvtools/internal/transport"
	"shvtools/internal/tty"
)

// settings are the command line and the configuration together.
type settings struct {
	command *cli.Context
	log     zerolog.Logger

	sources brokerconf.Sources
	config  *brokerconf.Config
	listen  []transport.URL
}

// load reads everything, and refuses what must not serve.
func (s *settings) load() error {
	c := s.command
	s.sources = brokerconf.Sources{File: c.String("config"), Dir: c.String("config-dir"), AccessFile: c.String("access-file")}
	if s.sources.File == "" && !c.IsSet("config") {
		s.sources.File = brokerconf.Default()
	}
	var err error
	if s.config, err = brokerconf.Load(s.sources); err != nil {
		return s.tell(err)
	}
	for _, text := range s.config.Warnings {
		s.log.Warn().Msg(text)
	}
	if s.listen, err = s.urls(); err != nil {
		return err
	}
	return s.check(s.config)
}

// tell prints each fault of a configuration in a line of its own.
func (s *settings) tell(err error) error {
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(s.command.App.ErrWriter, "%s: %s\n", s.command.App.Name, strings.TrimSpace(line))
	}
	return cliapp.Exit{Code: 1}
}

// urls are those of the command line, else of the file, else the default.
func (s *settings) urls() (urls []transport.URL, err error) {
	parse := func(text, where string) error {
		u, err := transport.ParseURL(text)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		urls = append(urls, u)
		return nil
	}
	texts := s.command.StringSlice("listen")
	for _, text := range texts {
		if err := parse(text, "--listen"); err != nil {
			return nil, cliapp.UsageError{Err: err}
		}
	}
	if len(texts) > 0 {
		s.overrideListen("--listen", urls)
		return urls, nil
	}
	for _, l := range s.config.Listen {
		if err := parse(l.URL, l.At); err != nil {
			return nil, err
		}
	}
	if len(urls) == 0 {
		err = parse(cliapp.DefaultURL, "default")
		s.overrideListen("default", urls)
	}
	return urls, err
}

func (s *settings) overrideListen(source string, urls []transport.URL) {
	texts := make([]string, len(urls))
	for i, u := range urls {
		texts[i] = u.String()
	}
	s.config.Override("listen", source, texts...)
}

// check refuses a configuration that lets in anybody from anywhere.
func (s *settings) check(c *brokerconf.Config) error {
	for _, u := range s.listen {
		if u.IsLoopback() {
			continue
		}
		if c.Development {
			return cliapp.Usagef("%s: the development user may be let in on loopback only, such as %s", u, cliapp.DefaultURL)
		}
		if u.Scheme == "tcp" && !c.AllowPlaintext {
			return fmt.Errorf("%s: off loopback everyone on the way could read along; allow-plaintext: true in the configuration allows it", u)
		}
		if users := auth.WellKnown(c.Access); len(users) > 0 {
			return fmt.Errorf("%s: users with a password that everybody knows may be let in on loopback only: %s", u, strings.Join(users, ", "))
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
	_, err := fmt.Fprintln(out, "the configuration is fine")
	return err
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

// watchReload reads the configuration again at each HUP and USR1, until the
// function that it returns is called.
func watchReload(rights *brokerconf.Rights, log zerolog.Logger) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	ended := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-signals:
				reload(rights, log)
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
		<-ended
	}
}

func reload(rights *brokerconf.Rights, log zerolog.Logger) {
	c, err := rights.Reload()
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			log.Error().Str("fault", strings.TrimSpace(line)).Msg("configuration not reloaded, the old one stays in force")
		}
		return
	}
	for _, text := range c.Warnings {
		log.Warn().Msg(text)
	}
	log.Info().Int("users", len(c.Access.Users)).Msg("configuration reloaded: the rights are in force, all else with a restart")
}
