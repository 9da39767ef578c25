// Command shvbroker is an SHV RPC broker: devices mount themselves in its tree,
// clients call them, and remote sessions pass through it.
package main

import (
	"os"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/daemon"
	"shvtools/internal/broker/pki"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/sdlisten"
	"shvtools/internal/sys/sdnotify"
)

const description = `The configuration is read from --config, else from ` + config.DefaultFile + `
if that exists. HUP and USR1 reload it.

Without a configuration it listens on ` + cliapp.DefaultURL + ` and accepts the
development user iot, whose devices mount below test/. That user is for this
machine: with it, or with another password that everybody knows, the broker
listens on loopback addresses and local sockets only. On other addresses it
listens with ssl and wss only, unless you give --allow-plaintext.

Examples:
   shvbroker
   shvbroker --config shvbroker.yaml --check-config
   shvbroker --config-dir /etc/shvbroker      users.cpon etc. of a C++ broker
   shvbroker --hash-password < password.txt
   shvbroker --init site --name broker.example      an authority and a configuration
   shvbroker --dir site --issue device:pump7        a certificate, for each device its own
   shvbroker --dir site --issue user:eva
   shvbroker --dir site --revoke pump7
   shvbroker --listen tcp://127.0.0.1:4000 --listen 'tcp://[::1]:4000'
   shvbroker --listen ssl://localhost --tls-cert broker.crt --tls-key broker.key
   shvbroker --listen 'ssl://[::]?client-ca=ca.crt&crl=crl.pem' …    verify certificates of clients
   shvbroker --listen 'unix:/run/shvbroker.sock?mode=660'
   shvbroker --listen 'tcp://127.0.0.1?socket=shv'      on the systemd socket named shv
   shvbroker --journal -          each message on stderr, without secrets`

// gcPercent is the default GOGC: by how many percent memory may grow between two
// collections. Forwarding leaves no garbage, so that collections are rare; a higher
// value would only take more memory from the system, with many clients.
const gcPercent = 25

func main() {
	cliapp.ReexecWithTimerSlack()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	app := &cli.App{
		Name:        "shvbroker",
		Usage:       "SHV RPC broker",
		UsageText:   "shvbroker [options]",
		Description: description,
		Action:      run,
		Flags: append(append(cliapp.ConfigFlags(), []cli.Flag{
			&cli.StringFlag{Name: "config-dir", Usage: "read the rights from the CPON files of a C++ broker in `DIR`"},
			&cli.StringFlag{Name: "access-file", Usage: "store rights that are changed at run time in `FILE`"},
			&cli.BoolFlag{
				Name: "hash-password", DisableDefaultText: true,
				Usage: "read a password, print its argon2id hash for the configuration, and exit",
			},
			&cli.StringFlag{
				Name: "init",
				Usage: "make an authority, and a certificate and a configuration for the broker, in a new directory `DIR`, " +
					"and exit",
			},
			&cli.StringSliceFlag{
				Name: "issue",
				Usage: "make or renew a certificate for `WHOM`: device:NAME, user:NAME or broker, and exit; reads --dir; " +
					"repeatable",
			},
			&cli.StringSliceFlag{
				Name: "revoke",
				Usage: "revoke the certificates of a device or user `NAME`, or the one with that serial number, and exit; reads " +
					"--dir; repeatable",
			},
			&cli.BoolFlag{
				Name: "issued", DisableDefaultText: true,
				Usage: "list the certificates that were issued, and exit; reads --dir",
			},
			&cli.StringFlag{
				Name: "dir", Value: ".",
				Usage: "the `DIR` that --init has made",
			},
			&cli.StringSliceFlag{
				Name: "name",
				Usage: "with --init and --issue broker: `HOST,…` by which devices and users reach the broker, names and " +
					"addresses; default: this machine's name, or as before",
			},
			&cli.StringFlag{Name: "mount", Usage: "with --issue device:NAME: its mount point, instead of site/NAME"},
			&cli.StringFlag{
				Name: "role", DefaultText: pki.DefaultRole,
				Usage: "with --issue user:NAME: a role in the broker's configuration",
			},
			&cli.StringSliceFlag{
				Name: "listen",
				Usage: "listen on `URL`: tcp://HOST:PORT, ssl://…, tcps://…, ws://…, wss://… or unix:PATH; repeatable; " +
					"port 0: any free one",
			},
			&cli.StringFlag{
				Name:  "tls-cert",
				Usage: "certificate of ssl and wss listeners: `FILE` in PEM, with the intermediate ones",
			},
			&cli.StringFlag{Name: "tls-key", Usage: "private key of --tls-cert: `FILE` in PEM"},
			&cli.BoolFlag{
				Name: "allow-plaintext", DisableDefaultText: true,
				Usage: "listen on tcp and ws also off loopback, where everyone on the path can read along",
			},
			&cli.StringFlag{
				Name:  "journal",
				Usage: "write each message to `FILE`, - for stderr, without secrets and keystrokes",
			},
			&cli.BoolFlag{
				Name: "journal-unsafe", DisableDefaultText: true,
				Usage: "show everything in the journal, also passwords and keystrokes",
			},
			cliapp.AuditFlag(),
			&cli.StringFlag{
				Name: "metrics-listen",
				Usage: "serve /metrics, /healthz and /readyz over HTTP on `HOST:PORT`, such as 127.0.0.1:9375, or on " +
					"socket:NAME; without a login",
			},
			&cli.StringFlag{
				Name: "drain-grace", DefaultText: config.DefaultText("drain.grace"),
				Usage: "after TERM, let open sessions go on for `TIME` and accept no new ones; a second TERM ends them " +
					"at once",
			},
			&cli.StringFlag{
				Name: "drain-spread", DefaultText: config.DefaultText("drain.spread"),
				Usage: "after that, close connections at random moments within `TIME`",
			},
			cliapp.ReadyFileFlag(),
		}...), cliapp.LogFlags("info")...),
	}
	os.Exit(cliapp.Main(app, os.Args, cliapp.WithQueuedStderr()))
}

func run(c *cli.Context) error {
	if c.Args().Present() {
		return cliapp.Usagef("unexpected argument %q", c.Args().First())
	}
	if c.Bool("hash-password") {
		return hashPassword(c)
	}
	if task, err := authorityTask(c); task != nil || err != nil {
		if err == nil {
			err = task()
		}
		return err
	}
	log, err := cliapp.LoggerFromFlags(c)
	if err != nil {
		return err
	}
	sockets, err := sdlisten.FromEnviron(os.Getenv, os.Unsetenv)
	if err != nil {
		return err
	}
	s := settings{command: c, log: log}
	if err := s.load(); err != nil {
		return err
	}
	if cliapp.ShowsConfig(c) {
		return s.show()
	}
	metrics, err := s.give(sockets)
	if err != nil {
		return err
	}
	journal, err := journalFromFlags(c)
	if err != nil {
		return err
	}
	trail, closeTrail, err := cliapp.OpenAudit(c.Context, "shvbroker", s.config.Audit, log)
	if err != nil {
		return err
	}
	defer closeTrail()
	address, urls := advertised(s.config.Advertise)
	cliapp.OutliveReaders()
	err = daemon.Run(c.Context, daemon.Options{
		Config:  s.config,
		Sources: s.sources,
		Check:   s.check,

		Listen:        s.listen,
		Metrics:       metrics,
		Limits:        s.config.Limits,
		Advertise:     address,
		AdvertiseURLs: urls,

		Journal:   journal,
		Audit:     trail,
		ReadyFile: c.String(cliapp.FlagReadyFile),

		Version: cliapp.Version(),
		Commit:  cliapp.Commit(),
		Notify:  sdnotify.FromEnviron(os.Getenv),
		Log:     log,
		LogLost: func() uint64 { return cliapp.LogLost(c) },
	})
	return cliapp.ConfigError(c, err)
}

// journalFromFlags reads --journal and --journal-unsafe.
func journalFromFlags(c *cli.Context) (daemon.Journal, error) {
	j := daemon.Journal{File: c.String("journal"), Unsafe: c.Bool("journal-unsafe")}
	switch {
	case j.File == "" && j.Unsafe:
		return j, cliapp.Usagef("--journal-unsafe goes with --journal")
	case j.File == "-":
		j.File, j.Stream = "", c.App.ErrWriter // which is queued
	}
	return j, nil
}
