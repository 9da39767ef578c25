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

// WithCodes sets the exit codes of the program. Without it they are those of a daemon:
// 1 for failures, 2 for usage, 70 for a panic, 128 and the number of a signal.
func WithCodes(codes Codes) Option { return func(r *runner) { r.codes = codes } }

// WithSignals sets the signals that cancel the context. Without it they are INT and TERM.
func WithSignals(signals ...os.Signal) Option { return func(r *runner) { r.signals = signals } }

// WithQueuedStderr makes writes to stderr non-blocking, for programs that must go on
// when nobody reads their log. Lines are written in the background; lines that find
// no space are lost, counted and reported later. At its end Main waits at most a second
// for stderr to be read.
func WithQueuedStderr() Option { return func(r *runner) { r.queued = true } }

// Main runs app and returns the exit code for the process:
//
//	os.Exit(cliapp.Main(app, os.Args, cliapp.WithCodes(cliapp.SSHCodes())))
//
// The first INT or TERM cancels the context of app's actions; the second one has its
// default effect. An error is printed as one line on app.ErrWriter. Main adds
// `--version`, `--help` and `-h`.
//
// Flags must not be Required, or urfave/cli would print a page of help on stdout. An
// action that misses a flag returns Usagef.
func Main(app *cli.App, args []string, options ...Option) int {
	r := &runner{app: app, codes: defaultCodes(), signals: defaultSignals()}
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
	// This covers panics of the program's own Run, after its deferred calls, one of
	// which restores the terminal. A panic in another goroutine ends the process at once.
	defer func() {
		if cause := recover(); cause != nil {
			r.panicked(cause, debug.Stack())
			code = r.codes.Panic
		}
	}()
	ctx, stop := notifyContext(context.Background(), r.signals)
	defer stop()
	err := withSignal(ctx, r.app.RunContext(ctx, args))
	code, line := r.codes.explain(r.app.Name, err)
	if line != "" {
		r.say(line)
	}
	return code
}

// prepare leaves exits, errors and `--version` of app to Main, and its help without what
// urfave/cli adds.
func (r *runner) prepare() {
	app := r.app
	app.Writer = orStream(app.Writer, os.Stdout)
	app.ErrWriter = orStream(app.ErrWriter, os.Stderr)
	// An empty variable counts as unset, like all others; urfave/cli would take it.
	for _, name := range []string{envLogLevel, envLogFormat} {
		if os.Getenv(name) == "" {
			_ = os.Unsetenv(name)
		}
	}
	// The default handler would exit.
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
		return UsageError{Err: readableFlagError(app.Flags, err)}
	}
	// Otherwise an error in a command's options prints a page of help on stdout.
	for _, command := range app.Commands {
		command.OnUsageError = r.commandUsage(command.Name)
	}
	// A URL may contain a comma.
	app.DisableSliceFlagSeparator = true
	// Otherwise `shvrsh help` would not reach a device named help.
	app.HideHelpCommand = true
	app.CustomAppHelpTemplate = strings.ReplaceAll(cli.AppHelpTemplate, "GLOBAL OPTIONS:", "OPTIONS:")
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

// commandUsage returns the OnUsageError of a command. An option of the program behind the
// command is not unknown but in the wrong place.
func (r *runner) commandUsage(command string) cli.OnUsageErrorFunc {
	return func(c *cli.Context, err error, isSubcommand bool) error {
		name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: ")
		ofProgram := func(f cli.Flag) bool { return slices.Contains(f.Names(), strings.TrimLeft(name, "-")) }
		if unknown && slices.ContainsFunc(r.app.Flags, ofProgram) {
			return Usagef("option %s goes before %s", asTyped(name), command)
		}
		return r.app.OnUsageError(c, err, isSubcommand)
	}
}

// versionFirst returns a Before that prints the version instead of calling next.
func (r *runner) versionFirst(next cli.BeforeFunc) cli.BeforeFunc {
	return func(c *cli.Context) error {
		if c.Bool("version") {
			_, err := fmt.Fprintln(r.app.Writer, versionText(r.app.Name))
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

// say prints one line. There is nowhere to report a failure to.
func (r *runner) say(line string) {
	_, _ = fmt.Fprintf(r.app.ErrWriter, "%s: %s\n", r.app.Name, line)
}

func orStream(w io.Writer, stream *os.File) io.Writer {
	if w == nil {
		return stream
	}
	return w
}

// readableFlagError turns the texts of package flag into ours.
func readableFlagError(flags []cli.Flag, err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: "); ok {
		return fmt.Errorf("unknown option %s", asTyped(name))
	}
	if name, ok := strings.CutPrefix(err.Error(), "flag needs an argument: "); ok {
		return fmt.Errorf("option %s needs a value", asTyped(name))
	}
	if parts := badValue.FindStringSubmatch(err.Error()); parts != nil {
		want := wanted(parts[1], flags, strings.TrimPrefix(parts[2], "-"))
		return fmt.Errorf("option %s: invalid %s", asTyped(parts[2]), want)
	}
	if parts := badSwitch.FindStringSubmatch(err.Error()); parts != nil {
		return fmt.Errorf("option %s: invalid value %s (want true or false)", asTyped(parts[2]), parts[1])
	}
	return err
}

// The texts of package flag for a value that it cannot read.
var (
	badValue  = regexp.MustCompile(`^invalid value (".*") for flag (-\S+): parse error$`)
	badSwitch = regexp.MustCompile(`^invalid boolean value (".*") for (-\S+): parse error$`)
)

// wanted names the kind of value that a flag has, the value that it was given, and what
// it accepts.
func wanted(value string, flags []cli.Flag, name string) string {
	for _, flag := range flags {
		if _, ok := flag.(*cli.DurationFlag); ok && slices.Contains(flag.Names(), name) {
			return "duration " + value + " (want 10s or 1m30s)"
		}
	}
	return "number " + value
}

// asTyped restores the second dash of a long option, which package flag has cut.
func asTyped(name string) string {
	if len(name) > len("-x") {
		return "-" + name
	}
	return name
}
