// Package login holds what both ends of a login agree on (spec.md 5.2): the login types, how a
// password is hashed with the broker's nonce, and the development user. It checks no logins:
// package auth of the broker does.
package login

import (
	"crypto/sha1"
	"encoding/hex"
)

// The development user of a broker without a configuration. Broker and clients use it on loopback
// and Unix sockets only.
const (
	DevelopmentUser     = "iot"
	DevelopmentPassword = "lub42DUB"
)

// Login types (spec.md 5.2). Brokers treat any other type as SHA1.
const (
	Plain = "PLAIN"
	SHA1  = "SHA1"
	Token = "TOKEN"
	// External has no password: the client certificate of the connection replaces it
	// (protocol.md 5).
	External = "EXTERNAL"
)

// Hash returns the password of a SHA1 login: the hex SHA1 of the nonce followed by the hex SHA1 of
// the password. An empty password is not hashed before, as the C++ helper of 2021 does it
// (spec.md 5.2).
func Hash(nonce, password string) string {
	if password == "" {
		return HexSHA1(nonce)
	}
	return HashSHA1(nonce, HexSHA1(password))
}

// HashSHA1 is [Hash] for a caller that has only the hex SHA1 of the password.
func HashSHA1(nonce, sha1 string) string { return HexSHA1(nonce + sha1) }

// HexSHA1 returns the SHA1 of text in lower-case hex digits.
func HexSHA1(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
