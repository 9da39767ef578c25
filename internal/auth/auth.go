// Package auth decides who is let in and what they may call: users, password
// checks, access levels by path (protocol.md 5.2, 7.6). It knows nothing of
// connections; so far its users are built in, for development on loopback.
package auth

import (
	"crypto/sha1"
	"crypto/subtle"
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
)

// ErrLogin is the one answer to every refused login: a wrong user and a wrong
// password look alike.
var ErrLogin = errors.New("unknown user or wrong password")

// Rule grants a level on a set of paths.
type Rule struct {
	Paths shvpath.Pattern
	Level rpc.Access
}

// User is who may log in.
type User struct {
	Name     string
	Password string          // never empty: an empty one matches nothing
	Rules    []Rule          // the first that matches decides
	Mounts   shvpath.Pattern // where the user's devices may mount themselves
}

// Level is what the rules grant on a clean path, AccessNone where none
// matches.
func (u *User) Level(path []byte) rpc.Access {
	for _, r := range u.Rules {
		if r.Paths.Match(path) {
			return r.Level
		}
	}
	return rpc.AccessNone
}

// Directory is a set of users. It does not change and may be used
// concurrently.
type Directory struct {
	users map[string]*User
}

// NewDirectory makes a directory of users.
func NewDirectory(users ...*User) *Directory {
	d := &Directory{users: make(map[string]*User, len(users))}
	for _, u := range users {
		d.users[u.Name] = u
	}
	return d
}

// Development is the directory that serves where nothing is configured
// (design.md section 9).
func Development() *Directory {
	return NewDirectory(&User{
		Name:     DevelopmentUser,
		Password: DevelopmentPassword,
		Mounts:   shvpath.ParsePattern("test/**"),
		Rules: []Rule{
			{shvpath.ParsePattern("test/**"), rpc.AccessSuper},
			{shvpath.ParsePattern(".broker/**"), rpc.AccessRead},
			{shvpath.ParsePattern("**"), rpc.AccessBrowse},
		},
	})
}

// Check verifies a login against the nonce that its hello was given.
func (d *Directory) Check(user, password, loginType, nonce string) (*User, error) {
	u := d.users[user]
	want := ""
	if u != nil {
		want = u.Password
	}
	if loginType != Plain {
		want = Hash(nonce, want)
	}
	same := subtle.ConstantTimeCompare([]byte(password), []byte(want)) == 1
	if u == nil || u.Password == "" || !same {
		return nil, ErrLogin
	}
	return u, nil
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
