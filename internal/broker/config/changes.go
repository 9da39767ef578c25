package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/sys/conf"
	"shvtools/internal/sys/durable"
)

// changes reads the file of rights that were changed at run time into p, and reports whether there
// is one. One that is not named says nothing, and neither does one that was never written.
func (in *reader) changes(file string, p *part) (found bool) {
	if file == "" {
		return false
	}
	data, err := conf.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !wasWritten(file):
	case errors.Is(err, fs.ErrNotExist):
		in.FailAt(conf.FilePlace(file), "the file is missing, and with it the rights that calls have taken away; restore "+
			"it, or remove %s to begin without it", file+writtenSuffix)
	case err != nil:
		in.FailAt(conf.Place{}, "%w", err)
	default:
		in.changesText(file, data, p)
		return true
	}
	return false
}

func (in *reader) changesText(file string, data []byte, p *part) {
	in.size += len(data)
	by := conf.Programs
	if !conf.Marked(data) {
		by = conf.FormerPrograms
	}
	in.ofChanges = true
	in.access(in.Whole(file, data, by).Named("access"), p)
	in.ofChanges = false
}

// writtenSuffix is that of a file beside the access file which says that the broker has had one.
const writtenSuffix = ".written"

// wasWritten reports whether the broker has had the access file before.
func wasWritten(file string) bool {
	_, err := os.Stat(file + writtenSuffix)
	return !errors.Is(err, fs.ErrNotExist)
}

// noteWritten makes wasWritten true, also after a crash.
func noteWritten(file string) error {
	if wasWritten(file) {
		return nil
	}
	return durable.Replace(file+writtenSuffix, []byte("shvbroker has kept rights in "+filepath.Base(file)+
		". Without that file it does not start while this one is here.\n"), 0o600)
}

const changesHead = conf.BeginMark + `
# Rights that were changed while shvbroker ran, by .broker/access. An entry with change: added
# was made by a call. One with change: overlay has fields that replace those of the entry in
# the configuration; change: removed takes that entry away. Both end with it. shvbroker
# replaces this file as a whole: change it by hand while the broker does not run, or reload
# right after. The last line shows that nothing was cut off.
`

// changesText writes the changes, each entry in a line of its own.
func changesText(p *part) ([]byte, error) {
	var b strings.Builder
	b.WriteString(changesHead)
	for _, section := range []auth.Section{auth.Users, auth.Roles, auth.Devices} {
		entries := make(map[string]any)
		for entry := range p.removed {
			if entry.section == section {
				entries[entry.name] = map[string]string{changeKey: changeNames[changeRemoved]}
			}
		}
		for entry := range p.at {
			if entry.section == section {
				entries[entry.name] = marked(p, entry)
			}
		}
		if len(entries) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s:\n", section)
		for _, name := range sortedKeys(entries) {
			key, err := jsonText(name)
			if err != nil {
				return nil, err
			}
			value, err := jsonText(entries[name])
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "  %s: %s\n", key, value)
		}
	}
	b.WriteString(conf.EndMark + "\n")
	return []byte(b.String()), nil
}

// emptyFields are the values of fields that plain leaves out.
var emptyFields = map[string]any{
	"tokens": []string{}, "certificates": []string{}, "mount-points": []string{}, "allowed-ips": []string{},
	"deactivated": false, "mount-by-device-id": false, "mount-inside": false, "share": 1, "deactivated_reason": "",
	"description": "",
}

// marked is an entry of the access file, with its kind.
func marked(p *part, entry entryName) map[string]any {
	m := plain(p, entry)
	kind := p.kinds[entry]
	if kind == changeOverlay {
		all := m
		m = make(map[string]any)
		for _, name := range p.fields[entry] {
			value, ok := all[name]
			if !ok {
				value, ok = emptyFields[name]
			}
			if ok {
				m[name] = value
			}
		}
	}
	if kind != changeUnmarked {
		m[changeKey] = changeNames[kind]
	}
	return m
}

// jsonText is a value in one line of JSON, which is YAML too.
func jsonText(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSpace(b.String()), err
}

// plain returns an entry in the form of the file, with its secrets.
func plain(p *part, entry entryName) map[string]any {
	m := make(map[string]any)
	put := func(name string, value any, there bool) {
		if there {
			m[name] = value
		}
	}
	switch entry.section {
	case auth.Users:
		u := p.Users[entry.name]
		put("password", map[string]string{u.Password.Form().String(): u.Password.Text()}, u.Password.Form() != auth.FormNone)
		put("roles", orEmpty(u.Roles), true)
		put("tokens", orEmpty(u.Tokens), len(u.Tokens) > 0 || u.Password.Form() == auth.FormNone && len(u.Certificates) == 0)
		put("certificates", texts(u.Certificates), len(u.Certificates) > 0)
		put("deactivated", true, u.Deactivated)
		put("deactivated_reason", u.DeactivatedReason, u.DeactivatedReason != "")
		put("expires", u.Expires.UTC().Format(time.RFC3339Nano), !u.Expires.IsZero())
		put("allowed-ips", texts(u.Networks), len(u.Networks) > 0)
		put("mount-points", texts(u.Mounts), len(u.Mounts) > 0)
		put("mount-by-device-id", true, u.ByDeviceID)
	case auth.Roles:
		role := p.Roles[entry.name]
		put("roles", orEmpty(role.Roles), true)
		rules := make([]map[string]string, len(role.Rules))
		for i, rule := range role.Rules {
			rules[i] = map[string]string{"shvRI": rule.RI.String(), "grant": grantName(rule)}
		}
		put("access", rules, true)
		put("allowed-ips", texts(role.Networks), role.HasNetworks)
		put("mount-points", texts(role.Mounts), len(role.Mounts) > 0)
		put("mount-by-device-id", true, role.ByDeviceID)
		put("share", role.Share, role.Share > 0)
		put("mount-inside", true, role.MountInside)
	case auth.Devices:
		d := p.Devices[entry.name]
		put("mountPoint", d.MountPoint, true)
		put("description", d.Description, d.Description != "")
	}
	return m
}

func grantName(rule auth.Rule) string {
	if text := rule.Level.String(); text != "" {
		return text
	}
	return noAccess
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func texts[T fmt.Stringer](list []T) []string {
	all := make([]string, len(list))
	for i, item := range list {
		all[i] = item.String()
	}
	return all
}

// hidden replaces passwords and tokens.
const hidden = "(hidden)"

// shown returns what plain does, without secrets.
func shown(p *part, entry entryName) map[string]any {
	m := plain(p, entry)
	if entry.section != auth.Users {
		return m
	}
	if _, ok := m["password"]; ok {
		m["password"] = map[string]string{p.Users[entry.name].Password.Form().String(): hidden}
	}
	if n := len(p.Users[entry.name].Tokens); n > 0 {
		m["tokens"] = []string{hidden}
	}
	return m
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }
