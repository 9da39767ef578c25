package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/yamlread"
)

// cponFiles are those of a C++ broker's directory, with the names that they had
// before.
var cponFiles = []struct {
	names   []string
	section auth.Section // "" for the rules of roles
}{
	{[]string{"users.cpon"}, auth.Users},
	{[]string{"roles.cpon", "grants.cpon"}, auth.Roles},
	{[]string{"access.cpon", "paths.cpon"}, ""},
	{[]string{"mounts.cpon", "fstab.cpon"}, auth.Devices},
}

// dir reads the rights of a C++ broker (spec.md 7.11). There any device may
// be mounted where its id is listed, or where it asks for below test.
func (r *reader) dir(dir string, p *part) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		r.fail(dir, "it is not a directory that can be read")
		return
	}
	found := false
	for _, each := range cponFiles {
		for _, name := range each.names {
			file := filepath.Join(dir, name)
			data, err := yamlread.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			found = true
			if err != nil {
				r.faults = append(r.faults, err)
				break
			}
			r.cponFile(file, data, each.section, p)
			break
		}
	}
	if !found {
		r.fail(dir, "there is none of users.cpon, roles.cpon, access.cpon, mounts.cpon")
	}
	for name, u := range p.Users {
		u.ByDeviceID = true
		u.Mounts = []shvpath.Pattern{shvpath.MustPattern("test/**")}
		p.Users[name] = u
	}
}

func (r *reader) cponFile(file string, data []byte, section auth.Section, p *part) {
	entries, err := cpon.ParseEntries(data, chainpack.Limits{})
	if err != nil {
		r.faults = append(r.faults, cponError(file, err))
		return
	}
	for _, e := range entries {
		at := fmt.Sprintf("%s:%d:%d", file, e.Line, e.Col)
		if e.Key.IsInt() {
			r.fail(at, "a name was expected, not a number")
			continue
		}
		value, err := fromValue(at, e.Value)
		if err != nil {
			r.fail(at, "%q: %w", e.Key.Str(), err)
			continue
		}
		k := key{name: e.Key.Str(), at: at, value: value}
		if section != "" {
			entry := entryName{section, k.name}
			if p.has(entry) {
				r.fail(at, "%s is at %s already", entry, p.at[entry])
				continue
			}
			r.entry(entry, k, p, false)
			continue
		}
		role, entry := p.Roles[k.name], entryName{auth.Roles, k.name}
		role.Rules = r.rules(value, entry.String())
		p.Roles[k.name] = role
		if !p.has(entry) {
			p.at[entry] = at
		}
	}
}

// cponError puts the place of a fault first, as all others have it.
func cponError(file string, err error) error {
	var syntax *cpon.SyntaxError
	var limit *cpon.LimitError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("%s:%d:%d: not CPON: %s", file, syntax.Line, syntax.Col, syntax.What)
	case errors.As(err, &limit):
		return fmt.Errorf("%s:%d:%d: not CPON: %s", file, limit.Line, limit.Col, strings.TrimPrefix(limit.Error(), "cpon: "))
	}
	return fmt.Errorf("%s: %w", file, err)
}
