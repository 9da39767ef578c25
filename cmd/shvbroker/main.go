// Command shvbroker is an SHV RPC broker: devices mount themselves in its tree,
// clients call them, and shells find their way through it.
package main

import (
	"os"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/daemon"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/sdlisten"
	"shvtools/internal/sys/sdnotify"
)

const description = `The configuration is read from --config, else from ` + config.DefaultFile + `
where that is there; docs/broker.md describes it. HUP and USR1 read it again.

Without one it listens on ` + cliapp.DefaultURL + ` and lets in the
development user iot, whose devices may mount themselves below test/. That user
is for this machine alone: other than loopback addresses and local sockets are
refused, as they are with passwords that everybody knows. Off loopback only ssl and wss
are listened on, unless --allow-plaintext is given.

Examples:
   shvbroker
   shvbroker --config shvbroker.yaml --check-config
   shvbroker --config-dir /etc/shvbroker      users.cpon and so on of a C++ broker
   shvbroker --hash-password < password.txt
   shvbroker --listen tcp://127.0.0.1:4000 --listen 'tcp://[::1]:4000'
   shvbroker --listen ssl://localhost --tls-cert broker.crt --tls-key broker.key
   shvbroker --listen 'ssl://[::]?client-ca=ca.crt&crl=crl.pem' …    judge certificates of clients
   shvbroker --listen 'unix:/run/shvbroker.sock?mode=660'
   shvbroker --listen 'tcp://127.0.0.1?socket=shv'      on the socket shv of systemd
   shvbroker --journal -          each message on stderr, secrets left out`

// gcPercent is the default GOGC: by how many percent memory may grow between two
// collections. Forwarding leaves no garbage, so that collections are rare; a higher
// value would only take more memory from the system, with many clients.
const gcPercent = 25

func main() {
	cliapp.Calm()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	app := &cli.App{
		Name:        "shvbroker",
		Usage:       "SHV RPC broker",
		UsageText:   "shvbroker [options]",
		Description: description,
		Action:      run,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "config", Usage: "read the configuration from `FILE`"},
			&cli.StringFlag{Name: "config-dir", Usage: "read the rights from the CPON files of a C++ broker in `DIR`"},
			&cli.StringFlag{Name: "access-file", Usage: "keep rights that are changed at run time in `FILE`"},
			&cli.BoolFlag{Name: "check-config", DisableDefaultText: true, Usage: "tell what is wrong with the configuration, and end"},
			&cli.BoolFlag{Name: "print-config", DisableDefaultText: true, Usage: "print the configuration with the source of each value, without passwords, and end"},
			&cli.BoolFlag{Name: "hash-password", DisableDefaultText: true, Usage: "read a password, print its argon2id hash for the configuration, and end"},
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `URL`: tcp://HOST:PORT, ssl://…, tcps://…, ws://…, wss://… or unix:PATH; may be given several times; port 0 is any free one"},
			&cli.StringFlag{Name: "tls-cert", Usage: "show the certificate in `FILE` (PEM, with those between it and its root) at ssl and wss listeners"},
			&cli.StringFlag{Name: "tls-key", Usage: "its private key is in `FILE`"},
			&cli.BoolFlag{Name: "allow-plaintext", DisableDefaultText: true, Usage: "listen on tcp off loopback, where everyone on the way can read along"},
			&cli.StringFlag{Name: "journal", Usage: "write each message to `FILE`, - for stderr; secrets and what is typed are left out"},
			&cli.BoolFlag{Name: "journal-unsafe", DisableDefaultText: true, Usage: "let the journal show everything, passwords and keystrokes too"},
			&cli.StringFlag{Name: "metrics-listen", Usage: "serve /metrics, /healthz and /readyz over HTTP on `HOST:PORT`, as 127.0.0.1:9375, or on socket:NAME; to whoever can reach it"},
			&cli.DurationFlag{Name: "drain-grace", DefaultText: "10s", Usage: "let open tunnels go on for `TIME` after TERM, none new; a second TERM ends at once"},
			&cli.DurationFlag{Name: "drain-spread", DefaultText: "0s", Usage: "close connections then at random moments within `TIME`"},
			cliapp.ReadyFileFlag(),
		}, cliapp.LogFlags("info")...),
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
	if c.Bool("check-config") || c.Bool("print-config") {
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
	address, urls := advertised(s.config.Advertise)
	cliapp.OutliveReaders()
	return daemon.Run(c.Context, daemon.Options{
		Config:  s.config,
		Sources: s.sources,
		Check:   s.check,

		Listen:        s.listenSpecs(),
		Metrics:       metrics,
		Limits:        limits(s.config.Limits),
		Advertise:     address,
		AdvertiseURLs: urls,

		Journal:   journal,
		ReadyFile: c.String(cliapp.FlagReadyFile),

		Version: cliapp.Version(),
		Commit:  cliapp.Commit(),
		Notify:  sdnotify.FromEnviron(os.Getenv),
		Log:     log,
	})
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

// listenSpecs are the places to listen at.
func (s *settings) listenSpecs() (all []daemon.ListenSpec) {
	for _, d := range s.listen {
		all = append(all, daemon.ListenSpec{URL: d.url, TLS: d.tls, At: d.at})
	}
	return all
}
