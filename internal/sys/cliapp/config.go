package cliapp

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"shvtools/internal/sys/conf"
)

// Names of the flags of a configuration; the last two show it instead of using it.
const (
	FlagConfig      = "config"
	FlagCheckConfig = "check-config"
	FlagPrintConfig = "print-config"
)

// ConfigFlags returns --config and the flags of ShowsConfig.
func ConfigFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: FlagConfig, Usage: "read the configuration from `FILE`"},
		&cli.BoolFlag{Name: FlagCheckConfig, DisableDefaultText: true,
			Usage: "report all faults of the configuration, or explain its settings, and exit"},
		&cli.BoolFlag{Name: FlagPrintConfig, DisableDefaultText: true,
			Usage: "print the configuration with the source of each value, without secrets, and exit"},
	}
}

// ShowsConfig tells whether --check-config or --print-config is given.
func ShowsConfig(c *cli.Context) bool { return c.Bool(FlagCheckConfig) || c.Bool(FlagPrintConfig) }

// ShowConfig does what the flags of ConfigFlags ask for. print writes the settings;
// warnings are those of loading. check finds what is wrong on this machine now, such as
// a file that cannot be read; it is called for --check-config alone, whose last line is
// conf.Verdict.
func ShowConfig(c *cli.Context, print func(w io.Writer, explain bool) error, warnings []string,
	check func() (warnings []string, faults error)) error {
	explain := !c.Bool(FlagPrintConfig)
	if explain {
		more, faults := check()
		if faults != nil {
			return ConfigError(c, faults)
		}
		warnings = append(warnings, more...)
	}
	if err := print(c.App.Writer, explain); err != nil {
		return err
	}
	for _, text := range warnings {
		if _, err := fmt.Fprintf(stderrOf(c), "%s: warning: %s\n", c.App.Name, oneLine(text)); err != nil {
			return err
		}
	}
	if !explain {
		return nil
	}
	_, err := fmt.Fprintln(c.App.Writer, conf.Verdict(len(warnings)))
	return err
}

// ConfigError prints the faults of a configuration, each in a line of its own, but for
// the last one: that is returned, for Main to print. A fault of a flag or of the
// environment is a UsageError.
func ConfigError(c *cli.Context, err error) error {
	others, last := conf.ButLast(err)
	_, _ = fmt.Fprint(stderrOf(c), conf.Report(c.App.Name, others))
	var fault *conf.Fault
	if errors.As(last, &fault) && fault.Place != (conf.Place{}) && !fault.Place.InFile() {
		return UsageError{Err: last}
	}
	return last
}

// stderrOf returns where faults and warnings go. A program that shows its configuration
// waits for whoever reads them; one that serves never waits for its stderr, and may lose
// lines.
func stderrOf(c *cli.Context) io.Writer {
	if queued, ok := c.App.ErrWriter.(*queuedStderr); ok && ShowsConfig(c) {
		return queued.out
	}
	return c.App.ErrWriter
}
