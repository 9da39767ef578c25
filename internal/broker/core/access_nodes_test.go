package core

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
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

func (t *tableOf) Set(name string, v chainpack.Value) error {
	if t.block != nil {
		<-t.block
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case name == "bad":
		return errors.New("one fault\nanother")
	case v.IsNull():
		delete(t.entries, name)
	default:
		t.entries[name] = cpon.String(v)
	}
	return nil
}

func withTables(t *testing.T, f func(t *testing.T, w *world, users *tableOf, super *remote)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		users := &tableOf{entries: map[string]string{"eva": `{"roles":["a"]}`}}
		a := access()
		a.Users["root"] = auth.UserEntry{Password: auth.PlainPassword(password), Roles: []string{"root"}}
		a.Roles["root"] = auth.RoleEntry{Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessSuper)}}
		a.Roles["operators"] = auth.RoleEntry{Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessDevelopment)}}
		d, _ := auth.Build(a)
		w := serve(t, Options{Users: auth.NewStore(d), Rights: map[string]RightsTable{
			".broker/access/users":    users,
			".broker/access/mounts":   &tableOf{entries: map[string]string{"m": `1`}},
			".broker/etc/acl/users":   users,
			".broker/etc/acl/nothing": &tableOf{},
		}})
		f(t, w, users, w.as("root", "{}"))
	})
}

func TestRightsAreShownAndChangedByCalls(t *testing.T) {
	withTables(t, func(t *testing.T, w *world, users *tableOf, super *remote) {
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
			{".broker/access/users/eva", "value", ``, `i{2:{"expires":d"2030-01-01T00:00:00Z","deactivated":false,"roles":["a"]}}`},
			{".broker/etc/acl/users", "setValue", `1:["eva",null]`, `i{2:true}`},
			{".broker/access/users", "ls", ``, `i{2:["tom"]}`},
			{".broker/access/mounts/m", "value", ``, `i{2:1}`},
			{".broker/etc/acl", "ls", ``, `i{2:["nothing","users"]}`},
		} {
			super.send(`<1:1,8:%d,9:"%s",10:"%s">i{%s}`, 10+i, step.path, step.method, step.param)
			if got, want := super.text(), fmt.Sprintf(`<1:1,8:%d>%s`, 10+i, step.want); got != want {
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
			super.send(`<1:1,8:%d,9:"%s",10:"%s">i{%s}`, 50+i, step.path, step.method, step.param)
			super.expectError(int64(50+i), step.code, step.text)
		}
	})
}

func TestRightsAreForSuAlone(t *testing.T) {
	withTables(t, func(t *testing.T, w *world, users *tableOf, super *remote) {
		eva := w.as("eva", "{}") // dev everywhere
		id := int64(20)
		for _, path := range []string{".broker/access/users", ".broker/access/users/eva", "/.broker//access/users/", ".broker/etc/acl/users", ".broker/access/users/nobody"} {
			for _, method := range []string{"ls", "dir", "value", "setValue", "deactivate"} {
				id++
				eva.send(`<1:1,8:%d,9:"%s",10:"%s">i{1:["eva",null]}`, id, path, method)
				eva.expectError(id, rpc.CodeException, "su")
			}
		}
		super.send(`<1:1,8:3,9:".broker/access/users",10:"setValue",17:56>i{1:["eva",null]}`) // who asks for less has less
		super.expectError(3, rpc.CodeException, "su")
		if len(users.Names()) != 1 {
			t.Error("changed")
		}
		super.send(`<1:1,8:4,9:".broker",10:"ls">i{}`)
		if m := super.next(); m.Kind() != rpc.Response {
			t.Error("no answer")
		}
	})
}

func TestChangesThatWaitForTheDiskHoldNobodyUp(t *testing.T) {
	withTables(t, func(t *testing.T, w *world, users *tableOf, super *remote) {
		users.block = make(chan struct{})
		for i := range maxEdits {
			super.send(`<1:1,8:%d,9:".broker/access/users",10:"setValue">i{1:["u%d",{}]}`, 100+i, i)
		}
		super.send(`<1:1,8:99,9:".broker/access/users",10:"setValue">i{1:["late",{}]}`)
		super.expectError(99, rpc.CodeTryAgainLater, "too many")
		super.fence()
		close(users.block)
		for range maxEdits {
			super.next()
		}
		if n := len(users.Names()); n != maxEdits+1 {
			t.Errorf("%d users", n)
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
	bubbled(t, Options{Users: auth.NewStore(d), Reload: reload}, func(t *testing.T, w *world) {
		eva := w.as("eva", "{}")
		ask := func(id int, level string) {
			eva.send(`<1:1,8:%d,9:".broker/app",10:"reloadConfig"%s>i{}`, id, level)
		}
		ask(10, "")
		eva.expect(`<1:1,8:10>i{2:true}`)
		result = errors.New("users.yaml:3:1: the password of eva is wrong")
		ask(11, "")
		m := eva.expectError(11, rpc.CodeException, "the log of the broker says why")
		if strings.Contains(asText(t, m.Body()), "eva") {
			t.Error("the fault is told")
		}
		ask(12, ",17:32")
		eva.expectError(12, rpc.CodeException, "srv")
		if reloads != 2 {
			t.Errorf("%d reloads", reloads)
		}
	})
	bubbled(t, Options{Users: auth.NewStore(d)}, func(t *testing.T, w *world) {
		eva := w.as("eva", "{}")
		eva.send(`<1:1,8:10,9:".broker/app",10:"reloadConfig">i{}`)
		eva.expectError(10, rpc.CodeMethodNotFound, "reloadConfig")
	})
}

// storing is a users table that puts its changes in force, as that of a file does.
type storing struct {
	*tableOf
	w    *world
	fail bool
}

func (s *storing) Set(name string, v chainpack.Value) error {
	if s.fail {
		return errors.New("disk full")
	}
	stored, _ := v.Get("password")
	sum, _ := stored.Get("Sha1")
	text, _ := sum.AsString()
	secret, err := auth.SHA1Password(text)
	if err != nil {
		return err
	}
	a := ownNodes()
	entry := a.Users[name]
	entry.Password = secret
	a.Users[name] = entry
	d, _ := auth.Build(a)
	s.w.Apply(d)
	return nil
}

// ownNodes is access where operators may change their passwords.
func ownNodes() auth.Access {
	a := access()
	role(&a, "operators", func(r *auth.RoleEntry) {
		r.Rules = append([]auth.Rule{auth.MustRule(".broker/currentClient:*", rpc.AccessWrite)}, r.Rules...)
	})
	return a
}

func TestChangingOnesOwnPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := auth.Build(ownNodes())
		table := &storing{tableOf: &tableOf{entries: map[string]string{"eva": `{"roles":["operators"]}`}}}
		w := serve(t, Options{Users: auth.NewStore(d), Rights: map[string]RightsTable{usersTable: table}})
		table.w = w
		eva, other, bob := w.as("eva", "{}"), w.as("eva", "{}"), w.as("bob", "{}")
		change := func(id int64, param string) {
			eva.send(`<1:1,8:%d,9:".broker/currentClient",10:"changePassword">i{1:%s}`, id, param)
		}
		for i, param := range []string{`["x"]`, `["x",""]`, `"x"`, `[1,2]`} {
			change(int64(10+i), param)
			eva.expectError(int64(10+i), rpc.CodeInvalidParam, "the old and the new password")
		}
		change(20, `["wrong","new"]`)
		eva.expectError(20, rpc.CodeException, "old password is wrong")
		// Guesses of one user take no place of other changes, however many come.
		for id := int64(30); id < 30+2*maxEdits; id++ {
			change(id, `["wrong","new"]`)
			if id > 30 {
				eva.expectError(id, rpc.CodeTryAgainLater, "is being changed")
			}
		}
		w.mu.RLock()
		edits := w.edits
		w.mu.RUnlock()
		if edits != 0 {
			t.Errorf("guesses take %d places of changes of rights", edits)
		}
		eva.expectError(30, rpc.CodeException, "old password is wrong")
		table.fail = true
		change(21, fmt.Sprintf(`[%q,"new"]`, password))
		eva.expectError(21, rpc.CodeException, "disk full")
		w.Apply(d) // nothing has changed for her
		eva.fence()
		other.fence()
		table.fail = false
		change(22, fmt.Sprintf(`[%q,"new"]`, password))
		eva.expect(`<1:1,8:22>i{2:true}`)
		other.gone()
		eva.fence()
		bob.fence()
		w.connect().login("eva", "new", "{}")
	})
}
