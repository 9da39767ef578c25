package config

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"shvtools/internal/device/policy"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/conf"
)

// field is a key of a rule or of its limits, and what it means.
type field[T any] struct {
	conf.Field[T]
	about string
}

func newField[T any](name, about string, read func(r *conf.Reader, n *conf.Node, into *T)) field[T] {
	return field[T]{conf.Field[T]{Name: name, Read: read}, about}
}

// readPolicy reads what the file says in defaults and rules.
func (c *Config) readPolicy(r *conf.Reader) {
	limits := policy.DefaultLimits()
	conf.ReadMap(r, c.defaults, &limits, bare(limitFields))
	if c.rules == nil {
		c.Policy.Rules[0].Limits = limits
		return
	}
	c.Policy = &policy.Policy{}
	known := bare(ruleFields)
	for _, f := range limitFields {
		known = append(known, conf.Field[policy.Rule]{Name: f.Name,
			Read: func(r *conf.Reader, n *conf.Node, rule *policy.Rule) { f.Read(r, n, &rule.Limits) }})
	}
	number := 0
	r.EachItem(c.rules, "a list of rules such as [{name: all, level: cmd}]; [] allows nothing", func(item *conf.Node) {
		number++
		at := fmt.Sprintf("%s:%d", filepath.Base(item.Place().File()), item.Place().Line())
		rule := policy.Rule{Name: strconv.Itoa(number), At: at, Limits: limits}
		conf.ReadMap(r, item, &rule, known)
		complete(r, item, &rule)
		c.Policy.Rules = append(c.Policy.Rules, rule)
	})
	c.defaults, c.rules = nil, nil
}

func bare[T any](fields []field[T]) []conf.Field[T] {
	all := make([]conf.Field[T], len(fields))
	for i, f := range fields {
		all[i] = f.Field
	}
	return all
}

// complete gives a rule the uses that it means, and finds what does not go together.
func complete(r *conf.Reader, n *conf.Node, rule *policy.Rule) {
	for key, all := range map[string]string{"users": "everybody", "use": "everything"} {
		if list := n.Child(key); list.Kind() == conf.List && len(list.Items()) == 0 {
			r.Warn(list, "the rule has no effect: its list is empty (want a name in it, or no %s: %s)", key, all)
		}
	}
	if n.Child("use") == nil {
		rule.Uses = policy.Uses()
		if rule.Commands != nil {
			rule.Uses = []policy.Use{policy.Commands}
		}
	}
	for _, use := range []policy.Use{policy.Shell, policy.Scripts} {
		if rule.Commands != nil && rule.Force == "" && slices.Contains(rule.Uses, use) {
			r.FailKey(n.Child("commands"), "the list limits nothing in a rule that allows %s too", use)
		}
	}
	for _, use := range []policy.Use{policy.SFTP, policy.Files} {
		if rule.Commands != nil && rule.Force == "" && slices.Contains(rule.Uses, use) {
			r.Warn(n.Child("commands"), "the list does not limit %s, which the rule allows too: who writes files may get "+
				"other commands to run (want a rule of its own for %s)", use, use)
		}
	}
	if n.Child("pty") != nil && rule.Commands == nil {
		r.FailKey(n.Child("pty"), "only a rule with commands has it: what others allow gets a terminal if it wants one")
	}
	switch {
	case rule.Commands != nil && rule.Force != "":
		r.FailKey(n.Child("force"), "a rule has either commands or force")
	case rule.Force != "" && n.Child("use") != nil && slices.Contains(rule.Uses, policy.Files):
		r.FailKey(n.Child("force"), "a rule with force serves no files")
	case rule.Deny && (rule.Commands != nil || rule.Force != ""):
		r.FailKey(n.Child("deny"), "a rule that denies has neither commands nor force")
	}
	if rule.Level > 0 && rule.Level < rpc.AccessCommand && !rule.Deny {
		for _, use := range rule.Uses {
			if use != policy.Files {
				r.FailKey(n.Child("level"), "%s is too low: calls for %s need cmd at least", rule.Level, use)
				break
			}
		}
	}
}

// ruleFields are the keys of a rule besides its limits.
var ruleFields = []field[policy.Rule]{
	newField("name", "what refusals and logs call the rule; default: its number",
		func(r *conf.Reader, n *conf.Node, rule *policy.Rule) {
			rule.Name, _ = conf.Text.Read(r, n)
		}),
	newField("users", "patterns of the names of its users; default: everybody. Callers without a user id cannot bypass it",
		func(r *conf.Reader, n *conf.Node, rule *policy.Rule) {
			rule.Users = userPattern.ReadSome(r, n, "[eva, ops-*]")
		}),
	newField("level", "the lowest access level of its users, as the broker grants it; default: any",
		func(r *conf.Reader, n *conf.Node, rule *policy.Rule) { rule.Level, _ = level.Read(r, n) }),
	newField("use", "any of shell, commands, scripts, files and sftp; default: all, but commands alone in a rule that "+
		"lists them",
		func(r *conf.Reader, n *conf.Node, rule *policy.Rule) { rule.Uses = use.ReadSome(r, n, "[shell, sftp]") }),
	newField("deny", "true: what matches is refused, whatever the rules below say",
		func(r *conf.Reader, n *conf.Node, rule *policy.Rule) { rule.Deny, _ = conf.Bool.Read(r, n) }),
	newField("commands", "the only commands that may run, without a shell. * is one word, ** at the end any number; "+
		"*, ? and […] in a word match as in file names. Options match only -*, -** and what else begins with -",
		readCommands),
	newField("pty", "true: the commands of the list may have a terminal; default: they have none",
		func(r *conf.Reader, n *conf.Node, rule *policy.Rule) { rule.Pty, _ = conf.Bool.Read(r, n) }),
	newField("force", "a command line that runs instead of whatever is asked for, which is in $"+policy.OriginalEnv,
		func(r *conf.Reader, n *conf.Node, rule *policy.Rule) { rule.Force, _ = forced.Read(r, n) }),
}

// limitFields are the keys of a rule that defaults may have too.
var limitFields = []field[policy.Limits]{
	newField("env", "patterns of the variables that clients may set",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) {
			l.Env = conf.Text.ReadSome(r, n, "[LANG, LC_*]")
		}),
	newField("run-as", "the user that everything runs as; needs an agent that runs as root. Exported files, which the "+
		"agent serves itself, are then refused",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) { l.User, _ = account.Read(r, n) }),
	newField("groups", "the only supplementary groups of what runs; default: those of the user",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) { l.Group = conf.Text.ReadSome(r, n, "[dialout]") }),
	newField("shell", "the only shell that users of the rule get; whoever may run commands can start others from it",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) { l.Shell, _ = shell.Read(r, n) }),
	newField("umask", "permissions that nobody gets on new files, in octal; also for exported files",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) {
			if mask, ok := umask.Read(r, n); ok {
				l.Umask = mask
			}
		}),
	newField("dir", "where everything starts, absolute or below ~; default: the home directory, or the agent's "+
		"directory for a plain command",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) { l.Dir, _ = dir.Read(r, n) }),
	newField("idle", "how long a session may be without a byte in either direction; its user is warned a minute before",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) { l.Idle, _ = limitTime.Read(r, n) }),
	newField("time", "how long a session or a call may last in total; the user of a session is warned a minute before",
		func(r *conf.Reader, n *conf.Node, l *policy.Limits) { l.Total, _ = limitTime.Read(r, n) }),
	newField("resources", "limits of each process, as setrlimit(2) has them: "+strings.Join(policy.ResourceNames(),
		", ")+"; fsize also for exported files",
		readResources),
}

func asIs(text string) string { return text }

var (
	userPattern = conf.Type[string]{
		Name: "user", Want: "a name or a pattern of names", Show: asIs,
		Parse: func(text string) (string, error) {
			if _, err := path.Match(text, ""); err != nil || text == "" {
				return "", conf.ErrInvalid
			}
			return text, nil
		},
	}
	// account is a user of the device. An empty name would mean the agent's own, mostly root.
	account = conf.Type[string]{
		Name: "user", Want: "the name of a user of this device; remove the key for the agent's own", Show: asIs,
		Parse: func(text string) (string, error) {
			if strings.TrimSpace(text) == "" {
				return "", conf.ErrInvalid
			}
			return text, nil
		},
	}
	level = conf.Type[rpc.Access]{
		Name: "level", Want: "bws, rd, wr, cmd, cfg, srv, ssrv, dev or su", Show: rpc.Access.String,
		Parse: func(text string) (rpc.Access, error) {
			level, ok := rpc.ParseAccess(text)
			if !ok || level.String() != text {
				return 0, conf.ErrInvalid
			}
			return level, nil
		},
	}
	use = conf.Type[policy.Use]{
		Name: "use", Want: "shell, commands, scripts, files or sftp", Show: policy.Use.String,
		Parse: func(text string) (policy.Use, error) {
			use, ok := policy.ParseUse(text)
			if !ok {
				return use, conf.ErrInvalid
			}
			return use, nil
		},
	}
	forced = conf.Type[string]{
		Name: "command line", Want: "a command line", Show: asIs,
		Parse: func(text string) (string, error) {
			if strings.TrimSpace(text) == "" {
				return "", errors.New("empty (want a command line)")
			}
			return text, nil
		},
	}
	shell = conf.Type[string]{
		Name: "shell", Want: "an absolute path such as /bin/ash", Show: asIs,
		Parse: func(text string) (string, error) {
			if !filepath.IsAbs(text) {
				return "", conf.ErrInvalid
			}
			return text, nil
		},
	}
	dir = conf.Type[string]{
		Name: "directory", Want: "a path that begins with / or ~/", Show: asIs,
		Parse: func(text string) (string, error) {
			if !filepath.IsAbs(text) && text != "~" && !strings.HasPrefix(text, "~/") {
				return "", conf.ErrInvalid
			}
			return text, nil
		},
	}
	umask = conf.Type[int]{
		Name: "umask", Want: "octal digits such as 022", Show: func(mask int) string { return fmt.Sprintf("%03o", mask) },
		Parse: func(text string) (int, error) {
			n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 16)
			if err != nil || n > 0o777 {
				return 0, conf.ErrInvalid
			}
			return int(n), nil
		},
	}
	// limitTime is a time that a session may take; 0: any.
	limitTime = conf.Between(conf.Duration, 0, 365*24*time.Hour)
)

func readCommands(r *conf.Reader, n *conf.Node, rule *policy.Rule) {
	rule.Commands = []policy.Command{}
	r.EachItem(n, "[uptime, systemctl status *]", func(item *conf.Node) {
		if command, err := readCommand(r, item); err != nil {
			r.Fail(item, "%w", err)
		} else {
			rule.Commands = append(rule.Commands, command)
		}
	})
}

// readCommand reads a command as a text or as a list of words.
func readCommand(r *conf.Reader, n *conf.Node) (policy.Command, error) {
	words := conf.Text.ReadSome(r, n, "[echo, a b]")
	switch {
	case n.Kind() == conf.List:
		return policy.NewCommand(words)
	case len(words) == 0:
		return nil, nil // a fault already
	}
	return policy.ParseCommand(words[0])
}

// resourceType is how the limit of a resource is written: those in bytes as sizes.
func resourceType(name string) conf.Type[int64] {
	switch name {
	case "cpu", "nofile", "nproc":
		return notNegative
	}
	return conf.Size
}

var notNegative = conf.Type[int64]{
	Name: "number", Want: "a count of seconds, files or processes", Show: conf.Count.Show,
	Parse: func(text string) (int64, error) {
		n, err := conf.Count.Parse(text)
		if n < 0 {
			err = conf.ErrInvalid
		}
		return n, err
	},
}

func readResources(r *conf.Reader, n *conf.Node, l *policy.Limits) {
	l.Resources = make(map[string]uint64)
	fields := make([]conf.Field[map[string]uint64], 0, len(policy.ResourceNames()))
	for _, name := range policy.ResourceNames() {
		fields = append(fields, conf.Field[map[string]uint64]{Name: name,
			Read: func(r *conf.Reader, n *conf.Node, into *map[string]uint64) {
				if v, ok := resourceType(name).Read(r, n); ok {
					(*into)[name] = uint64(v)
				}
			}})
	}
	conf.ReadMap(r, n, &l.Resources, fields)
}
