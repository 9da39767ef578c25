package auth

import "testing"

func TestWellKnownPasswordsAreKnownInBothForms(t *testing.T) {
	const nonce = "1437608631"
	for password, want := range map[string]bool{DevelopmentPassword: true, "admin": true, "": false, "Admin ": false, "nobody knows it": false} {
		if got := IsWellKnown(password, Plain, nonce); got != want {
			t.Errorf("%q: %v", password, got)
		}
		if got := IsWellKnown(Hash(nonce, password), SHA1, nonce); got != want {
			t.Errorf("hash of %q: %v", password, got)
		}
		if IsWellKnown(password, SHA1, nonce) {
			t.Errorf("%q was taken for its hash", password)
		}
	}
}
