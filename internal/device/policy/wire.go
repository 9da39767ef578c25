package policy

import (
	"slices"
	"time"

	"shvtools/internal/shv/chainpack"
)

// Value returns the grant as it stands in the agent's line to its helper. Keys without a
// value are left out, except use and env. Times are in milliseconds.
func (g *Grant) Value() chainpack.Value {
	uses := make([]string, len(g.Uses))
	for i, u := range g.Uses {
		uses[i] = u.String()
	}
	entries := []chainpack.Entry{chainpack.F("env", texts(g.Env)), chainpack.F("use", texts(uses))}
	add := func(key string, value chainpack.Value, there bool) {
		if there {
			entries = append(entries, chainpack.F(key, value))
		}
	}
	text := func(key, value string) { add(key, chainpack.String(value), value != "") }
	number := func(key string, n int64, there bool) { add(key, chainpack.Int(n), there) }
	text("rule", g.Rule)
	text("force", g.Force)
	text("user", g.User)
	text("dir", g.Dir)
	text("shell", g.Shell)
	add("groups", texts(g.Group), g.Group != nil)
	number("umask", int64(g.Umask), g.Umask >= 0)
	number("idle", int64(g.Idle/time.Millisecond), g.Idle > 0)
	number("time", int64(g.Total/time.Millisecond), g.Total > 0)
	var commands []chainpack.Value
	for _, c := range g.Commands {
		commands = append(commands, texts(c))
	}
	add("commands", chainpack.List(commands...), g.Commands != nil)
	add("pty", chainpack.Bool(true), g.Pty)
	var resources []chainpack.Entry
	for _, name := range ResourceNames() {
		if n, ok := g.Resources[name]; ok {
			resources = append(resources, chainpack.F(name, chainpack.UInt(n)))
		}
	}
	add("resources", chainpack.Map(resources...), len(resources) > 0)
	return chainpack.Map(entries...)
}

func texts(list []string) chainpack.Value {
	items := make([]chainpack.Value, len(list))
	for i, text := range list {
		items[i] = chainpack.String(text)
	}
	return chainpack.List(items...)
}

// longest bounds times in a grant, in milliseconds: 34 years.
const longest = 1 << 40

// GrantFromValue reads what Grant.Value returns. A missing key has its strictest meaning;
// a grant with an unreadable limit allows nothing at all.
func GrantFromValue(v chainpack.Value) Grant {
	g := Grant{Limits: Limits{Env: textsOf(v, "env"), Umask: -1}}
	bad := false
	text := func(key string) string {
		value, there := v.Get(key)
		s, ok := value.AsString()
		bad = bad || there && !ok
		return s
	}
	number := func(key string, otherwise int64) int64 {
		value, there := v.Get(key)
		if !there {
			return otherwise
		}
		n, ok := value.AsInt()
		bad = bad || !ok || n < 0 || n > longest
		return n
	}
	g.Rule, g.Force, g.User, g.Dir, g.Shell = text("rule"), text("force"), text("user"), text("dir"), text("shell")
	g.Umask = int(number("umask", -1))
	g.Idle = time.Duration(number("idle", 0)) * time.Millisecond
	g.Total = time.Duration(number("time", 0)) * time.Millisecond
	if _, there := v.Get("groups"); there {
		g.Group = textsOf(v, "groups")
	}
	if commands, there := v.Get("commands"); there {
		g.Commands = []Command{}
		for _, item := range commands.Items() {
			g.Commands = append(g.Commands, Command(listOf(item)))
		}
	}
	if pty, there := v.Get("pty"); there {
		yes, ok := pty.AsBool()
		g.Pty, bad = yes, bad || !ok
	}
	resources, _ := v.Get("resources")
	for _, e := range resources.Entries() {
		n, ok := e.Value.AsUInt()
		if bad = bad || !ok || !slices.Contains(ResourceNames(), e.Key.Str()); bad {
			break
		}
		if g.Resources == nil {
			g.Resources = make(map[string]uint64)
		}
		g.Resources[e.Key.Str()] = n
	}
	if bad || g.Umask > 0o777 {
		return Grant{Limits: Limits{Umask: -1}}
	}
	for _, name := range textsOf(v, "use") {
		if u, ok := ParseUse(name); ok {
			g.Uses = append(g.Uses, u)
		}
	}
	return g
}

func textsOf(v chainpack.Value, key string) []string {
	list, _ := v.Get(key)
	return listOf(list)
}

func listOf(list chainpack.Value) []string {
	texts := []string{}
	for _, item := range list.Items() {
		if text, ok := item.AsString(); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
