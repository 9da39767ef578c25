package own

import (
	"errors"
	"unicode/utf8"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// usersTable is the node of the users, with their passwords.
const usersTable = ".broker/access/users"

// RightsTable is a part of the rights that calls can read and change. Its
// methods may be called concurrently.
type RightsTable interface {
	Names() []string
	// Value returns an entry without its secrets.
	Value(name string) (chainpack.Value, bool)
	// Set changes an entry, or removes it if v is Null, and returns from what to what.
	// When it returns, the change is on disk and in force, or neither. It may wait for
	// the disk.
	Set(name string, v chainpack.Value) (what string, err error)
	// Update is Set for some fields of an entry that exists, a Map. The others stay what
	// they are at that moment.
	Update(name string, fields chainpack.Value) (what string, err error)
}

// rights are the nodes of a table; users' entries have more methods.
func (n nodes) rights(table RightsTable, users bool) node.Dynamic {
	return func(rest string) ([]node.Method, []string, bool) {
		if rest == "" {
			return n.tableMethods(table), table.Names(), true
		}
		if _, ok := table.Value(rest); !ok {
			return nil, nil, false
		}
		return n.entryMethods(table, rest, users), nil, true
	}
}

func (n nodes) tableMethods(table RightsTable) []node.Method {
	return []node.Method{
		{Name: "value", Flags: node.FlagGetter, Result: "{?}", Access: rpc.AccessSuper,
			Call: func(*node.Request) (chainpack.Value, error) {
				var entries []chainpack.Entry
				for _, name := range table.Names() {
					if v, ok := table.Value(name); ok {
						entries = append(entries, chainpack.F(name, v))
					}
				}
				return chainpack.Map(entries...), nil
			}},
		{Name: "setValue", Param: "[s:key,?:value]", Result: "b", Access: rpc.AccessSuper,
			Call: func(r *node.Request) (chainpack.Value, error) {
				name, ok := r.Param.At(0).AsString()
				if r.Param.Kind() != chainpack.KindList || r.Param.Len() != 2 || !ok {
					return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam,
						"setValue takes a list of a name and a value, Null to remove the entry")
				}
				return n.edit(r, func() (string, error) { return table.Set(name, r.Param.At(1)) }, name)
			}},
	}
}

// entryMethods are those of one entry, for users also the ones of the Rust broker.
func (n nodes) entryMethods(table RightsTable, name string, user bool) []node.Method {
	value := func() chainpack.Value {
		v, _ := table.Value(name)
		return v
	}
	methods := []node.Method{{Name: "value", Flags: node.FlagGetter, Result: "?", Access: rpc.AccessSuper,
		Call: func(*node.Request) (chainpack.Value, error) { return value(), nil }}}
	if !user {
		return methods
	}
	update := func(r *node.Request, field string, v chainpack.Value) (chainpack.Value, error) {
		return n.edit(r, func() (string, error) { return table.Update(name, chainpack.Map(chainpack.F(field, v))) }, name)
	}
	deactivated := func(off bool) func(r *node.Request) (chainpack.Value, error) {
		return func(r *node.Request) (chainpack.Value, error) { return update(r, "deactivated", chainpack.Bool(off)) }
	}
	return append(methods,
		node.Method{Name: "activate", Result: "b", Access: rpc.AccessSuper, Call: deactivated(false)},
		node.Method{Name: "deactivate", Result: "b", Access: rpc.AccessSuper, Call: deactivated(true)},
		node.Method{Name: "setExpiration", Param: "t|n", Result: "b", Access: rpc.AccessSuper,
			Call: func(r *node.Request) (chainpack.Value, error) {
				if _, ok := r.Param.AsTime(); !ok && r.Param.Kind() != chainpack.KindNull {
					return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "setExpiration takes a DateTime, or Null for never")
				}
				return update(r, "expires", r.Param)
			}},
	)
}

// edit makes a change of an entry.
func (n nodes) edit(r *node.Request, change func() (string, error), name string) (chainpack.Value, error) {
	return chainpack.Value{}, n.broker.Later(r, change, name)
}

// reloadMethods is the one of .broker/app that reads the configuration again
// (spec.md 7.8). The caller does not learn what was wrong: that names users, and
// the level is not that of the rights.
func (n nodes) reloadMethods() []node.Method {
	if n.options.Reload == nil {
		return nil
	}
	reload := func() (string, error) {
		if n.options.Reload() != nil {
			return "", errNotReloaded
		}
		return "", nil
	}
	return []node.Method{{Name: "reloadConfig", Result: "b", Access: rpc.AccessService,
		Call: func(r *node.Request) (chainpack.Value, error) { return chainpack.Value{}, n.broker.Later(r, reload) }}}
}

var errNotReloaded = errors.New(
	"configuration not reloaded, the old one stays in force: the log of the broker says why")

// passwordMethods are those of .broker/currentClient that change the caller's own
// password (spec.md 7.8); none where rights cannot be changed.
func (n nodes) passwordMethods() []node.Method {
	table := n.options.Rights[usersTable]
	if table == nil {
		return nil
	}
	return []node.Method{{Name: "changePassword", Param: "[s:old,s:new]", Result: "b", Access: rpc.AccessWrite,
		Call: func(r *node.Request) (chainpack.Value, error) {
			c := caller(r)
			if c.Info().PasswordFixed {
				return chainpack.Value{}, rpc.Errorf(rpc.CodeException, "the password of user %s can be changed by an "+
					"administrator only: it is in all devices of that user, which would be locked out", c.Name())
			}
			was, okOld := r.Param.At(0).AsString()
			next, okNew := r.Param.At(1).AsString()
			if r.Param.Kind() != chainpack.KindList || r.Param.Len() != 2 || !okOld || !okNew || next == "" {
				return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam,
					"changePassword takes a list of the old and the new password")
			}
			if utf8.RuneCountInString(next) < minPassword {
				return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam,
					"the new password is too short (want at least %d characters)", minPassword)
			}
			if c.Info().User == "" {
				return chainpack.Value{}, rpc.NotFound(r.Method, r.Path) // a parent broker
			}
			return chainpack.Value{}, n.broker.LaterForUser(r, func() (string, error) {
				return changePassword(c, table, was, next)
			}, c.Name())
		}}}
}

// minPassword is how many characters a new password has at least (NIST SP 800-63B, 5.1.1.1).
const minPassword = 8

// changePassword changes the password of the client's user, and nothing else of it. The
// client stays logged in; other sessions of the user end.
func changePassword(c Client, table RightsTable, was, next string) (what string, err error) {
	if err := c.CheckPassword(was); err != nil {
		return "", err
	}
	stored, undo := c.RenewPassword(next)
	if what, err = table.Update(c.Name(), chainpack.Map(chainpack.F("password", stored))); err != nil {
		undo()
	}
	return what, err
}
