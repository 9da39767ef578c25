package auth

import (
	"fmt"
	"slices"
	"strings"

	"shvtools/internal/shv/shvpath"
)

// A pattern of where devices of a user may be mounted may hold {user}, the name of the user, and
// {cn}, the common name of the client certificate of the connection. Each stands for one whole text
// inside one name of the path. One that is not a name of a node (shvpath.CheckName) makes the
// pattern match nothing, so no text of a peer can widen a pattern.
const (
	userVariable = "{user}"
	cnVariable   = "{cn}"
)

// Claim is a mount point that a device has, or asks for. It does not change.
type Claim struct {
	User       string
	CommonName string // of the verified certificate of the connection; "": it has none
	Path       string // clean; "": the device is not to be mounted
	DeviceID   string // by which the device got the path; "": it asked for the path
}

// Standing is what the rights say of a Claim.
type Standing struct {
	May bool // the user's devices may be mounted there
	// Named: a pattern names the place without a wildcard, or by {user} or {cn}. Such a user takes
	// precedence over others whose patterns happen to match it.
	Named  bool
	Inside bool // they may be mounted inside the devices of other users
}

// Claim returns where a device of the login is to be mounted, by the id and the mount point that it
// gives: where the configuration says for its id, if its user may have that, otherwise where it asks
// to be (spec.md 7.2).
func (l Login) Claim(d *Directory, deviceID, asked string) *Claim {
	c := &Claim{User: l.User.Name, Path: string(shvpath.Clean([]byte(asked)))}
	for _, name := range l.certificate {
		if cn, ok := strings.CutPrefix(string(name), certCommonName+":"); ok {
			c.CommonName = cn // the only one: see commonName
		}
	}
	if at, known := d.DeviceMount(deviceID); known && l.User.ByDeviceID {
		c.Path, c.DeviceID = at, deviceID
	}
	return c
}

// Standing returns what the rights of now say of a claim.
func (d *Directory) Standing(c *Claim) Standing {
	u := d.users[c.User]
	if u == nil {
		return Standing{}
	}
	s := Standing{Inside: u.MountInside}
	if c.DeviceID != "" {
		at, known := d.devices[c.DeviceID]
		s.May = known && at == c.Path && u.ByDeviceID // any device of the user may say that it has the id
		return s
	}
	s.May, s.Named = u.matches(c)
	return s
}

// MayMount reports whether a device of the user may ask to be mounted at a clean path, whatever
// certificate it has.
func (u *User) MayMount(path []byte) bool {
	may, _ := u.matches(&Claim{User: u.Name, Path: string(path)})
	return may
}

// matches reports whether a pattern matches the path of a claim, and one that names it.
func (u *User) matches(c *Claim) (may, named bool) {
	for _, p := range u.Mounts {
		text, variables := expand(p.String(), c)
		if variables {
			var err error
			if p, err = shvpath.ParsePattern(text); text == "" || err != nil {
				continue
			}
		}
		if p.Match([]byte(c.Path)) {
			may = true
			named = named || variables || !HasWildcard(text)
		}
	}
	return may, named
}

// mayMount reports whether devices of the user may be mounted anywhere.
func (u *User) mayMount() bool { return len(u.Mounts) > 0 || u.ByDeviceID }

// CheckMountPattern returns what is wrong with the text of a pattern of mount points that
// shvpath.ParsePattern accepts.
func CheckMountPattern(text string) error {
	for name := range strings.SplitSeq(text, "/") {
		variables := false
		for rest := name; rest != ""; {
			size, variable := token(rest)
			if rest[:size] == "{" {
				unknown, _, _ := strings.Cut(rest, "}")
				return fmt.Errorf(`invalid pattern %q: there is no variable %s} (want {user} or {cn}, or \{ for the character)`,
					text, unknown)
			}
			variables = variables || variable
			rest = rest[size:]
		}
		if variables && strings.Contains(name, "[") {
			return fmt.Errorf("invalid pattern %q: one name has both a set in [ ] and {user} or {cn}", text)
		}
	}
	return nil
}

// token returns the length of what a pattern begins with, which is not empty: a variable, an escaped
// character or a byte.
func token(text string) (size int, variable bool) {
	for _, name := range []string{userVariable, cnVariable} {
		if strings.HasPrefix(text, name) {
			return len(name), true
		}
	}
	if text[0] == '\\' && len(text) > 1 {
		return 2, false
	}
	return 1, false
}

// expand returns a pattern with the values of a claim for its variables; "" if one of them has a
// value that is not a name.
func expand(pattern string, c *Claim) (text string, variables bool) {
	if !strings.Contains(pattern, "{") {
		return pattern, false
	}
	var b strings.Builder
	valid := true
	for rest := pattern; rest != ""; {
		size, variable := token(rest)
		part := rest[:size]
		if variable {
			variables = true
			part = map[string]string{userVariable: c.User, cnVariable: c.CommonName}[part]
			valid = valid && shvpath.CheckName(part) == nil
		}
		b.WriteString(part)
		rest = rest[size:]
	}
	if !valid {
		return "", true
	}
	return b.String(), variables
}

// hasWildcard reports whether a pattern may match more than one path.
func HasWildcard(pattern string) bool {
	for rest := pattern; rest != ""; {
		size, _ := token(rest)
		if strings.ContainsAny(rest[:1], "*?[") {
			return true
		}
		rest = rest[size:]
	}
	return false
}

// Nameless lists the users whose name cannot stand for {user} in one of their patterns.
func (a Access) Nameless() (faults []Fault) {
	for _, name := range sorted(a.Users) {
		invalid := shvpath.CheckName(name)
		if invalid == nil {
			continue
		}
		patterns := slices.Clone(a.Users[name].Mounts)
		for _, role := range a.flatten(a.Users[name].Roles) {
			patterns = append(patterns, a.Roles[role].Mounts...)
		}
		for _, p := range patterns {
			if text, variables := expand(p.String(), &Claim{User: name, CommonName: "cn"}); variables && text == "" {
				faults = append(faults, Fault{Users, name, fmt.Errorf("mount-points %q: nothing can be mounted, since %w: "+
					"{user} must be the name of a node", p, invalid)})
			}
		}
	}
	return faults
}

// NeedCommonNames lists the users and roles that have a pattern with {cn}, with which nothing can be
// mounted where no connection has a client certificate.
func (a Access) NeedCommonNames() (faults []Fault) {
	note := func(of Section, name string, patterns []shvpath.Pattern) {
		for _, p := range patterns {
			if text, _ := expand(p.String(), &Claim{User: "user"}); text == "" {
				faults = append(faults, Fault{of, name, fmt.Errorf("mount-points %q: nothing can be mounted, since no listener "+
					"verifies client certificates, which {cn} is taken from (want client-ca in an entry of listen)", p)})
			}
		}
	}
	for _, name := range sorted(a.Users) {
		note(Users, name, a.Users[name].Mounts)
	}
	for _, name := range sorted(a.Roles) {
		note(Roles, name, a.Roles[name].Mounts)
	}
	return faults
}

// passwordRI is the resource identifier of the call by which users change their own password.
const passwordRI = ownNode + ":changePassword"

// MayChangePassword reports whether the user may change the own password by a call. Users whose
// devices may be mounted may not: the password is in each of those devices, so somebody who has one
// of them could lock all others out. A rule that names the call allows it all the same.
func (u *User) MayChangePassword() bool {
	return !u.mayMount() || slices.ContainsFunc(u.Rules, func(r Rule) bool {
		return r.RI.String() == passwordRI && r.Level >= ownLevel
	})
}
