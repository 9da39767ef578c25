package core_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

// tableOf is a RightsTable in memory.
type tableOf struct {
	mu      sync.Mutex
	entries map[string]string // in CPON
	block   chan struct{}     // Set waits for it; nil: no
}

func (t *tableOf) Names() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for name := range t.entries {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (t *tableOf) Value(name string) (chainpack.Value, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, err := cpon.Parse([]byte(t.entries[name]), chainpack.Limits{})
	return v, err == nil
}

func (t *tableOf) Set(name string, v chainpack.Value) (what string, err error) {
	if t.block != nil {
		<-t.block
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case name == "bad":
		return "", errors.New("one fault\nanother")
	case v.IsNull():
		delete(t.entries, name)
	default:
		t.entries[name] = cpon.String(v)
	}
	return "from this to that", nil
}

func (t *tableOf) Update(name string, fields chainpack.Value) (what string, err error) {
	entry, _ := t.Value(name)
	entries := fields.Entries()
	for _, e := range entry.Entries() {
		if _, given := fields.Get(e.Key.Str()); !given {
			entries = append(entries, e)
		}
	}
	return t.Set(name, chainpack.Map(entries...))
}

func withTables(t *testing.T, f func(t *testing.T, w *world.World, users *tableOf, super *world.Peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		users := &tableOf{entries: map[string]string{"eva": `{"roles":["a"]}`}}
		a := access()
		a.Users["root"] = auth.UserEntry{Password: auth.PlainPassword(world.Password), Roles: []string{"root"}}
		a.Roles["root"] = auth.RoleEntry{Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessSuper)}}
		a.Roles["operators"] = auth.RoleEntry{Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessDevelopment)}}
		d, _ := auth.Build(a)
		w := world.New(t, core.Options{Users: auth.NewStore(d), Rights: map[string]core.RightsTable{
			".broker/access/users":    users,
			".broker/access/mounts":   &tableOf{entries: map[string]string{"m": `1`}},
			".broker/etc/acl/users":   users,
			".broker/etc/acl/nothing": &tableOf{},
		}})
		f(t, w, users, w.As("root", "{}"))
	})
}

func TestRightsAreShownAndChangedByCalls(t *testing.T) {
	withTables(t, func(t *testing.T, w *world.World, users *tableOf, super *world.Peer) {
		for i, step := range []struct{ path, method, param, want string }{
			{".broker/access/users", "ls", ``, `i{2:["eva"]}`},
			{".broker/access/users", "value", ``, `i{2:{"eva":{"roles":["a"]}}}`},
			{".broker/access/users/eva", "value", ``, `i{2:{"roles":["a"]}}`},
			{".broker/access/users", "setValue", `1:["tom",{"roles":[]}]`, `i{2:true}`},
			{".broker/etc/acl/users/tom", "value", ``, `i{2:{"roles":[]}}`},
			{".broker/access/users/eva", "deactivate", ``, `i{2:true}`},
			{".broker/access/users/eva", "value", ``, `i{2:{"deactivated":true,"roles":["a"]}}`},
			{".broker/access/users/eva", "activate", ``, `i{2:true}`},
			{".broker/access/users/eva", "setExpiration", `1:d"2030-01-01T00:00:00Z"`, `i{2:true}`},
			{".broker/access/users/eva", "value", ``,
				`i{2:{"expires":d"2030-01-01T00:00:00Z","deactivated":false,"roles":["a"]}}`},
			{".broker/etc/acl/users", "setValue", `1:["eva",null]`, `i{2:true}`},
			{".broker/access/users", "ls", ``, `i{2:["tom"]}`},
			{".broker/access/mounts/m", "value", ``, `i{2:1}`},
			{".broker/etc/acl", "ls", ``, `i{2:["nothing","users"]}`},
		} {
			super.Send(`<1:1,8:%d,9:"%s",10:"%s">i{%s}`, 10+i, step.path, step.method, step.param)
			if got, want := super.Text(), fmt.Sprintf(`<1:1,8:%d>%s`, 10+i, step.want); got != want {
				t.Errorf("%s:%s: got %s, want %s", step.path, step.method, got, want)
			}
		}
		for i, step := range []struct {
			path, method, param string
			code                rpc.Code
			text                string
		}{
			{".broker/access/users", "setValue", `1:["bad",{}]`, rpc.CodeException, "one fault; another"},
			{".broker/access/users", "setValue", `1:["x"]`, rpc.CodeInvalidParam, "a name and a value"},
			{".broker/access/users", "setValue", ``, rpc.CodeInvalidParam, "a name and a value"},
			{".broker/access/users/tom", "setExpiration", `1:"soon"`, rpc.CodeInvalidParam, "DateTime"},
			{".broker/access/users/nobody", "value", ``, rpc.CodeMethodNotFound, ""},
			{".broker/access/mounts/m", "deactivate", ``, rpc.CodeMethodNotFound, ""},
		} {
			super.Send(`<1:1,8:%d,9:"%s",10:"%s">i{%s}`, 50+i, step.path, step.method, step.param)
			super.ExpectError(int64(50+i), step.code, step.text)
		}
	})
}

func TestRightsAreForSuAlone(t *testing.T) {
	withTables(t, func(t *testing.T, w *world.World, users *tableOf, super *world.Peer) {
		eva := w.As("eva", "{}") // dev everywhere
		id := int64(20)
		for _, path := range []string{
			".broker/access/users", ".broker/access/users/eva", "/.broker//access/users/",
			".broker/etc/acl/users", ".broker/access/users/nobody",
		} {
			for _, method := range []string{"ls", "dir", "value", "setValue", "deactivate"} {
				id++
				eva.Send(`<1:1,8:%d,9:"%s",10:"%s">i{1:["eva",null]}`, id, path, method)
				eva.ExpectError(id, rpc.CodeException, "su")
			}
		}
		super.Send(`<1:1,8:3,9:".broker/access/users",10:"setValue",17:56>i{1:["eva",null]}`) // who asks for less has less
		super.ExpectError(3, rpc.CodeException, "su")
		if len(users.Names()) != 1 {
			t.Error("changed")
		}
		super.Send(`<1:1,8:4,9:".broker",10:"ls">i{}`)
		if m := super.Next(); m.Kind() != rpc.Response {
			t.Error("no answer")
		}
	})
}

func TestChangesThatWaitForTheDiskHoldNobodyUp(t *testing.T) {
	withTables(t, func(t *testing.T, w *world.World, users *tableOf, super *world.Peer) {
		users.block = make(chan struct{})
		for i := range core.MaxEdits {
			super.Send(`<1:1,8:%d,9:".broker/access/users",10:"setValue">i{1:["u%d",{}]}`, 100+i, i)
		}
		super.Send(`<1:1,8:99,9:".broker/access/users",10:"setValue">i{1:["late",{}]}`)
		super.ExpectError(99, rpc.CodeTryAgainLater, "too many")
		super.Fence()
		close(users.block)
		for range core.MaxEdits {
			super.Next()
		}
		if n := len(users.Names()); n != core.MaxEdits+1 {
			t.Errorf("%d users", n)
		}
		// Each has given back its place.
		for i := range 2 * core.MaxEdits {
			super.Send(`<1:1,8:%d,9:".broker/access/users",10:"setValue">i{1:["u0",{}]}`, 200+i)
			super.Expect(`<1:1,8:%d>i{2:true}`, 200+i)
		}
	})
}

func TestReloadByCall(t *testing.T) {
	a := access()
	role(&a, "operators", func(r *auth.RoleEntry) {
		r.Rules = []auth.Rule{auth.MustRule(".broker/app:*", rpc.AccessService)}
	})
	d, _ := auth.Build(a)
	var result error
	reloads := 0
	reload := func() error { reloads++; return result }
	world.Run(t, core.Options{Users: auth.NewStore(d), Reload: reload}, func(t *testing.T, w *world.World) {
		eva := w.As("eva", "{}")
		ask := func(id int, level string) {
			eva.Send(`<1:1,8:%d,9:".broker/app",10:"reloadConfig"%s>i{}`, id, level)
		}
		ask(10, "")
		eva.Expect(`<1:1,8:10>i{2:true}`)
		result = errors.New("users.yaml:3:1: the password of eva is wrong")
		ask(11, "")
		m := eva.ExpectError(11, rpc.CodeException, "the log of the broker says why")
		if strings.Contains(world.Text(t, m.Body()), "eva") {
			t.Error("the fault is told")
		}
		ask(12, ",17:32")
		eva.ExpectError(12, rpc.CodeException, "srv")
		if reloads != 2 {
			t.Errorf("%d reloads", reloads)
		}
	})
	world.Run(t, core.Options{Users: auth.NewStore(d)}, func(t *testing.T, w *world.World) {
		eva := w.As("eva", "{}")
		eva.Send(`<1:1,8:10,9:".broker/app",10:"reloadConfig">i{}`)
		eva.ExpectError(10, rpc.CodeMethodNotFound, "reloadConfig")
	})
}

// storing is a table of users whose changes take effect, like that of a file.
type storing struct {
	*tableOf
	w    *world.World
	fail bool
}

func (s *storing) Set(string, chainpack.Value) (what string, err error) {
	if s.block != nil {
		<-s.block
	}
	return "", nil
}

func (s *storing) Update(name string, v chainpack.Value) (what string, err error) {
	if s.fail {
		return "", errors.New("disk full")
	}
	stored, _ := v.Get("password")
	sum, _ := stored.Get("Sha1")
	text, _ := sum.AsString()
	secret, err := auth.SHA1Password(text)
	if err != nil {
		return "", err
	}
	a := ownNodes()
	entry := a.Users[name]
	entry.Password = secret
	a.Users[name] = entry
	d, _ := auth.Build(a)
	s.w.Apply(d)
	return "password changed", nil
}

// ownNodes is access with the right of operators to change their own passwords.
func ownNodes() auth.Access {
	a := access()
	role(&a, "operators", func(r *auth.RoleEntry) {
		r.Rules = append([]auth.Rule{auth.MustRule(".broker/currentClient:*", rpc.AccessWrite)}, r.Rules...)
	})
	return a
}

func TestChangingOnesOwnPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := ownNodes()
		a.Users["root"] = auth.UserEntry{Password: auth.PlainPassword(world.Password), Roles: []string{"root"}}
		a.Roles["root"] = auth.RoleEntry{Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessSuper)}}
		d, _ := auth.Build(a)
		table := &storing{tableOf: &tableOf{entries: map[string]string{"eva": `{"roles":["operators"]}`}}}
		tables := map[string]core.RightsTable{".broker/access/users": table}
		w := world.New(t, core.Options{Users: auth.NewStore(d), Rights: tables})
		table.w = w
		eva, other, bob, super := w.As("eva", "{}"), w.As("eva", "{}"), w.As("bob", "{}"), w.Admin()
		change := func(id int64, param string) {
			eva.Send(`<1:1,8:%d,9:".broker/currentClient",10:"changePassword">i{1:%s}`, id, param)
		}
		for i, param := range []string{`["x"]`, `["x",""]`, `"x"`, `[1,2]`} {
			change(int64(10+i), param)
			eva.ExpectError(int64(10+i), rpc.CodeInvalidParam, "the old and the new password")
		}
		change(20, `["wrong","new-secret"]`)
		eva.ExpectError(20, rpc.CodeException, "old password is wrong")
		// Guesses of one user take no place of other changes, however many come.
		for id := int64(30); id < 30+2*core.MaxEdits; id++ {
			change(id, `["wrong","new-secret"]`)
			if id > 30 {
				eva.ExpectError(id, rpc.CodeTryAgainLater, "is being changed")
			}
		}
		table.block = make(chan struct{})
		for id := range core.MaxEdits + 1 {
			super.Send(`<1:1,8:%d,9:".broker/access/users",10:"setValue">i{1:["nobody",null]}`, 3+id)
		}
		super.ExpectError(3+core.MaxEdits, rpc.CodeTryAgainLater, "too many") // and none before
		close(table.block)
		for range core.MaxEdits {
			super.Next()
		}
		table.block = nil
		eva.ExpectError(30, rpc.CodeException, "old password is wrong")
		table.fail = true
		change(21, fmt.Sprintf(`[%q,"new-secret"]`, world.Password))
		eva.ExpectError(21, rpc.CodeException, "disk full")
		w.Apply(d) // nothing has changed for her
		eva.Fence()
		other.Fence()
		table.fail = false
		change(22, fmt.Sprintf(`[%q,"new-secret"]`, world.Password))
		eva.Expect(`<1:1,8:22>i{2:true}`)
		other.Gone()
		eva.Fence()
		bob.Fence()
		w.Connect().Login("eva", "new-secret", "{}")
	})
}
