package core

import (
	"cmp"
	"crypto/rand"
	"errors"
	"math/big"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// maxRefusal bounds what is logged of why a login is refused, in bytes.
const maxRefusal = 300

// maxLoginItems bounds the values in a login: it is kept while its answer is held back,
// in the memory of many times its bytes.
const maxLoginItems = 256

// maxBeforeLogin is how many messages a peer may send before it is logged in.
const maxBeforeLogin = 32

// loginState is where a peer stands between its connection and its login.
type loginState struct {
	done     bool
	nonce    string // "" before hello
	failures int
	messages int
	why      error // a login is refused, for the log alone
	// wantsToken: the answer to the login is to be a session token.
	wantsToken bool
}

// beforeLogin takes a message of a peer that is not logged in (spec.md 5).
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
			s.login.nonce = newNonce()
		}
		s.answer(rpc.AppendResult(nil, from, chainpack.Map(chainpack.F("nonce", chainpack.String(s.login.nonce)))))
	case len(m.Path()) == 0 && method == "workflows":
		types := []chainpack.Value{chainpack.String(login.Plain), chainpack.String(login.SHA1), chainpack.String(login.Token)}
		if s.certificate() != nil {
			types = append(types, chainpack.String(login.External))
		}
		s.answer(rpc.AppendResult(nil, from, chainpack.List(types...)))
	case len(m.Path()) == 0 && method == "login":
		s.tryLogin(m, from)
	default:
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeLoginRequired, "login first: call hello, then login")))
	}
}

// newNonce gives 10 decimal digits or more, as clients of all ages expect.
func newNonce() string {
	n, err := rand.Int(rand.Reader, big.NewInt(9e15))
	if err != nil {
		panic(err) // never: crypto/rand ends the program itself
	}
	return n.Add(n, big.NewInt(1e15)).String()
}

// tryLogin answers a login. A refused one is answered late, and so is one after
// others that failed; the connection is not read meanwhile: guessing costs time.
func (s *session) tryLogin(m *rpc.Message, from rpc.Address) {
	content, err := m.ContentWithin(maxLoginItems)
	if err != nil {
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeInvalidParam, "unreadable login: %v", err)))
		return
	}
	if content.Key == rpc.KeyAbort {
		// A client that waits for a held back answer asks whether its login is still
		// being worked at. That is no guess, and was read after the answer.
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeRequestInvalid, "no such request is running")))
		return
	}
	b := s.broker
	if b.overloaded() {
		b.stats.logins[LoginOverloaded].Add(1)
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeTryAgainLater, "the broker is overloaded")))
		return
	}
	options, _ := content.Value.Get("options")
	_, tunnel := tunnelSecret(options)
	if !tunnel && b.draining.Load() {
		b.stats.logins[LoginStopping].Add(1)
		s.answer(rpc.AppendError(nil, from, rpc.Errorf(rpc.CodeTryAgainLater, stopping)))
		return
	}
	s.deadline.Stop() // what follows is not the peer's time
	login, _ := content.Value.Get("login")
	by := door.Attempt{Source: s.from.Source(), User: stringField(login, "user")}
	began := time.Now()
	if !tunnel && !s.holdBack(b.penalties.Held(by)) {
		return
	}
	judging := time.Now()
	refused := s.admit(content.Value, options, func() {
		if !tunnel { // a helper says any name
			b.penalties.Passed(by) // before the answer: who has it may come again at once
		}
		s.welcome(from, options)
	})
	b.stats.loginDone(resultOf(refused, tunnel), time.Since(judging))
	if refused == nil {
		return
	}
	s.login.failures++
	var why error = refused
	if s.login.why != nil {
		why = s.login.why
	}
	penalty := b.limits.LoginPenalty
	if refused == errPassword || refused == errCertificate {
		penalty = b.penalties.Failed(by)
		refused = rpc.Errorf(rpc.CodeException, "Invalid authentication for user: %s reason: %s", by.User, refused.Message)
	}
	s.log.user = cmp.Or(s.log.user, by.Short().User) // who it is not, but says so
	s.log.Provoked("login refused", func(e *zerolog.Event) {
		text := why.Error() // with the name again, as long as it is
		e.Str(zerolog.ErrorFieldName, text[:min(len(text), maxRefusal)]).Stringer("heldBack", penalty)
	})
	s.log.user, s.login.why = "", nil
	if !s.holdBack(penalty - time.Since(began)) {
		return
	}
	s.answer(rpc.AppendError(nil, from, refused))
	if s.login.failures >= maxLogins {
		time.AfterFunc(lingering, func() { s.link.Close(link.LoginFailed) }) // the answer shall arrive
		return
	}
	s.deadline.Reset(b.limits.LoginDeadline)
}

// resultOf is what became of a login.
func resultOf(refused *rpc.Error, tunnel bool) LoginResult {
	switch {
	case refused == nil && tunnel:
		return LoginOfHelper
	case refused == nil:
		return LoginAccepted
	case refused == errPassword, refused == errCertificate:
		return LoginInvalid
	}
	return LoginRefused
}

// holdBack waits; false when the link has ended meanwhile.
func (s *session) holdBack(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-s.link.Done():
		return false
	}
}

// welcome lets the peer in.
func (s *session) welcome(from rpc.Address, options chainpack.Value) {
	s.login.done = true
	s.stopDeadline()
	s.releaseSlot()
	s.link.SetMaxFrame(s.broker.limits.MaxFrame)
	s.link.SetIdle(idleLimit(options))
	s.answer(rpc.AppendResult(nil, from, s.admission()))
	s.ready.Store(true)
}

// admission is the result of a login. A helper learns that it will be told when
// its client is lost (docs/protocol.md).
func (s *session) admission() chainpack.Value {
	if s.login.wantsToken {
		return chainpack.String(s.broker.opts.Users.Issue(s.admitted, time.Now()))
	}
	entries := []chainpack.Entry{chainpack.F("clientId", chainpack.Int(s.id))}
	if s.ticket != nil && s.ticket.vouched {
		entries = append(entries, chainpack.F("ext", chainpack.Map(chainpack.F("vouches", chainpack.Bool(true)))))
	}
	return chainpack.Map(entries...)
}

// errPassword and errCertificate are the refusals that count as a guess.
var (
	errPassword    = rpc.Errorf(rpc.CodeException, "%s", auth.ErrLogin)
	errCertificate = rpc.Errorf(rpc.CodeException, "%s: the broker's log tells its names, which belong into certificates of the user", auth.ErrCertificate)
)

// admit checks a login and registers what it asks for. welcome answers the login;
// it is called before the first request can reach a device.
func (s *session) admit(param, options chainpack.Value, welcome func()) *rpc.Error {
	if secret, ok := tunnelSecret(options); ok {
		if refused := s.admitTunnel(secret); refused != nil {
			return refused
		}
		welcome()
		s.log.Info().Msg("helper logged in")
		return nil
	}
	login, _ := param.Get("login")
	if err := s.enter(login); err != nil {
		s.login.why = err
		if errors.Is(err, auth.ErrCertificate) {
			return errCertificate
		}
		return errPassword
	}
	name, loginType := s.Name(), stringField(login, "type")
	if !s.from.IsLocal() && auth.WellKnownLogin(name, stringField(login, "password"), loginType, s.login.nonce) {
		s.leave()
		return rpc.Errorf(rpc.CodeException, "the password of user %s is one that everybody knows: it is good on the broker's own machine only", name)
	}
	wanted, _ := options.Get("session")
	s.login.wantsToken, _ = wanted.AsBool()
	device, _ := options.Get("device")
	mountPoint, deviceID := s.place(device)
	s.log.user = s.Name()
	// The Rust broker and the Python one log in as devices do: their user tells.
	if mountPoint != "" && (isBroker(options) || mayBeBroker(s.user.Load())) {
		s.setChild(s.newChild(mountPoint))
	}
	if mountPoint == "" {
		welcome()
		s.log.Info().Msg("client logged in")
		return nil
	}
	if refused := s.mount(mountPoint, deviceID, welcome); refused != nil {
		s.setChild(nil)
		s.leave()
		return refused
	}
	if s.child != nil {
		s.startChild()
	}
	return nil
}

// tunnelSecret tells whether a login is that of a helper, and with which secret.
func tunnelSecret(options chainpack.Value) (secret string, ok bool) {
	tunnel, _ := options.Get("tunnel")
	return stringField(tunnel, "secret"), tunnel.Kind() == chainpack.KindMap
}

func stringField(v chainpack.Value, name string) string {
	field, _ := v.Get(name)
	text, _ := field.AsString()
	return text
}

// idleLimit is the watchdog that a login asks for (spec.md 5.4, 6).
func idleLimit(options chainpack.Value) time.Duration {
	asked, ok := options.Get("idleWatchDogTimeOut")
	if !ok {
		return defaultIdle
	}
	seconds, ok := asked.AsInt()
	switch {
	case !ok:
		return defaultIdle
	case seconds <= 0 || seconds > int64(longIdle/time.Second):
		return longIdle
	}
	return time.Duration(seconds) * time.Second
}
