// Command shvagent mounts a device in an SHV broker's tree and starts a helper,
// shvrexec, for each shell or command that is asked for.
package main

import (
	"context"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/config"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/sdnotify"
)

const description = `Without arguments it mounts this machine as test/agent at the broker on
` + cliapp.DefaultURL + `. It connects again by itself, for as long as it runs.

The configuration is read from --config, else from ` + config.DefaultFile + ` or
~/.config/shv/shvagent.yaml where one is there; docs/agent.md describes it: who
may do what, and within which limits. A flag goes before the environment, and
that before the file.

TERM and INT end it: new sessions and calls are refused, and running ones may go
on for --drain. A second signal ends them at once.

Examples:
   shvagent
   shvagent --url tcp://pump7@broker:3755 --mount test/pump7 --password-file /etc/shv/password
   shvagent --url 'ssl://pump7@broker?ca=/etc/shv/ca.pem&devmount=test/pump7'
   shvagent --url 'ssl://broker?cert=pump7.pem&key=pump7.key' --mount test/pump7     no password
   shvagent --url tcp://broker:3755 --url tcp://spare:3755
   shvagent --sysfs-rootdir /srv/pump --fs-read-only
   shvagent --config shvagent.yaml --check-config
   shvagent status`

// spareThreads are enough for the agent to refuse sessions, and to run a few
// commands, while the device has no processes left. They take some 20 KiB each.
const spareThreads = 16

func main() {
	cliapp.Calm() // each heartbeat would have the monitor thread wake up some fifty times
	app := &cli.App{
		Name:        "shvagent",
		Usage:       "makes this machine a device of an SHV broker, with a remote shell",
		UsageText:   "shvagent [options] [status]",
		Description: description,
		Action:      run,
		Commands:    []*cli.Command{statusCommand()},
		// shvagent has no page of help for each word that is none of its commands.
		HideHelpCommand: true,
		Flags:           append(append(append(flags(), serviceFlags()...), loginFlags()...), cliapp.LogFlags("info")...),
	}
	os.Exit(cliapp.Main(app, os.Args, cliapp.WithQueuedStderr()))
}

func flags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Usage: "read the configuration from `FILE`"},
		&cli.BoolFlag{Name: "check-config", DisableDefaultText: true, Usage: "tell what is wrong with the configuration, or what it means, and end"},
		&cli.BoolFlag{Name: "print-config", DisableDefaultText: true, Usage: "print the configuration with the source of each value, and end"},
		&cli.StringFlag{Name: "mount", Aliases: []string{"m", "mount-point"}, DefaultText: "test/agent", Usage: "mount the device at `PATH`"},
		&cli.StringFlag{Name: "device-id", Aliases: []string{"id"}, Usage: "tell the broker that the device is `ID`"},
		&cli.StringFlag{Name: "shvrexec", Usage: "start `FILE` for each session; without it, the shvrexec beside this program"},
		&cli.StringFlag{Name: "heartbeat", DefaultText: agent.DefaultHeartbeat.String(), Usage: "ping the broker every `TIME`"},
		&cli.StringFlag{Name: "drain", DefaultText: "0s", Usage: "when stopped, let sessions and calls go on for `TIME`"},
		&cli.StringFlag{Name: "socket", Usage: "answer shvagent status at `FILE`, none for nowhere; without it, /run/shvagent.sock or $XDG_RUNTIME_DIR/shvagent.sock"},
		&cli.StringFlag{Name: "conn-status-file", Aliases: []string{"cf"}, DefaultText: "/tmp/shvagent/conn-status.txt", Usage: "write 1 to `FILE` while connected, else 0; see the next one"},
		&cli.StringFlag{Name: "conn-status-update-interval", Aliases: []string{"cu"}, DefaultText: "0", Usage: "write it every `TIME`; 0: never"},
		cliapp.ReadyFileFlag(),
	}
}

// loginFlags are those of all clients, but --url may be given several times.
func loginFlags() []cli.Flag {
	all := cliapp.LoginFlags()
	for i, flag := range all {
		if flag.Names()[0] == cliapp.FlagURL {
			all[i] = &cli.StringSliceFlag{
				Name:  cliapp.FlagURL,
				Usage: "connect to the broker at `URL`; given several times, to the first of them that works; without it, " + cliapp.DefaultURL + " [$SHV_URL]",
			}
		}
	}
	return all
}

func run(c *cli.Context) error {
	if c.Args().Present() {
		return cliapp.Usagef("unexpected argument %q", c.Args().First())
	}
	log, err := cliapp.LoggerFromFlags(c)
	if err != nil {
		return err
	}
	config, err := load(c)
	if err != nil {
		return err
	}
	if c.Bool("check-config") || c.Bool("print-config") {
		return show(c, config)
	}
	places, err := brokers(c, config)
	if err != nil {
		return err
	}
	helper, err := helperPath(c.String("shvrexec"))
	if err != nil {
		return err
	}
	if err := checkHelper(helper); err != nil {
		log.Warn().Err(err).Msg("the helper cannot be run; put shvrexec beside shvagent, or name it with --shvrexec")
	}
	if file := c.String(cliapp.FlagReadyFile); file != "" {
		defer os.Remove(file) // who reads it later would be led astray
	}
	cliapp.OutliveReaders()
	cliapp.SpareThreads(spareThreads)
	told, stopTelling := tell(c.Context, config, log)
	defer stopTelling()
	defer notify(c.Context, told, config.Drain, log)()
	cut, stopWatching := secondSignal()
	defer stopWatching()
	ptyproc.DefaultSignals() // of commands
	o := agent.Options{
		Brokers:    places,
		MountPoint: config.Mount,
		DeviceID:   config.DeviceID,
		Heartbeat:  config.Heartbeat,
		Timeout:    config.Timeout,
		Helper:     helper,
		Environ:    helperEnviron(os.Environ()),
		Version:    cliapp.Version(),
		Policy:     config.Policy,
		Sessions:   agent.Sessions{Total: config.Total, PerUser: config.PerUser},
		Drain:      config.Drain,
		Cut:        cut,
		Status:     told,
		Log:        log,
		Ready: func() error {
			if file := c.String(cliapp.FlagReadyFile); file != "" {
				return cliapp.WriteReadyFile(file, []string{config.URLs[0].String()})
			}
			return nil
		},
	}
	if err := setServices(c, config, &o); err != nil {
		return err
	}
	return agent.Run(c.Context, o)
}

// tell serves the status of the agent. That it cannot is no reason not to run.
func tell(ctx context.Context, config *config.Config, log zerolog.Logger) (*agent.Status, func()) {
	told := agent.NewStatus(time.Now)
	stopSocket := func() {}
	if path := socketPath(config); path != "" {
		stop, err := told.ServeStatus(path)
		if err != nil {
			log.Warn().Err(err).Msg("`shvagent status` will not reach this agent")
		} else {
			stopSocket = stop
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var writing sync.WaitGroup
	if config.StatusEvery > 0 {
		writing.Go(func() {
			told.WriteStatus(ctx, config.StatusFile, config.StatusEvery, func(err error) {
				log.Warn().Err(err).Msg("the file of the connection's status cannot be written")
			})
		})
	}
	return told, func() {
		cancel()
		writing.Wait()
		stopSocket()
	}
}

// endWait is what the end of the agent takes when its sessions have had their time,
// and more.
const endWait = 20 * time.Second

// notify tells systemd how the agent is, where it asks for that, until the function
// that it returns is called. A device that finds no broker is up: whoever waits for
// the agent to be ready must not wait for a network.
func notify(ctx context.Context, told *agent.Status, drain time.Duration, log zerolog.Logger) (stop func()) {
	systemd := sdnotify.FromEnviron(os.Getenv)
	begun := false
	told.Tell(func(text string) {
		tell := systemd.Status
		if !begun {
			begun, tell = true, systemd.Ready
		}
		if err := tell(text); err != nil {
			log.Warn().Err(err).Msg("systemd was not told")
		}
	})
	said := make(chan struct{})
	unregister := context.AfterFunc(ctx, func() {
		defer close(said)
		_ = systemd.Stopping("stopping", drain+endWait)
	})
	watch, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { systemd.Watch(watch, told.Healthy) })
	return func() {
		if !unregister() {
			<-said
		}
		cancel()
		watching.Wait()
	}
}

// secondSignal closes cut at the second signal that asks the agent to end: the
// first one lets sessions go on for a time.
func secondSignal() (cut <-chan struct{}, stop func()) {
	second, ended := make(chan struct{}), make(chan struct{})
	received := make(chan os.Signal, 2)
	for _, s := range []os.Signal{syscall.SIGINT, syscall.SIGTERM} {
		if !signal.Ignored(s) {
			signal.Notify(received, s)
		}
	}
	var watch sync.WaitGroup
	watch.Go(func() {
		for range 2 {
			select {
			case <-received:
			case <-ended:
				return
			}
		}
		close(second)
	})
	return second, func() {
		signal.Stop(received)
		close(ended)
		watch.Wait()
	}
}

// helperEnviron is our environment without what configures us: neither a helper
// nor its sessions have any business with the agent's password, or with what systemd
// has told this service alone.
func helperEnviron(environ []string) []string {
	var kept []string
	for _, v := range environ {
		name, _, _ := strings.Cut(v, "=")
		switch {
		case strings.HasPrefix(name, "SHV_") && !strings.HasPrefix(name, "SHV_LOG_"),
			slices.Contains(ofService, name):
		default:
			kept = append(kept, v)
		}
	}
	return kept
}

// ofService are the variables by which systemd talks to one service (systemd.exec(5)).
var ofService = []string{
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "MAINPID", "INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID",
	"STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
}
