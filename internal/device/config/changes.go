package config

import (
	"reflect"
	"slices"

	"shvtools/internal/device/policy"
	"shvtools/internal/sys/conf"
)

// RuleChanges are the names of rules that differ between two configurations.
type RuleChanges struct{ Added, Removed, Changed []string }

// RulesFrom returns how the rules of c differ from those of old. A rule that only stands at
// another line is the same; one that stands before another rule than it did is changed.
func (c *Config) RulesFrom(old *Config) (d RuleChanges) {
	before := old.Policy.Rules
	for _, rule := range c.Policy.Rules {
		i := slices.IndexFunc(before, func(r policy.Rule) bool { return r.Name == rule.Name })
		if i < 0 {
			d.Added = append(d.Added, rule.Name)
			continue
		}
		was := before[i]
		was.At = rule.At
		if !reflect.DeepEqual(rule, was) {
			d.Changed = append(d.Changed, rule.Name)
		}
		before = slices.Delete(slices.Clone(before), i, i+1)
	}
	for _, rule := range before {
		d.Removed = append(d.Removed, rule.Name)
	}
	for _, name := range moved(c.Policy.Rules, old.Policy.Rules) {
		if !slices.Contains(d.Changed, name) {
			d.Changed = append(d.Changed, name)
		}
	}
	return d
}

// moved returns the names of rules that come before a rule that they came after: the first rule
// that fits decides.
func moved(now, before []policy.Rule) (names []string) {
	at := make(map[string]int)
	for i, rule := range before {
		at[rule.Name] = i
	}
	first := len(before) // of those that follow
	for _, rule := range slices.Backward(now) {
		if was, there := at[rule.Name]; there {
			if was > first {
				names = append(names, rule.Name)
			}
			first = min(first, was)
		}
	}
	slices.Reverse(names)
	return names
}

// WaitingFrom returns the keys that need a restart to be in force: those whose values differ from
// those of started, with which the agent runs.
func (c *Config) WaitingFrom(started *Config) (keys []string) {
	same := func(a, b conf.Line) bool { return a.Key == b.Key && a.Text == b.Text }
	for _, s := range table.Settings {
		switch {
		case s.Lines == nil || slices.Contains(atReload, s.Key):
		case !slices.EqualFunc(s.Lines(c), s.Lines(started), same),
			s.Key == "connection.url" && !slices.Equal(c.URLs, started.URLs): // no line shows passwords
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// atReload are the settings that a reload puts in force.
var atReload = []string{"rules", "defaults", "sessions.total", perUser, "drain"}
