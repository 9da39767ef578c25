package transport

import (
	"fmt"
	"strconv"
)

// Shown is an option of a URL for people. It hides secrets, and shows what applies to an option
// that is not set.
type Shown struct {
	Name, Value string
	Set         bool
}

// hidden replaces a secret.
const hidden = "(hidden)"

// ShownForClient returns the options of u that matter to a client: always those that decide on
// trust, and others if they are set.
func (u URL) ShownForClient() []Shown {
	var all []Shown
	if u.IsEncrypted() {
		all = append(all, orElse("ca", u.CA, "(the system's roots)"),
			Shown{"verify", strconv.FormatBool(!u.NoVerify), u.NoVerify})
		all = append(all, orElse("cert", u.Cert, none), orElse("key", u.Key, none), orElse("crl", u.CRL, none))
	}
	switch {
	case u.Scheme == Unix:
		all = append(all, orElse("owner", u.Owner, "(root or the program's own user)"))
	case !u.IsEncrypted():
		all = append(all, Shown{"allow-plaintext", strconv.FormatBool(u.AllowPlaintext), u.AllowPlaintext})
	}
	for _, each := range []struct {
		name, value string
		set         bool
	}{
		{"user", u.User, u.HasUser},
		{"password", hidden, u.HasPassword},
		{"shapass", hidden, u.ShaPass != ""},
		{"token", hidden, u.Token != ""},
		{"devmount", u.MountPoint, u.MountPoint != ""},
		{"devid", u.DeviceID, u.DeviceID != ""},
	} {
		if each.set {
			all = append(all, Shown{each.name, each.value, true})
		}
	}
	return all
}

// ShownForListener returns the options of u that matter to a listener, by the same rule.
func (u URL) ShownForListener() []Shown {
	var all []Shown
	if u.IsEncrypted() {
		all = append(all, orElse("client-ca", u.ClientCA, none), orElse("crl", u.CRL, none),
			Shown{"require-client-cert", strconv.FormatBool(u.RequireClientCert), u.RequireClientCert})
	}
	if kinds[u.Scheme].web {
		all = append(all, orElse("origin", u.Origins, none))
	}
	if u.Scheme == Unix {
		mode := Shown{"mode", fmt.Sprintf("%o", socketMode), u.Mode != 0}
		if mode.Set {
			mode.Value = fmt.Sprintf("%o", u.Mode)
		}
		all = append(all, mode)
	}
	if u.Socket != "" {
		all = append(all, Shown{"socket", u.Socket, true})
	}
	return all
}

const none = "(none)"

func orElse(name, value, unset string) Shown {
	if value == "" {
		return Shown{name, unset, false}
	}
	return Shown{name, value, true}
}
