// Command shvbroker is an SHV RPC broker: devices mount themselves in its tree,
// clients call them, and shells find their way through it.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
	"shvtools/internal/broker/core"
	"shvtools/internal/broker/journal"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/sdlisten"
	"shvtools/internal/sys/sdnotify"
	"shvtools/internal/wire/transport"
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

// garbage is by how many percent memory may grow between two collections. What a
// broker carries becomes no garbage, so collections are rare; more would be taken
// from the system for nothing, with many clients.
const garbage = 25

func main() {
	cliapp.Calm()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
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
	cliapp.OutliveReaders()
	records, closeJournal, err := openJournal(c, log)
	if err != nil {
		return err
	}
	defer closeJournal()
	listeners, err := listen(c.Context, s.listen)
	if err != nil {
		return err
	}
	var b *core.Broker
	var reload reloading
	rights := config.NewRights(s.sources, s.config, s.check, func(d *auth.Directory) { b.Apply(d) })
	tables := make(map[string]core.RightsTable)
	for path, table := range rights.Tables() {
		tables[path] = table
	}
	address, urls := advertised(s.config.Advertise)
	b = core.New(core.Options{
		Users:   auth.NewStore(s.config.Directory),
		Rights:  tables,
		Reload:  func() error { return reload.reload() },
		Log:     log,
		Journal: records,
		Name:    s.config.Name,
		Version: cliapp.Version(),
		Commit:  cliapp.Commit(),
		Limits:  limits(s.config.Limits),

		Advertise:     address,
		AdvertiseURLs: urls,
	})
	up, err := newParents(s.config.Connections, b, log)
	if err != nil {
		return err
	}
	notify := sdnotify.FromEnviron(os.Getenv)
	files := newFileWatch(listeners, log)
	reload = reloading{b, rights, listeners, files, notify, log}
	defer watchReload(reload)()
	defer up.run(c.Context)()
	return serving{
		broker: b, listeners: listeners, readyFile: c.String(cliapp.FlagReadyFile), development: s.config.Development,
		operation: s.config.Operation, up: up, metrics: metrics, files: files, notify: notify, log: log,
	}.run(c.Context)
}

// openJournal opens what --journal names.
func openJournal(c *cli.Context, log zerolog.Logger) (j *journal.Writer, closing func(), err error) {
	unsafe := c.Bool("journal-unsafe")
	switch name := c.String("journal"); name {
	case "":
		if unsafe {
			return nil, nil, cliapp.Usagef("--journal-unsafe goes with --journal")
		}
		return nil, func() {}, nil
	case "-": // its queue is that of the log
		return journal.New(c.App.ErrWriter, unsafe), func() {}, nil
	default:
		f, err := openJournalFile(name, log)
		if err != nil {
			return nil, nil, fmt.Errorf("journal: %w", err)
		}
		return journal.New(f.queue, unsafe), f.close, nil
	}
}

// listen opens all listeners, or none.
func listen(ctx context.Context, doors []door) (listeners []*transport.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
		}
	}()
	for _, d := range doors {
		d.tls.OnlyIPv6 = splits(d, doors)
		l, err := transport.Listen(ctx, d.url, d.tls)
		if err != nil {
			return listeners, fmt.Errorf("cannot listen on %s (%s): %w", d.url, d.at, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// splits tells whether a listener on [::], to which IPv4 comes too, must leave that to
// another one of the same port.
func splits(d door, all []door) bool {
	return d.url.Host == "::" && slices.ContainsFunc(all, func(other door) bool {
		return other.url.Host == "0.0.0.0" && other.url.Port == d.url.Port && d.url.Port != "0" && other.tls.Socket == nil
	})
}
