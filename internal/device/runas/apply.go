package runas

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
)

// defaultPath is PATH where the agent was started with none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// kept are the variables of the agent that a session of another user gets, too.
var kept = []string{"PATH", "LANG", "LC_*", "TZ"}

// Environ is the environment that a process begins with: the agent's, but for what
// configures our programs; for another user, hardly anything of it.
func (a Account) Environ(agents []string) []string {
	var env []string
	for _, v := range agents {
		name, _, _ := strings.Cut(v, "=")
		if !strings.HasPrefix(name, "SHV_") && (a.credential == nil || Matches(kept, name)) {
			env = append(env, v)
		}
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		env = append(env, "PATH="+defaultPath)
	}
	if a.credential != nil {
		env = append(env, a.Env()...)
	}
	return env
}

// Matches tells whether a name fits one of the patterns.
func Matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// Apply puts what is to be started under the grant. helper is the path of
// shvrexec, which sets limits that only a process itself can set.
func (a Account) Apply(g *policy.Grant, spec *ptyproc.Spec, helper string) {
	spec.Credential = a.credential
	switch {
	case g.Dir == "~":
		spec.Dir = a.Home
	case strings.HasPrefix(g.Dir, "~/"):
		spec.Dir = filepath.Join(a.Home, g.Dir[2:])
	case g.Dir != "":
		spec.Dir = g.Dir
	case spec.Dir == "" && a.credential != nil:
		spec.Dir = a.Home
	}
	if limits := limitsText(g); limits != "" {
		spec.Via = func(program string, argv []string) (string, []string) {
			return helper, append([]string{"shvrexec", "--" + LimitedFlag, limits, program}, argv...)
		}
	}
}
