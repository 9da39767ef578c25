package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"shvtools/internal/broker/config"
	"shvtools/internal/broker/pki"
	"shvtools/internal/sys/cliapp"
	"shvtools/internal/wire/transport"
)

// authorityTask returns what --init, --issue, --revoke or --issued ask for, nil if none is
// given. The error is about options that do not go together.
func authorityTask(c *cli.Context) (func() error, error) {
	tasks := []struct {
		flag string
		with []string // other flags that have a meaning with it
		run  func(*cli.Context) error
	}{
		{"init", []string{"name"}, initDir},
		{"issue", []string{"dir", "name", "mount", "role"}, issue},
		{"revoke", []string{"dir"}, revoke},
		{"issued", []string{"dir"}, listIssued},
	}
	for _, task := range tasks {
		if !c.IsSet(task.flag) {
			continue
		}
		allowed := append([]string{task.flag, cliapp.FlagLogLevel, cliapp.FlagLogFormat, cliapp.FlagVerbose, "v"},
			task.with...)
		for _, name := range c.FlagNames() {
			if !slices.Contains(allowed, name) {
				return nil, cliapp.Usagef("--%s does not go with --%s", name, task.flag)
			}
		}
		return func() error { return task.run(c) }, nil
	}
	for _, name := range []string{"dir", "name", "mount", "role"} {
		if c.IsSet(name) {
			return nil, cliapp.Usagef("--%s goes with --init, --issue, --revoke or --issued", name)
		}
	}
	return nil, nil
}

// hostNames are the values of --name.
func hostNames(c *cli.Context) (names []string) {
	for _, text := range c.StringSlice("name") {
		names = append(names, strings.Split(text, ",")...)
	}
	return names
}

// initDir makes an authority, and says how to go on.
func initDir(c *cli.Context) error {
	dir := c.String("init")
	if dir == "" {
		return cliapp.Usagef("--init: no directory")
	}
	names := hostNames(c)
	if len(names) == 0 {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("cannot tell the name of this machine, use --name: %w", err)
		}
		names = []string{name}
	}
	made, err := pki.Init(dir, names)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, `made %s: an authority, and a broker for %s
user %s, password %s (it may do everything, and is shown this once)
next:
  shvbroker --config %s
  shvbroker --dir %s --issue device:NAME
  shvbroker --dir %s --issue user:NAME
keep %s where nobody else reads it: whoever has ca.key can be any device
`, dir, strings.Join(made.Names, ", "), made.User, made.Password, pki.ConfigFile(dir), dir, dir,
		filepath.Join(dir, "ca"))
	return err
}

// issue makes certificates. It stops at the first that fails; those before it are made.
func issue(c *cli.Context) error {
	requests, err := requests(c)
	if err != nil {
		return err
	}
	dir := c.String("dir")
	a, err := pki.Open(c.Context, dir)
	if err != nil {
		return err
	}
	defer a.Close()
	var loaded *config.Config
	for _, r := range requests {
		if r.Kind != pki.Broker {
			if loaded == nil {
				if loaded, err = config.Load(config.Sources{File: pki.ConfigFile(dir)}); err != nil {
					return cliapp.ConfigError(c, err)
				}
			}
			if err := fitIn(loaded, &r); err != nil {
				return err
			}
		}
		issued, err := a.Issue(r)
		if err != nil {
			return fmt.Errorf("--issue %s: %w", whom(r), err)
		}
		if err := sayIssued(c, issued); err != nil {
			return err
		}
		if !hasRole(loaded, issued.Role) {
			_, _ = fmt.Fprintf(c.App.ErrWriter, "%s: warning: %s has no role %q; %s has no rights until the broker's has one\n",
				c.App.Name, pki.ConfigFile(dir), issued.Role, issued.Name)
		}
	}
	return nil
}

// hasRole reports whether a configuration has a role, or none is asked for.
func hasRole(loaded *config.Config, name string) bool {
	if name == "" {
		return true
	}
	_, known := loaded.Access.Roles[name]
	return known
}

func whom(r pki.Request) string {
	if r.Kind == pki.Broker {
		return string(r.Kind)
	}
	return string(r.Kind) + ":" + r.Name
}

// requests reads the values of --issue.
func requests(c *cli.Context) (all []pki.Request, err error) {
	texts := c.StringSlice("issue")
	for _, text := range texts {
		kind, name, named := strings.Cut(text, ":")
		r := pki.Request{Kind: pki.Kind(kind), Name: name}
		switch {
		case r.Kind == pki.Broker && !named:
			r.Names = hostNames(c)
		case r.Kind != pki.Device && r.Kind != pki.User || !named:
			return nil, cliapp.Usagef("--issue: cannot read %q (want device:NAME, user:NAME or broker)", text)
		default:
			if err := pki.CheckName(name); err != nil {
				return nil, cliapp.Usagef("--issue: %w", err)
			}
		}
		for _, of := range []struct {
			flag string
			kind pki.Kind
		}{{"name", pki.Broker}, {"mount", pki.Device}, {"role", pki.User}} {
			if c.IsSet(of.flag) && r.Kind != of.kind {
				return nil, cliapp.Usagef("--%s goes with --issue %s, and not with --issue %s in the same command", of.flag,
					of.kind, r.Kind)
			}
		}
		if r.Mount, r.Role = c.String("mount"), c.String("role"); c.IsSet("mount") && len(texts) > 1 {
			return nil, cliapp.Usagef("--mount goes with one --issue device:NAME")
		}
		all = append(all, r)
	}
	return all, nil
}

// fitIn checks a request against the broker's configuration, so that the broker will take
// its account, and tells it where the broker listens.
func fitIn(loaded *config.Config, r *pki.Request) error {
	if place := loaded.OwnUser(r.Name); place != "" {
		return fmt.Errorf("%s: the user %q exists already; choose another name, or remove that user", place, r.Name)
	}
	r.Scheme = transport.SSL
	for _, l := range loaded.Listen {
		if u, err := l.Parsed(); err == nil && u.IsEncrypted() {
			r.Scheme, r.Port = u.Scheme, u.Port
			break
		}
	}
	return nil
}

// sayIssued prints what was made, and what to do with it.
func sayIssued(c *cli.Context, i pki.Issued) error {
	w := c.App.Writer
	_, err := fmt.Fprintf(w, "made a certificate for %s %s: %s, valid until %s\n", i.Kind, i.Name, i.Serial,
		i.Until.Format(time.DateOnly))
	for _, old := range i.Before {
		if err == nil {
			_, err = fmt.Fprintf(w, "the one before stays valid; when the new one is in use: shvbroker --dir %s --revoke %s\n",
				c.String("dir"), old.Serial)
		}
	}
	if err != nil {
		return err
	}
	switch i.Kind {
	case pki.Broker:
		_, err = fmt.Fprintf(w, "for the broker: it is in %s; reload it\n", i.Dir)
	case pki.Device:
		_, err = fmt.Fprintf(w, "for the device: copy %s to its /etc/shv; it may mount at %s\n", files(i, "device"), i.Mount)
		if err == nil && i.Kept != "" {
			_, err = fmt.Fprintf(w, "for the device: its shvagent.yaml is kept; connection.mount there must be %s\n", i.Mount)
		}
	case pki.User:
		_, err = fmt.Fprintf(w, "for the user: copy %s to their ~/.config/shvrsh; the role is %s\n", files(i, "user"), i.Role)
	}
	if err == nil && i.Kind != pki.Broker {
		_, err = fmt.Fprintf(w, "for the broker: %s has changed; reload it\n", i.Accounts)
	}
	return err
}

// files names what goes to a device or user. Of a renewal these are certificate and key alone:
// the configuration that they have meanwhile, with its rules, must not be replaced.
func files(i pki.Issued, name string) string {
	if i.Kept == "" {
		return i.Dir
	}
	return filepath.Join(i.Dir, name) + ".pem and " + name + ".key beside it"
}

// revoke revokes certificates.
func revoke(c *cli.Context) error {
	dir := c.String("dir")
	a, err := pki.Open(c.Context, dir)
	if err != nil {
		return err
	}
	defer a.Close()
	for _, target := range c.StringSlice("revoke") {
		revoked, err := a.Revoke(target)
		if err != nil {
			return fmt.Errorf("--revoke: %w", err)
		}
		for _, r := range revoked {
			_, err := fmt.Fprintf(c.App.Writer, "revoked the certificate of %s %s: %s\n", r.Kind, r.Name, r.Serial)
			if err != nil {
				return err
			}
		}
	}
	_, err = fmt.Fprintf(c.App.Writer, "for the broker: crl.pem and accounts.yaml in %s; it shuts them out when it "+
		"reloads\n", filepath.Dir(pki.ConfigFile(dir)))
	return err
}

// listIssued prints all certificates, one in a line.
func listIssued(c *cli.Context) error {
	a, err := pki.Open(c.Context, c.String("dir"))
	if err != nil {
		return err
	}
	defer a.Close()
	all, err := a.Certificates()
	for _, each := range all {
		state := "valid until " + each.Until.Format(time.DateOnly)
		switch {
		case !each.Revoked.IsZero():
			state = "revoked on " + each.Revoked.Format(time.DateOnly)
		case !time.Now().Before(each.Until):
			state = "expired on " + each.Until.Format(time.DateOnly)
		}
		if err == nil {
			_, err = fmt.Fprintf(c.App.Writer, "%s\t%s\t%s\t%s\n", each.Kind, each.Name, each.Serial, state)
		}
	}
	return err
}
