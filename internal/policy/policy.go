package policy

import (
	"fmt"
	"path"
	"slices"

	"shvtools/internal/rpc"
)

// Rule says who may do what. Of its conditions all must hold.
type Rule struct {
	Name  string
	At    string   // its place in the configuration
	Users []string // patterns of names; nil: everybody, known or not
	Level rpc.Access
	Uses  []Use
	Deny  bool

	Commands []Command // allowed ones; nil: any
	Force    string    // a line that runs in the place of all else
	Limits   Limits
}

// String names the rule with its place.
func (r *Rule) String() string {
	if r.At == "" {
		return fmt.Sprintf("rule %q", r.Name)
	}
	return fmt.Sprintf("rule %q (%s)", r.Name, r.At)
}

// Policy is the rules of a device. It must not be changed while it judges.
type Policy struct {
	Rules []Rule
}

// Default is the policy where nobody has written one: whoever may call a method
// may do what it does.
func Default() *Policy {
	return &Policy{Rules: []Rule{{Name: "default", Uses: Uses(), Limits: DefaultLimits()}}}
}

// Judge answers whether a is allowed. The first rule that fits user, level and
// use decides. Its errors are for the caller, and say which rule refused.
func (p *Policy) Judge(a Ask) (*Grant, error) {
	var near *Rule // fits but for the level
	unknown := false
	for i := range p.Rules {
		r := &p.Rules[i]
		if !slices.Contains(r.Uses, a.Use) {
			continue
		}
		if r.Users != nil && a.User == "" {
			unknown = true
			continue
		}
		if !r.isFor(a.User) {
			continue
		}
		if a.Level < r.Level {
			if near == nil {
				near = r
			}
			continue
		}
		if r.Deny {
			return nil, rpc.Errorf(rpc.CodeException, "refused: %s denies %s", r, a.Use)
		}
		g := &Grant{Rule: r.String(), Uses: r.Uses, Commands: r.Commands, Force: r.Force, Limits: r.Limits}
		return g, g.Check(a.Wanted)
	}
	switch {
	case unknown:
		// Who knows the standard sends it again, with the tag (protocol.md 3.6).
		return nil, rpc.Errorf(rpc.CodeUserIDRequired, "refused: no rule allows %s to a caller whose user is not told; the call needs a user id", a.Use)
	case near != nil:
		return nil, rpc.Errorf(rpc.CodeException, "refused: %s takes the access level %s for %s, and the caller has %s", near, near.Level, a.Use, a.Level)
	}
	return nil, rpc.Errorf(rpc.CodeException, "refused: no rule of this device allows %s to user %q", a.Use, a.User)
}

func (r *Rule) isFor(user string) bool {
	return r.Users == nil || slices.ContainsFunc(r.Users, func(pattern string) bool {
		ok, err := path.Match(pattern, user)
		return ok && err == nil
	})
}
