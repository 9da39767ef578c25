// Package auth decides on logins and rights: users, roles, rules and mount rights,
// passwords, tokens and certificates (spec.md 5.2, 7.2, 7.6). An Access holds the rights
// of a configuration, a Directory is made of it, and a Store holds the Directory in
// force. The package knows neither connections nor files.
package auth

import (
	"errors"

	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// ErrLogin is the one answer to every refused login: an unknown user and a wrong
// password look alike. An error that wraps it says more, for the log alone.
var ErrLogin = errors.New("unknown user or wrong password")

// Rule grants a level for methods at paths.
type Rule struct {
	RI    shvpath.RI
	Level rpc.Access // AccessNone forbids
}

// MustRule makes a rule of constants; it panics on a malformed resource identifier.
func MustRule(ri string, level rpc.Access) Rule {
	parsed, err := shvpath.ParseRI(ri)
	if err != nil {
		panic("auth: " + err.Error())
	}
	return Rule{RI: parsed, Level: level}
}

// DevelopmentAccess is the rights of a broker without a configuration (design.md
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
