package cliapp

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
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
// a file that cannot be read; it is called for --check-config alone, whose last line says
// whether there are warnings.
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
	if explain {
		return Verdict(c, warnings)
	}
	return printWarnings(c, warnings)
}

// Verdict ends --check-config of a configuration without faults: it prints the warnings and
// a last line that counts them.
func Verdict(c *cli.Context, warnings []string) error {
	if err := printWarnings(c, warnings); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.App.Writer, verdict(len(warnings)))
	return err
}

func printWarnings(c *cli.Context, warnings []string) error {
	for _, text := range warnings {
		if _, err := fmt.Fprintf(stderrOf(c), "%s: warning: %s\n", c.App.Name, oneLine(text)); err != nil {
			return err
		}
	}
	return nil
}

// verdict is the last line of --check-config of a configuration without faults.
func verdict(warnings int) string {
	switch warnings {
	case 0:
		return "the configuration is fine"
	case 1:
		return "the configuration can be used, with 1 warning"
	}
	return fmt.Sprintf("the configuration can be used, with %d warnings", warnings)
}

// ConfigError prints the faults of a configuration, as PrintFaults does, and returns the
// last one for Main to print. A fault of a flag or of the environment is a UsageError.
func ConfigError(c *cli.Context, err error) error {
	last := PrintFaults(stderrOf(c), c.App.Name, err)
	// As *conf.Fault, which is not named: programs without a configuration do without it.
	var fault interface{ FromCommandLine() bool }
	if errors.As(last, &fault) && fault.FromCommandLine() {
		return UsageError{Err: last}
	}
	return last
}

// PrintFaults prints each error of what errors.Join has made, as `program: fault` in a line
// of its own, but for the last one, which it returns.
func PrintFaults(w io.Writer, program string, err error) (last error) {
	all := splitErrors(err)
	if len(all) == 0 {
		return err
	}
	var lines strings.Builder
	for _, each := range all[:len(all)-1] {
		fmt.Fprintf(&lines, "%s: %s\n", program, oneLine(each.Error()))
	}
	_, _ = io.WriteString(w, lines.String())
	return all[len(all)-1]
}

// splitErrors returns the single errors of what errors.Join has made.
func splitErrors(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, each := range joined.Unwrap() {
		all = append(all, splitErrors(each)...)
	}
	return all
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
