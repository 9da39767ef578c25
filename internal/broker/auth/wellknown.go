package auth

import (
	"crypto/subtle"
	"slices"

	"shvtools/internal/shv/login"
)

// wellKnown are the passwords of manuals, samples and sources of SHV programs, and those
// that are guessed first.
var wellKnown = []string{
	login.DevelopmentPassword, "admin", "admin!123", "broker", "user", "test", "tester", "viewer", "child-broker",
	"guest", "iot", "shv", "root", "password", "secret", "changeme", "12345678", "123456", "1234",
}

// isWellKnown reports whether a password is well known, or the name of its user.
func isWellKnown(user, password string) bool {
	return password == user || slices.Contains(wellKnown, password)
}

// WellKnown returns the users whose password is well known or their name. It cannot see
// passwords behind an argon2id hash; WellKnownLogin does.
func WellKnown(a Access) (users []string) {
	hashed := make(map[string]bool, len(wellKnown))
	for _, text := range wellKnown {
		hashed[login.HexSHA1(text)] = true
	}
	for _, name := range sorted(a.Users) {
		switch p := a.Users[name].Password; p.form {
		case FormPlain:
			if isWellKnown(name, p.text) {
				users = append(users, name)
			}
		case FormSHA1:
			if p.text == login.HexSHA1(name) || hashed[p.text] {
				users = append(users, name)
			}
		}
	}
	return users
}

// WellKnownLogin reports whether the password of an accepted login, with its type and
// nonce, is well known. It sees passwords behind any stored form.
func WellKnownLogin(user, password, loginType, nonce string) bool {
	if loginType == login.External {
		return false // it has none
	}
	if loginType == login.Plain {
		return isWellKnown(user, password)
	}
	for _, known := range append([]string{user}, wellKnown...) {
		if subtle.ConstantTimeCompare([]byte(password), []byte(login.Hash(nonce, known))) == 1 {
			return true
		}
	}
	return false
}
