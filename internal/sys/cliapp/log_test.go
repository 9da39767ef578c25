package cliapp

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestHostileTextStaysOnItsLogLine(t *testing.T) {
	for _, format := range []string{formatText, formatJSON} {
		var out bytes.Buffer
		log, err := loggerTo(&out, "info", format)
		if err != nil {
			t.Fatal(err)
		}
		log.Info().Str("path", "a\nb\x1b[2J\u009b2J\u202e").Err(errors.New("c\nd")).Msg("e\nf\x1b[2J\u009b2J")
		if got := out.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\x1b\u009b\u202e") {
			t.Errorf("%s: %q is not one line of text", format, got)
		}
	}
}

func TestLogFormats(t *testing.T) {
	var out bytes.Buffer
	log, err := loggerTo(&out, "WARN", formatJSON)
	if err != nil {
		t.Fatal(err)
	}
	log.Info().Msg("hidden")
	log.Warn().Int("peer", 3).Msg("shown")
	var fields map[string]any
	if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if fields["message"] != "shown" || fields["level"] != "warn" || fields["peer"] != 3.0 || fields["time"] == nil {
		t.Errorf("got %v", fields)
	}

	out.Reset()
	if log, err = loggerTo(&out, "warn", formatText); err != nil {
		t.Fatal(err)
	}
	log.Warn().Int("peer", 3).Msg("shown")
	form := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\S+ WRN shown peer=3\n$`)
	if !form.Match(out.Bytes()) {
		t.Errorf("got %q, want %s", out.String(), form)
	}
}

func TestBadLogOptionIsAUsageError(t *testing.T) {
	action := func(c *cli.Context) error {
		_, err := LoggerFromFlags(c)
		return err
	}
	for _, args := range [][]string{
		{"--log-level", "loud"}, {"--log-level", "7"}, {"--log-level", ""}, {"--log-format", "xml"},
	} {
		code, _, stderr := runApp(t, action, args)
		if code != 2 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%q: %d, %q; want 2 and one line", args, code, stderr)
		}
	}
}

// Unit files and containers set empty variables.
func TestEmptyVariablesCountAsUnset(t *testing.T) {
	t.Setenv("SHV_LOG_LEVEL", "")
	t.Setenv("SHV_LOG_FORMAT", "")
	code, _, stderr := runApp(t, func(c *cli.Context) error {
		log, err := LoggerFromFlags(c)
		if err == nil && log.GetLevel().String() != "info" {
			t.Errorf("level %s", log.GetLevel())
		}
		return err
	}, nil)
	if code != 0 || stderr != "" {
		t.Errorf("%d, %q", code, stderr)
	}
}

func TestVerboseNeverLowersTheLevel(t *testing.T) {
	for args, want := range map[string]string{
		"": "info", "-v": "debug", "-v --log-level trace": "trace", "-v --log-level error": "debug",
		"--log-level disabled": "disabled",
	} {
		runApp(t, func(c *cli.Context) error {
			log, err := LoggerFromFlags(c)
			if err != nil {
				t.Errorf("%q: %v", args, err)
			}
			if got := log.GetLevel().String(); got != want {
				t.Errorf("%q: level %s, want %s", args, got, want)
			}
			return nil
		}, strings.Fields(args))
	}
}

func TestNoColourOutsideATerminal(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	if wantsColour(&bytes.Buffer{}, none) {
		t.Error("a buffer wants no colour")
	}
}
