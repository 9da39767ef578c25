package config

import (
	"shvtools/internal/broker/auth"
	"shvtools/internal/sys/conf"
)

// accounts reads the users in the file that n names, which package pki writes. It is read
// after access, so that no name has two accounts, whichever key stands first. A file that
// is missing or was cut off is a fault: nobody can tell whom it would keep out.
func (in *reader) accounts(n *conf.Node, c *Config) {
	text, ok := conf.Text.Read(&in.Reader, n)
	if !ok {
		return
	}
	if text == "" {
		in.Fail(n, "empty (want the name of a file)")
		return
	}
	c.Accounts = conf.Beside(n.Place(), text)
	data, err := conf.ReadFile(c.Accounts)
	if err != nil {
		in.Fail(n, "%w", err)
		return
	}
	in.size += len(data)
	root := in.Whole(c.Accounts, data, conf.Programs).Named("accounts")
	conf.ReadMap(&in.Reader, root, c.base, []conf.Field[part]{{Name: string(auth.Users),
		Read: func(r *conf.Reader, users *conf.Node, p *part) {
			r.Each(users, "{pump7: {…}}", func(e *conf.Node) {
				entry := entryName{auth.Users, e.Name()}
				if p.has(entry) {
					in.FailKey(e, "the user is at %s already", p.at[entry])
					return
				}
				in.entry(entry, e, p)
			})
		}}})
}

// OwnUser returns the place of a user that the configuration itself has, "" if none or only
// the file of accounts has the name.
func (c *Config) OwnUser(name string) string {
	place, ok := c.base.at[entryName{auth.Users, name}]
	if !ok || place.File() == c.Accounts {
		return ""
	}
	return place.String()
}
