package auth

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strings"

	"shvtools/internal/shv/login"
)

// Password is a stored password, in one of three forms. It is comparable; the
// zero Password matches nothing.
type Password struct {
	form Form
	text string // the password, its hex SHA1, or the PHC string
}

// Form is how a password is stored.
type Form int

// The forms.
const (
	FormNone   Form = iota
	FormPlain       // as it is
	FormSHA1        // hex SHA1, as the C++ and Rust brokers store it
	FormArgon2      // argon2id in the PHC form; for PLAIN logins only
)

// String is the name of the form, as files have it.
func (f Form) String() string {
	return [...]string{FormNone: "", FormPlain: "Plain", FormSHA1: "Sha1", FormArgon2: "Argon2id"}[f]
}

// Renewed returns another password in the form of p, but as a SHA1 if p is stored as
// it is. It accepts the login types that p accepted.
func (p Password) Renewed(text string) Password {
	if p.form == FormArgon2 {
		return Password{FormArgon2, HashPassword(text)}
	}
	return Password{FormSHA1, login.HexSHA1(text)}
}

// PlainPassword returns a password that is stored as it is. An empty one matches
// nothing.
func PlainPassword(text string) Password {
	if text == "" {
		return Password{}
	}
	return Password{FormPlain, text}
}

// SHA1Password returns a password of which the hex SHA1 is stored.
func SHA1Password(text string) (Password, error) {
	text = strings.ToLower(text)
	if sum, err := hex.DecodeString(text); err != nil || len(sum) != 20 {
		return Password{}, errors.New("not a SHA1 (want 40 hex digits)")
	}
	return Password{FormSHA1, text}, nil
}

// Argon2Password returns a password of which an argon2id hash is stored, as HashPassword
// makes it.
func Argon2Password(text string) (Password, error) {
	if _, err := parseArgon2(text); err != nil {
		return Password{}, err
	}
	return Password{FormArgon2, text}, nil
}

// Form returns how the password is stored, and Text the secret that is stored. It must
// only be written to the file that keeps it.
func (p Password) Form() Form   { return p.form }
func (p Password) Text() string { return p.text }

// String hides the password, also from %v of what holds it.
func (p Password) String() string { return "(hidden)" }

// matchesHash reports whether a SHA1 login knew the password. It takes as long if there
// is none to compare with.
func (p Password) matchesHash(nonce, given string) bool {
	inner := p.text
	if p.form != FormSHA1 {
		inner = login.HexSHA1(p.text)
	}
	same := equal(given, login.HexSHA1(nonce+inner))
	return same && (p.form == FormPlain || p.form == FormSHA1)
}

// matchesFast compares without computing an argon2id hash.
func (p Password) matchesFast(given string) bool {
	hashed := login.HexSHA1(given)
	switch p.form {
	case FormPlain:
		return equal(p.text, given)
	case FormSHA1:
		return equal(p.text, hashed)
	}
	return false
}

// matchesSlow compares with an argon2id hash.
func (p Password) matchesSlow(given string) bool {
	a, err := parseArgon2(p.text)
	if err != nil || p.form != FormArgon2 {
		return false
	}
	return subtle.ConstantTimeCompare(a.derive(given), a.key) == 1
}

// cost returns the work of matchesSlow, in KiB of memory that it passes over.
func (p Password) cost() uint64 {
	if p.form != FormArgon2 {
		return 0
	}
	a, err := parseArgon2(p.text)
	if err != nil {
		return 0
	}
	return uint64(a.memory) * uint64(a.time)
}

// equal compares in a time that reveals neither the texts nor their lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
