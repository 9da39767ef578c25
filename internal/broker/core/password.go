package core

import (
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// usersTable is where the passwords of users are kept.
const usersTable = ".broker/access/users"

// passwordMethods are those of .broker/currentClient that change the caller's own
// password (spec.md 7.8); none where rights cannot be changed.
func (b *Broker) passwordMethods() []node.Method {
	table := b.opts.Rights[usersTable]
	if table == nil {
		return nil
	}
	return []node.Method{{Name: "changePassword", Param: "[s:old,s:new]", Result: "b", Access: rpc.AccessWrite, Call: func(r *node.Request) (chainpack.Value, error) {
		was, okOld := r.Param.At(0).AsString()
		next, okNew := r.Param.At(1).AsString()
		s, ok := r.Caller.(*session)
		if r.Param.Kind() != chainpack.KindList || r.Param.Len() != 2 || !okOld || !okNew || next == "" || !ok {
			return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "changePassword takes a list of the old and the new password")
		}
		return b.renewLater(r, s, func() error { return s.changePassword(table, was, next) })
	}}}
}

// renewLater is later for what everybody may call. Each user has one change at a
// time and takes no place of the others': guesses, which are held back, must not keep
// the rights from being changed.
func (b *Broker) renewLater(r *node.Request, s *session, change func() error) (chainpack.Value, error) {
	user := s.name()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.renewing[user] {
		return chainpack.Value{}, rpc.Errorf(rpc.CodeTryAgainLater, "the password of user %s is being changed", user)
	}
	b.renewing[user] = true
	b.answerLater(r, s, func() error {
		defer func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			delete(b.renewing, user)
		}()
		return change()
	})
	return chainpack.Value{}, node.ErrLater
}

// changePassword changes the password of the session's user. The session goes on;
// others of the user end.
func (s *session) changePassword(table RightsTable, was, next string) error {
	name := s.name()
	_, err := s.broker.opts.Users.Check(s.link.Done(), auth.Attempt{User: name, Password: was, Type: login.Plain, From: s.from.Addr, Now: time.Now()})
	if err != nil {
		s.holdBack(s.broker.limits.LoginPenalty)
		return rpc.Errorf(rpc.CodeException, "the old password is wrong")
	}
	entry, ok := table.Value(name)
	if !ok {
		return rpc.Errorf(rpc.CodeException, "there is no such user any more")
	}
	undo, renewed := s.renew(next)
	stored := chainpack.Map(chainpack.F(renewed.Form().String(), chainpack.String(renewed.Text())))
	if err := table.Set(name, with(entry, "password", stored)); err != nil {
		undo()
		return err
	}
	return nil
}

// renew makes the session one that was let in with another password.
func (s *session) renew(text string) (undo func(), renewed auth.Password) {
	before := s.user.Load().Password
	renewed = before.Renewed(text)
	put := func(p auth.Password) {
		s.broker.mu.Lock()
		defer s.broker.mu.Unlock()
		if s.admitted.User == nil {
			return
		}
		changed := *s.admitted.User
		changed.Password = p
		s.admitted.User = &changed
	}
	put(renewed)
	return func() { put(before) }, renewed
}
