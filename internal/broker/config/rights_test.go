package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
)

// fixture are rights that can be changed.
type fixture struct {
	*config.Rights
	t       testing.TB
	file    string // the configuration
	changes string // the access file
	tables  map[string]*config.Table

	mu      sync.Mutex
	inForce *auth.Directory
	applied int
	refuse  error
}

const base = `
access:
  users:
    eva: {password: !Plain hush-eva, roles: [operator], tokens: [hush-hush-hush-hush]}
    tom: {password: !Plain hush-tom}
  roles:
    operator: {roles: [viewer], access: [{shvRI: "test/**:*", grant: cmd}], mount-points: ["test/**"]}
    viewer: {access: [{shvRI: "**:get", grant: rd}]}
  mounts: {serial-7: {mountPoint: plant/pump7}}
`

func newFixture(t testing.TB, changes string) *fixture {
	t.Helper()
	return fixtureOf(t, base, changes)
}

func newFixtureOf(t testing.TB, text string) *fixture {
	t.Helper()
	return fixtureOf(t, text, "")
}

func fixtureOf(t testing.TB, text, changes string) *fixture {
	t.Helper()
	f := &fixture{t: t, file: write(t, "shvbroker.yaml", text), changes: changes}
	if changes == "" {
		f.changes = filepath.Join(t.TempDir(), "access.yaml")
	}
	s := config.Sources{File: f.file, AccessFile: f.changes}
	c := load(t, s)
	f.inForce = c.Directory
	f.Rights = config.NewRights(s, c, func(*config.Config) error { return f.refuse }, func(d *auth.Directory) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.inForce = d
		f.applied++
	})
	f.tables = f.Tables()
	return f
}

// set changes an entry to a value in CPON.
func (f *fixture) set(table, name, value string) error {
	f.t.Helper()
	_, err := f.tables[table].Set(name, valueOf(f.t, value))
	return err
}

func valueOf(t testing.TB, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (f *fixture) value(table, name string) string {
	v, ok := f.tables[table].Value(name)
	if !ok {
		return "none"
	}
	return cpon.String(v)
}

// kept is a directory of what is on disk.
func (f *fixture) kept() *config.Config {
	return load(f.t, config.Sources{File: f.file, AccessFile: f.changes})
}

const (
	users    = ".broker/access/users"
	roles    = ".broker/access/roles"
	mounts   = ".broker/access/mounts"
	aclUsers = ".broker/etc/acl/users"
	aclRoles = ".broker/etc/acl/roles"
	aclRules = ".broker/etc/acl/access"
	aclMount = ".broker/etc/acl/mounts"
)

func TestChangesAreInForceAndOnDisk(t *testing.T) {
	f := newFixture(t, "")
	for _, step := range []struct {
		table, name, value string
		shown              string // afterwards
	}{
		{users, "new", `{"password":{"Plain":"hush-new"},"roles":["viewer"],"expires":d"2030-01-01T00:00:00Z"}`,
			`{"expires":"2030-01-01T00:00:00Z","roles":["viewer"]}`},
		{users, "eva", `{"roles":["viewer"]}`, `{"roles":["viewer"]}`}, // her password and token stay
		{users, "tom", `null`, `none`},
		{aclUsers, "old",
			`{"password":{"format":"SHA1","password":"5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8"},"roles":["viewer"]}`,
			`{"roles":["viewer"]}`},
		{roles, "boss", `{"access":[{"shvRI":"**:*","grant":"su"},{"shvRI":"x:[a]","grant":"none"}],"roles":[]}`,
			`{"access":[{"grant":"su","shvRI":"**:*"},{"grant":"none","shvRI":"x:[a]"}],"roles":[]}`},
		{aclRules, "operator",
			`[{"pathPattern":"test/**","method":"","role":"wr"},{"pathPattern":"x","method":"get","role":"rd"}]`,
			`[{"method":"","pathPattern":"test/**","role":"wr"},` +
				`{"method":"get","pathPattern":"x","role":"rd"}]`},
		{aclRoles, "operator", `{"roles":["boss"]}`, `{"roles":["boss"]}`},
		{mounts, "serial-8", `{"mountPoint":"/plant//pump8/"}`, `{"mountPoint":"plant/pump8"}`},
		{aclMount, "serial-7", `"plant/elsewhere"`, `{"mountPoint":"plant/elsewhere"}`},
	} {
		if err := f.set(step.table, step.name, step.value); err != nil {
			t.Fatalf("%s %s: %v", step.table, step.name, err)
		}
		if got := f.value(step.table, step.name); got != step.shown {
			t.Errorf("%s %s shows %s, want %s", step.table, step.name, got, step.shown)
		}
	}
	if f.applied != 9 {
		t.Errorf("put in force %d times", f.applied)
	}
	if err := f.set(users, "cert", `{"certificates":["cn:a","dns:A.example"]}`); err != nil ||
		f.value(users, "cert") != `{"certificates":["cn:a","dns:a.example"],"roles":[]}` {
		t.Errorf("certificates: %v, %s", err, f.value(users, "cert"))
	}
	if _, err := auth.NewStore(f.kept().Directory).Check(nil, auth.Attempt{Type: login.External,
		Certificate: []auth.CertName{"dns:a.example"}}); err != nil {
		t.Errorf("a certificate is lost: %v", err)
	}
	if got := f.value(roles, "operator"); got != `{"access":[{"grant":"wr","shvRI":"test/**"},`+
		`{"grant":"rd","shvRI":"x:get"}],"mount-points":["test/**"],"roles":["boss"]}` {
		t.Errorf("the halves of a role: %s", got)
	}
	c := f.kept()
	for user, password := range map[string]string{"new": "hush-new", "eva": "hush-eva", "old": "password"} {
		if !letsIn(c, user, password, "") {
			t.Errorf("%s is not let in by what is on disk", user)
		}
	}
	if letsIn(c, "tom", "hush-tom", "") || f.inForce.User("tom") != nil {
		t.Error("tom is still there")
	}
	if _, err := auth.NewStore(f.inForce).Check(nil, auth.Attempt{Type: login.Token,
		Token: "hush-hush-hush-hush"}); err != nil {
		t.Errorf("eva's token is lost: %v", err)
	}
	if at, _ := c.Directory.DeviceMount("serial-7"); at != "plant/elsewhere" {
		t.Errorf("serial-7 at %s", at)
	}
	info, err := os.Stat(f.changes)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	// What was taken away comes back only by being set.
	if err := f.set(users, "tom", `{"password":{"Plain":"hush-2"}}`); err != nil ||
		!letsIn(f.kept(), "tom", "hush-2", "") {
		t.Errorf("tom again: %v", err)
	}
	if err := f.set(aclRules, "viewer", `null`); err != nil || f.value(roles, "viewer") != "none" {
		t.Errorf("a role without anything: %v, %s", err, f.value(roles, "viewer"))
	}
}

func TestRefusedChangesChangeNothing(t *testing.T) {
	f := newFixture(t, "")
	if err := f.set(users, "new", `{"password":{"Plain":"x"}}`); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(f.changes)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ table, name, value, want string }{
		{users, "x", `{"roles":[]}`, `access.users."x": no password`},
		{users, "x", `{"password":"hush"}`, "!Plain TEXT"},
		{users, "x", `{"password":{"Plain":"hush"},"profile":{}}`, `access.users."x".profile: unknown key`},
		{users, "x", `5`, "not a map"},
		{users, "x", `i{1:2}`, "the number 1 (want a name)"},
		{users, "x", `{"password":{"Plain":"hush"},"expires":"soon"}`, `expires: invalid time "soon"`},
		{users, "", `{"password":{"Plain":"hush"}}`, "name is empty"},
		{users, "a\nb", `{"password":{"Plain":"hush"}}`, "cannot be printed"},
		{users, "a\xff", `{"password":{"Plain":"hush"}}`, "cannot be printed"},
		{users, "x", `{"password":{"Plain":"hush\nhush"}}`, "cannot be kept"},
		{roles, "x", `{"access":[{"shvRI":"**:*","grant":"all"}]}`, "(want bws, rd,"},
		{roles, "x", `{"profile":{"a":1}}`, "not kept"},
		{roles, "viewer", `{"roles":["operator"]}`, "include themselves"},
		{aclRules, "x", `{"a":1}`, "not a list"},
		{mounts, "x", `{"mountPoint":"//"}`, "no mountPoint"},
	} {
		err := f.set(step.table, step.name, step.value)
		if err == nil || !strings.Contains(err.Error(), step.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s %q %s: %v, want %s", step.table, step.name, step.value, err, step.want)
		}
	}
	f.refuse = errors.New("too easy")
	if err := f.set(users, "x", `{"password":{"Plain":"admin"}}`); err == nil || err.Error() != "too easy" {
		t.Errorf("what the program refuses: %v", err)
	}
	after, err := os.ReadFile(f.changes)
	if err != nil || string(after) != string(before) || f.applied != 1 || f.inForce.User("x") != nil {
		t.Errorf("changed %d times, %v, to\n%s", f.applied, err, after)
	}
}

func TestWithoutAnAccessFileRightsAreReadOnly(t *testing.T) {
	file := write(t, "f", base)
	s := config.Sources{File: file}
	r := config.NewRights(s, load(t, s), accept,
		func(*auth.Directory) { t.Error("applied") })
	if _, err := r.Tables()[users].Set("eva", chainpack.Null()); !errors.Is(err, config.ErrReadOnly) {
		t.Error(err)
	}
	if got := fmt.Sprint(r.Tables()[users].Names()); got != "[eva tom]" {
		t.Error(got)
	}
}

func TestReloadLetsNoDevelopmentUserIn(t *testing.T) {
	for _, text := range []string{"", "access:\n", "access: null\n", "{}\n", "# x\n", "name: plant\n"} {
		file := write(t, "f", base)
		s := config.Sources{File: file}
		r := config.NewRights(s, load(t, s), accept,
			func(*auth.Directory) { t.Errorf("%q: applied", text) })
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Reload(accept); err == nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestReloadKeepsTheOldOnAnyError(t *testing.T) {
	f := newFixture(t, "")
	if err := f.set(users, "new", `{"password":{"Plain":"x"}}`); err != nil {
		t.Fatal(err)
	}
	rewrite := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	changes, _ := os.ReadFile(f.changes)
	for _, broken := range []struct{ file, text, want string }{
		{f.file, strings.Replace(base, "grant: cmd", "grant: command", 1), f.file + ":7:"},
		{f.file, "access: [", f.file + ":1:"},
		{f.changes, "users: {new: {}}\n", f.changes + ":1:14: "},
	} {
		rewrite(broken.file, broken.text)
		if _, err := f.Reload(accept); err == nil || !strings.Contains(err.Error(), broken.want) {
			t.Errorf("%s: %v", broken.text, err)
		}
		rewrite(f.file, base)
		rewrite(f.changes, string(changes))
		if f.applied != 1 || f.value(users, "eva") == "none" {
			t.Fatal("a broken file is in force")
		}
	}
	f.refuse = errors.New("too easy")
	if _, err := f.Reload(accept); err == nil || f.applied != 1 {
		t.Error("what the program refuses is in force")
	}
	f.refuse = nil
	rewrite(f.file, strings.Replace(base, "    tom:", "    tim:", 1))
	if _, err := f.Reload(accept); err != nil || f.applied != 2 {
		t.Fatalf("%v, applied %d times", err, f.applied)
	}
	if f.inForce.User("tom") != nil || f.inForce.User("tim") == nil || f.inForce.User("new") == nil {
		t.Error("a good file is not in force, or what was changed is lost")
	}
}

func TestChangesAndReloadsAtOnce(t *testing.T) {
	f := newFixture(t, "")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for range 5 {
				if err := f.set(users, fmt.Sprint("user", i), `{"password":{"Plain":"x"},"roles":["viewer"]}`); err != nil {
					t.Error(err)
				}
				f.value(users, "eva")
				if _, err := f.Reload(accept); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	c := f.kept()
	for i := range 8 {
		name := fmt.Sprint("user", i)
		if c.Directory.User(name) == nil || f.inForce.User(name) == nil {
			t.Errorf("%s is lost", name)
		}
	}
	if got := c.Directory.User("user1").Level([]byte("a"), []byte("get")); got != rpc.AccessRead {
		t.Errorf("level %d", got)
	}
}
