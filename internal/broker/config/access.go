package config

import (
	"fmt"
	"maps"
	"strings"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/shvpath"
)

// part is what one place says about rights.
type part struct {
	auth.Access
	at      map[entryName]string // where the entries stand
	removed map[entryName]bool   // what a later place takes away
}

type entryName struct {
	section auth.Section
	name    string
}

func (e entryName) String() string {
	return fmt.Sprintf("%s %q", strings.TrimSuffix(string(e.section), "s"), e.name)
}

func newPart() *part {
	return &part{
		Access: auth.Access{Users: make(map[string]auth.UserEntry), Roles: make(map[string]auth.RoleEntry), Devices: make(map[string]auth.DeviceEntry)},
		at:     make(map[entryName]string), removed: make(map[entryName]bool),
	}
}

// over puts p over an earlier place.
func (p *part) over(base *part) *part {
	sum := newPart()
	for _, each := range []*part{base, p} {
		for entry := range each.removed {
			sum.remove(entry)
		}
		maps.Copy(sum.Users, each.Users)
		maps.Copy(sum.Roles, each.Roles)
		maps.Copy(sum.Devices, each.Devices)
		maps.Copy(sum.at, each.at)
	}
	return sum
}

// remove takes an entry away; what is not there stays so.
func (p *part) remove(entry entryName) {
	switch entry.section {
	case auth.Users:
		delete(p.Users, entry.name)
	case auth.Roles:
		delete(p.Roles, entry.name)
	case auth.Devices:
		delete(p.Devices, entry.name)
	}
	delete(p.at, entry)
}

// has tells whether the entry is there.
func (p *part) has(entry entryName) bool {
	_, ok := p.at[entry]
	return ok
}

// access reads users, roles and mounts into p. Only a place that lies over
// another one may take entries away, by null.
func (r *reader) access(n *node, what string, p *part, mayRemove bool) {
	section := func(s auth.Section) func(key) {
		return func(k key) {
			if !r.is(k.value, table, k.name, "{name: {…}}") {
				return
			}
			for _, e := range k.value.keys {
				r.entry(entryName{s, e.name}, e, p, mayRemove)
			}
		}
	}
	r.fields(n, what, map[string]func(key){
		"users": section(auth.Users), "roles": section(auth.Roles), "mounts": section(auth.Devices),
	})
}

func (r *reader) entry(entry entryName, k key, p *part, mayRemove bool) {
	if err := checkName(entry.name); err != nil {
		r.fail(k.at, "%s: %w", entry, err)
		return
	}
	if k.value.kind == null {
		if mayRemove {
			p.removed[entry] = true
		} else {
			r.fail(k.at, "%s has no value", entry)
		}
		return
	}
	r.set(entry, k.value, p)
	p.at[entry] = k.at
}

// set reads the value of an entry.
func (r *reader) set(entry entryName, n *node, p *part) {
	switch entry.section {
	case auth.Users:
		p.Users[entry.name] = r.user(n, entry.String(), p.Users[entry.name])
	case auth.Roles:
		p.Roles[entry.name] = r.role(n, entry.String())
	case auth.Devices:
		p.Devices[entry.name] = r.device(n, entry.String())
	}
}

// policies reads the Rust broker's rights by role that are not rules.
func (r *reader) policies(n *node, p *part) {
	if !r.is(n, table, "policies", "{device: {can_mount_via_device_id: true}}") {
		return
	}
	for _, k := range n.keys {
		what := fmt.Sprintf("the policy of role %q", k.name)
		role := p.Roles[k.name]
		r.fields(k.value, what, map[string]func(key){
			"allowed_ip": func(k key) {
				role.Networks, role.HasNetworks = r.networks(k.value, "allowed_ip of "+what), true
			},
			"can_mount_via_device_id": func(k key) { role.ByDeviceID = r.truth(k.value, k.name+" of "+what) },
			"allowed_mounts": func(k key) {
				// A path means what is below it too.
				r.eachText(k.value, k.name+" of "+what, "[test]", func(_ *node, text string) error {
					pattern, err := shvpath.ParsePattern(text + "/**")
					role.Mounts = append(role.Mounts, pattern)
					return err
				})
			},
		})
		p.Roles[k.name] = role
		if entry := (entryName{auth.Roles, k.name}); !p.has(entry) {
			p.at[entry] = k.at
		}
	}
}

// defaultPolicies are those of the Rust broker where a file has none. Who says
// himself where devices may be mounted is left alone.
func defaultPolicies(p *part) {
	for name, asked := range map[string]bool{"device": false, "client": true, "su": true} {
		role, ok := p.Roles[name]
		if !ok || role.Mounts != nil || role.ByDeviceID {
			continue
		}
		role.ByDeviceID = name != "client"
		if asked {
			role.Mounts = []shvpath.Pattern{shvpath.MustPattern("test/**")}
		}
		p.Roles[name] = role
	}
}
