package auth

import "crypto/subtle"

// wellKnown are passwords that stand in somebody's documentation or sources
// (users.md part 4): DevelopmentPassword, and the samples of other brokers.
var wellKnown = []string{DevelopmentPassword, "admin", "admin!123"}

// IsWellKnown tells whether what a login was checked with, successfully, is a
// password that everybody knows.
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
