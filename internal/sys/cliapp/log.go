package cliapp

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"shvtools/internal/sys/tty"
)

// Formats of the log.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// logTime has milliseconds: what a tunnel does within a second is of interest.
const logTime = "2006-01-02T15:04:05.000Z07:00"

func levels() []zerolog.Level {
	return []zerolog.Level{
		zerolog.TraceLevel, zerolog.DebugLevel, zerolog.InfoLevel,
		zerolog.WarnLevel, zerolog.ErrorLevel, zerolog.Disabled,
	}
}

// parseLevel takes the names of levels only; zerolog.ParseLevel would take numbers
// and nothing at all as well.
func parseLevel(name string) (zerolog.Level, error) {
	for _, level := range levels() {
		if strings.EqualFold(level.String(), name) {
			return level, nil
		}
	}
	return zerolog.NoLevel, fmt.Errorf("log level %q is none of: %s", name, levelList())
}

func levelList() string {
	var names []string
	for _, level := range levels() {
		names = append(names, level.String())
	}
	return strings.Join(names, ", ")
}

// Logger returns a logger that writes to w, one line a message, in format text
// or json, from level on. Text has colours where w is a terminal that wants them.
func Logger(w io.Writer, level, format string) (zerolog.Logger, error) {
	threshold, err := parseLevel(level)
	if err != nil {
		return zerolog.Nop(), err
	}
	if format != FormatText && format != FormatJSON {
		return zerolog.Nop(), fmt.Errorf("log format %q is neither %s nor %s", format, FormatText, FormatJSON)
	}
	terminal := w
	queue, queued := w.(*queuedStderr)
	if queued {
		terminal = queue.out
	}
	colour := wantsColour(terminal, os.LookupEnv)
	if queued {
		queue.Report(func(lost uint64) []byte {
			var line bytes.Buffer
			log := newLogger(&line, threshold, format, colour)
			log.Error().Uint64("lines", lost).Msg("log: lines lost")
			return line.Bytes()
		})
	}
	return newLogger(w, threshold, format, colour), nil
}

func newLogger(w io.Writer, threshold zerolog.Level, format string, colour bool) zerolog.Logger {
	if format == FormatText {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !colour, TimeFormat: logTime, FormatMessage: consoleMessage}
	}
	return zerolog.New(w).Level(threshold).Hook(zerolog.HookFunc(stamp))
}

// LoggerFromFlags returns the logger that the flags of LogFlags ask for, on the
// application's stderr.
func LoggerFromFlags(c *cli.Context) (zerolog.Logger, error) {
	level := c.String(FlagLogLevel)
	// -v only ever adds: it does not take "trace" back.
	if c.Bool(FlagVerbose) && !strings.EqualFold(level, zerolog.LevelTraceValue) {
		level = zerolog.LevelDebugValue
	}
	log, err := Logger(c.App.ErrWriter, level, c.String(FlagLogFormat))
	if err != nil {
		return log, UsageError{Err: err}
	}
	return log, nil
}

// stamp adds the time. zerolog's own timestamp has its format in a global
// variable, with whole seconds.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format(logTime))
}

// consoleMessage keeps a message on its line; parts of it may come from a peer.
func consoleMessage(message any) string {
	if message == nil {
		return ""
	}
	return oneLine(fmt.Sprint(message))
}

func wantsColour(w io.Writer, lookupEnv func(string) (string, bool)) bool {
	if value, _ := lookupEnv("NO_COLOR"); value != "" {
		return false
	}
	if term, _ := lookupEnv("TERM"); term == "dumb" {
		return false
	}
	file, ok := w.(*os.File)
	return ok && tty.IsTerminal(file)
}
