package policy_test

import (
	"strings"
	"testing"

	"shvtools/internal/device/policy"
	"shvtools/internal/shv/rpc"
)

// A session that goes on under a policy that no longer allows it makes the change a lie.
func TestSessionsGoOnOnlyAsFarAsTheNewPolicyAllows(t *testing.T) {
	t.Parallel()
	shell := policy.Wanted{Use: policy.Shell, Pty: true}
	line := func(text string) policy.Wanted { return policy.Wanted{Use: policy.Commands, Line: text} }
	onPty := policy.Wanted{Use: policy.Commands, Line: "uptime", Pty: true}
	limits := func(change func(*policy.Limits)) policy.Limits {
		l := policy.DefaultLimits()
		change(&l)
		return l
	}
	as := func(name string) policy.Limits { return limits(func(l *policy.Limits) { l.User = name }) }
	group := func(names ...string) policy.Limits { return limits(func(l *policy.Limits) { l.Group = names }) }
	menu := func(name string) policy.Limits { return limits(func(l *policy.Limits) { l.Shell = name }) }
	all := []policy.Rule{{Uses: policy.Uses()}}
	for _, tt := range []struct {
		name        string
		before, now []policy.Rule
		wanted      policy.Wanted
		want        string // part of the reason; "": it goes on
	}{
		{"nothing changed", all, all, shell, ""},
		{"no rules any more", all, nil, shell, `no rule of this device allows shell to user "eva"`},
		{"denied", all, []policy.Rule{{Name: "out", Uses: policy.Uses(), Deny: true}}, shell, `rule "out" denies shell`},
		{"another use", all, []policy.Rule{{Uses: []policy.Use{policy.SFTP}}}, shell, "no rule of this device allows shell"},
		{"another user", all, []policy.Rule{{Users: []string{"bob"}, Uses: policy.Uses()}}, shell, "no rule"},
		{"a higher level", all, []policy.Rule{{Level: rpc.AccessSuper, Uses: policy.Uses()}}, shell, "requires access level"},
		{"another rule that allows it", all, []policy.Rule{{Name: "x", Users: []string{"e*"}, Uses: policy.Uses()}}, shell,
			""},
		{"other commands", all, []policy.Rule{{Uses: policy.Uses(), Commands: commands(t, "date")}}, line("uptime"),
			`does not allow this command`},
		{"the command is in the list", all, []policy.Rule{{Uses: policy.Uses(), Commands: commands(t, "uptime")}},
			line("uptime"), ""},
		{"in the list, without a terminal", all, []policy.Rule{{Uses: policy.Uses(), Commands: commands(t, "uptime")}}, onPty,
			"gives its commands no terminal"},
		{"in the list, with a terminal", all,
			[]policy.Rule{{Uses: policy.Uses(), Commands: commands(t, "uptime"), Pty: true}}, onPty, ""},
		{"forced", all, []policy.Rule{{Uses: policy.Uses(), Force: "menu"}}, shell, "runs one command whatever"},
		{"forced as before", []policy.Rule{{Uses: policy.Uses(), Force: "menu"}},
			[]policy.Rule{{Uses: policy.Uses(), Force: "menu"}}, shell, ""},
		{"another forced one", []policy.Rule{{Uses: policy.Uses(), Force: "menu"}},
			[]policy.Rule{{Uses: policy.Uses(), Force: "other"}}, shell, "runs one command whatever"},
		{"not forced any more", []policy.Rule{{Uses: policy.Uses(), Force: "menu"}}, all, shell, ""},
		{"forced before, and listed now", []policy.Rule{{Uses: policy.Uses(), Force: "menu"}},
			[]policy.Rule{{Uses: policy.Uses(), Commands: commands(t, "uptime")}}, line("uptime"), "limits the commands"},
		{"another account", all, []policy.Rule{{Uses: policy.Uses(), Limits: as("pump")}}, shell, "as another account"},
		{"the same account", []policy.Rule{{Uses: policy.Uses(), Limits: as("pump")}},
			[]policy.Rule{{Uses: policy.Uses(), Limits: as("pump")}}, shell, ""},
		{"a changed account", []policy.Rule{{Uses: policy.Uses(), Limits: as("a")}},
			[]policy.Rule{{Uses: policy.Uses(), Limits: as("b")}}, shell, "as another account"},
		{"any account", []policy.Rule{{Uses: policy.Uses(), Limits: as("pump")}}, all, shell, ""},
		{"fewer groups", []policy.Rule{{Uses: policy.Uses(), Limits: group("a", "b")}},
			[]policy.Rule{{Uses: policy.Uses(), Limits: group("a")}}, shell, "as another account"},
		{"no groups", all, []policy.Rule{{Uses: policy.Uses(), Limits: group([]string{}...)}}, shell, "as another account"},
		{"another shell", all, []policy.Rule{{Uses: policy.Uses(), Limits: menu("/bin/menu")}}, shell, "has another shell"},
		{"another shell, for a command", all, []policy.Rule{{Uses: policy.Uses(), Limits: menu("/bin/menu")}}, line("x"), ""},
	} {
		ask := policy.Ask{User: "eva", Level: rpc.AccessCommand, Wanted: tt.wanted}
		g, err := (&policy.Policy{Rules: tt.before}).Judge(ask)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		err = (&policy.Policy{Rules: tt.now}).Still(ask, g)
		const begin = `the policy of this device changed: rule "" no longer allows this session: `
		switch {
		case tt.want == "" && err != nil, tt.want != "" && err == nil:
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		case err != nil && (!strings.HasPrefix(err.Error(), begin) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
