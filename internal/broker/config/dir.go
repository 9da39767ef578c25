package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/sys/conf"
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

// dir reads the rights of a C++ broker (spec.md 7.11). There any device may be mounted
// where its id is listed, or where it asks for below test.
func (in *reader) dir(dir string, p *part) {
	at := conf.FilePlace(dir)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		in.FailAt(at, "not a directory that can be read")
		return
	}
	found := false
	for _, each := range cponFiles {
		for _, name := range each.names {
			file := filepath.Join(dir, name)
			data, err := conf.ReadFile(file)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			found = true
			in.files = append(in.files, file)
			if err != nil {
				in.FailAt(conf.Place{}, "%w", err)
				break
			}
			in.cponFile(file, data, each.section, p)
			break
		}
	}
	if !found {
		in.FailAt(at, "there is none of users.cpon, roles.cpon, access.cpon, mounts.cpon")
	}
	below := []shvpath.Pattern{shvpath.MustPattern("test/**")}
	for name, u := range p.Users {
		u.ByDeviceID = true
		u.Mounts = below
		p.Users[name] = u
	}
}

func (in *reader) cponFile(file string, data []byte, section auth.Section, p *part) {
	keys := section
	if section == "" {
		keys = auth.Roles
	}
	in.size += len(data)
	in.Each(in.CPON(file, data).Named("access."+string(keys)), "{…}", func(e *conf.Node) {
		entry := entryName{keys, e.Name()}
		if section != "" {
			if p.has(entry) {
				in.FailKey(e, "the entry is at %s already", p.at[entry])
				return
			}
			in.entry(entry, e, p)
			return
		}
		role := p.Roles[e.Name()]
		role.Rules = in.rules(e)
		p.Roles[e.Name()] = role
		if !p.has(entry) {
			p.at[entry] = e.KeyPlace()
		}
	})
}
