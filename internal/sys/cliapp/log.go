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
	"shvtools/internal/sys/visible"
)

// Formats of the log.
const (
	formatText = "text"
	formatJSON = "json"
)

// logTime has milliseconds, to follow what happens within a second.
const logTime = "2006-01-02T15:04:05.000Z07:00"

func levels() []zerolog.Level {
	return []zerolog.Level{
		zerolog.TraceLevel, zerolog.DebugLevel, zerolog.InfoLevel,
		zerolog.WarnLevel, zerolog.ErrorLevel, zerolog.Disabled,
	}
}

// parseLevel returns the level of a name. zerolog.ParseLevel would accept numbers and
// the empty text, too.
func parseLevel(name string) (zerolog.Level, error) {
	for _, level := range levels() {
		if strings.EqualFold(level.String(), name) {
			return level, nil
		}
	}
	return zerolog.NoLevel, fmt.Errorf("invalid log level %q (want %s)", name, levelList())
}

func levelList() string {
	var names []string
	for _, level := range levels() {
		names = append(names, level.String())
	}
	return strings.Join(names, ", ")
}

// loggerTo returns a logger that writes to w, one line per message, in format text or
// json, from level on. Text has colours if w is a terminal that supports them.
func loggerTo(w io.Writer, level, format string) (zerolog.Logger, error) {
	threshold, err := parseLevel(level)
	if err != nil {
		return zerolog.Nop(), err
	}
	if format != formatText && format != formatJSON {
		return zerolog.Nop(), fmt.Errorf("invalid log format %q (want %s or %s)", format, formatText, formatJSON)
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
	if format == formatJSON {
		w = jsonLines{w}
	} else {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !colour, TimeFormat: logTime, FormatMessage: consoleMessage}
	}
	return zerolog.New(w).Level(threshold).Hook(zerolog.HookFunc(stamp))
}

// jsonLines writes lines of JSON, and lets none of their texts control a terminal.
type jsonLines struct{ io.Writer }

func (w jsonLines) Write(line []byte) (int, error) {
	if _, err := w.Writer.Write(visible.AppendJSON(make([]byte, 0, len(line)), line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// LoggerFromFlags returns a logger as the flags of LogFlags describe it, on the
// application's stderr.
func LoggerFromFlags(c *cli.Context) (zerolog.Logger, error) {
	level := c.String(FlagLogLevel)
	// -v only adds: with "trace" it changes nothing.
	if c.Bool(FlagVerbose) && !strings.EqualFold(level, zerolog.LevelTraceValue) {
		level = zerolog.LevelDebugValue
	}
	log, err := loggerTo(c.App.ErrWriter, level, c.String(FlagLogFormat))
	if err != nil {
		return log, UsageError{Err: err}
	}
	return log, nil
}

// stamp adds the time. The format of zerolog's own timestamp is a global variable, and
// has whole seconds.
func stamp(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format(logTime))
}

// consoleMessage keeps a message, parts of which may come from a peer, on one line.
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
