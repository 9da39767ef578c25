package core

import (
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/loginparam"
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// enter checks a login and gives the session its user. It may take some time.
func (s *session) enter(c loginparam.Param) error {
	b := s.broker
	admitted, err := b.opts.Users.Check(s.link.Done(), auth.Attempt{
		User: c.User, Password: c.Password, Token: c.Token, Type: c.Type, Nonce: s.login.nonce,
		From: s.from.Addr, Now: time.Now(), Certificate: auth.CertNames(s.certificate()),
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	// The rights may have changed meanwhile, and Apply did not see the session.
	user, loss := admitted.Lost(b.opts.Users.Load(), s.from.Addr, time.Now())
	switch loss {
	case auth.Kept:
	case auth.CertificateTaken:
		return auth.ErrCertificate
	default:
		return auth.ErrLogin
	}
	s.admitted = admitted
	s.user.Store(user)
	s.watchExpiryLocked(user)
	return nil
}

// leave undoes enter if the login fails for another reason.
func (s *session) leave() {
	s.broker.mu.Lock()
	defer s.broker.mu.Unlock()
	s.stopExpiryLocked()
	s.admitted = auth.Login{}
	s.user.Store(nil)
}

// watchExpiryLocked ends the session when its user expires.
func (s *session) watchExpiryLocked(u *auth.User) {
	s.stopExpiryLocked()
	if u != nil && !u.Expires.IsZero() {
		s.expiry = time.AfterFunc(time.Until(u.Expires), s.expire)
	}
}

func (s *session) stopExpiryLocked() {
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
}

// expire checks the session again when its time is over: the clock may have been set back
// since.
func (s *session) expire() {
	b := s.broker
	b.mu.Lock()
	cause := link.Open
	if b.sessions[s.id] == s {
		cause = s.judgeLocked(b.opts.Users.Load(), time.Now())
	}
	b.mu.Unlock()
	if cause != link.Open {
		s.link.Close(cause)
	}
}

// judgeLocked gives the session its rights of a directory and returns link.Open. If the
// session must end, it takes all its rights and returns the cause with which the caller
// closes the link. A helper must end when its agent must.
func (s *session) judgeLocked(d *auth.Directory, now time.Time) link.Cause {
	who := s
	if s.ticket != nil {
		who = s.ticket.agent
	}
	if who.admitted.User == nil {
		return link.Open // not logged in yet
	}
	user, loss := who.admitted.Lost(d, who.from.Addr, now)
	cause := loss.Cause()
	if loss == auth.Kept && s.ticket == nil && s.mountPoint != "" && !d.Standing(s.claim).May {
		cause = link.MountDenied
	}
	if loss == auth.Kept && s.child != nil && !user.MayBeBroker() {
		cause = link.MountDenied
	}
	if cause != link.Open {
		user = &auth.User{Name: who.admitted.User.Name}
	}
	if s.ticket == nil {
		s.user.Store(user)
	}
	s.watchExpiryLocked(user)
	return cause
}

// mayTunnelLocked reports whether the caller of a ticket still has the right that the
// call was made with.
func (b *Broker) mayTunnelLocked(t *ticket) bool {
	caller := b.sessions[t.caller]
	return caller == nil || caller.holds(t.with)
}

// holds reports whether the peer still has a right. A parent broker checks by itself.
func (s *session) holds(r replyroutes.Right) bool { return s.parent != nil || r.HeldBy(s.user.Load()) }

// Level returns what the session may do now with a method at a clean path. It does not
// allocate, unless the path names a client by its id.
func (s *session) Level(path, method []byte) rpc.Access {
	if user := s.user.Load(); user != nil {
		return own.Level(ownNodes{s.broker}, user, path, method)
	}
	if s.parent != nil {
		return rpc.AccessSuper // the parent broker has checked
	}
	// A helper serves its tunnel, and shows that it is alive.
	if p := string(path); p == ".app" || p == ".broker/app" {
		return rpc.AccessBrowse
	}
	return rpc.AccessNone
}
