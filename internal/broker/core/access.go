package core

import (
	"errors"
	"strings"

	"github.com/rs/zerolog"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// RightsTable is a part of the rights that calls can read and change. Its
// methods may be called concurrently.
type RightsTable interface {
	Names() []string
	// Value is an entry without its secrets.
	Value(name string) (chainpack.Value, bool)
	// Set changes an entry, or takes it away where v is Null. When it returns, the
	// change is on disk and in force, or neither. It may wait for the disk.
	Set(name string, v chainpack.Value) error
}

// maxEdits is how many changes of rights may wait for the disk.
const maxEdits = 16

// addRights serves the tables of Options.Rights by their paths. All of it takes
// su, ls and dir too: they tell the names of users.
func (b *Broker) addRights() {
	for path, table := range b.opts.Rights {
		b.nodes.Restrict(path, rpc.AccessSuper)
		b.nodes.AddDynamic(path, func(rest string) ([]node.Method, []string, bool) {
			if rest == "" {
				return b.tableMethods(table), table.Names(), true
			}
			if _, ok := table.Value(rest); !ok {
				return nil, nil, false
			}
			return b.entryMethods(table, rest, strings.HasSuffix(path, "/users")), nil, true
		})
	}
}

func (b *Broker) tableMethods(table RightsTable) []node.Method {
	return []node.Method{
		{Name: "value", Flags: node.FlagGetter, Result: "{?}", Access: rpc.AccessSuper, Call: func(*node.Request) (chainpack.Value, error) {
			var entries []chainpack.Entry
			for _, name := range table.Names() {
				if v, ok := table.Value(name); ok {
					entries = append(entries, chainpack.F(name, v))
				}
			}
			return chainpack.Map(entries...), nil
		}},
		{Name: "setValue", Param: "[s:key,?:value]", Result: "b", Access: rpc.AccessSuper, Call: func(r *node.Request) (chainpack.Value, error) {
			name, ok := r.Param.At(0).AsString()
			if r.Param.Kind() != chainpack.KindList || r.Param.Len() != 2 || !ok {
				return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "setValue takes a list of a name and a value, Null to take the entry away")
			}
			return b.edit(r, table, name, r.Param.At(1))
		}},
	}
}

// entryMethods are those of one entry, for users also the ones of the Rust
// broker.
func (b *Broker) entryMethods(table RightsTable, name string, user bool) []node.Method {
	value := func() chainpack.Value {
		v, _ := table.Value(name)
		return v
	}
	methods := []node.Method{{Name: "value", Flags: node.FlagGetter, Result: "?", Access: rpc.AccessSuper, Call: func(*node.Request) (chainpack.Value, error) {
		return value(), nil
	}}}
	if !user {
		return methods
	}
	deactivated := func(off bool) func(r *node.Request) (chainpack.Value, error) {
		return func(r *node.Request) (chainpack.Value, error) {
			return b.edit(r, table, name, with(value(), "deactivated", chainpack.Bool(off)))
		}
	}
	return append(methods,
		node.Method{Name: "activate", Result: "b", Access: rpc.AccessSuper, Call: deactivated(false)},
		node.Method{Name: "deactivate", Result: "b", Access: rpc.AccessSuper, Call: deactivated(true)},
		node.Method{Name: "setExpiration", Param: "t|n", Result: "b", Access: rpc.AccessSuper, Call: func(r *node.Request) (chainpack.Value, error) {
			if _, ok := r.Param.AsTime(); !ok && r.Param.Kind() != chainpack.KindNull {
				return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "setExpiration takes a DateTime, or Null for never")
			}
			return b.edit(r, table, name, with(value(), "expires", r.Param))
		}},
	)
}

// with is a map with one entry changed.
func with(v chainpack.Value, name string, value chainpack.Value) chainpack.Value {
	entries := []chainpack.Entry{chainpack.F(name, value)}
	for _, e := range v.Entries() {
		if e.Key.Str() != name {
			entries = append(entries, e)
		}
	}
	return chainpack.Map(entries...)
}

// edit changes an entry, and logs that.
func (b *Broker) edit(r *node.Request, table RightsTable, name string, v chainpack.Value) (chainpack.Value, error) {
	s, ok := r.Caller.(*session)
	if !ok {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeNotImplemented, "rights are changed by clients only")
	}
	return b.later(r, s, func() error { return table.Set(name, v) }, name)
}

// later changes rights in a goroutine of its own, for the disk may be slow, and
// answers the call when that is done.
func (b *Broker) later(r *node.Request, s *session, change func() error, names ...string) (chainpack.Value, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.edits >= maxEdits {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeTryAgainLater, "too many changes of rights are being made")
	}
	b.edits++
	b.answerLater(r, s, func() error {
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.edits--
		}()
		return change()
	}, names...)
	return chainpack.Value{}, node.ErrLater
}

// answerLater makes a change in a goroutine of its own and answers the call. b.mu is
// held, and the broker is not closed.
func (b *Broker) answerLater(r *node.Request, s *session, change func() error, names ...string) {
	b.running.Go(func() {
		err := change()
		about := func(e *zerolog.Event) *zerolog.Event {
			return e.Str("path", r.Path).Str("method", r.Method).Strs("entry", names)
		}
		if err != nil {
			about(s.log.Warn()).Err(err).Msg("change of rights refused")
			s.answer(rpc.AppendError(nil, r.From, rpc.Errorf(rpc.CodeException, "%s", oneLine(err))))
			return
		}
		about(s.log.Info()).Msg("rights changed")
		s.answer(rpc.AppendResult(nil, r.From, chainpack.Bool(true)))
	})
}

// reloadMethods is the one of .broker/app that reads the configuration again
// (spec.md 7.8). What was wrong stands in the log alone: it names users, and the
// level is not that of the rights.
func (b *Broker) reloadMethods() []node.Method {
	if b.opts.Reload == nil {
		return nil
	}
	return []node.Method{{Name: "reloadConfig", Result: "b", Access: rpc.AccessService, Call: func(r *node.Request) (chainpack.Value, error) {
		s, ok := r.Caller.(*session)
		if !ok {
			return chainpack.Value{}, rpc.Errorf(rpc.CodeNotImplemented, "the configuration is reloaded by clients only")
		}
		return b.later(r, s, func() error {
			if b.opts.Reload() != nil {
				return errNotReloaded
			}
			return nil
		})
	}}}
}

var errNotReloaded = errors.New("configuration not reloaded, the old one stays in force: the log of the broker says why")

// oneLine puts several faults into a line.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
