// Package auth decides who is let in and what they may call: users, roles, rules
// and mount rights, passwords and tokens (spec.md 5.2, 7.2, 7.6). It knows
// nothing of connections, nor of files: an Access is what a configuration says,
// a Directory is made of it, and a Store holds the one that counts now.
package auth

import (
	"errors"

	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
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
		Users: map[string]UserEntry{login.DevelopmentUser: {Password: PlainPassword(login.DevelopmentPassword),
			Roles: []string{"development"}}},
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
