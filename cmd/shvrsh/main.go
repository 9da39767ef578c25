// Command shvrsh opens a shell on a device behind an SHV broker, or runs one
// command there, as ssh does. Programs that call ssh can call it instead.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"shvtools/internal/session/tunnel"
	"shvtools/internal/shell/rsh"
	"shvtools/internal/shell/sshargs"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/tty"
	"shvtools/internal/wire/transport"
)

const description = `PATH is the device's mount point, or the name of a host in the configuration. With
a COMMAND, its words are joined by spaces and run by the device's shell, without
a terminal. test%2Fagent stands for test/agent, for programs that take a name
with a slash for a local file.

The exit code is the remote command's own, 128+n if signal n ended it, and 255 if
shvrsh itself failed.

Options are those of ssh. They come before PATH or directly after it, and end at --:
   -t, -tt, -T          a terminal for a command, by force, or none at all
   -n                   no standard input
   -q, -v               fewer messages, or one for each step
   -l USER              log in as USER; so does user@PATH
   -p PORT              port of the broker
   -e CHAR, -e none     escape character at a terminal, ~ by default
   -s                   COMMAND is a subsystem: sftp
   -F FILE              read FILE instead of ~/.config/shvrsh/config.yaml
   -G                   print the settings for PATH and exit
   -o KEY=VALUE         BatchMode, ConnectTimeout, ServerAliveInterval,
                        ServerAliveCountMax, SendEnv, SetEnv, RequestTTY,
                        LogLevel, EscapeChar, User, Port; others have no effect

At a terminal, after Enter: ~. ends the session, ~^Z suspends it, ~i shows its
state, ~? lists these.

Examples:
   shvrsh test/agent                         a shell
   shvrsh test/agent uname -a                one command
   shvrsh -t test/agent top                  a command that needs a terminal
   tar c . | shvrsh test/agent 'tar x -C /tmp'
   rsync -a -e shvrsh src/ test%2Fagent:/tmp/dst/
   scp -S shvrsh file test%2Fagent:/tmp/
   GIT_SSH=shvrsh git clone test%2Fagent:/srv/repo.git
   shvrsh --url ssl://eva@broker test/pump7
   shvrsh --url 'ssl://eva@broker?ca=/etc/shv/ca.pem' test/pump7`

func main() {
	args, err := sshargs.Parse(os.Args[1:])
	app := &cli.App{
		Name:        "shvrsh",
		Usage:       "remote shell on a device behind an SHV broker",
		UsageText:   "shvrsh [options] [user@]PATH [COMMAND...]",
		Description: description,
		Flags:       append(append(cliapp.LoginFlags(), ownFlags...), cliapp.LogFlags("warn")...),
		Action: func(c *cli.Context) error {
			if err != nil {
				return cliapp.UsageError{Err: err}
			}
			return run(c, &args)
		},
	}
	// urfave/cli cannot parse a command line as ssh does; it gets only what it acts on.
	// The session decides which signals reach the remote command.
	words := append([]string{app.Name}, forCLI(&args)...)
	os.Exit(cliapp.Main(app, words, cliapp.WithCodes(cliapp.SSHCodes()), cliapp.WithSignals()))
}

// ownFlags are for --help; package sshargs parses them.
var ownFlags = []cli.Flag{
	&cli.StringFlag{Name: "config", Usage: "read `FILE` instead of ~/.config/shvrsh/config.yaml"},
	&cli.BoolFlag{Name: "check-config", DisableDefaultText: true,
		Usage: "report what is wrong with the configuration and exit"},
	&cli.BoolFlag{Name: "allow-unknown-status", DisableDefaultText: true,
		Usage: "exit with 0 if the device is too old to report how a command ended"},
	&cli.StringFlag{Name: "tunnel-method", Usage: "call `METHOD` on the device instead of launchRexec"},
}

// forCLI returns the part of a command line that urfave/cli acts on.
func forCLI(args *sshargs.Args) (words []string) {
	switch {
	case args.Help:
		return []string{"--help"}
	case args.Version:
		return []string{"--version"}
	}
	if args.LogFormat != "" {
		words = append(words, "--"+cliapp.FlagLogFormat, args.LogFormat)
	}
	switch {
	case args.ShvLogLevel != "":
		words = append(words, "--"+cliapp.FlagLogLevel, args.ShvLogLevel)
	case args.LogLevel.Value >= sshargs.LogVerbose:
		words = append(words, "--"+cliapp.FlagVerbose)
	}
	return words
}

func run(c *cli.Context, args *sshargs.Args) error {
	log, err := cliapp.LoggerFromFlags(c)
	if err != nil {
		return err
	}
	for _, note := range args.Notes {
		log.Debug().Msg(note.String())
	}
	if args.CheckConfig {
		return checkConfig(c, args)
	}
	set, err := settle(args)
	if err != nil {
		return err
	}
	if args.PrintConfig {
		set.print(c.App.Writer)
		return nil
	}
	terminal := args.WantTTY(tty.IsTerminal(os.Stdin))
	if terminal {
		cliapp.ReexecWithTimerSlack()
	}
	if err := transport.CheckPlaintext(set.url); err != nil { // before a password is asked for
		return fmt.Errorf("cannot connect to %s: %w", set.url, err)
	}
	login, err := set.login.Credentials(set.url)
	if login.Warnings = append(set.warnings, login.Warnings...); !set.quiet {
		login.Warn(c)
	}
	if err != nil {
		return err
	}
	stdin := os.Stdin
	if args.StdinNull {
		if stdin, err = os.Open(os.DevNull); err != nil {
			return err
		}
	}
	cliapp.PreferWakeups()
	if terminal {
		// A failed write leaves time to restore the terminal; a signal would not.
		signal.Ignore(syscall.SIGPIPE)
	}
	signals := takeSignals() // until the end; otherwise one more would replace the exit code
	code, err := rsh.Run(c.Context, rsh.Options{
		URL:       set.url,
		User:      login.User,
		Password:  login.Password,
		Path:      set.path,
		Unlisted:  unlisted(args.Alias, &set.host),
		Method:    args.TunnelMethod,
		Command:   args.Command,
		Subsystem: args.Subsystem,
		Shell:     set.shell,
		TTY:       terminal,

		Stdin:   stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Env:     set.env(os.Environ(), terminal),
		Signals: signals,
		Escape:  set.escape,

		ConnectTimeout: set.connectTimeout,
		OpenTimeout:    args.RPCTimeout.Value,
		Watch:          tunnel.Watch{Every: set.alive, Count: args.ServerAliveCountMax.Value},
		Quiet:          set.quiet,
		AnyStatus:      args.AllowUnknownStatus,
		Log:            log,
	})
	switch {
	case err != nil && set.silent:
		return cliapp.Exit{Code: 255}
	case err != nil:
		return err
	case code != 0:
		return cliapp.Exit{Code: code}
	}
	return nil
}

// takeSignals catches the signals that end, stop or continue the program or go to the
// remote command, except those that it was started to ignore, as by nohup.
func takeSignals() chan os.Signal {
	taken := make(chan os.Signal, 4)
	for _, sig := range []os.Signal{
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGCONT,
	} {
		if !signal.Ignored(sig) {
			signal.Notify(taken, sig)
		}
	}
	return taken
}
