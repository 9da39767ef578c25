package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"shvtools/internal/shv/rpc"
)

// Limits are what a session may have and how long.
type Limits struct {
	Env   []string // patterns of variables that a client may set: "TERM", "LC_*"
	User  string   // to run as; "": the agent's own
	Group []string // the groups to have; nil: the user's own
	Shell string   // in the place of the user's own; ""
	Umask int      // -1: as it is
	Dir   string   // to work in; "": the home directory, or the agent's
	Idle  time.Duration
	Total time.Duration
	// Resources are limits of processes, by the names of ResourceNames.
	Resources map[string]uint64
}

// DefaultLimits are those of a rule that says nothing.
func DefaultLimits() Limits {
	return Limits{Env: []string{"TERM", "LANG", "LC_*", "COLORTERM", "GIT_PROTOCOL"}, Umask: -1}
}

// ResourceNames are the resources that can be limited, as setrlimit(2) calls them.
func ResourceNames() []string {
	return []string{"as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "stack"}
}

// eased tells whether o allows nothing that l does not.
func (l *Limits) eased(o *Limits) bool {
	account := l.User == "" && l.Group == nil || l.User == o.User && slices.Equal(l.Group, o.Group) && (l.Group == nil) == (o.Group == nil)
	return account && (l.Shell == "" || l.Shell == o.Shell) && (l.Dir == "" || l.Dir == o.Dir) && (l.Umask < 0 || l.Umask == o.Umask) &&
		noLonger(o.Idle, l.Idle) && noLonger(o.Total, l.Total) &&
		!slices.ContainsFunc(o.Env, func(pattern string) bool { return !slices.Contains(l.Env, pattern) }) &&
		!slices.ContainsFunc(ResourceNames(), func(name string) bool {
			most, limited := l.Resources[name]
			n, there := o.Resources[name]
			return limited && (!there || n > most)
		})
}

// noLonger tells whether the limit a is one of at most b; 0 is none.
func noLonger(a, b time.Duration) bool { return b == 0 || a > 0 && a <= b }

// Grant is a yes of the judge: what may be done, and within which limits. Its
// zero value allows nothing.
type Grant struct {
	Rule     string // which rule it was, with its place
	Uses     []Use
	Commands []Command // nil: any
	Force    string    // a line that runs in the place of what was asked for
	Limits
}

// OriginalEnv is the variable that tells a forced command what was asked for.
const OriginalEnv = "SHV_ORIGINAL_COMMAND"

// Check judges once more, in the process that is to do it.
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
	for _, c := range g.Commands {
		if c.fits(argv) {
			return nil
		}
	}
	return g.denied("does not allow the command %s", shown(argv))
}

// words is the command, cut by us where it came as a line.
func (w Wanted) words() ([]string, error) {
	if w.Line == "" {
		return w.Argv, nil
	}
	return Words(w.Line)
}

// Argv is the program that runs in the place of a line for the shell, nil where
// the shell may have it.
func (g *Grant) Argv(w Wanted) []string {
	if g.Commands == nil || w.Line == "" {
		return nil
	}
	argv, _ := Words(w.Line)
	return argv
}

// Strict tells whether commands are limited so that the environment matters: no
// client may then set variables that Env does not allow.
func (g *Grant) Strict() bool { return g.Commands != nil || g.Force != "" }

func (g *Grant) denied(format string, args ...any) error {
	rule := g.Rule
	if rule == "" {
		rule = "the policy of this device"
	}
	return rpc.Errorf(rpc.CodeException, "refused: %s %s", rule, fmt.Sprintf(format, args...))
}

// shown is a command for a message, with a bound.
func shown(argv []string) string {
	const most = 100
	text := []rune(fmt.Sprintf("%q", strings.Join(argv, " ")))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
