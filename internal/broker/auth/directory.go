package auth

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"slices"
)

// tokenKey is a hash of a token: looking it up in a map tells nobody how much of
// a guess was right.
type tokenKey [sha256.Size]byte

// Directory is a set of users. It does not change and may be used
// concurrently.
type Directory struct {
	users        map[string]*User
	tokens       map[tokenKey]*User
	certificates map[CertName]*User
	devices      map[string]string
	// dearest is the argon2id password that takes longest; zero when there is
	// none. A PLAIN login of somebody without one is made to take as long.
	dearest Password
}

// NewDirectory makes a directory of users, without tokens, certificates and devices.
func NewDirectory(users ...*User) *Directory {
	d := &Directory{users: make(map[string]*User, len(users)), tokens: make(map[tokenKey]*User), certificates: make(map[CertName]*User)}
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

// Build makes the directory of an Access. With faults there is none; they come
// in the order of sections and names.
func Build(a Access) (*Directory, []Fault) {
	if faults := a.cycles(); faults != nil {
		return nil, faults
	}
	d := NewDirectory()
	var faults []Fault
	for _, name := range sorted(a.Users) {
		u := a.effective(name)
		d.add(u)
		for _, token := range a.Users[name].Tokens {
			key := sha256.Sum256([]byte(token))
			if other := d.tokens[key]; other != nil {
				faults = append(faults, Fault{Users, name, errors.New("a token of it is one of user " + other.Name + " too")})
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

// effective is a user with what the roles give.
func (a Access) effective(name string) *User {
	entry := a.Users[name]
	u := &User{
		Name:        name,
		Password:    entry.Password,
		Roles:       a.flatten(entry.Roles),
		Deactivated: entry.Deactivated,
		Expires:     entry.Expires,
		Mounts:      slices.Clone(entry.Mounts),
		ByDeviceID:  entry.ByDeviceID,
	}
	if len(entry.Networks) > 0 {
		u.Networks = append(u.Networks, entry.Networks)
	}
	var fromRoles []netip.Prefix
	limited := false
	for _, role := range u.Roles {
		r := a.Roles[role]
		u.Rules = append(u.Rules, r.Rules...)
		u.Mounts = append(u.Mounts, r.Mounts...)
		u.ByDeviceID = u.ByDeviceID || r.ByDeviceID
		fromRoles = append(fromRoles, r.Networks...)
		limited = limited || r.HasNetworks
	}
	if limited {
		u.Networks = append(u.Networks, slices.Clip(fromRoles))
	}
	return u
}

// User gives the user of a name, nil where there is none.
func (d *Directory) User(name string) *User { return d.users[name] }

// DeviceMount is where the device of an id is to be mounted.
func (d *Directory) DeviceMount(id string) (mountPoint string, ok bool) {
	mountPoint, ok = d.devices[id]
	return mountPoint, ok
}
