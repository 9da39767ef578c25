package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"shvtools/internal/broker/auth"
)

// hidden stands where a password is.
const hidden = "(hidden)"

// Print writes the whole configuration, a value in a line with its source, and
// no secret.
func (c *Config) Print(w io.Writer) error {
	var b strings.Builder
	said := make(map[string]bool)
	for _, s := range c.settings {
		said[s.Key] = true
	}
	all := slices.Clone(c.settings)
	other := func(key, text string) {
		if !said[key] {
			all = append(all, Setting{key, text, "default"})
		}
	}
	other("allow-plaintext", "false")
	for _, each := range limits {
		other("limits."+each.name, each.show(&c.Limits))
	}
	slices.SortStableFunc(all, func(a, b Setting) int { return cmp.Compare(a.Key, b.Key) })
	for _, s := range all {
		fmt.Fprintf(&b, "%s: %s  # %s\n", s.Key, s.Text, s.Source)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// accessSettings are the entries of the rights.
func accessSettings(p *part) (settings []Setting) {
	for entry, at := range p.at {
		text, err := jsonText(shown(p, entry))
		if err != nil {
			text = err.Error()
		}
		name, _ := json.Marshal(entry.name)
		settings = append(settings, Setting{fmt.Sprintf("access.%s.%s", entry.section, name), text, at})
	}
	return settings
}

// shown is plain without secrets.
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
