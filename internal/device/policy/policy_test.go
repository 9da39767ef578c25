package policy_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/device/policy"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

func commands(t testing.TB, texts ...string) (all []policy.Command) {
	t.Helper()
	for _, text := range texts {
		c, err := policy.ParseCommand(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		all = append(all, c)
	}
	return all
}

func rules(t testing.TB) *policy.Policy {
	return &policy.Policy{Rules: []policy.Rule{
		{Name: "out", At: "f:1", Users: []string{"mallory"}, Uses: policy.Uses(), Deny: true},
		{Name: "few", At: "f:2", Users: []string{"ops-*"}, Uses: []policy.Use{policy.Commands},
			Commands: commands(t, "uptime", "systemctl status *", "log **")},
		{Name: "menu", At: "f:3", Users: []string{"guest"}, Uses: []policy.Use{policy.Shell, policy.Commands},
			Force: "/usr/bin/menu"},
		{Name: "all", At: "f:4", Level: rpc.AccessService, Uses: policy.Uses()},
		{Name: "files", At: "f:5", Users: []string{"eva"}, Uses: []policy.Use{policy.Files, policy.SFTP}},
	}}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	p := rules(t)
	line := func(text string) policy.Wanted { return policy.Wanted{Use: policy.Commands, Line: text} }
	argv := func(words ...string) policy.Wanted { return policy.Wanted{Use: policy.Commands, Argv: words} }
	shell := policy.Wanted{Use: policy.Shell}
	for _, tt := range []struct {
		user   string
		level  rpc.Access
		wanted policy.Wanted
		want   string // part of the error, or the rule of a grant
		ok     bool
	}{
		{"mallory", rpc.AccessSuper, shell, `rule "out" (f:1) denies shell`, false},
		{"ops-1", rpc.AccessCommand, argv("uptime"), `rule "few"`, true},
		{"ops-1", rpc.AccessCommand, line("uptime"), `rule "few"`, true},
		{"ops-1", rpc.AccessCommand, line(" systemctl  'status' \"ssh\" "), `rule "few"`, true},
		{"ops-1", rpc.AccessCommand, line("systemctl status"),
			`rule "few" (f:2) does not allow this command`, false},
		{"ops-1", rpc.AccessCommand, argv("systemctl", "status", "a", "b"), "does not allow", false},
		{"ops-1", rpc.AccessCommand, argv("log"), `rule "few"`, true},
		{"ops-1", rpc.AccessCommand, argv("log", "f", "x"), `rule "few"`, true},
		{"ops-1", rpc.AccessCommand, argv("log", "-f", "x"), `does not allow this command`, false},
		{"ops-1", rpc.AccessCommand, argv("uptime -x"), "does not allow", false},
		{"ops-1", rpc.AccessSuper, argv("reboot"), `rule "few"`, false}, // the first that fits decides
		{"ops-1", rpc.AccessCommand, shell, `rule "all" (f:4) requires access level srv`, false},
		{"guest", rpc.AccessCommand, line("rm -rf /; true"), `rule "menu"`, true},
		{"guest", rpc.AccessCommand, policy.Wanted{Use: policy.SFTP}, `rule "all"`, false},
		{"root", rpc.AccessService, line("a | b"), `rule "all"`, true},
		{"eva", rpc.AccessCommand, policy.Wanted{Use: policy.SFTP}, `rule "files"`, true},
		{"bob", rpc.AccessCommand, policy.Wanted{Use: policy.SFTP}, `rule "all" (f:4) requires`, false},
		{"", rpc.AccessSuper, shell, `rule "out" (f:1) applies by user`, false},
		{"", rpc.AccessCommand, argv("uptime"), "has no user id", false},
		{"guest", rpc.AccessSuper, policy.Wanted{Use: policy.Files}, `rule "all"`, true},
	} {
		g, err := p.Judge(policy.Ask{User: tt.user, Level: tt.level, Wanted: tt.wanted})
		text := ""
		if err != nil {
			text = err.Error()
		} else {
			text = g.Rule
		}
		if (err == nil) != tt.ok || !strings.Contains(text, tt.want) {
			t.Errorf("%s at %s, %+v: %v %s; want %v %s", tt.user, tt.level, tt.wanted, err == nil, text, tt.ok, tt.want)
		}
	}
	if _, err := new(policy.Policy).Judge(policy.Ask{User: "eva", Level: rpc.AccessSuper}); err == nil ||
		!strings.Contains(err.Error(), `no rule of this device allows shell to user "eva"`) {
		t.Errorf("without rules: %v", err)
	}
	var told *rpc.Error
	if _, err := p.Judge(policy.Ask{Level: rpc.AccessCommand, Wanted: argv("uptime")}); !errors.As(err, &told) ||
		told.Code != rpc.CodeUserIDRequired {
		t.Errorf("a caller without a name: %v", err)
	}
}

// Leaving out the user id must not bypass the rules for a user.
func TestCallersWithoutANameGainNothing(t *testing.T) {
	t.Parallel()
	limits := func(change func(*policy.Limits)) policy.Limits {
		l := policy.DefaultLimits()
		change(&l)
		return l
	}
	plain := policy.DefaultLimits()
	for _, tt := range []struct {
		name    string
		named   policy.Rule // of a user
		general policy.Rule // of everybody
		ok      bool
	}{
		{"what is denied", policy.Rule{Deny: true}, policy.Rule{}, false},
		{"what everybody may, and is denied", policy.Rule{}, policy.Rule{Deny: true}, false},
		{"few commands", policy.Rule{Commands: commands(t, "uptime")}, policy.Rule{}, false},
		{"the same commands", policy.Rule{Commands: commands(t, "uptime")},
			policy.Rule{Commands: commands(t, "uptime")}, true},
		{"other commands", policy.Rule{Commands: commands(t, "date")}, policy.Rule{Commands: commands(t, "uptime")}, false},
		{"a forced command", policy.Rule{Force: "menu"}, policy.Rule{}, false},
		{"a forced command for others", policy.Rule{}, policy.Rule{Force: "menu"}, true},
		{"no limits", policy.Rule{Limits: plain}, policy.Rule{Limits: plain}, true},
		{"a level that he has not", policy.Rule{Level: rpc.AccessSuper, Deny: true}, policy.Rule{}, true},
		{"another user", policy.Rule{Limits: limits(func(l *policy.Limits) { l.User = "pump" })},
			policy.Rule{Limits: plain}, false},
		{"another user for others", policy.Rule{Limits: plain},
			policy.Rule{Limits: limits(func(l *policy.Limits) { l.User = "pump" })}, true},
		{"groups for others", policy.Rule{Limits: limits(func(l *policy.Limits) { l.User = "a" })},
			policy.Rule{Limits: limits(func(l *policy.Limits) { l.User, l.Group = "a", []string{"disk"} })}, false},
		{"a shell", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Shell = "/bin/menu" })},
			policy.Rule{Limits: plain}, false},
		{"a directory", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Dir = "/tmp" })},
			policy.Rule{Limits: plain}, false},
		{"a umask", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Umask = 0o77 })},
			policy.Rule{Limits: plain}, false},
		{"no time", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Total = time.Hour })},
			policy.Rule{Limits: plain}, false},
		{"less time for others", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Total = time.Hour })},
			policy.Rule{Limits: limits(func(l *policy.Limits) { l.Total = time.Minute })}, true},
		{"idle for long", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Idle = time.Hour })},
			policy.Rule{Limits: limits(func(l *policy.Limits) { l.Idle = 2 * time.Hour })}, false},
		{"few variables", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Env = nil })},
			policy.Rule{Limits: plain}, false},
		{"few files", policy.Rule{Limits: limits(func(l *policy.Limits) { l.Resources = map[string]uint64{"nofile": 9} })},
			policy.Rule{Limits: plain}, false},
		{"fewer files for others",
			policy.Rule{Limits: limits(func(l *policy.Limits) { l.Resources = map[string]uint64{"nofile": 9} })},
			policy.Rule{Limits: limits(func(l *policy.Limits) { l.Resources = map[string]uint64{"nofile": 8, "nproc": 1} })},
			true},
	} {
		tt.named.Name, tt.named.Users, tt.named.Uses = "his", []string{"eva"}, policy.Uses()
		tt.general.Name, tt.general.Uses = "all", policy.Uses()
		p := &policy.Policy{Rules: []policy.Rule{tt.named, tt.general}}
		g, err := p.Judge(policy.Ask{Level: rpc.AccessCommand,
			Wanted: policy.Wanted{Use: policy.Commands, Argv: []string{"uptime"}}})
		var told *rpc.Error
		switch {
		case tt.ok && (err != nil || g.Rule != `rule "all"`):
			t.Errorf("%s: %v", tt.name, err)
		case !tt.ok &&
			(!errors.As(err, &told) || told.Code != rpc.CodeUserIDRequired || !strings.Contains(told.Message, `rule "his"`)):
			t.Errorf("%s: granted, or %v", tt.name, err)
		}
	}
}

// For random policies: what a call without a user id is granted, each user is granted, too,
// for as long and as the same account.
func TestNobodyIsGrantedMoreThanEachUser(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(n int) int { return r.IntN(n) }
	granted := 0
	for range 5000 {
		p := new(policy.Policy)
		for range 1 + pick(4) {
			rule := policy.Rule{
				Name: "r", Users: [][]string{nil, nil, {"a"}, {"b"}, {"[ab]"}}[pick(5)], Uses: policy.Uses()[:1+pick(5)],
				Level: []rpc.Access{0, rpc.AccessCommand, rpc.AccessSuper}[pick(3)], Deny: pick(4) == 0,
				Limits: policy.DefaultLimits(),
			}
			if !rule.Deny {
				rule.Force = []string{"", "", "f"}[pick(3)]
				rule.Commands = [][]policy.Command{nil, nil, commands(t, "x"), commands(t, "x", "y")}[pick(4)]
				rule.Limits.User, rule.Limits.Total = []string{"", "p", "q"}[pick(3)], time.Duration(pick(3))
			}
			p.Rules = append(p.Rules, rule)
		}
		for _, use := range policy.Uses() {
			ask := policy.Ask{Level: []rpc.Access{rpc.AccessCommand, rpc.AccessSuper}[pick(2)],
				Wanted: policy.Wanted{Use: use, Argv: []string{[]string{"x", "y", "z"}[pick(3)]}}}
			g, err := p.Judge(ask)
			if err != nil {
				continue
			}
			granted++
			for _, ask.User = range []string{"a", "b", "c"} {
				his, err := p.Judge(ask)
				if err != nil || his.Force != "" && g.Force != his.Force || his.User != "" && g.User != his.User ||
					his.Total > 0 && (g.Total == 0 || g.Total > his.Total) || his.Commands != nil && g.Commands == nil {
					t.Fatalf("%+v\nof %+v\ngrants nobody %+v, and %s %+v, %v", ask, p.Rules, g, ask.User, his, err)
				}
			}
		}
	}
	if granted < 1000 {
		t.Errorf("only %d were granted at all", granted)
	}
}

// A forced command is the only thing that its user gets.
func TestForcedCommandServesNoFiles(t *testing.T) {
	t.Parallel()
	p := &policy.Policy{Rules: []policy.Rule{{Name: "menu", Uses: policy.Uses(), Force: "menu"},
		{Name: "all", Uses: policy.Uses()}}}
	for _, use := range policy.Uses() {
		_, err := p.Judge(policy.Ask{User: "eva", Level: rpc.AccessCommand,
			Wanted: policy.Wanted{Use: use, Argv: []string{"x"}}})
		if (err != nil) != (use == policy.Files) || err != nil &&
			!strings.Contains(err.Error(), `rule "menu" runs one command whatever is asked for, and serves no files`) {
			t.Errorf("%s: %v", use, err)
		}
	}
}

// A list of commands must not be a way to others.
func TestListedCommandsAreNoWayOut(t *testing.T) {
	t.Parallel()
	g := policy.Grant{Uses: []policy.Use{policy.Commands}, Commands: commands(t, "echo **", "cat *")}
	for _, line := range []string{
		"echo a; reboot", "echo a && reboot", "echo a | sh", "echo $(reboot)", "echo `reboot`", "echo \"$(reboot)\"",
		"echo \"`reboot`\"", "echo a\nreboot",
		"echo a > /etc/passwd", "echo $HOME", "echo *", "cat ~/x", "echo {a,b}", "(echo a)", "! echo", "echo a & reboot",
		"echo <(reboot)", "echo 'a", "echo \"a",
		"A=b echo", "./echo a", "/tmp/echo a", "", " ", "''", "echo a\\", "echo a\x00b", "echo a\rb", "cat a b", "cat",
	} {
		if err := g.Check(policy.Wanted{Use: policy.Commands, Line: line}); err == nil {
			t.Errorf("%q is allowed, as %q", line, g.Argv(policy.Wanted{Use: policy.Commands, Line: line}))
		}
	}
	for line, want := range map[string][]string{
		"echo": {"echo"}, `echo 'a;b' "c d" e\;f`: {"echo", "a;b", "c d", "e;f"}, `cat ''`: {"cat", ""},
		`echo "a\"b\n"`: {"echo", `a"b\n`}, "cat\t'$HOME'": {"cat", "$HOME"},
	} {
		w := policy.Wanted{Use: policy.Commands, Line: line}
		if err := g.Check(w); err != nil || !slices.Equal(g.Argv(w), want) {
			t.Errorf("%q: %v, %q, want %q", line, err, g.Argv(w), want)
		}
	}
}

func TestPatternsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "*", "** a", "a ** b", "a 'b", `"a b" *`, "-*", "-**", "a -** b", "a [",
		"a [!b]", "a [-b]"} {
		if c, err := policy.ParseCommand(text); err == nil {
			t.Errorf("%q: %q", text, c)
		}
	}
}

func TestGrantOnTheWire(t *testing.T) {
	t.Parallel()
	full := policy.Grant{
		Rule: `rule "x" (f:1)`, Uses: []policy.Use{policy.Shell, policy.SFTP}, Commands: commands(t, "a *", "b"),
		Force: "menu",
		Limits: policy.Limits{Env: []string{"LC_*"}, User: "pump", Shell: "/bin/ash", Group: []string{"dialout"}, Umask: 0o27,
			Dir: "~/x", Idle: time.Minute, Total: time.Hour,
			Resources: map[string]uint64{"nofile": 64, "as": 1 << 40}},
	}
	for _, g := range []policy.Grant{full, {Limits: policy.Limits{Umask: -1}},
		{Commands: []policy.Command{}, Limits: policy.Limits{Umask: 0, Group: []string{}}}} {
		v := g.Value()
		again := policy.GrantFromValue(v)
		if !again.Value().Equal(v) || (again.Commands == nil) != (g.Commands == nil) ||
			(again.Group == nil) != (g.Group == nil) {
			t.Errorf("%s became %s", cpon.String(v), cpon.String(again.Value()))
		}
	}
}

// What is missing or unreadable is the strictest.
func TestGrantsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`null`, `{}`, `{"env":["A"]}`, `{"use":"shell"}`, `{"use":["root"]}`, `{"use":["shell"],"umask":"022"}`,
		`{"use":["shell"],"umask":-1}`,
		`{"use":["shell"],"umask":4096}`, `{"use":["shell"],"idle":-1}`, `{"use":["shell"],"time":9000000000000000000}`,
		`{"use":["shell"],"user":0}`,
		`{"use":["shell"],"force":1}`, `{"use":["shell"],"resources":{"nofile":-1}}`,
		`{"use":["shell"],"resources":{"files":1u}}`,
	} {
		v, err := cpon.Parse([]byte(text), chainpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		g := policy.GrantFromValue(v)
		for _, use := range policy.Uses() {
			if g.Check(policy.Wanted{Use: use}) == nil {
				t.Errorf("%s allows %s", text, use)
			}
		}
	}
	list, _ := cpon.Parse([]byte(`{"use":["commands"],"commands":1}`), chainpack.Limits{})
	if g := policy.GrantFromValue(list); g.Check(policy.Wanted{Use: policy.Commands, Argv: []string{"a"}}) == nil {
		t.Error("an unreadable list allows a command")
	}
}

// FuzzWords: what is cut must come back from its quoted form, and no sign of the
// shell may be outside of quotes.
func FuzzWords(f *testing.F) {
	for _, seed := range []string{"", "a b", `a 'b c' "d"`, `a\ b`, "a;b", `"$x"`, "'", "a\x00", "\\\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := policy.Words(line)
		if err != nil {
			return
		}
		var quoted []string
		for _, word := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
		}
		again, err := policy.Words(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q became %q, %v", line, words, again, err)
		}
	})
}

// A name of a user is no path: whoever has a slash in it must not get past a deny.
func TestPatternOfUsersMatchesNamesWithSlashes(t *testing.T) {
	for _, pattern := range []string{"*", "e*", "eva*", "eva/ops", "eva?ops", "*/ops"} {
		p := policy.Policy{Rules: []policy.Rule{
			{Users: []string{pattern}, Uses: policy.Uses(), Deny: true}, {Uses: policy.Uses()},
		}}
		ask := policy.Ask{User: "eva/ops", Level: rpc.AccessSuper, Wanted: policy.Wanted{Use: policy.Shell}}
		if _, err := p.Judge(ask); err == nil {
			t.Errorf("%s does not deny eva/ops", pattern)
		}
	}
}
