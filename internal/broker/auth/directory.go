package auth

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// tokenKey is the hash of a token, so that the time of a look-up does not reveal how
// much of a guess was right.
type tokenKey [sha256.Size]byte

// Directory is a set of users. It does not change and may be used concurrently.
type Directory struct {
	users        map[string]*User
	tokens       map[tokenKey]*User
	certificates map[CertName]*User
	devices      map[string]string
	// dearest is the argon2id password that takes longest; zero if there is none. A
	// PLAIN login of a user without one is made to take as long.
	dearest Password
	// refusesSHA1: a password has to be shown itself.
	refusesSHA1 bool
}

// RefuseSHA1 makes a new directory, which nobody else has, refuse SHA1 logins.
func (d *Directory) RefuseSHA1() { d.refusesSHA1 = true }

// NewDirectory returns a directory of users without tokens, certificates and devices.
func NewDirectory(users ...*User) *Directory {
	d := &Directory{users: make(map[string]*User, len(users)), tokens: make(map[tokenKey]*User),
		certificates: make(map[CertName]*User)}
	for _, u := range users {
		d.add(u)
	}
	return d
}

func (d *Directory) add(u *User) {
	d.users[u.Name] = u
	if u.Password.cost() > d.dearest.cost() {
		d.dearest = u.Password
	}
}

// Build returns the directory of an Access, or the faults that prevent it, in the
// order of sections and names.
func Build(a Access) (*Directory, []Fault) {
	if faults := a.cycles(); faults != nil {
		return nil, faults
	}
	d := NewDirectory()
	var faults []Fault
	byRoles := make(map[string]*granted)
	for _, name := range sorted(a.Users) {
		roles := fmt.Sprintf("%q", a.Users[name].Roles) // no text within a name ends it
		g := byRoles[roles]
		if g == nil {
			g = a.granted(a.Users[name].Roles)
			byRoles[roles] = g
		}
		u := a.effective(name, g)
		d.add(u)
		for _, token := range a.Users[name].Tokens {
			key := sha256.Sum256([]byte(token))
			if other := d.tokens[key]; other != nil {
				faults = append(faults, Fault{Users, name, fmt.Errorf("a token belongs to user %q too", other.Name)})
			}
			d.tokens[key] = u
		}
		faults = append(faults, d.addCertificates(u, a.Users[name].Certificates)...)
	}
	d.devices = make(map[string]string, len(a.Devices))
	for id, device := range a.Devices {
		d.devices[id] = device.MountPoint
	}
	if faults != nil {
		return nil, faults
	}
	return d, nil
}

// effective returns a user with the rights that the roles grant.
func (a Access) effective(name string, g *granted) *User {
	entry := a.Users[name]
	u := &User{
		Name:        name,
		Password:    entry.Password,
		Roles:       g.roles,
		Rules:       g.rules,
		Deactivated: entry.Deactivated,
		Expires:     entry.Expires,
		Mounts:      concat(entry.Mounts, g.mounts),
		ByDeviceID:  entry.ByDeviceID || g.byDeviceID,
		Share:       max(g.share, 1),
		MountInside: g.inside,
	}
	if len(entry.Networks) > 0 {
		u.Networks = append(u.Networks, entry.Networks)
	}
	if g.limited {
		u.Networks = append(u.Networks, g.networks)
	}
	return u
}

// granted is the rights that a list of roles grants. Users with equal lists share it.
type granted struct {
	roles      []string // the named ones first, then those that they include
	rules      []Rule
	mounts     []shvpath.Pattern
	byDeviceID bool
	inside     bool
	networks   []netip.Prefix // one of which the user must come from, if limited
	limited    bool
	share      int // the largest of the roles
}

func (a Access) granted(roles []string) *granted {
	g := &granted{roles: a.flatten(roles)}
	for _, name := range g.roles {
		role := a.Roles[name]
		g.rules = concat(g.rules, role.Rules)
		g.mounts = concat(g.mounts, role.Mounts)
		g.byDeviceID = g.byDeviceID || role.ByDeviceID
		g.inside = g.inside || role.MountInside
		g.networks = concat(g.networks, role.Networks)
		g.limited = g.limited || role.HasNetworks
		g.share = max(g.share, role.Share)
	}
	return g
}

// concat returns a followed by b. If one is empty it returns the other, uncopied: neither
// is ever changed in place.
func concat[T any](a, b []T) []T {
	switch {
	case len(a) == 0:
		return slices.Clip(b)
	case len(b) == 0:
		return slices.Clip(a)
	}
	return slices.Concat(a, b)
}

// User returns the user of a name, nil if there is none.
func (d *Directory) User(name string) *User { return d.users[name] }

// DeviceMount returns where the device of an id is to be mounted.
func (d *Directory) DeviceMount(id string) (mountPoint string, ok bool) {
	mountPoint, ok = d.devices[id]
	return mountPoint, ok
}

// Administered returns until when somebody can log in who may change the rights of others by calls,
// the zero time for ever; ok is false if nobody can now.
func (d *Directory) Administered(now time.Time) (until time.Time, ok bool) {
	external := make(map[*User]bool)
	for _, u := range d.tokens {
		external[u] = true
	}
	for _, u := range d.certificates {
		external[u] = true
	}
	for _, u := range d.users {
		switch {
		case u.Password == (Password{}) && !external[u], u.Deactivated, !u.Expires.IsZero() && !now.Before(u.Expires),
			slices.ContainsFunc(u.Networks, func(list []netip.Prefix) bool { return len(list) == 0 }),
			u.Level([]byte(usersNode), []byte("setValue")) < rpc.AccessSuper:
			continue
		case u.Expires.IsZero():
			return time.Time{}, true
		case u.Expires.After(until):
			until, ok = u.Expires, true
		}
	}
	return until, ok
}

// usersNode is where calls change users.
const usersNode = ".broker/access/users"
