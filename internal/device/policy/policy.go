package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"shvtools/internal/shv/rpc"
)

// Rule says who may do what. It fits a request if Users, Level and Uses all do.
type Rule struct {
	Name  string
	At    string     // place in the configuration, as file:line; "" for none
	Users []string   // patterns of user names; nil: everybody, with or without a user id
	Level rpc.Access // lowest access level
	Uses  []Use
	Deny  bool // refuse what fits

	Commands []Command // allowed commands; nil: any
	Force    string    // shell command that runs instead of what was asked for; "": none
	Pty      bool      // commands of the list may have a terminal
	Limits   Limits
}

// String returns the name of the rule with its place.
func (r *Rule) String() string {
	if r.At == "" {
		return fmt.Sprintf("rule %q", r.Name)
	}
	return fmt.Sprintf("rule %q (%s)", r.Name, r.At)
}

// Policy is the list of rules of a device. It may be used concurrently while nobody
// changes it.
type Policy struct {
	Rules []Rule
}

// Default returns the policy of a device without one: every caller that the brokers let
// call a method may do what the method does.
func Default() *Policy {
	return &Policy{Rules: []Rule{{Name: "default", Uses: Uses(), Limits: DefaultLimits()}}}
}

// Judge returns the grant for a, or an error for the caller that names the rule which
// refused. The first rule that fits user, level and use decides. A caller without a user
// id gets the least favourable result that any user would get, so that nobody gains by
// leaving it out.
func (p *Policy) Judge(a Ask) (*Grant, error) {
	var near *Rule    // fits except for the level
	var named []*Rule // rules that might decide if the user were known
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
					return nil, userNeeded(other)
				}
			}
			if r.Deny {
				return nil, rpc.Errorf(rpc.CodeException, "refused: %s denies %s", r, a.Use)
			}
			g := &Grant{Rule: r.String(), Uses: r.Uses, Commands: r.Commands, Force: r.Force, Pty: r.Pty, Limits: r.Limits}
			return g, g.Check(a.Wanted)
		}
	}
	switch {
	case len(named) > 0:
		return nil, userNeeded(named[0])
	case near != nil:
		return nil, rpc.Errorf(rpc.CodeException, "refused: %s requires access level %s for %s; the caller has %s",
			near, near.Level, a.Use, a.Level)
	case a.User == "":
		return nil, rpc.Errorf(rpc.CodeException, "refused: no rule of this device allows %s without a user id", a.Use)
	}
	return nil, rpc.Errorf(rpc.CodeException, "refused: no rule of this device allows %s to user %q", a.Use, a.User)
}

// userNeeded is the error for a caller without a user id. Callers that know the standard
// repeat the call with one (spec.md 3.6).
func userNeeded(r *Rule) error {
	return rpc.Errorf(rpc.CodeUserIDRequired,
		"refused: %s applies by user, and the call has no user id; repeat it with one", r)
}

// eased reports whether nobody for whom r would decide gains anything when o decides.
func (r *Rule) eased(o *Rule) bool {
	return !r.Deny && (r.Force == o.Force || r.Force == "" && r.Commands == nil) &&
		(r.Commands == nil || (r.Pty || !o.Pty) && slices.EqualFunc(r.Commands, o.Commands, slices.Equal[Command])) &&
		r.Limits.eased(&o.Limits)
}

// isFor reports whether the rule is for a user. A name is no path: a slash in it must not lead
// past a rule that denies.
func (r *Rule) isFor(user string) bool {
	noPath := strings.NewReplacer("/", "\x00")
	return r.Users == nil || slices.ContainsFunc(r.Users, func(pattern string) bool {
		ok, err := path.Match(noPath.Replace(pattern), noPath.Replace(user))
		return ok && err == nil
	})
}
