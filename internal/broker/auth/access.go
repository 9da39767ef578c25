package auth

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"shvtools/internal/shv/shvpath"
)

// Access is the rights of a configuration. Its entries must not be changed in place:
// Clone it first.
type Access struct {
	Users   map[string]UserEntry
	Roles   map[string]RoleEntry
	Devices map[string]DeviceEntry // by device id
}

// UserEntry is a user as configured.
type UserEntry struct {
	Password          Password
	Roles             []string
	Tokens            []string   // that log the user in without a password
	Certificates      []CertName // that do so
	Deactivated       bool
	DeactivatedReason string
	Expires           time.Time         // zero: never
	Networks          []netip.Prefix    // where the user may come from; empty: anywhere
	Mounts            []shvpath.Pattern // as in a role
	ByDeviceID        bool              // as in a role
}

// RoleEntry is a set of rights.
type RoleEntry struct {
	Roles       []string // that it includes, behind its own rules
	Rules       []Rule
	Mounts      []shvpath.Pattern // where devices of its users may mount themselves
	ByDeviceID  bool              // they may be mounted where Devices says
	MountInside bool              // and inside the devices of other users
	Networks    []netip.Prefix    // where its users may come from; empty: the role does not care
	HasNetworks bool              // the list was given; an empty one admits no address
	Share       int               // times the even part of others; 0: the role does not care
}

// DeviceEntry says where a device is mounted that gives only its id.
type DeviceEntry struct {
	MountPoint  string // clean
	Description string
}

// Clone copies the maps, whose entries may then be replaced.
func (a Access) Clone() Access {
	return Access{Users: maps.Clone(a.Users), Roles: maps.Clone(a.Roles), Devices: maps.Clone(a.Devices)}
}

// Section is a part of an Access.
type Section string

// The sections, with the names that they have in files and nodes.
const (
	Users   Section = "users"
	Roles   Section = "roles"
	Devices Section = "mounts"
)

// Fault is something wrong in an entry of an Access.
type Fault struct {
	Section Section
	Name    string
	Err     error
}

// Error names the entry.
func (f Fault) Error() string {
	return fmt.Sprintf("%s %q: %v", strings.TrimSuffix(string(f.Section), "s"), f.Name, f.Err)
}

// Unwrap gives the fault itself.
func (f Fault) Unwrap() error { return f.Err }

// Unknown lists the roles that are named and do not exist. They grant nothing and are
// not a fault, since files of other brokers have them.
func (a Access) Unknown() (faults []Fault) {
	check := func(section Section, name string, roles []string) {
		for _, role := range roles {
			if _, ok := a.Roles[role]; !ok {
				faults = append(faults, Fault{section, name, fmt.Errorf("there is no role %q", role)})
			}
		}
	}
	for _, name := range sorted(a.Users) {
		check(Users, name, a.Users[name].Roles)
	}
	for _, name := range sorted(a.Roles) {
		check(Roles, name, a.Roles[name].Roles)
	}
	return faults
}

// flatten returns the roles in the order in which their rules count: the named ones,
// then those that these include, and so on (spec.md 7.6).
func (a Access) flatten(roles []string) (flat []string) {
	seen := make(map[string]bool)
	for queue := slices.Clone(roles); len(queue) > 0; queue = queue[1:] {
		name := queue[0]
		if seen[name] {
			continue
		}
		seen[name] = true
		if role, ok := a.Roles[name]; ok {
			flat = append(flat, name)
			queue = append(queue, role.Roles...)
		}
	}
	return flat
}

// cycles returns a fault for each role that includes itself.
func (a Access) cycles() (faults []Fault) {
	const (
		fresh = iota
		open
		done
	)
	state := make(map[string]int)
	var visit func(name string, way []string)
	visit = func(name string, way []string) {
		state[name] = open
		way = append(way, name)
		for _, next := range a.Roles[name].Roles {
			switch state[next] {
			case open:
				loop := append(slices.Clone(way[slices.Index(way, next):]), next)
				faults = append(faults, Fault{Roles, name, errors.New("roles that include themselves: " + strings.Join(loop,
					" includes "))})
			case fresh:
				visit(next, way)
			}
		}
		state[name] = done
	}
	for _, name := range sorted(a.Roles) {
		if state[name] == fresh {
			visit(name, nil)
		}
	}
	return faults
}

func sorted[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
