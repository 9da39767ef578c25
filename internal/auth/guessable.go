package auth

import "crypto/subtle"

// IsWellKnown tells whether what a login was checked with, successfully, is a
// password that everybody knows. It sees them behind any stored form, and whoever
// has set them when.
func IsWellKnown(password, loginType, nonce string) bool {
	for _, known := range wellKnown {
		if loginType != Plain {
			known = Hash(nonce, known)
		}
		if subtle.ConstantTimeCompare([]byte(password), []byte(known)) == 1 {
			return true
		}
	}
	return false
}
