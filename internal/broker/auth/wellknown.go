package auth

import (
	"crypto/subtle"
	"slices"

	"shvtools/internal/shv/login"
)

// wellKnown are passwords that stand in manuals, samples and sources of SHV
// programs, and those that everybody tries first.
var wellKnown = []string{
	login.DevelopmentPassword, "admin", "admin!123", "broker", "user", "test", "tester", "viewer", "child-broker",
	"guest", "iot", "shv", "root", "password", "secret", "changeme", "12345678", "123456", "1234",
}

// isWellKnown tells whether everybody knows a password, or guesses it from the name
// of its user.
func isWellKnown(user, password string) bool {
	return password == user || slices.Contains(wellKnown, password)
}

// WellKnown lists the users whose password everybody knows, or is their name.
// What is behind an argon2id hash it does not see: WellKnownLogin does.
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

// WellKnownLogin tells whether what a user was let in with, by a login of a type
// with a nonce, is a password that everybody knows. It sees them behind any stored
// form, and whoever has set them when.
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
