package agentconf

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"shvtools/internal/policy"
)

// Print writes all settings in force, each with its source, and no secret. explain
// adds what each of them means.
func (c *Config) Print(w io.Writer, explain bool) error {
	var b strings.Builder
	for _, each := range settings {
		fmt.Fprintf(&b, "%s: %s  # %s", each.key, each.show(c), cmp.Or(c.sources[each.key], "default"))
		if explain {
			fmt.Fprintf(&b, "; %s", each.about)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "rules: %d  # %s", len(c.Policy.Rules), cmp.Or(c.rules, "default"))
	if explain {
		b.WriteString("; the first that fits user, level and use decides, and what none fits is refused")
	}
	b.WriteByte('\n')
	for i := range c.Policy.Rules {
		fmt.Fprintf(&b, "  %s\n", ruleText(&c.Policy.Rules[i]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ruleText is a rule as a sentence.
func ruleText(r *policy.Rule) string {
	var b strings.Builder
	who := "everybody"
	if r.Users != nil {
		who = strings.Join(r.Users, ", ")
	}
	if r.Level > 0 {
		who += " with the level " + r.Level.String() + " or above"
	}
	uses := make([]string, len(r.Uses))
	for i, use := range r.Uses {
		uses[i] = use.String()
	}
	verb := "may use"
	if r.Deny {
		verb = "may not use"
	}
	fmt.Fprintf(&b, "%s: %s %s %s", r, who, verb, strings.Join(uses, ", "))
	if r.Deny {
		return b.String()
	}
	if r.Commands != nil {
		texts := make([]string, len(r.Commands))
		for i, command := range r.Commands {
			texts[i] = fmt.Sprintf("%q", command.String())
		}
		fmt.Fprintf(&b, "; commands only %s", strings.Join(texts, ", "))
	}
	if r.Force != "" {
		fmt.Fprintf(&b, "; what runs is always %q, and files are refused", r.Force)
	}
	l := &r.Limits
	if l.User != "" {
		fmt.Fprintf(&b, "; as user %s", l.User)
	}
	if l.Group != nil {
		fmt.Fprintf(&b, "; with the groups %s", strings.Join(l.Group, ", "))
	}
	if l.Shell != "" {
		fmt.Fprintf(&b, "; with the shell %s", l.Shell)
	}
	if l.Umask >= 0 {
		fmt.Fprintf(&b, "; umask %03o", l.Umask)
	}
	if l.Dir != "" {
		fmt.Fprintf(&b, "; in %s", l.Dir)
	}
	for _, limit := range []struct {
		words string
		value time.Duration
	}{{"idle for %v at the most", l.Idle}, {"for %v at the most", l.Total}} {
		if limit.value > 0 {
			fmt.Fprintf(&b, "; "+limit.words, limit.value)
		}
	}
	for _, name := range policy.ResourceNames() {
		if n, ok := l.Resources[name]; ok {
			fmt.Fprintf(&b, "; %s %d", name, n)
		}
	}
	fmt.Fprintf(&b, "; clients may set %s", cmp.Or(strings.Join(l.Env, " "), "no variables"))
	return b.String()
}
