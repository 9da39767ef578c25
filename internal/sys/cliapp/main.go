package cliapp

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// debugEnv makes a panic print its stack.
const debugEnv = "SHV_DEBUG"

// Option changes what Main does for one program.
type Option func(*runner)

// WithCodes sets the program's exit codes; DefaultCodes stand without it.
func WithCodes(codes Codes) Option { return func(r *runner) { r.codes = codes } }

// WithSignals sets the signals that cancel the context; INT and TERM without it.
func WithSignals(signals ...os.Signal) Option { return func(r *runner) { r.signals = signals } }

// WithQueuedStderr makes writes to stderr wait for nobody, for programs that must go
// on when nobody reads what they log: lines are written in the background, those
// that find no room are counted and reported later, and at its end Main waits for at
// most a second for them to be read.
func WithQueuedStderr() Option { return func(r *runner) { r.queued = true } }

// Main runs app and returns the exit code for the process:
//
//	os.Exit(cliapp.Main(app, os.Args, cliapp.WithCodes(cliapp.SSHCodes())))
//
// The context of app's actions is cancelled by the first INT or TERM, with a
// SignalError as its cause; the second one has its default effect. An error is
// printed as one line on app.ErrWriter. `--version`, `--help` and `-h` are added.
//
// Flags must not be Required: urfave/cli would answer with a page of help on
// stdout. An action that misses one returns Usagef.
func Main(app *cli.App, args []string, options ...Option) int {
	r := &runner{app: app, codes: DefaultCodes(), signals: defaultSignals()}
	for _, option := range options {
		option(r)
	}
	return r.run(args)
}

// runner is one call of Main.
type runner struct {
	app     *cli.App
	codes   Codes
	signals []os.Signal
	queued  bool
}

func (r *runner) run(args []string) (code int) {
	r.prepare()
	if r.queued {
		stderr := queueStderr(r.app.Name, r.app.ErrWriter)
		r.app.ErrWriter = stderr
		defer stderr.Flush(flushWait) // also of the line that says why the program ended
	}
	// A panic in another goroutine ends the process in the runtime; this covers
	// the way through the program's own Run, after its deferred calls, of which
	// one restores the terminal.
	defer func() {
		if cause := recover(); cause != nil {
			r.panicked(cause, debug.Stack())
			code = r.codes.Panic
		}
	}()
	ctx, stop := notifyContext(context.Background(), r.signals)
	defer stop()
	err := withSignal(ctx, r.app.RunContext(ctx, args))
	code, line := r.codes.judge(r.app.Name, err)
	if line != "" {
		r.say(line)
	}
	return code
}

// prepare makes app leave exits, errors and `--version` to Main.
func (r *runner) prepare() {
	app := r.app
	app.Writer = orStream(app.Writer, os.Stdout)
	app.ErrWriter = orStream(app.ErrWriter, os.Stderr)
	// The default handler exits by itself.
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
		return UsageError{Err: readableFlagError(app.Flags, err)}
	}
	// Otherwise a fault in a command's options prints a page of help on stdout.
	for _, command := range app.Commands {
		command.OnUsageError = app.OnUsageError
	}
	// A URL may contain a comma.
	app.DisableSliceFlagSeparator = true
	// Otherwise `shvrsh help` would not reach the device named help.
	app.HideHelpCommand = len(app.Commands) == 0
	// urfave's own version flag takes -v.
	app.HideVersion = true
	app.Version = ""
	app.Flags = append(slices.Clip(app.Flags), &cli.BoolFlag{
		Name: "version", Usage: "print the version", DisableDefaultText: true,
	})
	app.Before = r.versionFirst(app.Before)
	if action := app.Action; action != nil {
		app.Action = func(c *cli.Context) error {
			if c.Bool("version") {
				return nil
			}
			return action(c)
		}
	}
}

// versionFirst returns a Before that prints the version instead of calling next.
func (r *runner) versionFirst(next cli.BeforeFunc) cli.BeforeFunc {
	return func(c *cli.Context) error {
		if c.Bool("version") {
			_, err := fmt.Fprintln(r.app.Writer, VersionText(r.app.Name))
			return err
		}
		if next != nil {
			return next(c)
		}
		return nil
	}
}

func (r *runner) panicked(cause any, stack []byte) {
	text := oneLine(fmt.Sprintf("internal error: panic: %v", cause))
	if os.Getenv(debugEnv) == "" {
		r.say(text + " (" + debugEnv + "=1 shows the stack)")
		return
	}
	r.say(text)
	_, _ = r.app.ErrWriter.Write(stack)
}

// say prints one line; an error of stderr has nowhere to go.
func (r *runner) say(line string) {
	_, _ = fmt.Fprintf(r.app.ErrWriter, "%s: %s\n", r.app.Name, line)
}

func orStream(w io.Writer, stream *os.File) io.Writer {
	if w == nil {
		return stream
	}
	return w
}

// readableFlagError turns package flag's texts into the ones that users of long
// options expect.
func readableFlagError(flags []cli.Flag, err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: "); ok {
		return fmt.Errorf("unknown option %s", asTyped(name))
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: "); ok {
		return fmt.Errorf("option %s needs a value", asTyped(name))
	}
	if parts := badValue.FindStringSubmatch(err.Error()); parts != nil {
		return fmt.Errorf("option %s: %s is no %s", asTyped(parts[2]), parts[1], kindOf(flags, strings.TrimPrefix(parts[2], "-")))
	}
	if parts := badSwitch.FindStringSubmatch(err.Error()); parts != nil {
		return fmt.Errorf("option %s: %s is neither true nor false", asTyped(parts[2]), parts[1])
	}
	return err
}

// Package flag's texts for a value that it cannot read.
var (
	badValue  = regexp.MustCompile(`^invalid value (".*") for flag (-\S+): parse error$`)
	badSwitch = regexp.MustCompile(`^invalid boolean value (".*") for (-\S+): parse error$`)
)

// kindOf says what the value of a flag has to be.
func kindOf(flags []cli.Flag, name string) string {
	for _, flag := range flags {
		if _, ok := flag.(*cli.DurationFlag); ok && slices.Contains(flag.Names(), name) {
			return "time such as 10s or 1m30s"
		}
	}
	return "number"
}

// asTyped gives a long option the second dash back that package flag has cut.
func asTyped(name string) string {
	if len(name) > len("-x") {
		return "-" + name
	}
	return name
}
