// Command shvrsh opens a shell on a device behind an SHV broker, or runs one
// command there, as ssh does.
package main

import (
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"shvtools/internal/cliapp"
	"shvtools/internal/rsh"
	"shvtools/internal/tty"
	"shvtools/internal/tunnel"
)

const description = `PATH is where the device's agent is mounted. With a COMMAND, its words are
joined by spaces and run by the device's shell, without a terminal.

The exit code is the remote command's own, 128+n when signal n ended it, and 255
when shvrsh itself failed.

Examples:
   shvrsh test/agent                         a shell
   shvrsh test/agent uname -a                one command
   tar c . | shvrsh test/agent 'tar x -C /tmp'
   shvrsh --url tcp://eva@broker:3755 test/pump7`

func main() {
	app := &cli.App{
		Name:        "shvrsh",
		Usage:       "remote shell on a device behind an SHV broker",
		UsageText:   "shvrsh [options] PATH [COMMAND...]",
		Description: description,
		Action:      run,
		Flags:       append(cliapp.LoginFlags(), cliapp.LogFlags("warn")...),
	}
	// Which signals reach the remote command is the session's decision.
	os.Exit(cliapp.Main(app, os.Args, cliapp.WithCodes(cliapp.SSHCodes()), cliapp.WithSignals()))
}

func run(c *cli.Context) error {
	if !c.Args().Present() {
		return cliapp.Usagef("the PATH of a device is missing, such as test/agent")
	}
	log, err := cliapp.LoggerFromFlags(c)
	if err != nil {
		return err
	}
	u, err := cliapp.BrokerURL(c)
	if err != nil {
		return err
	}
	login, err := cliapp.Credentials(c, u)
	if err != nil {
		return err
	}
	cliapp.PreferWakeups()
	command := commandWords(c.Args().Tail())
	terminal := len(command) == 0 && tty.IsTerminal(os.Stdin)
	if terminal {
		// As a failed write it leaves time to restore the terminal.
		signal.Ignore(syscall.SIGPIPE)
	}
	signals := takeSignals()
	defer signal.Stop(signals)
	code, err := rsh.Run(c.Context, rsh.Options{
		URL:      u,
		User:     login.User,
		Password: login.Password,
		Path:     c.Args().First(),
		Command:  command,
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		Env:      offeredEnv(os.Environ(), terminal),
		Signals:  signals,
		Log:      log,
	})
	switch {
	case err != nil:
		return err
	case code != 0:
		return cliapp.Exit{Code: code}
	}
	return nil
}

// commandWords leaves out a "--" before the command, as ssh does.
func commandWords(words []string) []string {
	if len(words) > 0 && words[0] == "--" {
		return words[1:]
	}
	return words
}

// takeSignals takes the signals that end us or go to the remote command, but for
// those that we were started to ignore, as by nohup.
func takeSignals() chan os.Signal {
	taken := make(chan os.Signal, 4)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(sig) {
			signal.Notify(taken, sig)
		}
	}
	return taken
}

// offeredEnv is what of our environment the device may take over: the language,
// and what the terminal can do.
func offeredEnv(environ []string, terminal bool) (env []tunnel.EnvVar) {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		language := name == "LANG" || strings.HasPrefix(name, "LC_")
		if language || terminal && (name == "TERM" || name == "COLORTERM") {
			env = append(env, tunnel.EnvVar{Name: name, Value: value})
		}
	}
	return env
}
