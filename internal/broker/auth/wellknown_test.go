package auth

import (
	"testing"

	"shvtools/internal/shv/login"
)

func TestLoginsWithWellKnownPasswords(t *testing.T) {
	const nonce = "1437608631"
	for password, want := range map[string]bool{login.DevelopmentPassword: true, "admin": true, "eva": true, "": false,
		"Admin ": false, "nobody knows it": false} {
		if got := WellKnownLogin("eva", password, login.Plain, nonce); got != want {
			t.Errorf("%q: %v", password, got)
		}
		if got := WellKnownLogin("eva", login.Hash(nonce, password), login.SHA1, nonce); got != want {
			t.Errorf("hash of %q: %v", password, got)
		}
		if WellKnownLogin("eva", password, login.SHA1, nonce) {
			t.Errorf("%q was taken for its hash", password)
		}
	}
}
