// Package runas applies a grant to a process that is about to start: its user and groups,
// environment, directory, umask and resource limits. It is no part of the protocol.
//
// It decides nothing (package policy does) and starts nothing (package ptyproc does).
package runas

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
	"shvtools/internal/shv/rpc"
)

// fallbackShell is the shell of users whose login shell cannot be run.
const fallbackShell = "/bin/sh"

// Account is a user account of the device. Home and Shell always exist: "/" and /bin/sh
// replace missing ones.
type Account struct {
	Name, Home, Shell string
	// Missing says in words for users what the account lacks and what replaces it.
	Missing []string

	credential *syscall.Credential // nil: that of this process
}

// passwdFile lists login shells.
const passwdFile = "/etc/passwd"

// Lookup returns the account that a process under g runs as. An error is for the caller:
// the account does not exist, or this process may not become it.
func Lookup(g *policy.Grant) (Account, error) {
	me, err := user.Current()
	if g.User == "" && g.Group == nil {
		if err != nil {
			return complete(Account{Name: "root"}, g.Shell), nil
		}
		return complete(Account{Name: me.Username, Home: me.HomeDir}, g.Shell), nil
	}
	if g.User != "" {
		me, err = user.Lookup(g.User)
	}
	if err != nil {
		return Account{}, cannot(g.User, err)
	}
	credential, err := credentialOf(me, g.Group)
	if err != nil {
		return Account{}, cannot(me.Username, err)
	}
	a := complete(Account{Name: me.Username, Home: me.HomeDir}, g.Shell)
	switch {
	case os.Geteuid() == 0:
		a.credential = credential
	case int(credential.Uid) != os.Geteuid() || g.Group != nil:
		return Account{}, cannot(me.Username, errors.New("the agent does not run as root"))
	}
	return a, nil
}

func cannot(name string, err error) error {
	return rpc.Errorf(rpc.CodeException, "cannot run as user %q, as the policy of this device requires: %v", name, err)
}

// credentialOf returns u with the groups that initgroups(3) would set, or the named ones.
func credentialOf(u *user.User, named []string) (*syscall.Credential, error) {
	ids, err := u.GroupIds()
	if named != nil {
		ids, err = nil, nil
		for _, name := range named {
			group, err := user.LookupGroup(name)
			if err != nil {
				return nil, err
			}
			ids = append(ids, group.Gid)
		}
	}
	if err != nil {
		return nil, err
	}
	c := new(syscall.Credential)
	for _, each := range []struct {
		text string
		to   *uint32
	}{{u.Uid, &c.Uid}, {u.Gid, &c.Gid}} {
		if *each.to, err = number(each.text); err != nil {
			return nil, err
		}
	}
	for _, text := range ids {
		id, err := number(text)
		if err != nil {
			return nil, err
		}
		c.Groups = append(c.Groups, id)
	}
	return c, nil
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}

// complete replaces what is missing. shell, if set, takes precedence over the login
// shell.
func complete(a Account, shell string) Account {
	if a.Home == "" {
		a.Missing = append(a.Missing, "the user has no home directory; using /")
		a.Home = "/"
	} else if info, err := os.Stat(a.Home); err != nil || !info.IsDir() {
		a.Missing = append(a.Missing, fmt.Sprintf("the home directory %s does not exist; using /", a.Home))
		a.Home = "/"
	}
	if a.Shell = shell; shell != "" {
		return a
	}
	var missing string
	if a.Shell, missing = loginShell(passwdFile, a.Name); missing != "" {
		a.Missing = append(a.Missing, fmt.Sprintf("the login shell %s cannot be run; using %s", missing, fallbackShell))
	}
	return a
}

// Check returns, in words for operators, what of a grant this machine cannot provide.
func Check(g *policy.Grant) (faults []string) {
	account, err := Lookup(g)
	if err != nil {
		return []string{err.Error()}
	}
	if g.User != "" {
		faults = account.Missing
	}
	// Commands of a list run without a shell.
	if slices.Contains(refusingShells, path.Base(account.Shell)) && g.Commands == nil {
		faults = append(faults, fmt.Sprintf("the shell %s lets nobody in (want shell: /bin/sh, or another)", account.Shell))
	}
	if g.Shell != "" && !runnable(g.Shell) {
		faults = append(faults, fmt.Sprintf("the shell %s cannot be run", g.Shell))
	}
	spec := ptyproc.Spec{}
	account.Apply(g, &spec, "")
	if info, err := os.Stat(spec.Dir); spec.Dir != "" && (err != nil || !info.IsDir()) {
		faults = append(faults, fmt.Sprintf("the directory %s does not exist, so no session can start in it", spec.Dir))
	}
	return faults
}

// refusingShells are the login shells of accounts that nobody shall log in to.
var refusingShells = []string{"nologin", "false"}

func runnable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// loginShell returns the user's shell from a passwd file. If that cannot be run, missing
// is its path, and shell replaces it.
func loginShell(file, name string) (shell, missing string) {
	f, err := os.Open(file)
	if err != nil {
		return fallbackShell, ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 7 || fields[0] != name || fields[6] == "" {
			continue
		}
		if runnable(fields[6]) {
			return fields[6], ""
		}
		return fallbackShell, fields[6]
	}
	return fallbackShell, ""
}

// Other reports whether user or groups are not those of this process.
func (a Account) Other() bool { return a.credential != nil }

// Foreign reports whether the user is not that of this process, whatever the groups.
func (a Account) Foreign() bool {
	return a.credential != nil && int(a.credential.Uid) != os.Geteuid()
}

// Env returns the variables that a login sets.
func (a Account) Env() []string {
	return []string{"HOME=" + a.Home, "USER=" + a.Name, "LOGNAME=" + a.Name, "SHELL=" + a.Shell}
}
