// Package auth decides who is let in and what they may call: users, roles, rules
// and mount rights, passwords and tokens (protocol.md 5.2, 7.2, 7.6). It knows
// nothing of connections, nor of files: an Access is what a configuration says,
// a Directory is made of it, and a Store holds the one that counts now.
package auth

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"

	"shvtools/internal/rpc"
	"shvtools/internal/shvpath"
)

// The development user, which is the seed journal's. It is for loopback only.
const (
	DevelopmentUser     = "iot"
	DevelopmentPassword = "lub42DUB"
)

// Login types (protocol.md 5.2). Anything else is taken for SHA1, as the C++
// broker does.
const (
	Plain = "PLAIN"
	SHA1  = "SHA1"
	Token = "TOKEN"
	// External has no password: the client certificate of the connection stands for
	// it (docs/protocol.md).
	External = "EXTERNAL"
)

// ErrLogin is the one answer to every refused login: a wrong user and a wrong
// password look alike. What wraps it says more, for the log alone.
var ErrLogin = errors.New("unknown user or wrong password")

// Rule grants a level for methods at paths.
type Rule struct {
	RI    shvpath.RI
	Level rpc.Access // AccessNone forbids
}

// MustRule is for rules that stand in the program; it panics on a malformed
// resource identifier.
func MustRule(ri string, level rpc.Access) Rule {
	parsed, err := shvpath.ParseRI(ri)
	if err != nil {
		panic("auth: " + err.Error())
	}
	return Rule{RI: parsed, Level: level}
}

// DevelopmentAccess is what serves where nothing is configured (design.md
// section 9).
func DevelopmentAccess() Access {
	return Access{
		Users: map[string]UserEntry{DevelopmentUser: {Password: PlainPassword(DevelopmentPassword), Roles: []string{"development"}}},
		Roles: map[string]RoleEntry{"development": {
			Mounts: []shvpath.Pattern{shvpath.MustPattern("test/**")},
			Rules: []Rule{
				MustRule("test/**:*", rpc.AccessSuper),
				MustRule(".broker/**:*", rpc.AccessRead),
				MustRule("**:*", rpc.AccessBrowse),
			},
		}},
	}
}

// Development is the directory of DevelopmentAccess.
func Development() *Directory {
	d, _ := Build(DevelopmentAccess())
	return d
}

// Hash is the password of a SHA1 login: the hex SHA1 of the nonce followed by
// the hex SHA1 of the password. An empty password is not hashed itself, as the
// seed's helper does it (protocol.md 5.2).
func Hash(nonce, password string) string {
	if password == "" {
		return hexSHA1(nonce)
	}
	return HashSHA1(nonce, hexSHA1(password))
}

// HashSHA1 is Hash of a password whose own hex SHA1 is known alone.
func HashSHA1(nonce, sha1 string) string { return hexSHA1(nonce + sha1) }

func hexSHA1(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}
