// Command shvagent mounts a device in an SHV broker's tree and starts a helper,
// shvrexec, for each shell or command that is requested.
package main

import (
	"cmp"
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
)

const description = `Without arguments it mounts this machine as test/agent at the broker on
` + cliapp.DefaultURL + `. It reconnects by itself for as long as it runs.

The configuration is read from --config, else from ` + config.DefaultFile + ` or
~/.config/shv/shvagent.yaml if one of them exists. It says who may do what, and
within which limits. A flag takes precedence over the environment, and that over
the file.

HUP puts a changed policy (rules, defaults, sessions, drain) in force: sessions that it
no longer allows end. A file with a fault changes nothing.

TERM and INT end the agent: it refuses new sessions and calls, and running ones may
go on for --drain. A second signal ends them at once.

Examples:
   shvagent
   shvagent --url 'ssl://pump7@broker?ca=/etc/shv/ca.pem' --mount test/pump7 --password-file /etc/shv/password
   shvagent --url 'ssl://pump7@broker?ca=/etc/shv/ca.pem&devmount=test/pump7'
   shvagent --url 'unix:/run/shvbroker/broker.sock?owner=shvbroker'     a broker on this machine
   shvagent --url 'ssl://broker?cert=pump7.pem&key=pump7.key' --mount test/pump7     no password
   shvagent --url ssl://broker --url ssl://spare
   shvagent --sysfs-rootdir /srv/pump --fs-read-only
   shvagent --config shvagent.yaml --check-config
   shvagent status`

// spareThreads are enough for the agent to refuse sessions, and to run a few commands,
// while the device can start no processes. Each takes some 20 KiB.
const spareThreads = 16

func main() {
	cliapp.KeepPrivate()
	cliapp.ReexecWithTimerSlack() // otherwise each heartbeat wakes the monitor thread some fifty times
	app := &cli.App{
		Name:        "shvagent",
		Usage:       "makes this machine a device of an SHV broker, with a remote shell",
		UsageText:   "shvagent [options] [status]",
		Description: description,
		Action:      run,
		Commands:    []*cli.Command{statusCommand()},
		Flags:       append(append(append(flags(), serviceFlags()...), loginFlags()...), cliapp.LogFlags("info")...),
	}
	os.Exit(cliapp.Main(app, os.Args, cliapp.WithQueuedStderr()))
}

func flags() []cli.Flag {
	return append(cliapp.ConfigFlags(), []cli.Flag{
		&cli.StringFlag{
			Name: "mount", Aliases: []string{"m", "mount-point"}, DefaultText: config.DefaultText("connection.mount"),
			Usage: "mount the device at `PATH`",
		},
		&cli.StringFlag{Name: "device-id", Aliases: []string{"id"}, Usage: "log in to the broker with the device id `ID`"},
		&cli.StringFlag{
			Name:  "shvrexec",
			Usage: "start `FILE` for each session; without it, the shvrexec beside this program",
		},
		&cli.StringFlag{
			Name: "heartbeat", DefaultText: config.DefaultText("connection.heartbeat"),
			Usage: "ping the broker every `TIME`",
		},
		&cli.StringFlag{
			Name: "drain", DefaultText: config.DefaultText("drain"),
			Usage: "when stopped, let sessions and calls go on for `TIME`",
		},
		&cli.StringFlag{
			Name: "socket",
			Usage: "use the socket `FILE` for shvagent status, or none; without it, /run/shvagent.sock or " +
				"$XDG_RUNTIME_DIR/shvagent.sock",
		},
		&cli.StringFlag{
			Name: "conn-status-file", Aliases: []string{"cf"}, DefaultText: config.DefaultText("conn-status-file"),
			Usage: "write 1 to `FILE` while connected, else 0, every --conn-status-update-interval",
		},
		&cli.StringFlag{
			Name: "conn-status-update-interval", Aliases: []string{"cu"},
			DefaultText: config.DefaultText("conn-status-update-interval"),
			Usage:       "write --conn-status-file every `TIME`; 0: never",
		},
		cliapp.AuditFlag(),
		cliapp.ReadyFileFlag(),
	}...)
}

// loginFlags are the login flags of all clients, but --url is repeatable.
func loginFlags() []cli.Flag {
	all := cliapp.LoginFlags()
	for i, flag := range all {
		if flag.Names()[0] == cliapp.FlagURL {
			all[i] = &cli.StringSliceFlag{
				Name: cliapp.FlagURL,
				Usage: "connect to the broker at `URL`; repeatable: to the first one that works; without it, " +
					cliapp.DefaultURL + " [$SHV_URL]",
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
	hups := hangups()
	config, err := load(c)
	if err != nil {
		return err
	}
	if cliapp.ShowsConfig(c) {
		return show(c, config)
	}
	if err := refused(config); err != nil {
		return cliapp.ConfigError(c, err)
	}
	for _, text := range config.Warnings {
		log.Warn().Str("warning", text).Msg("configuration: warning")
	}
	if text := passwordFileUnused(config); text != "" {
		log.Warn().Str("warning", text).Msg("configuration: warning")
	}
	for _, text := range cautions(config, false) {
		log.Warn().Str("warning", text).Msg("connection: warning")
	}
	warn := func(text string) { log.Warn().Str("warning", text).Msg("connection: warning") }
	places, err := brokers(c, config, false, warn)
	if err != nil {
		return err
	}
	helper, err := helperPath(c.String("shvrexec"))
	if err != nil {
		return err
	}
	if err := checkHelper(helper); err != nil {
		log.Warn().Err(err).Msg("shvrexec cannot be run; put it beside shvagent, or name it with --shvrexec")
	}
	if file := c.String(cliapp.FlagReadyFile); file != "" {
		defer os.Remove(file) // it would mislead later readers
	}
	cliapp.OutliveReaders()
	cliapp.SpareThreads(spareThreads)
	told, stopTelling := tell(c.Context, config, log)
	defer stopTelling()
	trail, closeTrail, err := cliapp.OpenAudit(c.Context, "shvagent", config.Audit, log)
	if err != nil {
		return err
	}
	defer closeTrail()
	inForce := agent.NewInForce(terms(config, places))
	systemd, stopNotifying := notify(c.Context, told, inForce, log)
	defer stopNotifying()
	reloads := &reloading{
		command: c, started: config, now: config, inForce: inForce, systemd: systemd, audit: trail, log: log,
	}
	defer reloads.watch(hups)()
	cut, stopWatching := secondSignal()
	defer stopWatching()
	ptyproc.DefaultSignals() // of commands
	o := agent.Options{
		MountPoint: config.Mount,
		DeviceID:   config.DeviceID,
		Heartbeat:  config.Heartbeat,
		Timeout:    config.Timeout,
		Helper:     helper,
		Environ:    helperEnviron(os.Environ()),
		Version:    cliapp.Version(),
		InForce:    inForce,
		Cut:        cut,
		Status:     told,
		Audit:      trail,
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

// sessions are the limits of sessions. Those of one user by default ask nobody for a user
// id; those that the file sets do.
func sessions(config *config.Config) agent.Sessions {
	limits := agent.Sessions{Total: config.Total, PerUser: config.PerUser}
	if !config.NeedsUser() {
		limits.PerUser, limits.Reserve = 0, config.Total-cmp.Or(config.PerUser, config.Total)
	}
	return limits
}

// tell serves the status of the agent. Failing to do so is no reason to end.
func tell(ctx context.Context, config *config.Config, log zerolog.Logger) (*agent.Status, func()) {
	told := agent.NewStatus(time.Now)
	stopSocket := func() {}
	if path := socketPath(config); path != "" {
		stop, err := told.ServeStatus(path)
		if err != nil {
			log.Warn().Err(err).Msg("status socket: not served; `shvagent status` cannot reach this agent")
		} else {
			stopSocket = stop
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var writing sync.WaitGroup
	if config.StatusEvery > 0 {
		writing.Go(func() {
			told.WriteStatus(ctx, config.StatusFile, config.StatusEvery, func(err error) {
				log.Warn().Err(err).Msg("status file: write failed")
			})
		})
	}
	return told, func() {
		cancel()
		writing.Wait()
		stopSocket()
	}
}

// secondSignal closes cut at the second signal that asks the agent to end. The first one
// lets sessions go on for a time.
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

// helperEnviron returns the environment without what configures the agent: helpers and
// their sessions must not see its password, or what systemd tells this service alone.
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
	"STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY", "RUNTIME_DIRECTORY",
	"CREDENTIALS_DIRECTORY", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE",
	"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", "FDSTORE",
}
