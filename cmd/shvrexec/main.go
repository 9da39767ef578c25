// Command shvrexec is the helper that shvagent starts for each shell or command.
// It is not for use by hand: it reads what to do from its standard input.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"shvtools/internal/device/rexec"
	"shvtools/internal/device/runas"
	"shvtools/internal/device/runcmd"
	"shvtools/internal/device/sftpd"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/timerslack"
)

func main() {
	cliapp.KeepPrivate() // not of what it starts
	if len(os.Args) > 1 && os.Args[1] == "--"+runas.LimitedFlag {
		limited(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == "--"+runcmd.GuardFlag {
		runcmd.RunGuard(os.Stdin)
		return
	}
	timerslack.OnlyMonitor() // it inherits the agent's slack
	app := &cli.App{
		Name:      "shvrexec",
		Usage:     "runs one remote session for shvagent, which starts it",
		UsageText: "shvrexec [options] <LINE-OF-THE-AGENT",
		Description: `It reads one line of CPON from its standard input, as shvagent writes it, and
runs until its session or its standard input ends.

Example of such a line:
   {"findTunnelResponse":<1:3>i{1:2,2:"127.0.0.1",3:3755,4:"…",5:3,6:2},
    "onConnectedCall":{"method":"runPtyCmd","params":["/bin/bash",80,24]}}   (in one line)`,
		Action: run,
		Flags: append([]cli.Flag{
			// An option of the C++ helper about its log, which the C++ agent gives.
			&cli.BoolFlag{Name: "mtid", Hidden: true},
			// The helper starts itself with this one.
			&cli.BoolFlag{Name: rexec.SFTPFlag, Hidden: true},
		}, cliapp.LogFlags("warn")...),
	}
	os.Exit(cliapp.Main(app, os.Args, cliapp.WithQueuedStderr()))
}

// limited sets the limits of a program and executes it, with this program's standard
// streams. It returns only on an error. 126 is what a shell returns for a file that
// cannot be executed.
func limited(args []string) {
	_, _ = fmt.Fprintln(os.Stderr, "shvrexec:", runas.Limited(args, os.Environ()))
	os.Exit(126)
}

// sessionDefaults makes sessions start with the default action of signals that the
// agent ignores because it was started in the background or by nohup; otherwise
// Ctrl-C would stop nothing. Signals that a program catches have the default action
// in its children. PIPE must not end the helper when the agent, whose streams it
// has, is killed: the helper has to hang up the session.
func sessionDefaults() {
	caught := make(chan os.Signal, 1) // nobody reads it
	signal.Notify(caught, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGPIPE,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU)
}

func run(c *cli.Context) error {
	sessionDefaults()
	cliapp.PreferWakeups()
	if c.Bool(rexec.SFTPFlag) {
		return sftpd.Serve(os.Stdin, os.Stdout)
	}
	log, err := cliapp.LoggerFromFlags(c)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return rexec.Run(c.Context, rexec.Options{In: os.Stdin, Out: os.Stdout, Environ: os.Environ(), Self: self, Log: log})
}
