package policy

import (
	"fmt"
	"slices"
	"time"

	"shvtools/internal/shv/rpc"
)

// Limits are the account, the environment and the bounds of what a grant allows.
type Limits struct {
	Env   []string      // patterns of variables that a client may set: "TERM", "LC_*"
	User  string        // account to run as; "": the agent's own
	Group []string      // groups of the process; nil: those of the account
	Shell string        // path of a shell; "": the login shell of the account
	Umask int           // -1: the agent's own
	Dir   string        // working directory; "": the home directory, or the agent's
	Idle  time.Duration // longest time without traffic; 0: any
	Total time.Duration // longest time in all; 0: any
	// Resources are limits of each process, by the names that ResourceNames returns.
	Resources map[string]uint64
}

// DefaultLimits returns the limits of a rule that sets none.
func DefaultLimits() Limits {
	return Limits{Env: []string{"TERM", "LANG", "LC_*", "COLORTERM", "GIT_PROTOCOL"}, Umask: -1}
}

// ResourceNames returns the resources that can be limited, by the names of setrlimit(2)
// in lower case without RLIMIT_.
func ResourceNames() []string {
	return []string{"as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack"}
}

// eased reports whether o allows nothing that l does not.
func (l *Limits) eased(o *Limits) bool {
	sameGroups := slices.Equal(l.Group, o.Group) && (l.Group == nil) == (o.Group == nil)
	account := l.User == "" && l.Group == nil || l.User == o.User && sameGroups
	return account && (l.Shell == "" || l.Shell == o.Shell) && (l.Dir == "" || l.Dir == o.Dir) &&
		(l.Umask < 0 || l.Umask == o.Umask) &&
		noLonger(o.Idle, l.Idle) && noLonger(o.Total, l.Total) &&
		!slices.ContainsFunc(o.Env, func(pattern string) bool { return !slices.Contains(l.Env, pattern) }) &&
		!slices.ContainsFunc(ResourceNames(), func(name string) bool {
			most, limited := l.Resources[name]
			n, there := o.Resources[name]
			return limited && (!there || n > most)
		})
}

// noLonger reports whether the limit a is at most b; 0 is no limit.
func noLonger(a, b time.Duration) bool { return b == 0 || a > 0 && a <= b }

// Grant is what a rule allows, within which limits. The zero Grant allows nothing.
type Grant struct {
	Rule     string // the rule with its place, for messages
	Uses     []Use
	Commands []Command // allowed commands; nil: any
	Force    string    // shell command that runs instead of what was asked for; "": none
	Pty      bool      // commands of the list may have a terminal
	Limits
}

// OriginalEnv is the variable in which a forced command finds what was asked for.
const OriginalEnv = "SHV_ORIGINAL_COMMAND"

// Check returns an error for the caller unless the grant allows w. The process that
// carries w out calls it again after Judge.
func (g *Grant) Check(w Wanted) error {
	if !slices.Contains(g.Uses, w.Use) {
		return g.denied("does not allow %s", w.Use)
	}
	if w.Use == Files && g.Force != "" {
		return g.denied("runs one command whatever is asked for, and serves no files")
	}
	if w.Use != Commands || g.Commands == nil || g.Force != "" {
		return nil
	}
	argv, err := w.words()
	if err != nil {
		return g.denied("does not allow this command: %v", err)
	}
	if !slices.ContainsFunc(g.Commands, func(c Command) bool { return c.fits(argv) }) {
		return g.denied("does not allow this command") // which may hold a secret: the text is logged
	}
	return nil
}

// Terminal reports whether w, which passed Check, gets the terminal that it asks for. A command
// of a list runs without one, as with restrict in authorized_keys, since many a program lets
// whoever types there start others.
func (g *Grant) Terminal(w Wanted) bool {
	return w.Pty && (g.Pty || w.Use != Commands || g.Commands == nil || g.Force != "")
}

// SecureEnv is the environment of a command of a list. It keeps pagers and editors that the
// command may start from starting other programs.
func SecureEnv() []string {
	return []string{
		"LESSSECURE=1", "SYSTEMD_PAGERSECURE=1",
		"PAGER=cat", "GIT_PAGER=cat", "SYSTEMD_PAGER=cat", "MANPAGER=cat",
		"EDITOR=/bin/false", "VISUAL=/bin/false", "GIT_EDITOR=/bin/false", "SYSTEMD_EDITOR=/bin/false",
	}
}

// words returns the command as words; a line is cut by Words.
func (w Wanted) words() ([]string, error) {
	if w.Line == "" {
		return w.Argv, nil
	}
	return Words(w.Line)
}

// Argv returns the program and arguments to run instead of passing w.Line to a shell, or
// nil if the shell may have the line. It is meant for a w that passed Check.
func (g *Grant) Argv(w Wanted) []string {
	if g.Commands == nil || w.Line == "" {
		return nil
	}
	argv, _ := Words(w.Line)
	return argv
}

// Strict reports whether commands are limited, so that clients must not set variables
// that Env does not allow: a variable could make an allowed program do anything.
func (g *Grant) Strict() bool { return g.Commands != nil || g.Force != "" }

func (g *Grant) denied(format string, args ...any) error {
	rule := g.Rule
	if rule == "" {
		rule = "the policy of this device"
	}
	return rpc.Errorf(rpc.CodeException, "refused: %s %s", rule, fmt.Sprintf(format, args...))
}
