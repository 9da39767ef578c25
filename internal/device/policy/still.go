package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Still returns nil if what began under the grant g for the request a may go on under p, which
// has replaced the policy of g. The error is for the user whose session ends. Times, resources
// and what else is set once at the start do not count.
func (p *Policy) Still(a Ask, g *Grant) error {
	now, err := p.Judge(a)
	why := ""
	if err != nil {
		why = strings.TrimPrefix(err.Error(), "refused: ")
	} else if why = now.narrower(g, a.Wanted); why != "" {
		why = now.Rule + " " + why
	}
	if why == "" {
		return nil
	}
	return fmt.Errorf("the policy of this device changed: %s no longer allows this session: %s", g.Rule, why)
}

// narrower returns what g, which allows w, takes from what runs under before; "" for nothing.
func (g *Grant) narrower(before *Grant, w Wanted) string {
	sameGroups := slices.Equal(g.Group, before.Group) && (g.Group == nil) == (before.Group == nil)
	switch {
	case g.Force != "" && g.Force != before.Force:
		return "runs one command whatever is asked for"
	case g.Force == "" && before.Force != "" && g.Commands != nil:
		return "limits the commands"
	case (g.User != "" || g.Group != nil) && (g.User != before.User || !sameGroups):
		return "runs it as another account"
	case w.Use == Shell && g.Shell != "" && g.Shell != before.Shell:
		return "has another shell"
	case before.Terminal(w) && !g.Terminal(w):
		return "gives its commands no terminal"
	}
	return ""
}
