package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"shvtools/internal/device/policy"
	"shvtools/internal/sys/conf"
)

// ruleText is a rule as a sentence.
func ruleText(r *policy.Rule) string {
	var b strings.Builder
	who := "everybody"
	if r.Users != nil {
		who = cmp.Or(strings.Join(r.Users, ", "), "nobody")
	}
	if r.Level > 0 {
		who += " with the level " + r.Level.String() + " or above"
	}
	uses := make([]string, len(r.Uses))
	for i, use := range r.Uses {
		uses[i] = use.String()
	}
	verb, none := "may use", "nothing"
	if r.Deny {
		verb, none = "may not use", "anything"
	}
	fmt.Fprintf(&b, "%s: %s %s %s", r, who, verb, cmp.Or(strings.Join(uses, ", "), none))
	if r.Deny {
		return b.String()
	}
	if r.Commands != nil {
		texts := make([]string, len(r.Commands))
		for i, command := range r.Commands {
			texts[i] = fmt.Sprintf("%q", command.String())
		}
		fmt.Fprintf(&b, "; commands only %s (rules below decide on other uses)", strings.Join(texts, ", "))
		if r.Pty {
			b.WriteString(", with a terminal if wanted")
		}
	}
	if r.Force != "" {
		fmt.Fprintf(&b, "; what runs is always %q, and files are refused", r.Force)
	}
	writeLimits(&b, &r.Limits)
	return b.String()
}

func writeLimits(b *strings.Builder, l *policy.Limits) {
	if l.User != "" {
		fmt.Fprintf(b, "; as user %s", l.User)
	}
	if l.Group != nil {
		fmt.Fprintf(b, "; with the groups %s", strings.Join(l.Group, ", "))
	}
	if l.Shell != "" {
		fmt.Fprintf(b, "; with the shell %s", l.Shell)
	}
	if l.Umask >= 0 {
		fmt.Fprintf(b, "; umask %03o", l.Umask)
	}
	if l.Dir != "" {
		fmt.Fprintf(b, "; in %s", l.Dir)
	}
	for _, limit := range []struct {
		words string
		value time.Duration
	}{{"idle for %s at most", l.Idle}, {"for %s at most", l.Total}} {
		if limit.value > 0 {
			fmt.Fprintf(b, "; "+limit.words, conf.Duration.Show(limit.value))
		}
	}
	for _, name := range policy.ResourceNames() {
		if n, ok := l.Resources[name]; ok {
			fmt.Fprintf(b, "; %s %s", name, resourceType(name).Show(int64(n)))
		}
	}
	fmt.Fprintf(b, "; clients may set %s", cmp.Or(strings.Join(l.Env, " "), "no variables"))
}
