package core

import (
	"strings"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// maxEdits bounds the changes of rights that wait for the disk.
const maxEdits = 16

// changeLater is own.Broker's Later.
func (b *Broker) changeLater(r *node.Request, change func() (string, error), names ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.edits >= maxEdits {
		return rpc.Errorf(rpc.CodeTryAgainLater, "too many changes of rights are being made")
	}
	b.edits++
	b.changeAsideLocked(r, change, func() { b.edits-- }, names...)
	return node.ErrLater
}

// changeLaterForUser is own.Broker's LaterForUser. Its changes do not count against
// maxEdits: guesses, which are held back, must not delay changes of rights.
func (b *Broker) changeLaterForUser(r *node.Request, change func() (string, error), names ...string) error {
	user := r.Caller.(*session).Name()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.renewing[user] {
		return rpc.Errorf(rpc.CodeTryAgainLater, "the password of user %s is being changed", user)
	}
	b.renewing[user] = true
	b.changeAsideLocked(r, change, func() { delete(b.renewing, user) }, names...)
	return node.ErrLater
}

// changeAsideLocked makes a change in a goroutine of its own, calls done under the
// lock, and answers the call. The broker is not closed.
func (b *Broker) changeAsideLocked(r *node.Request, change func() (string, error), done func(), names ...string) {
	s := r.Caller.(*session)
	b.running.Go(func() {
		what, err := b.change(change, done)
		b.book.Changed(s, r, what, err, names)
		about := func(e *zerolog.Event) *zerolog.Event {
			return e.Str("path", r.Path).Str("method", r.Method).Strs("entry", names)
		}
		if err != nil {
			about(s.log.Warn()).Err(err).Msg("change of rights refused")
			s.answer(rpc.AppendError(nil, r.From, rpc.Errorf(rpc.CodeException, "%s",
				strings.ReplaceAll(err.Error(), "\n", "; "))))
			return
		}
		about(s.log.Info()).Str("change", what).Msg("rights changed")
		s.answer(rpc.AppendResult(nil, r.From, chainpack.Bool(true)))
	})
}

func (b *Broker) change(change func() (string, error), done func()) (string, error) {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		done()
	}()
	return change()
}

// CheckPassword is a method of own.Client.
func (s *session) CheckPassword(text string) error {
	b, came := s.broker, time.Now()
	by := door.Attempt{Source: s.from.Source(), User: s.Name()} // a wrong one costs as a failed login
	door.Wait(s.link, b.penalties.Held(by))
	_, err := b.opts.Users.Check(s.link.Done(), auth.Attempt{
		User: s.Name(), Password: text, Type: login.Plain, From: s.from.Addr, Now: time.Now(),
	})
	if err == nil {
		b.penalties.Passed(by)
		return nil
	}
	penalty := b.penalties.Failed(by)
	door.Wait(s.link, penalty.Held-time.Since(came))
	refused := door.Refusal{Answer: rpc.Errorf(rpc.CodeException, "the old password is wrong"), Guess: true}
	return refused.Later(penalty)
}

// RenewPassword is a method of own.Client.
func (s *session) RenewPassword(text string) (stored chainpack.Value, undo func()) {
	before := s.user.Load().Password
	renewed := before.Renewed(text)
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
	stored = chainpack.Map(chainpack.F(renewed.Form().String(), chainpack.String(renewed.Text())))
	return stored, func() { put(before) }
}
