package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"shvtools/internal/shell/config"
	"shvtools/internal/shell/sshargs"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// checkConfig is --check-config: it reports what would keep shvrsh from connecting to the
// brokers of the configuration.
func checkConfig(c *cli.Context, args *sshargs.Args) error {
	all, err := loadConfig(args.Config, true)
	if err != nil {
		return cliapp.PrintFaults(os.Stderr, "shvrsh", err)
	}
	var faults []error
	var warnings []string
	for _, host := range all.Entries() {
		more, err := checkHost(args, &host)
		warnings, faults = append(warnings, more...), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return cliapp.PrintFaults(os.Stderr, "shvrsh", err)
	}
	return cliapp.Verdict(c, warnings)
}

// checkHost returns what is wrong with an entry whatever look-ups say, and what may be wrong.
func checkHost(args *sshargs.Args, host *config.Host) (warnings []string, fault error) {
	warn := func(at config.Source, format string, values ...any) {
		warnings = append(warnings, fmt.Sprintf("%s: ", at)+fmt.Sprintf(format, values...))
	}
	if file := expandHome(host.PasswordFile.Value); file != "" {
		if err := cliapp.CheckPasswordFile(file); err != nil {
			warn(host.PasswordFile.Source, "password-file: %v", err)
		}
	}
	if !host.URL.Set {
		return warnings, nil
	}
	u, at := host.URL.Value, host.URL.Source
	if u.AllowPlaintext, fault = allowPlaintext(args, host); fault != nil {
		return warnings, fault
	}
	if err := transport.CheckPlaintext(u); err != nil {
		return warnings, fmt.Errorf("%s: url: %s: %w", at, u, err)
	}
	switch {
	case u.MayLeave() && u.AllowPlaintext:
		warn(at, "url: %s is not encrypted: everyone on the path can read along and answer for the broker "+
			"(allow-plaintext)", u)
	case u.MayLeave():
		warn(at, "url: %s is not encrypted and refused whenever the name leads to another machine; use ssl or wss", u)
	}
	if err := transport.CheckDial(u); err != nil {
		warn(at, "url: %v", err)
	}
	return append(warnings, readableSecret(host)...), nil
}

// readableSecret warns of a password in the URL of a host that every user can read.
func readableSecret(host *config.Host) []string {
	if at := host.URL.Source; host.URL.Value.HasSecret() && conf.OthersCanRead(at.File) {
		return []string{fmt.Sprintf("%s: url: every user of this machine can read the password in it; run chmod 600 on the "+
			"file, or use password-file", at)}
	}
	return nil
}
