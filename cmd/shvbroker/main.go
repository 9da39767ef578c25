// Command shvbroker is an SHV RPC broker: devices mount themselves in its tree,
// clients call them, and shells find their way through it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/auth"
	"shvtools/internal/broker"
	"shvtools/internal/cliapp"
	"shvtools/internal/journal"
	"shvtools/internal/transport"
)

const description = `Without arguments it listens on ` + cliapp.DefaultURL + ` and lets in the
development user iot, whose devices may mount themselves below test/. That user
is for this machine alone: other than loopback addresses are refused.

Examples:
   shvbroker
   shvbroker --listen tcp://127.0.0.1:4000 --listen 'tcp://[::1]:4000'
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
			&cli.StringSliceFlag{Name: "listen", Usage: "listen on `URL`, tcp://HOST:PORT; may be given several times; port 0 is any free one"},
			&cli.StringFlag{Name: "journal", Usage: "write each message to `FILE`, - for stderr; secrets and what is typed are left out"},
			&cli.BoolFlag{Name: "journal-unsafe", DisableDefaultText: true, Usage: "let the journal show everything, passwords and keystrokes too"},
			cliapp.ReadyFileFlag(),
		}, cliapp.LogFlags("info")...),
	}
	os.Exit(cliapp.Main(app, os.Args))
}

func run(c *cli.Context) error {
	if c.Args().Present() {
		return cliapp.Usagef("unexpected argument %q", c.Args().First())
	}
	log, err := cliapp.LoggerFromFlags(c)
	if err != nil {
		return err
	}
	texts := c.StringSlice("listen")
	if len(texts) == 0 {
		texts = []string{cliapp.DefaultURL}
	}
	records, closeJournal, err := openJournal(c, log)
	if err != nil {
		return err
	}
	defer closeJournal()
	listeners, err := listen(c.Context, texts)
	if err != nil {
		return err
	}
	b := broker.New(broker.Options{
		Users:   auth.NewStore(auth.Development()),
		Log:     log,
		Journal: records,
		Version: cliapp.Version(),
	})
	return serve(c.Context, b, listeners, c.String(cliapp.FlagReadyFile), log)
}

// openJournal opens what --journal names.
func openJournal(c *cli.Context, log zerolog.Logger) (j *journal.Writer, closing func(), err error) {
	var w io.Writer
	closing = func() {}
	switch name := c.String("journal"); name {
	case "":
		if c.Bool("journal-unsafe") {
			return nil, nil, cliapp.Usagef("--journal-unsafe goes with --journal")
		}
		return nil, closing, nil
	case "-":
		w = c.App.ErrWriter
	default:
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, nil, fmt.Errorf("journal: %w", err)
		}
		w, closing = f, func() { _ = f.Close() }
	}
	return journal.New(&watchedWriter{w: w, log: log}, c.Bool("journal-unsafe")), closing, nil
}

// watchedWriter tells the log when writing begins to fail, as on a full disk: what
// the journal lacks then, nobody could see in it.
type watchedWriter struct {
	w       io.Writer
	log     zerolog.Logger
	failing bool
}

func (w *watchedWriter) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if failing := err != nil; failing != w.failing {
		w.failing = failing
		w.log.Error().Err(err).Bool("failing", failing).Msg("journal: writing has begun or ceased to fail")
	}
	return n, err
}

// listen opens all listeners, or none.
func listen(ctx context.Context, texts []string) (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
		}
	}()
	for _, text := range texts {
		u, err := transport.ParseURL(text)
		if err != nil {
			return listeners, cliapp.UsageError{Err: fmt.Errorf("--listen: %w", err)}
		}
		if !u.IsLoopback() {
			return listeners, cliapp.Usagef("--listen %s: the development user may be let in on loopback only, such as %s", u, cliapp.DefaultURL)
		}
		l, err := transport.Listen(ctx, u)
		if err != nil {
			return listeners, fmt.Errorf("cannot listen on %s: %w", u, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// serve runs the broker until ctx ends.
func serve(ctx context.Context, b *broker.Broker, listeners []net.Listener, readyFile string, log zerolog.Logger) error {
	failed := make(chan error, len(listeners))
	var urls []string
	for _, l := range listeners {
		urls = append(urls, transport.ListenURL(l).String())
		go func() { failed <- b.Serve(l) }()
	}
	defer b.Close()
	log.Info().Strs("urls", urls).Msg("listening; the development user iot is let in")
	if readyFile != "" {
		if err := cliapp.WriteReadyFile(readyFile, urls); err != nil {
			return err
		}
		defer os.Remove(readyFile) // who reads it later would be led astray
	}
	select {
	case err := <-failed:
		if !errors.Is(err, broker.ErrClosed) {
			return err
		}
	case <-ctx.Done():
		log.Info().AnErr("cause", context.Cause(ctx)).Msg("stopping")
	}
	return nil
}
