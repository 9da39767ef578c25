package runas

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"shvtools/internal/device/policy"
	"shvtools/internal/device/ptyproc"
)

// defaultPath is PATH if the agent was started without one.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// kept are the variables of the agent that sessions of other users inherit.
var kept = []string{"PATH", "LANG", "LC_*", "TZ"}

// Environ returns the environment in which a process of the account starts. It is the
// agent's without the variables that configure our programs; another user inherits only
// a few of them, and gets those of Env.
func (a Account) Environ(agentEnv []string) []string {
	env := Inherited(agentEnv)
	if a.credential != nil {
		env = slices.DeleteFunc(env, func(v string) bool {
			name, _, _ := strings.Cut(v, "=")
			return !Matches(kept, name)
		})
	}
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		env = append(env, "PATH="+defaultPath)
	}
	if a.credential != nil {
		env = append(env, a.Env()...)
	}
	return env
}

// Inherited returns a copy of the agent's environment without the variables that configure our
// programs, passwords among them.
func Inherited(agentEnv []string) []string {
	env := make([]string, 0, len(agentEnv))
	for _, v := range agentEnv {
		if !strings.HasPrefix(v, "SHV_") {
			env = append(env, v)
		}
	}
	return env
}

// withVariables returns an environment with variables instead of those of the same names.
func withVariables(env, variables []string) []string {
	kept := slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.ContainsFunc(variables, func(o string) bool { return strings.HasPrefix(o, name+"=") })
	})
	return append(kept, variables...)
}

// Matches reports whether a name matches one of the patterns, as path.Match does.
func Matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// Apply puts the process of spec, with its whole environment, under the grant. helper is the
// path of shvrexec, which sets the limits that only a process itself can set.
func (a Account) Apply(g *policy.Grant, spec *ptyproc.Spec, helper string) {
	spec.Credential = a.credential
	if g.Commands != nil {
		spec.Env = withVariables(spec.Env, policy.SecureEnv())
	}
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
