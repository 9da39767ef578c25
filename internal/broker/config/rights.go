package config

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/sys/conf"
	"shvtools/internal/sys/durable"
)

// ErrReadOnly is the answer to a change if no file is named for changed rights.
var ErrReadOnly = errors.New("rights cannot be changed here: the broker was started without access-file")

// Errors of changes that would go too far.
var (
	errLastAdministrator = errors.New("nobody could change rights any more: no user would be left who can log in and " +
		"has su for .broker/access")
	errNoEntry = errors.New("there is no such entry any more")
)

// Rights are those of a running broker: the configuration, and what calls have changed
// since. All methods may be called concurrently; changes and reloads happen one after
// the other.
type Rights struct {
	sources Sources
	check   func(*Config) error
	apply   func(*auth.Directory)

	changing sync.Mutex // held while files are read and written
	first    *Config    // until a reload: whoever has loaded it may hold it for ever

	mu     sync.Mutex
	config Config
}

// NewRights begins with a configuration that was loaded from sources, and owns its
// rights from then on: Access and Directory of c are gone after a reload. check may
// refuse what would follow it; apply puts a directory in force, and is called for
// each one that follows.
func NewRights(s Sources, c *Config, check func(*Config) error, apply func(*auth.Directory)) *Rights {
	r := &Rights{sources: s, check: check, apply: apply, first: c}
	r.hold(c)
	return r
}

func (r *Rights) hold(c *Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.config = *c
}

func (r *Rights) held() Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config
}

// Reload reads all files again and puts their rights in force, all at once. On an
// error everything stays as it was; a file that is missing, says nothing or seems to be cut
// off is one too. The file of changed rights stays the one that the broker was started with.
// ready is called before, when all is fine: it may refuse the reload too, and put in force
// what else belongs to it.
func (r *Rights) Reload(ready func(*Config) error) (*Config, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	sources := r.sources
	if file := r.held().AccessFile; file != "" {
		sources.AccessFile = file
	}
	sources.Reload, sources.before = true, r.held().files
	c, err := Load(sources)
	if err != nil {
		return nil, err
	}
	old := r.held()
	if err := errors.Join(c.keepsGuards(&old, sources.File), r.check(c)); err != nil {
		return nil, err
	}
	if err := ready(c); err != nil {
		return nil, err
	}
	r.hold(c)
	r.apply(c.Directory)
	if r.first != nil {
		r.first.forget()
		r.first = nil
	}
	giveBack(c.size) // what was in force before is garbage now
	return c, nil
}

// Keep writes the file of changed rights anew where what was read of it has ended, and notes that
// it exists, so that it is missed when it is gone. The rights in force do not depend on it.
func (r *Rights) Keep() error {
	r.changing.Lock()
	defer r.changing.Unlock()
	c := r.held()
	if !c.hasChanges {
		return nil
	}
	if !c.rewrite {
		return noteWritten(c.AccessFile)
	}
	err := write(c.AccessFile, c.changes)
	if err == nil {
		c.rewrite = false
		r.hold(&c)
	}
	return err
}

// write writes the changes and notes that there are some.
func write(file string, changes *part) error {
	data, err := changesText(changes)
	if err != nil {
		return err
	}
	// What cannot be read again must not get there.
	again := newReader()
	again.changesText(file, data, newPart())
	if err := again.Err(); err != nil {
		return fmt.Errorf("the change cannot be kept: %w", err)
	}
	if err := durable.Replace(file, data, 0o600); err != nil {
		return fmt.Errorf("the change cannot be kept, and is not in force: %w", err)
	}
	_ = noteWritten(file) // the change is on disk; Keep tries again and reports it
	return nil
}

// change edits an entry, in the file of changed rights and in force, and returns from what to what.
// It changes nothing if that fails.
func (r *Rights) change(entry entryName, edit func(in *reader, edited *part)) (what string, err error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	c := r.held()
	if c.AccessFile == "" {
		return "", ErrReadOnly
	}
	if err := checkName(entry.name); err != nil {
		return "", err
	}
	// The edit sees the entry as it is now, wherever it comes from.
	edited := newPart()
	if c.sum.has(entry) {
		edited.copyEntry(c.sum, entry)
	}
	in := newReader()
	edit(in, edited)
	if err := in.Err(); err != nil {
		return "", err
	}
	if edited.has(entry) {
		edited.at[entry] = conf.FilePlace(c.AccessFile)
	}
	next := c.changes.clone()
	next.put(entry, edited, c.base)
	if _, ok := next.removed[entry]; ok {
		next.removed[entry] = conf.FilePlace(c.AccessFile)
	}
	after := next.over(c.base)
	if err := after.lifts(entry, edited, c.base); err != nil {
		return "", err
	}
	changed := c
	changed.changes, changed.hasChanges, changed.rewrite = next, true, false
	if faults := changed.build(after); len(faults) > 0 {
		return "", faults[0]
	}
	if err := keepsAdministrator(c.Directory, changed.Directory, time.Now()); err != nil {
		return "", err
	}
	if err := r.check(&changed); err != nil {
		return "", err
	}
	if err := write(c.AccessFile, next); err != nil {
		return "", err
	}
	r.hold(&changed)
	r.apply(changed.Directory)
	return difference(entry, c.sum, after), nil
}

// keepsAdministrator refuses a change that leaves nobody who can change rights, or nobody who still
// can one day.
func keepsAdministrator(before, after *auth.Directory, now time.Time) error {
	was, some := before.Administered(now)
	is, still := after.Administered(now)
	if some && (!still || was.IsZero() && !is.IsZero()) {
		return errLastAdministrator
	}
	return nil
}

// copyEntry takes an entry over from another place.
func (p *part) copyEntry(from *part, entry entryName) {
	switch entry.section {
	case auth.Users:
		p.Users[entry.name] = from.Users[entry.name]
	case auth.Roles:
		p.Roles[entry.name] = from.Roles[entry.name]
	case auth.Devices:
		p.Devices[entry.name] = from.Devices[entry.name]
	}
	p.at[entry] = from.at[entry]
}

// Table is a part of the rights as one node shows it.
type Table struct {
	rights  *Rights
	section auth.Section
	shv2    bool // the forms of the C++ broker
	rules   bool // the rules of roles alone
}

// Tables are all, by the path of their node: those of the Rust broker and those
// of the C++ broker (spec.md 7.8).
func (r *Rights) Tables() map[string]*Table {
	return map[string]*Table{
		".broker/access/users":   {r, auth.Users, false, false},
		".broker/access/roles":   {r, auth.Roles, false, false},
		".broker/access/mounts":  {r, auth.Devices, false, false},
		".broker/etc/acl/users":  {r, auth.Users, true, false},
		".broker/etc/acl/roles":  {r, auth.Roles, true, false},
		".broker/etc/acl/access": {r, auth.Roles, true, true},
		".broker/etc/acl/mounts": {r, auth.Devices, true, false},
	}
}

// Names returns the names of the entries, sorted.
func (t *Table) Names() []string {
	sum := t.rights.held().sum
	switch t.section {
	case auth.Users:
		return sortedKeys(sum.Users)
	case auth.Roles:
		return sortedKeys(sum.Roles)
	}
	return sortedKeys(sum.Devices)
}

// Value returns an entry, without password and tokens.
func (t *Table) Value(name string) (v chainpack.Value, ok bool) {
	sum := t.rights.held().sum
	entry := entryName{t.section, name}
	if !sum.has(entry) {
		return v, false
	}
	m := public(sum, entry)
	if !t.shv2 || t.section != auth.Roles {
		return toValue(m), true
	}
	if !t.rules {
		return toValue(map[string]any{"roles": m["roles"]}), true
	}
	rules := make([]map[string]string, 0)
	for _, rule := range sum.Roles[name].Rules {
		method := rule.RI.Method()
		if method == "*" {
			method = ""
		}
		rules = append(rules, map[string]string{"pathPattern": rule.RI.Path().String(), "method": method,
			"role": grantName(rule)})
	}
	return toValue(rules), true
}

// Set changes an entry, or removes it if the value is Null, in the file and in force, and returns
// from what to what. A user that is set without password or tokens keeps the old ones. It waits for
// the disk.
func (t *Table) Set(name string, v chainpack.Value) (what string, err error) {
	entry := entryName{t.section, name}
	return t.rights.change(entry, func(in *reader, edited *part) {
		n := in.Entry("access."+string(t.section), name, v)
		switch {
		case n.Kind() == conf.Faulty:
			return
		case t.shv2 && t.section == auth.Roles:
			t.setRole(in, n, edited, entry)
		case n.Kind() == conf.Null:
			edited.remove(entry)
			return
		default:
			in.set(entry, n, edited)
		}
		if edited.has(entry) || n.Kind() != conf.Null {
			edited.at[entry] = conf.Place{}
		}
	})
}

// Update is Set for some fields of an entry, a Map, which must exist. The others stay what they are
// at that moment.
func (t *Table) Update(name string, fields chainpack.Value) (what string, err error) {
	entry := entryName{t.section, name}
	return t.rights.change(entry, func(in *reader, edited *part) {
		if !edited.has(entry) {
			in.FailAt(conf.Place{}, "%w", errNoEntry)
			return
		}
		all := public(edited, entry)
		var entries []chainpack.Entry
		for _, e := range fields.Entries() {
			delete(all, e.Key.Str())
			entries = append(entries, e)
		}
		entries = append(entries, toValue(all).Entries()...)
		in.set(entry, in.Entry("access."+string(t.section), name, chainpack.Map(entries...)), edited)
	})
}

// public is an entry without password and tokens.
func public(p *part, entry entryName) map[string]any {
	m := plain(p, entry)
	delete(m, "password")
	delete(m, "tokens")
	return m
}

// difference says of an entry from what to what it has changed, without secrets.
func difference(entry entryName, from, to *part) string {
	before, after := map[string]any{}, map[string]any{}
	if from.has(entry) {
		before = plain(from, entry)
	}
	if to.has(entry) {
		after = plain(to, entry)
	}
	var texts []string
	for name := range after {
		if _, ok := before[name]; !ok {
			before[name] = nil
		}
	}
	for _, name := range sortedKeys(before) {
		was, errWas := jsonText(before[name])
		is, errIs := jsonText(after[name])
		switch {
		case was == is && errWas == nil && errIs == nil:
		case name == "password" || name == "tokens":
			texts = append(texts, name+" changed")
		default:
			texts = append(texts, fmt.Sprintf("%s: %s -> %s", name, cut(was), cut(is)))
		}
	}
	switch what := strings.Join(texts, "; "); {
	case !from.has(entry):
		return "added: " + what
	case !to.has(entry):
		return "removed: " + what
	case what == "":
		return "nothing"
	default:
		return what
	}
}

// maxShown bounds the text of one value in a log, in bytes.
const maxShown = 1000

func cut(text string) string {
	if len(text) > maxShown {
		return strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}

// setRole changes the half of a role that the node shows.
func (t *Table) setRole(in *reader, n *conf.Node, next *part, entry entryName) {
	role := next.Roles[entry.name]
	switch {
	case t.rules && n.Kind() == conf.Null:
		role.Rules = nil
	case t.rules:
		role.Rules = in.rules(n)
	case n.Kind() == conf.Null:
		role.Roles = nil
	default:
		role.Roles = in.role(n).Roles
	}
	if n.Kind() == conf.Null && role.Rules == nil && role.Roles == nil {
		next.remove(entry)
		return
	}
	next.Roles[entry.name] = role
}

// toValue makes an SHV value of what plain gives.
func toValue(v any) chainpack.Value {
	switch v := v.(type) {
	case string:
		return chainpack.String(v)
	case int:
		return chainpack.Int(int64(v))
	case bool:
		return chainpack.Bool(v)
	case []string:
		items := make([]chainpack.Value, len(v))
		for i, text := range v {
			items[i] = chainpack.String(text)
		}
		return chainpack.List(items...)
	case []map[string]string:
		items := make([]chainpack.Value, len(v))
		for i, m := range v {
			items[i] = toValue(m)
		}
		return chainpack.List(items...)
	case map[string]string:
		entries := make([]chainpack.Entry, 0, len(v))
		for _, name := range sortedKeys(v) {
			entries = append(entries, chainpack.F(name, chainpack.String(v[name])))
		}
		return chainpack.Map(entries...)
	case map[string]any:
		entries := make([]chainpack.Entry, 0, len(v))
		for _, name := range sortedKeys(v) {
			entries = append(entries, chainpack.F(name, toValue(v[name])))
		}
		return chainpack.Map(entries...)
	}
	return chainpack.Null()
}
