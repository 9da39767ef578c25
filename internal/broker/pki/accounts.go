package pki

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"shvtools/internal/sys/conf"
	"shvtools/internal/sys/durable"
)

// account is an entry of the file of accounts, which package config reads as one of users.
// That of a device has a place, that of a person has none.
type account struct {
	certificates, roles, mounts []string
}

func (a account) kind() Kind {
	if len(a.mounts) > 0 {
		return Device
	}
	return User
}

func (a account) mount() string { return strings.Join(a.mounts, " ") }
func (a account) role() string  { return strings.Join(a.roles, " ") }

// accounts are those that the authority has made, by name.
type accounts map[string]account

// with adds the account of a request, or changes the one of before. Each name is one
// device or person, and each place is that of one device.
func (all accounts) with(r Request) (account, error) {
	old, known := all[r.Name]
	if known && old.kind() != r.Kind {
		return old, fmt.Errorf("%q is a %s already; revoke it, or choose another name", r.Name, old.kind())
	}
	next := account{certificates: []string{"cn:" + r.Name}, roles: old.roles}
	if r.Kind == Device {
		next.mounts = []string{cmp.Or(r.Mount, old.mount(), "site/"+r.Name)}
		if err := checkMount(next.mounts[0]); err != nil {
			return old, err
		}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if name == r.Name {
				continue
			}
			switch theirs := all[name].mount(); {
			case theirs == next.mounts[0]:
				return old, fmt.Errorf("%s is the place of the device %q already", theirs, name)
			case isInside(theirs, next.mounts[0]), isInside(next.mounts[0], theirs):
				return old, fmt.Errorf("%s and %s, the place of the device %q, are one inside the other; the broker lets in "+
					"only one of them", next.mounts[0], theirs, name)
			}
		}
		if !known {
			next.roles = []string{deviceRole}
		}
	} else if !known || r.Role != "" {
		next.roles = []string{cmp.Or(r.Role, DefaultRole)}
		if !plainName(next.roles[0]) {
			return old, fmt.Errorf("invalid role %q (want one of the roles in shvbroker.yaml)", r.Role)
		}
	}
	all[r.Name] = next
	return next, nil
}

func isInside(place, of string) bool { return of != "" && strings.HasPrefix(place, of+"/") }

const accountsHead = conf.BeginMark + `
# Accounts of devices and people who have a certificate. shvbroker --issue and --revoke replace
# this file as a whole; what the roles may do stands in shvbroker.yaml.
`

// text writes the accounts, each in a line of its own.
func (all accounts) text() []byte {
	var b strings.Builder
	b.WriteString(accountsHead)
	if len(all) == 0 {
		b.WriteString("users: {}\n")
	} else {
		b.WriteString("users:\n")
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a := all[name]
		fmt.Fprintf(&b, "  %q: {certificates: %s, roles: %s", name, quoted(a.certificates), quoted(a.roles))
		if len(a.mounts) > 0 {
			fmt.Fprintf(&b, ", mount-points: %s", quoted(a.mounts))
		}
		b.WriteString("}\n")
	}
	b.WriteString(conf.EndMark + "\n")
	return []byte(b.String())
}

// quoted writes a list; no text in it has a character that YAML reads otherwise than Go.
func quoted(texts []string) string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = fmt.Sprintf("%q", text)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

var accountFields = []conf.Field[account]{
	{Name: "certificates", Read: func(r *conf.Reader, n *conf.Node, a *account) {
		a.certificates = conf.Text.ReadList(r, n, `["cn:pump7"]`)
	}},
	{Name: "roles", Read: func(r *conf.Reader, n *conf.Node, a *account) {
		a.roles = conf.Text.ReadList(r, n, "[operator]")
	}},
	{Name: "mount-points", Read: func(r *conf.Reader, n *conf.Node, a *account) {
		a.mounts = conf.Text.ReadList(r, n, "[site/pump7]")
	}},
}

// parseAccounts reads what text has written. It is strict: what it would lose when it
// replaces the file is a fault.
func parseAccounts(path string, data []byte) (accounts, error) {
	all := make(accounts)
	var r conf.Reader
	conf.ReadMap(&r, r.Whole(path, data, conf.Programs), &all, []conf.Field[accounts]{
		{Name: "users", Read: func(r *conf.Reader, n *conf.Node, _ *accounts) {
			r.Each(n, "{pump7: {…}}", func(entry *conf.Node) {
				var a account
				conf.ReadMap(r, entry, &a, accountFields)
				if err := CheckName(entry.Name()); err != nil {
					r.FailKey(entry, "%w", err)
				}
				all[entry.Name()] = a
			})
		}},
	})
	return all, r.Err()
}

// readAccounts reads the file of accounts, once. The caller may change what it returns, and
// calls writeAccounts with that.
func (a *Authority) readAccounts() (accounts, error) {
	if a.all != nil {
		return maps.Clone(a.all), nil
	}
	path := a.path(brokerDir, accountsFile)
	data, err := conf.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; copy it back from the broker", err)
	}
	all, err := parseAccounts(path, data)
	if err != nil {
		return nil, err
	}
	a.all = all
	return maps.Clone(all), nil
}

func (a *Authority) writeAccounts(all accounts) error {
	if err := durable.Replace(a.path(brokerDir, accountsFile), all.text(), openMode); err != nil {
		return err
	}
	a.all = all
	return nil
}

// removeAccount ends an account, unless the name has become one of another kind.
func (a *Authority) removeAccount(kind Kind, name string) error {
	all, err := a.readAccounts()
	if err != nil {
		return err
	}
	if old, known := all[name]; !known || old.kind() != kind {
		return nil
	}
	delete(all, name)
	return a.writeAccounts(all)
}
