package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/login"
)

// maxHashing is how many argon2id hashes are computed at once. With maxArgonMemory it
// bounds the memory of all logins to 256 MiB.
const maxHashing = 2

// Store holds the directory in force and the session tokens. All methods may be called
// concurrently.
type Store struct {
	directory atomic.Pointer[Directory]
	hashing   chan struct{} // holds an item for each hash that is being computed
	sessions  sessions
	verified  verified
}

// NewStore returns a store with d in force.
func NewStore(d *Directory) *Store {
	s := &Store{hashing: make(chan struct{}, maxHashing)}
	s.directory.Store(d)
	return s
}

// Load returns the directory in force.
func (s *Store) Load() *Directory { return s.directory.Load() }

// Swap puts another directory in force. The caller must check the logins that exist
// (Login.Lost). Session tokens of logins that are lost with it end: they are not good again
// when a user is activated again.
func (s *Store) Swap(d *Directory) {
	s.directory.Store(d)
	now := time.Now()
	s.sessions.keep(func(l Login) bool {
		_, loss := l.standing(d, now)
		return loss == Kept
	})
}

// LoginTypes returns the types of login that are accepted now (spec.md 5.2), with or without a client
// certificate.
func (s *Store) LoginTypes(certificate bool) (types []chainpack.Value) {
	types = append(types, chainpack.String(login.Plain))
	if !s.Load().refusesSHA1 {
		types = append(types, chainpack.String(login.SHA1))
	}
	types = append(types, chainpack.String(login.Token))
	if certificate {
		types = append(types, chainpack.String(login.External))
	}
	return types
}

// Attempt is a login to be checked.
type Attempt struct {
	User     string
	Password string
	Token    string // of a TOKEN login
	Type     string
	Nonce    string // that its hello was given, "" for none
	From     netip.Addr
	Now      time.Time
	// Certificate has the names of the client certificate that was verified; empty:
	// there was none.
	Certificate []CertName
}

// Login is an attempt that was accepted.
type Login struct {
	User        *User      // as it was then
	token       tokenKey   // of a static token; zero for others
	certificate []CertName // of the connection
	external    bool       // it stood for a password
	shown       string     // the token of a TOKEN login, without a prefix; "" for others
}

// Lost judges a login against another directory. Where nothing is lost it gives
// the user of now.
func (l Login) Lost(d *Directory, from netip.Addr, now time.Time) (*User, Loss) {
	u, loss := l.standing(d, now)
	if loss == Kept && !u.admits(from) {
		return nil, AddressDenied
	}
	return u, loss
}

// standing is Lost wherever the peer comes from.
func (l Login) standing(d *Directory, now time.Time) (*User, Loss) {
	u := d.users[l.User.Name]
	switch {
	case u == nil:
		return nil, Removed
	case l.external && !slices.Contains(d.holders(l.certificate), u), d.forbids(l.certificate, u):
		return nil, CertificateTaken
	case l.external: // no password was given
	case l.token != tokenKey{} && d.tokens[l.token] != u,
		l.token == tokenKey{} && u.Password != l.User.Password:
		return nil, PasswordChanged
	}
	if loss := u.ended(now); loss != Kept {
		return nil, loss
	}
	return u, Kept
}

// Check accepts or refuses an attempt. Its error is for the log, and Reason what the peer
// learns of it. A PLAIN login may take some tens of milliseconds, and waits
// for its turn until done is closed.
//
// A connection that shows a certificate of users can log in only as one of them, with
// any type of login. Otherwise the error wraps ErrCertificate, whether or not the
// password was right.
func (s *Store) Check(done <-chan struct{}, a Attempt) (Login, error) {
	d := s.Load()
	switch a.Type {
	case login.Token:
		return s.checkToken(d, a)
	case login.External:
		return checkCertificate(d, a)
	case login.Plain:
	default: // brokers treat any other type as SHA1
		if d.refusesSHA1 {
			return Login{}, errSHA1
		}
	}
	u := d.users[a.User]
	if d.forbids(a.Certificate, u) {
		return Login{}, notYours(a, a.User)
	}
	var stored Password
	if u != nil {
		stored = u.Password
	}
	ok, err := s.matches(done, d, stored, a)
	switch {
	case err != nil:
		return Login{}, err
	case u == nil:
		return Login{}, refusal("there is no user %q", a.User)
	case !ok && stored.form == FormArgon2 && a.Type != login.Plain:
		return Login{}, refusal("user %s has an argon2id password, which takes a PLAIN login", u.Name)
	case !ok:
		return Login{}, refusal("wrong password of user %s", u.Name)
	}
	return admit(Login{User: u, certificate: a.Certificate}, a)
}

// errSHA1 refuses a login of which nothing was checked.
var errSHA1 = errors.New("SHA1 logins are not accepted by this broker; use one that sends the password over TLS or a " +
	"local socket")

// Reason returns what the peer may know of the error of Check.
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrCertificate):
		return ErrCertificate.Error() + ": the broker's log has its names; one of them must be in certificates of the user"
	case errors.Is(err, errSHA1):
		return errSHA1.Error()
	}
	return ErrLogin.Error()
}

func admit(l Login, a Attempt) (Login, error) {
	if loss := l.User.barred(a.From, a.Now); loss != Kept {
		return Login{}, refusal("user %s: %s", l.User.Name, loss)
	}
	return l, nil
}

func refusal(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLogin, fmt.Sprintf(format, args...))
}

// matches compares passwords. The time that a wrong one takes does not depend on whether
// a password is stored.
func (s *Store) matches(done <-chan struct{}, d *Directory, stored Password, a Attempt) (bool, error) {
	if a.Type != login.Plain {
		return stored.matchesHash(a.Nonce, a.Password) && a.Nonce != "", nil
	}
	if stored.matchesFast(a.Password) || s.verified.has(stored, a.Password) {
		return true, nil
	}
	slow := stored
	if slow.form != FormArgon2 {
		slow = d.dearest
	}
	if slow.form != FormArgon2 {
		return false, nil
	}
	select {
	case s.hashing <- struct{}{}:
	case <-done:
		return false, refusal("the peer has gone")
	}
	defer func() { <-s.hashing }()
	if !slow.matchesSlow(a.Password) || stored.form != FormArgon2 {
		return false, nil
	}
	s.verified.add(stored, a.Password)
	return true, nil
}

// tokenPrefix begins the session tokens of the Rust broker; its clients may send it
// to us.
const tokenPrefix = "session-token:"

func (s *Store) checkToken(d *Directory, a Attempt) (Login, error) {
	text := a.Token
	if text == "" {
		text = a.Password
	}
	if text == "" {
		return Login{}, refusal("an empty token")
	}
	bare := strings.TrimPrefix(text, tokenPrefix)
	key := tokenKey(sha256.Sum256([]byte(text)))
	if d.tokens[key] == nil {
		key = sha256.Sum256([]byte(bare))
	}
	if u := d.tokens[key]; u != nil {
		if d.forbids(a.Certificate, u) {
			return Login{}, notYours(a, u.Name)
		}
		return admit(Login{User: u, token: key, certificate: a.Certificate, shown: bare}, a)
	}
	login, ok := s.sessions.find(bare, a.Now)
	if !ok {
		return Login{}, refusal("an unknown token, or one that is too old")
	}
	if login.external && !slices.Equal(login.certificate, a.Certificate) {
		return Login{}, foreign("a session token of user %s is good beside the certificate that it was made with",
			login.User.Name)
	}
	login.certificate, login.shown = a.Certificate, bare
	u, loss := login.Lost(d, a.From, a.Now)
	switch loss {
	case Kept:
		login.User = u
		return login, nil
	case AddressDenied:
	default:
		s.Revoke(bare) // for good
	}
	return Login{}, refusal("user %s: %s", login.User.Name, loss)
}

// Issue returns a session token for a login (spec.md 5.4). For SessionLife it replaces the password of
// the login. A login that showed a token gets that one back, which ends when it always would. All
// have a prefix, by which they are known as secrets.
func (s *Store) Issue(l Login, now time.Time) string {
	if l.shown != "" {
		return tokenPrefix + l.shown
	}
	return tokenPrefix + s.sessions.add(l, now)
}

// Revoke ends a session token, which nobody logs in with any more (spec.md 5.2); false if there is no
// such token. It does not tell the tokens of the configuration, which only their file takes away, from
// texts that are no token.
func (s *Store) Revoke(token string) bool {
	return s.sessions.revoke(strings.TrimPrefix(token, tokenPrefix))
}
