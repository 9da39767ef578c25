package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
)

// part is the rights of one source.
type part struct {
	auth.Access
	at map[entryName]conf.Place // of the entries
	// Of the access file alone: the entries of the configuration that it takes away, and of each
	// other one what kind it is and which fields it has; nil: all.
	removed map[entryName]conf.Place
	kinds   map[entryName]changeKind
	fields  map[entryName][]string
	// Of both together: where the entries stand of which calls changed fields.
	changed map[entryName]conf.Place
}

type entryName struct {
	section auth.Section
	name    string
}

// String is the key of the entry: access.users."eva".
func (e entryName) String() string {
	return "access." + string(e.section) + "." + strconv.Quote(e.name)
}

func newPart() *part {
	return &part{
		Access: auth.Access{
			Users: make(map[string]auth.UserEntry), Roles: make(map[string]auth.RoleEntry),
			Devices: make(map[string]auth.DeviceEntry),
		},
		at: make(map[entryName]conf.Place), removed: make(map[entryName]conf.Place),
		kinds: make(map[entryName]changeKind), fields: make(map[entryName][]string),
		changed: make(map[entryName]conf.Place),
	}
}

// entries are those of a section, sorted by name.
func (p *part) entries(section auth.Section) []entryName {
	var entries []entryName
	for entry := range p.at {
		if entry.section == section {
			entries = append(entries, entry)
		}
	}
	slices.SortFunc(entries, func(a, b entryName) int { return strings.Compare(a.name, b.name) })
	return entries
}

// clone is a copy of p that may be changed.
func (p *part) clone() *part {
	return &part{Access: p.Access.Clone(), at: maps.Clone(p.at), removed: maps.Clone(p.removed),
		kinds: maps.Clone(p.kinds), fields: maps.Clone(p.fields), changed: maps.Clone(p.changed)}
}

// remove takes an entry away, if it exists.
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
	delete(p.removed, entry)
	delete(p.kinds, entry)
	delete(p.fields, entry)
}

// has reports whether the entry exists.
func (p *part) has(entry entryName) bool {
	_, ok := p.at[entry]
	return ok
}

// access reads users, roles and mounts into p.
func (in *reader) access(n *conf.Node, p *part) {
	section := func(s auth.Section) conf.Field[part] {
		return conf.Field[part]{Name: string(s), Read: func(r *conf.Reader, n *conf.Node, p *part) {
			r.Each(n, "{name: {…}}", func(e *conf.Node) { in.entry(entryName{s, e.Name()}, e, p) })
		}}
	}
	conf.ReadMap(&in.Reader, n, p, []conf.Field[part]{section(auth.Users), section(auth.Roles), section(auth.Devices)})
}

// entry reads an entry. Only the access file may take one of the configuration away.
func (in *reader) entry(entry entryName, n *conf.Node, p *part) {
	if err := checkName(entry.name); err != nil {
		in.FailKey(n, "%w", err)
		return
	}
	switch {
	case in.ofChanges:
		in.change(entry, n, p)
		return
	case n.Kind() == conf.Null:
		in.FailKey(n, "no value (want a map)")
		return
	}
	in.set(entry, n, p)
	p.at[entry] = n.KeyPlace()
}

// set reads the value of an entry.
func (in *reader) set(entry entryName, n *conf.Node, p *part) {
	switch entry.section {
	case auth.Users:
		p.Users[entry.name] = in.user(n, p.Users[entry.name])
	case auth.Roles:
		p.Roles[entry.name] = in.role(n)
	case auth.Devices:
		p.Devices[entry.name] = in.device(n)
	}
}

// policyFields are the Rust broker's rights by role that are not rules.
var policyFields = []conf.Field[reading[auth.RoleEntry]]{
	{Name: "allowed_ip", Read: func(_ *conf.Reader, n *conf.Node, role *reading[auth.RoleEntry]) {
		role.to.Networks, role.to.HasNetworks = role.in.networks(n), true
	}},
	{Name: "can_mount_via_device_id", Read: func(r *conf.Reader, n *conf.Node, role *reading[auth.RoleEntry]) {
		role.to.ByDeviceID, _ = conf.Bool.Read(r, n)
	}},
	{Name: "allowed_mounts", Read: func(r *conf.Reader, n *conf.Node, role *reading[auth.RoleEntry]) {
		r.EachItem(n, "[test]", func(item *conf.Node) {
			text, ok := conf.Text.Read(r, item)
			if !ok {
				return
			}
			pattern, err := role.in.mountPattern(text + "/**") // a path means what is below it too
			if err != nil {
				r.Fail(item, "%w", err)
				return
			}
			role.to.Mounts = append(role.to.Mounts, pattern)
		})
	}},
}

func (in *reader) readPolicies(n *conf.Node, p *part) {
	in.Each(n, "{device: {can_mount_via_device_id: true}}", func(policy *conf.Node) {
		role := p.Roles[policy.Name()]
		conf.ReadMap(&in.Reader, policy, &reading[auth.RoleEntry]{in, &role}, policyFields)
		p.Roles[policy.Name()] = role
		if entry := (entryName{auth.Roles, policy.Name()}); !p.has(entry) {
			p.at[entry] = policy.KeyPlace()
		}
	})
}

// defaultPolicies are those of the Rust broker where a file has none. A
// role that says itself where devices may be mounted is left alone.
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
