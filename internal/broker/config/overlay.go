package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
)

// changeKind is what an entry of the access file is to the configuration.
type changeKind uint8

const (
	// changeUnmarked: an older shvbroker wrote it, or a person. It may stand for an entry that the
	// configuration does not have any more, or for one that a call made.
	changeUnmarked changeKind = iota
	// changeAdded: a call made it. It stays.
	changeAdded
	// changeOverlay: its fields replace those of the configuration's entry. It ends with that.
	changeOverlay
	// changeRemoved: it takes the configuration's entry away. It ends with that.
	changeRemoved
)

// changeKey is the key of an entry that says its kind.
const changeKey = "change"

var changeNames = [...]string{changeAdded: "added", changeOverlay: "overlay", changeRemoved: "removed"}

var changeType = conf.Type[changeKind]{
	Name: changeKey, Want: "added, overlay or removed",
	Parse: func(text string) (changeKind, error) {
		if i := slices.Index(changeNames[:], text); i > 0 {
			return changeKind(i), nil
		}
		return changeUnmarked, conf.ErrInvalid
	},
	Show: func(k changeKind) string { return changeNames[k] },
}

// changeField is changeKey, which reader.change reads.
func changeField[T any]() conf.Field[reading[T]] {
	return silent(field(changeKey, func(in *reader, n *conf.Node, _ *T) {
		if !in.ofChanges {
			in.FailKey(n, "unknown key")
		}
	}))
}

// change reads an entry of the access file.
func (in *reader) change(entry entryName, n *conf.Node, p *part) {
	kind := changeUnmarked
	if said := n.Child(changeKey); said != nil {
		kind, _ = changeType.Read(&in.Reader, said)
	}
	if n.Kind() == conf.Null || kind == changeRemoved {
		p.removed[entry] = n.KeyPlace()
		return
	}
	in.overlay = kind == changeOverlay
	in.set(entry, n, p)
	in.overlay = false
	p.at[entry], p.kinds[entry] = n.KeyPlace(), kind
	if kind != changeOverlay {
		return
	}
	names := []string{}
	for _, field := range n.Items() {
		if field.Name() != changeKey && field.Kind() != conf.Null {
			names = append(names, field.Name())
		}
	}
	p.fields[entry] = names
}

// entryField is a field of an entry that calls can change alone, by its key.
type entryField[T any] struct {
	name string
	same func(a, b *T) bool
	copy func(to, from *T)
}

func entryFieldOf[T, F any](name string, of func(*T) *F, same func(a, b F) bool) entryField[T] {
	return entryField[T]{name,
		func(a, b *T) bool { return same(*of(a), *of(b)) },
		func(to, from *T) { *of(to) = *of(from) }}
}

func same[F comparable](a, b F) bool { return a == b }

func sameTexts[F fmt.Stringer](a, b []F) bool {
	return slices.EqualFunc(a, b, func(x, y F) bool { return x.String() == y.String() })
}

var userParts = []entryField[auth.UserEntry]{
	entryFieldOf("password", func(u *auth.UserEntry) *auth.Password { return &u.Password }, same),
	entryFieldOf("roles", func(u *auth.UserEntry) *[]string { return &u.Roles }, slices.Equal),
	entryFieldOf("tokens", func(u *auth.UserEntry) *[]string { return &u.Tokens }, slices.Equal),
	entryFieldOf("certificates", func(u *auth.UserEntry) *[]auth.CertName { return &u.Certificates }, slices.Equal),
	entryFieldOf("deactivated", func(u *auth.UserEntry) *bool { return &u.Deactivated }, same),
	entryFieldOf("deactivated_reason", func(u *auth.UserEntry) *string { return &u.DeactivatedReason }, same),
	entryFieldOf("expires", func(u *auth.UserEntry) *time.Time { return &u.Expires }, time.Time.Equal),
	entryFieldOf("allowed-ips", func(u *auth.UserEntry) *[]netip.Prefix { return &u.Networks }, slices.Equal),
	entryFieldOf("mount-points", func(u *auth.UserEntry) *[]shvpath.Pattern { return &u.Mounts }, sameTexts),
	entryFieldOf("mount-by-device-id", func(u *auth.UserEntry) *bool { return &u.ByDeviceID }, same),
}

var roleParts = []entryField[auth.RoleEntry]{
	entryFieldOf("roles", func(r *auth.RoleEntry) *[]string { return &r.Roles }, slices.Equal),
	entryFieldOf("access", func(r *auth.RoleEntry) *[]auth.Rule { return &r.Rules }, func(a, b []auth.Rule) bool {
		return slices.EqualFunc(a, b, func(x, y auth.Rule) bool {
			return x.Level == y.Level && x.RI.String() == y.RI.String()
		})
	}),
	{"allowed-ips",
		func(a, b *auth.RoleEntry) bool {
			return a.HasNetworks == b.HasNetworks && slices.Equal(a.Networks, b.Networks)
		},
		func(to, from *auth.RoleEntry) { to.Networks, to.HasNetworks = from.Networks, from.HasNetworks }},
	entryFieldOf("mount-points", func(r *auth.RoleEntry) *[]shvpath.Pattern { return &r.Mounts }, sameTexts),
	entryFieldOf("mount-by-device-id", func(r *auth.RoleEntry) *bool { return &r.ByDeviceID }, same),
	entryFieldOf("mount-inside", func(r *auth.RoleEntry) *bool { return &r.MountInside }, same),
	entryFieldOf("share", func(r *auth.RoleEntry) *int { return &r.Share }, same),
}

var deviceParts = []entryField[auth.DeviceEntry]{
	entryFieldOf("mountPoint", func(d *auth.DeviceEntry) *string { return &d.MountPoint }, same),
	entryFieldOf("description", func(d *auth.DeviceEntry) *string { return &d.Description }, same),
}

// differing are the names of the fields in which two entries differ.
func differing[T any](parts []entryField[T], a, b T) []string {
	names := []string{}
	for _, part := range parts {
		if !part.same(&a, &b) {
			names = append(names, part.name)
		}
	}
	return names
}

// with is an entry with some fields of another one.
func (p *part) with(entry entryName, names []string, from *part) {
	switch entry.section {
	case auth.Users:
		p.Users[entry.name] = laid(userParts, p.Users[entry.name], from.Users[entry.name], names)
	case auth.Roles:
		p.Roles[entry.name] = laid(roleParts, p.Roles[entry.name], from.Roles[entry.name], names)
	case auth.Devices:
		p.Devices[entry.name] = laid(deviceParts, p.Devices[entry.name], from.Devices[entry.name], names)
	}
}

func laid[T any](parts []entryField[T], to, from T, names []string) T {
	for _, part := range parts {
		if slices.Contains(names, part.name) {
			part.copy(&to, &from)
		}
	}
	return to
}

// differing are the names of the fields in which an entry differs from that of another part.
func (p *part) differing(entry entryName, from *part) []string {
	switch entry.section {
	case auth.Users:
		return differing(userParts, p.Users[entry.name], from.Users[entry.name])
	case auth.Roles:
		return differing(roleParts, p.Roles[entry.name], from.Roles[entry.name])
	}
	return differing(deviceParts, p.Devices[entry.name], from.Devices[entry.name])
}

// tighten gives an entry the bounds that the configuration sets, which no call lifts: a user whom
// it deactivates stays so, and one whom it ends or binds to addresses too.
func (p *part) tighten(entry entryName, base *part) {
	switch entry.section {
	case auth.Users:
		u, by := p.Users[entry.name], base.Users[entry.name]
		if by.Deactivated {
			u.Deactivated, u.DeactivatedReason = true, by.DeactivatedReason
		}
		if !by.Expires.IsZero() && (u.Expires.IsZero() || by.Expires.Before(u.Expires)) {
			u.Expires = by.Expires
		}
		if u.Networks = within(u.Networks, by.Networks); len(u.Networks) == 0 { // which means anywhere
			u.Networks = by.Networks
		}
		p.Users[entry.name] = u
	case auth.Roles:
		role, by := p.Roles[entry.name], base.Roles[entry.name]
		switch {
		case by.HasNetworks && role.HasNetworks:
			role.Networks = narrowed(role.Networks, by.Networks)
		case by.HasNetworks:
			role.Networks, role.HasNetworks = by.Networks, true
		}
		p.Roles[entry.name] = role
	}
}

// within is narrowed for lists of which an empty one means everything.
func within(networks, bounds []netip.Prefix) []netip.Prefix {
	if len(bounds) == 0 {
		return networks
	}
	return narrowed(networks, bounds)
}

// narrowed are the parts of networks that are inside one of bounds.
func narrowed(networks, bounds []netip.Prefix) (all []netip.Prefix) {
	add := func(p netip.Prefix) {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	for _, network := range networks {
		for _, bound := range bounds {
			switch {
			case !network.Overlaps(bound):
			case network.Bits() >= bound.Bits():
				add(network)
			default:
				add(bound)
			}
		}
	}
	return all
}

// over returns p, the changes, over the configuration. The result must not be changed.
func (p *part) over(base *part) *part {
	if len(p.at) == 0 && len(p.removed) == 0 {
		return base
	}
	sum := newPart()
	maps.Copy(sum.Users, base.Users)
	maps.Copy(sum.Roles, base.Roles)
	maps.Copy(sum.Devices, base.Devices)
	maps.Copy(sum.at, base.at)
	for entry := range p.removed {
		sum.remove(entry)
	}
	for entry, at := range p.at {
		switch names, overlay := p.fields[entry]; {
		case overlay && base.has(entry):
			sum.with(entry, names, p)
			sum.tighten(entry, base)
			sum.changed[entry] = at
		case !overlay:
			sum.copyEntry(p, entry)
			if base.has(entry) {
				sum.tighten(entry, base)
			}
		}
	}
	return sum
}

// put makes an entry of edited, which may be gone there, an entry of the changes: of one that the
// configuration has too it takes only what differs.
func (p *part) put(entry entryName, edited, base *part) {
	added := p.kinds[entry] == changeAdded
	at := edited.at[entry]
	p.remove(entry)
	var names []string
	if edited.has(entry) && base.has(entry) {
		possible := edited.only(entry)
		possible.tighten(entry, base)
		names = possible.differing(entry, base)
	}
	switch {
	case !edited.has(entry) && base.has(entry):
		p.removed[entry] = at
	case !edited.has(entry), base.has(entry) && len(names) == 0:
	case base.has(entry) && !added:
		p.with(entry, names, edited)
		p.at[entry], p.kinds[entry], p.fields[entry] = at, changeOverlay, names
	default:
		p.copyEntry(edited, entry)
		p.kinds[entry] = changeAdded
	}
}

// lifts returns an error if the configuration does not let a call make an entry what edited has.
func (p *part) lifts(entry entryName, edited, base *part) error {
	if !edited.has(entry) || !base.has(entry) || entry.section == auth.Devices {
		return nil
	}
	for _, name := range edited.differing(entry, p) {
		switch name {
		case "deactivated", "expires", "allowed-ips":
			return fmt.Errorf("%s: the configuration says %s of %s (%s), and a call cannot lift that: change it there",
				entry, name, entry.name, shortPlace(base.at[entry]))
		}
	}
	return nil
}

// settle makes of what was read what counts over a configuration, and tells what differs from it.
// It reports whether the file should be written anew.
func (p *part) settle(base *part) (warnings []string, rewrite bool) {
	warn := func(entry entryName, at conf.Place, format string, args ...any) {
		f := conf.Fault{Place: at, Key: entry.String(), Err: fmt.Errorf(format, args...)}
		warnings = append(warnings, f.Error())
	}
	for _, entry := range sortedEntries(p.removed) {
		at := p.removed[entry]
		if base.has(entry) {
			warn(entry, at, "%s of %s is not used, %s removes it", entry.name, shortPlace(base.at[entry]), shortPlace(at))
			continue
		}
		p.remove(entry)
		rewrite = true
	}
	var renewed []string // users of whom only the password was changed
	for _, entry := range sortedEntries(p.at) {
		at, from := p.at[entry], base.at[entry]
		switch kind := p.kinds[entry]; {
		case !base.has(entry) && kind == changeOverlay:
			warn(entry, at, "the configuration has no %s any more, so what calls changed of it has ended", entry.name)
			p.remove(entry)
			rewrite = true
		case !base.has(entry) && kind == changeUnmarked:
			warn(entry, at, "the configuration has no %s, and the entry of an older file does not say that a call made it; "+
				"it is kept: remove it by setValue with null, or set it once more", entry.name)
		case !base.has(entry):
		case kind == changeUnmarked:
			p.put(entry, p.only(entry), base)
			rewrite = true
			if names := p.fields[entry]; len(names) > 0 {
				warn(entry, at, "%s", shadowed(entry, names, from, at))
			}
		case kind == changeOverlay:
			names := p.effective(entry, base)
			switch {
			case len(names) == 1 && names[0] == "password":
				renewed = append(renewed, fmt.Sprintf("%s (%s, not %s)", entry.name, shortPlace(at), shortPlace(from)))
			case len(names) > 0:
				warn(entry, at, "%s", shadowed(entry, names, from, at))
			}
		case len(p.differing(entry, base)) > 0:
			warn(entry, at, "%s of %s is not used, %s is: a call made that", entry.name, shortPlace(from), shortPlace(at))
		}
	}
	if len(renewed) > 0 {
		warnings = append(warnings, "passwords that calls have changed are used instead of those of the configuration: "+
			some(renewed))
	}
	return warnings, rewrite
}

// only is a part with one entry of p.
func (p *part) only(entry entryName) *part {
	one := newPart()
	one.copyEntry(p, entry)
	return one
}

// effective are the fields of an overlay that make a difference.
func (p *part) effective(entry entryName, base *part) []string {
	one := base.only(entry)
	one.with(entry, p.fields[entry], p)
	one.tighten(entry, base)
	return one.differing(entry, base)
}

// shadowed says that fields of the configuration's entry do not count.
func shadowed(entry entryName, names []string, from, at conf.Place) string {
	return fmt.Sprintf("%s of %s of %s: not used, %s is", strings.Join(names, ", "), entry.name, shortPlace(from),
		shortPlace(at))
}

// maxNamed bounds a list in one line.
const maxNamed = 50

func some(texts []string) string {
	more := ""
	if n := len(texts) - maxNamed; n > 0 {
		texts, more = texts[:maxNamed], fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(texts, ", ") + more
}

// shortPlace is a file and a line.
func shortPlace(at conf.Place) string {
	switch {
	case at == defaultPlace:
		return "default"
	case at.Line() == 0:
		return at.String()
	}
	return fmt.Sprintf("%s:%d", at.File(), at.Line())
}

func sortedEntries[T any](m map[entryName]T) []entryName {
	return slices.SortedFunc(maps.Keys(m), func(a, b entryName) int {
		return cmp.Or(cmp.Compare(a.section, b.section), cmp.Compare(a.name, b.name))
	})
}
