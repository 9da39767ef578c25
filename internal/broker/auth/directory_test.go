package auth_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

func build(t *testing.T, a auth.Access) *auth.Directory {
	t.Helper()
	d, faults := auth.Build(a)
	if faults != nil {
		t.Fatal(faults)
	}
	return d
}

func patterns(texts ...string) (list []shvpath.Pattern) {
	for _, text := range texts {
		list = append(list, shvpath.MustPattern(text))
	}
	return list
}

func TestFirstRuleInTheOrderOfRolesDecides(t *testing.T) {
	d := build(t, auth.Access{
		Users: map[string]auth.UserEntry{"u": {Roles: []string{"a", "b", "nosuch"}}},
		Roles: map[string]auth.RoleEntry{
			"a": {Roles: []string{"deep"}, Rules: []auth.Rule{auth.MustRule("x/closed/**:*", rpc.AccessNone),
				auth.MustRule("x/**:get", rpc.AccessRead)}},
			"b": {Rules: []auth.Rule{auth.MustRule("x/**:*", rpc.AccessWrite)}, Mounts: patterns("m/*")},
			// Behind b, though it is named by a.
			"deep": {Roles: []string{"deeper"}, Rules: []auth.Rule{auth.MustRule("x/**:*", rpc.AccessSuper),
				auth.MustRule("y:*", rpc.AccessCommand)}},
			"deeper": {Rules: []auth.Rule{auth.MustRule("z:*", rpc.AccessBrowse)}, Mounts: patterns("n/**")},
		},
	})
	u := d.User("u")
	if !slices.Equal(u.Roles, []string{"a", "b", "deep", "deeper"}) {
		t.Errorf("roles %v", u.Roles)
	}
	for _, test := range []struct {
		path, method string
		want         rpc.Access
	}{
		{"x/closed/a", "get", rpc.AccessNone},
		{"x/open", "get", rpc.AccessRead},
		{"x/open", "set", rpc.AccessWrite},
		{"y", "set", rpc.AccessCommand},
		{"z", "ls", rpc.AccessBrowse},
		{"nowhere", "ls", rpc.AccessNone},
		{".broker/currentClient", "subscribe", rpc.AccessWrite}, // everybody's
		{".broker/currentClient/x", "subscribe", rpc.AccessNone},
	} {
		if got := u.Level([]byte(test.path), []byte(test.method)); got != test.want {
			t.Errorf("%s:%s: %d, want %d", test.path, test.method, got, test.want)
		}
	}
	for path, want := range map[string]bool{"m/a": true, "m/a/b": false, "n/a/b": true, "x": false, "": false} {
		if u.MayMount([]byte(path)) != want {
			t.Errorf("mount at %q: %v", path, !want)
		}
	}
	path, method := []byte("z"), []byte("ls")
	if n := testing.AllocsPerRun(100, func() { u.Level(path, method) }); n != 0 {
		t.Errorf("a look-up of a level allocates %v times", n)
	}
}

func TestRolesThatIncludeThemselvesAreAFault(t *testing.T) {
	for _, test := range []struct {
		roles map[string][]string
		want  string
	}{
		{map[string][]string{"a": {"a"}}, `role "a": roles that include themselves: a includes a`},
		{map[string][]string{"a": {"b"}, "b": {"c"}, "c": {"b"}},
			`role "c": roles that include themselves: b includes c includes b`},
		{map[string][]string{"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": nil}, ""}, // twice, not in a circle
	} {
		a := auth.Access{Roles: make(map[string]auth.RoleEntry)}
		for name, roles := range test.roles {
			a.Roles[name] = auth.RoleEntry{Roles: roles}
		}
		d, faults := auth.Build(a)
		got := ""
		if len(faults) > 0 {
			got = faults[0].Error()
		}
		if got != test.want || (d == nil) != (test.want != "") {
			t.Errorf("%v: %q", test.roles, got)
		}
	}
}

func TestUnknownRolesAreToldAndGrantNothing(t *testing.T) {
	a := auth.Access{
		Users: map[string]auth.UserEntry{"u": {Roles: []string{"ghost"}}},
		Roles: map[string]auth.RoleEntry{"r": {Roles: []string{"wraith"}}},
	}
	if got := fmt.Sprint(a.Unknown()); !strings.Contains(got, `user "u": there is no role "ghost"`) ||
		!strings.Contains(got, `role "r": there is no role "wraith"`) {
		t.Error(got)
	}
	if got := build(t, a).User("u").Level([]byte("a"), []byte("ls")); got != rpc.AccessNone {
		t.Errorf("level %d", got)
	}
}

func TestWhoMayComeFromWhere(t *testing.T) {
	prefixes := func(texts ...string) (list []netip.Prefix) {
		for _, text := range texts {
			list = append(list, netip.MustParsePrefix(text))
		}
		return list
	}
	d := build(t, auth.Access{
		Users: map[string]auth.UserEntry{
			"anywhere": {Password: auth.PlainPassword("p"), Roles: []string{"free"}},
			"own":      {Password: auth.PlainPassword("p"), Networks: prefixes("10.0.0.0/8", "::1/128")},
			"six":      {Password: auth.PlainPassword("p"), Networks: prefixes("2001:db8::/32", "fe80::/10")},
			"role":     {Password: auth.PlainPassword("p"), Roles: []string{"free", "near", "far"}},
			"both":     {Password: auth.PlainPassword("p"), Roles: []string{"near"}, Networks: prefixes("192.168.7.0/24")},
			"nowhere":  {Password: auth.PlainPassword("p"), Roles: []string{"closed"}},
		},
		Roles: map[string]auth.RoleEntry{
			"free":   {},
			"near":   {Networks: prefixes("192.168.0.0/16"), HasNetworks: true},
			"far":    {Networks: prefixes("172.16.0.0/12"), HasNetworks: true},
			"closed": {HasNetworks: true},
		},
	})
	s := auth.NewStore(d)
	for _, test := range []struct {
		user, from string
		want       bool
	}{
		{"anywhere", "8.8.8.8", true},
		{"own", "10.1.2.3", true},
		{"own", "::ffff:10.1.2.3", true}, // a v4 peer of a v6 listener
		{"own", "11.1.2.3", false},
		{"own", "::1", true},
		{"own", "2001:db8::1", false},
		{"six", "2001:db8:7::1", true},
		{"six", "2001:db9::1", false},
		{"six", "fe80::1%eth0", true}, // a peer on the same wire has a zone, a network none
		{"six", "127.0.0.1", false},
		{"own", "", true}, // a unix socket is this machine, and ::1 is in the list
		{"role", "192.168.1.1", true},
		{"role", "172.16.1.1", true},
		{"role", "10.1.1.1", false},
		{"role", "", false},
		{"both", "192.168.7.1", true},
		{"both", "192.168.8.1", false},
		{"nowhere", "192.168.8.1", false},
	} {
		var from netip.Addr
		if test.from != "" {
			from = netip.MustParseAddr(test.from)
		}
		_, err := s.Check(nil, auth.Attempt{User: test.user, Password: "p", Type: login.Plain, From: from})
		if (err == nil) != test.want {
			t.Errorf("%s from %s: %v", test.user, test.from, err)
		}
	}
}

func TestLossesOfALogin(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	entry := auth.UserEntry{Password: auth.PlainPassword("p"), Tokens: []string{"static"}}
	with := func(change func(*auth.UserEntry)) auth.Access {
		changed := entry
		change(&changed)
		return auth.Access{Users: map[string]auth.UserEntry{"u": changed}}
	}
	s := auth.NewStore(build(t, with(func(*auth.UserEntry) {})))
	byPassword, err := s.Check(nil, auth.Attempt{User: "u", Password: "p", Type: login.Plain, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	byToken, err := s.Check(nil, auth.Attempt{Token: "static", Type: login.Token, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name         string
		access       auth.Access
		login, token auth.Loss
	}{
		{"nothing", with(func(*auth.UserEntry) {}), auth.Kept, auth.Kept},
		{"other roles", with(func(e *auth.UserEntry) { e.Roles = []string{"x"} }), auth.Kept, auth.Kept},
		{"gone", auth.Access{}, auth.Removed, auth.Removed},
		{"deactivated", with(func(e *auth.UserEntry) { e.Deactivated = true }), auth.Deactivated, auth.Deactivated},
		{"expired", with(func(e *auth.UserEntry) { e.Expires = now }), auth.Expired, auth.Expired},
		{"not yet", with(func(e *auth.UserEntry) { e.Expires = now.Add(1) }), auth.Kept, auth.Kept},
		{"password", with(func(e *auth.UserEntry) { e.Password = auth.PlainPassword("q") }), auth.PasswordChanged, auth.Kept},
		{"token", with(func(e *auth.UserEntry) { e.Tokens = []string{"new"} }), auth.Kept, auth.PasswordChanged},
		{"network", with(func(e *auth.UserEntry) { e.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }),
			auth.AddressDenied, auth.AddressDenied},
	} {
		d := build(t, test.access)
		if u, loss := byPassword.Lost(d, netip.Addr{}, now); loss != test.login ||
			(u == d.User("u") && u != nil) != (loss == auth.Kept) {
			t.Errorf("%s: %v", test.name, loss)
		}
		if _, loss := byToken.Lost(d, netip.Addr{}, now); loss != test.token {
			t.Errorf("%s, by token: %v", test.name, loss)
		}
		if loss := test.login; loss != auth.Kept && (loss.String() == "" || loss.String() == "unknown") {
			t.Errorf("%d has no words", loss)
		}
	}
}

func TestSessionTokens(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	access := func(password string) auth.Access {
		return auth.Access{Users: map[string]auth.UserEntry{"u": {Password: auth.PlainPassword(password)},
			"v": {Password: auth.PlainPassword("v")}}}
	}
	s := auth.NewStore(build(t, access("p")))
	first, err := s.Check(nil, auth.Attempt{User: "u", Password: "p", Type: login.Plain, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	by := func(token string, at time.Time) error {
		l, err := s.Check(nil, auth.Attempt{Token: token, Type: login.Token, Now: at})
		if err == nil && l.User.Name != "u" {
			t.Errorf("token of %s", l.User.Name)
		}
		if err != nil && !errors.Is(err, auth.ErrLogin) {
			t.Errorf("%v", err)
		}
		return err
	}
	token := s.Issue(first, now)
	for text, good := range map[string]bool{token: true, strings.TrimPrefix(token, "session-token:"): true,
		token + "x": false, "": false, "session-token:": false} {
		if err := by(text, now); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
	if by(token, now.Add(auth.SessionLife-1)) != nil || by(token, now.Add(auth.SessionLife)) == nil {
		t.Error("a token lives for another time than it should")
	}
	for range 100 { // one user's tokens are bounded, and do not hurt another's
		s.Issue(first, now)
	}
	if by(token, now) == nil {
		t.Error("the oldest of many tokens is kept")
	}
	token = s.Issue(first, now)
	s.Swap(build(t, access("other")))
	if by(token, now) == nil {
		t.Error("a token outlives the password that it was given for")
	}
}

func TestOneTokenOfTwoUsersIsAFault(t *testing.T) {
	d, faults := auth.Build(auth.Access{Users: map[string]auth.UserEntry{"a": {Tokens: []string{"t"}},
		"b": {Tokens: []string{"t"}}}})
	if d != nil || len(faults) != 1 || strings.Contains(faults[0].Error(), `"t"`) {
		t.Errorf("%v", faults)
	}
}

// Many users have few lists of roles: what these give is there once.
func TestUsersWithEqualRolesShareTheirRules(t *testing.T) {
	a := auth.Access{
		Users: map[string]auth.UserEntry{
			"a": {Roles: []string{"r", "s"}}, "b": {Roles: []string{"r", "s"}}, "c": {Roles: []string{"s", "r"}},
			"d": {Roles: []string{"r", "s"}, Mounts: []shvpath.Pattern{shvpath.MustPattern("own/**")}},
		},
		Roles: map[string]auth.RoleEntry{
			"r": {Rules: []auth.Rule{auth.MustRule("r:*", rpc.AccessRead)},
				Mounts: []shvpath.Pattern{shvpath.MustPattern("r/**")}},
			"s": {Rules: []auth.Rule{auth.MustRule("s:*", rpc.AccessRead)},
				Mounts: []shvpath.Pattern{shvpath.MustPattern("s/**")}},
		},
	}
	d, faults := auth.Build(a)
	if faults != nil {
		t.Fatal(faults)
	}
	rules := func(name string) *auth.Rule { return &d.User(name).Rules[0] }
	if rules("a") != rules("b") || rules("a") != rules("d") || rules("a") == rules("c") ||
		d.User("c").Rules[0].RI.String() != "s:*" {
		t.Error("rules are not shared as they should be")
	}
	for name, own := range map[string]bool{"a": false, "d": true} {
		if u := d.User(name); u.MayMount([]byte("own/x")) != own || !u.MayMount([]byte("r/x")) || !u.MayMount([]byte("s/x")) {
			t.Errorf("%s may not mount where the roles and the user say", name)
		}
	}
	if len(a.Roles["r"].Mounts) != 1 || len(a.Users["d"].Mounts) != 1 {
		t.Error("what is configured was changed")
	}
}

// Names of roles are any text: no list of them is taken for another one.
func TestUsersOfAlikeRolesDoNotShare(t *testing.T) {
	rule := func(text string) auth.RoleEntry {
		return auth.RoleEntry{Rules: []auth.Rule{auth.MustRule(text, rpc.AccessRead)}}
	}
	a := auth.Access{
		Users: map[string]auth.UserEntry{
			"a": {Roles: []string{"r", "s"}}, "b": {Roles: []string{"r\x00s"}}, "c": {Roles: []string{`r" "s`}}, "d": {},
			"e": {Roles: []string{""}},
		},
		Roles: map[string]auth.RoleEntry{
			"r": rule("r:*"), "s": rule("s:*"), "r\x00s": rule("b:*"), `r" "s`: rule("c:*"), "": rule("e:*"),
		},
	}
	d, faults := auth.Build(a)
	if faults != nil {
		t.Fatal(faults)
	}
	for name, want := range map[string]string{"a": "r:* s:*", "b": "b:*", "c": "c:*", "d": "", "e": "e:*"} {
		var got []string
		for _, r := range d.User(name).Rules {
			got = append(got, r.RI.String())
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s has the rules %q, want %q", name, text, want)
		}
	}
}
