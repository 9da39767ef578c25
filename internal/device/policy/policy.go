package policy

import (
	"fmt"
	"path"
	"slices"

	"shvtools/internal/shv/rpc"
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
// use decides. Who does not tell his user is judged as whoever would fare worst:
// he must gain nothing by that. Its errors are for the caller, and say which rule
// refused.
func (p *Policy) Judge(a Ask) (*Grant, error) {
	var near *Rule    // fits but for the level
	var named []*Rule // one of these would decide, if the user were told
	for i := range p.Rules {
		r := &p.Rules[i]
		switch {
		case !slices.Contains(r.Uses, a.Use):
		case a.User == "" && r.Users != nil:
			if a.Level >= r.Level {
				named = append(named, r)
			}
		case !r.isFor(a.User):
		case a.Level < r.Level:
			if near == nil {
				near = r
			}
		default:
			for _, other := range named {
				if r.Deny || !other.eased(r) {
					return nil, userNeeded(other, a.Use)
				}
			}
			if r.Deny {
				return nil, rpc.Errorf(rpc.CodeException, "refused: %s denies %s", r, a.Use)
			}
			g := &Grant{Rule: r.String(), Uses: r.Uses, Commands: r.Commands, Force: r.Force, Limits: r.Limits}
			return g, g.Check(a.Wanted)
		}
	}
	switch {
	case len(named) > 0:
		return nil, userNeeded(named[0], a.Use)
	case near != nil:
		return nil, rpc.Errorf(rpc.CodeException, "refused: %s takes the access level %s for %s, and the caller has %s", near, near.Level, a.Use, a.Level)
	}
	return nil, rpc.Errorf(rpc.CodeException, "refused: no rule of this device allows %s to user %q", a.Use, a.User)
}

// userNeeded is told to a caller of whom nobody knows who he is. Who knows the
// standard sends the call again, with the tag (spec.md 3.6).
func userNeeded(r *Rule, use Use) error {
	return rpc.Errorf(rpc.CodeUserIDRequired, "refused: %s judges by the user, and for %s the user is not told; the call needs a user id", r, use)
}

// eased tells whether nobody for whom r decides gains anything when o does.
func (r *Rule) eased(o *Rule) bool {
	return !r.Deny && (r.Force == o.Force || r.Force == "" && r.Commands == nil) &&
		(r.Commands == nil || slices.EqualFunc(r.Commands, o.Commands, slices.Equal[Command])) &&
		r.Limits.eased(&o.Limits)
}

func (r *Rule) isFor(user string) bool {
	return r.Users == nil || slices.ContainsFunc(r.Users, func(pattern string) bool {
		ok, err := path.Match(pattern, user)
		return ok && err == nil
	})
}
