package config

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"shvtools/internal/device/policy"
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
	if explain {
		b.WriteString("# What a rule may hold; those from env on may also stand in defaults, for all rules:\n")
		for _, each := range policyKeys {
			fmt.Fprintf(&b, "#   %s: %s\n", each.key, each.about)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// policyKeys are the keys of a rule, in the order of ruleNames and limitNames.
var policyKeys = []struct{ key, about string }{
	{"name", "what refusals and logs call the rule; else its number"},
	{"users", "whom it is for, as patterns of names; else for everybody. Who is not told who he is gains nothing by that"},
	{"level", "the access level that the caller needs at least; what is not for him is judged by the rules below"},
	{"use", "of shell, commands, scripts, files, sftp; else all, but commands alone where there is a list of them"},
	{"deny", "true: what fits is refused, and the rules below are not asked"},
	{"commands", "the only commands that may run, without a shell: * is one word, ** at the end any number of them"},
	{"force", "a line that runs in the place of whatever is asked for, which it finds in $" + policy.OriginalEnv},
	{"env", "patterns of the variables that clients may set"},
	{"run-as", "the user that all runs as; needs an agent that is root. File nodes, which the agent serves itself, are then refused"},
	{"groups", "the only supplementary groups of what runs; else those of the user"},
	{"shell", "the shell in the place of the user's own, and of any other that is asked for; who may run commands can start others from those"},
	{"umask", "permissions that nobody gets on new files, in octal; of file nodes, too"},
	{"dir", "where all begins, absolute or below ~; else the home directory, or the agent's directory for a plain command"},
	{"idle", "how long a session may be without a byte in either direction; its user is told a minute before"},
	{"time", "how long a session or a call may last in all; the user of a session is told a minute before"},
	{"resources", "limits of each process, as setrlimit(2) has them: " + strings.Join(policy.ResourceNames(), ", ") + "; fsize is for file nodes, too"},
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
		fmt.Fprintf(&b, "; commands only %s (what else is used, the rules below judge)", strings.Join(texts, ", "))
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
