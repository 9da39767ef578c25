package core

import (
	"cmp"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/broker/internal/loginparam"
	"shvtools/internal/broker/internal/peerlog"
	"shvtools/internal/broker/internal/shares"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

const (
	// maxLogins bounds the failed logins of one connection, and maxBeforeLogin its messages
	// before it is logged in.
	maxLogins      = 3
	maxBeforeLogin = 32
)

// loginState is what is known of a peer between its connection and its login.
type loginState struct {
	done     bool
	nonce    string // "" before hello
	failures int
	messages int
}

// beforeLogin handles a message of a peer that has not logged in (spec.md 5).
func (s *session) beforeLogin(m *rpc.Message) {
	s.login.messages++
	if s.login.messages > maxBeforeLogin {
		s.link.Close(link.LoginFailed)
		return
	}
	if s.login.failures >= maxLogins {
		return // the link is about to end
	}
	if m.Kind() != rpc.Request {
		s.broker.stats.malformed.Add(1)
		return
	}
	from := m.Address()
	switch method := string(m.Method()); {
	case len(m.Path()) == 0 && method == "hello":
		if s.login.nonce == "" {
			s.login.nonce = login.NewNonce()
		}
		s.answer(rpc.AppendResult(nil, from, chainpack.Map(chainpack.F("nonce", chainpack.String(s.login.nonce)))))
	case len(m.Path()) == 0 && method == "workflows":
		types := s.broker.opts.Users.LoginTypes(s.certificate() != nil)
		s.answer(rpc.AppendResult(nil, from, chainpack.List(types...)))
	case len(m.Path()) == 0 && method == "revokeToken":
		s.revokeToken(m, from)
	case len(m.Path()) == 0 && method == "login":
		s.tryLogin(m, from)
	default:
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeLoginRequired, "login first: call hello, then login")))
	}
}

// revokeToken ends a session token, so that a web client can log out.
func (s *session) revokeToken(m *rpc.Message, from rpc.Address) {
	content, err := m.ContentWithin(door.MaxItems)
	token, ok := content.Value.AsString()
	if err != nil || content.Key == rpc.KeyAbort || !ok {
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeInvalidParam, "the param must be a token, a String")))
		return
	}
	s.answer(rpc.AppendResult(nil, from, chainpack.Bool(s.broker.opts.Users.Revoke(token))))
}

// loginCall is a login that a peer asks for.
type loginCall struct {
	loginparam.Param
	from rpc.Address // where the answer goes
	by   door.Attempt
}

// readLogin reads a login. The error is the answer to one that is not checked at all.
func (s *session) readLogin(m *rpc.Message, from rpc.Address) (c loginCall, err *rpc.Error) {
	c.from = from
	if c.Param, err = door.Read(m); err == nil && !c.Helper && s.broker.draining.Load() {
		s.broker.stats.logins[door.Stopping].Add(1)
		err = rpc.Errorf(rpc.CodeTryAgainLater, stopping)
	}
	c.by = door.Attempt{Source: s.from.Source(), User: c.User}
	return c, err
}

// tryLogin answers a login. A refused one is answered late, and so is one after others
// that failed; the connection is not read meanwhile: guessing costs time.
func (s *session) tryLogin(m *rpc.Message, from rpc.Address) {
	c, err := s.readLogin(m, from)
	if err != nil {
		s.answer(rpc.AppendError(nil, from, err))
		return
	}
	b := s.broker
	s.deadline.Stop() // what follows is not the peer's time
	came := time.Now()
	if !c.Helper {
		held := b.penalties.Held(c.by)
		switch s.hold(c, held, false) {
		case door.Gone:
			return
		case door.Lost:
			b.stats.logins[door.Refused].Add(1)
			s.endLogin(c, door.Crowded(held).Answer, true)
			return
		}
	}
	began := time.Now()
	refused := s.admit(c)
	b.stats.loginDone(refused.Result(c.Helper), time.Since(began))
	if refused != nil {
		s.refuseLogin(c, refused, came)
	}
}

// hold waits while a login, or the answer to a checked one, is held back.
func (s *session) hold(c loginCall, d time.Duration, checked bool) door.Outcome {
	return s.broker.connections.Hold(s.slot, s.link, c.by.Short().User, checked, d)
}

// refuseLogin answers a refused login that came at a time, once its penalty is over.
func (s *session) refuseLogin(c loginCall, r *door.Refusal, came time.Time) {
	penalty := door.Penalty{Held: s.broker.limits.LoginPenalty}
	if r.Guess {
		penalty = s.broker.penalties.Failed(c.by)
	}
	s.log.user = cmp.Or(s.log.user, c.by.Short().User) // the name that the peer gave
	text := peerlog.Short(r.Cause.Error())             // it may hold the name again, at its full length
	s.log.refused(peerlog.Line{Message: "login refused", Error: text}, func(e *zerolog.Event) {
		e.Str(zerolog.ErrorFieldName, text).Stringer("heldBack", penalty.Held).Stringer("wait", penalty.Wait)
	})
	s.log.user = ""
	s.broker.book.LoginRefused(s, c.by.User, r.Cause.Error())
	outcome := s.hold(c, penalty.Held-time.Since(came), true)
	if outcome != door.Gone {
		s.endLogin(c, r.Later(penalty), outcome == door.Lost)
	}
}

// endLogin answers a refused login. The link ends if that was its last one, or if it has lost
// its place to another.
func (s *session) endLogin(c loginCall, answer *rpc.Error, lost bool) {
	s.login.failures++
	if lost {
		s.login.failures = maxLogins
	}
	s.answer(rpc.AppendError(nil, c.from, answer))
	if s.login.failures >= maxLogins {
		time.AfterFunc(lingering, func() { s.link.Close(link.LoginFailed) }) // so that the answer arrives
		return
	}
	s.deadline.Reset(s.broker.limits.LoginDeadline)
}

// welcome answers an accepted login. It does not wait.
func (s *session) welcome(c loginCall) {
	if !c.Helper { // the name that a helper gives proves nothing
		s.broker.penalties.Passed(c.by) // before the answer: the client may reconnect at once
		s.broker.book.LoggedIn(s)
	}
	s.login.done = true
	s.stopDeadline()
	s.releaseSlot()
	s.owe(s.ownerName())
	s.link.SetMaxFrame(s.broker.limits.MaxFrame)
	s.link.SetIdle(c.Idle)
	s.answer(rpc.AppendResult(nil, c.from, s.admission(c.Session)))
	s.ready.Store(true)
	s.owner.Load().Add(shares.Connections, 1)
}

// admission returns the result of a login: a session token if the client asked for one.
// A helper learns whether the loss of its client will be reported (docs/protocol.md).
func (s *session) admission(token bool) chainpack.Value {
	if token && s.ticket == nil {
		return chainpack.String(s.broker.opts.Users.Issue(s.admitted, time.Now()))
	}
	entries := []chainpack.Entry{chainpack.F("clientId", chainpack.Int(s.id))}
	if s.ticket != nil && s.ticket.vouched {
		entries = append(entries, chainpack.F("ext", chainpack.Map(chainpack.F("vouches", chainpack.Bool(true)))))
	}
	return chainpack.Map(entries...)
}

// admit checks a login, registers what it asks for, and answers it before the first
// request can reach a device. It returns nil if it did.
func (s *session) admit(c loginCall) *door.Refusal {
	if c.Helper {
		if refused := s.admitTunnel(c.Secret); refused != nil {
			return door.Refuse(refused)
		}
		s.welcome(c)
		s.log.Visit("helper logged in", "").Msg("helper logged in")
		return nil
	}
	if err := s.enter(c.Param); err != nil {
		return door.RefuseGuess(c.by.User, err)
	}
	name := s.Name()
	if !s.from.IsLocal() && auth.WellKnownLogin(name, c.Password, c.Type, s.login.nonce) {
		s.leave()
		return door.Refuse(rpc.Errorf(rpc.CodeException,
			"the password of user %s is one that everybody knows: it is good on the broker's own machine only", name))
	}
	s.log.user = name
	claim := s.admitted.Claim(s.broker.opts.Users.Load(), c.DeviceID, c.MountPoint)
	child := claim.Path != "" && (c.Broker || s.user.Load().MayBeBroker())
	if refused := s.makeSpace(claim.Path, child); refused != nil {
		s.leave()
		return door.Refuse(refused)
	}
	if claim.Path == "" {
		s.welcome(c)
		s.log.Visit("client logged in", "").Msg("client logged in")
		return nil
	}
	// The Rust and the Python broker log in like devices: only their user shows it.
	if child {
		s.setChild(s.newChild(claim.Path))
	}
	if refused := s.mount(claim, func() { s.welcome(c) }); refused != nil {
		s.setChild(nil)
		s.leave()
		return door.Refuse(refused)
	}
	if s.child != nil {
		s.startChild()
	}
	return nil
}
