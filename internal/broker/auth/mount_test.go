package auth_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// claimOf logs a user in beside a certificate and returns what it claims.
func claimOf(t *testing.T, d *auth.Directory, user string, shown []auth.CertName, id, path string) *auth.Claim {
	t.Helper()
	l, err := auth.NewStore(d).Check(nil, auth.Attempt{User: user, Password: "pw", Type: login.Plain, Certificate: shown,
		From: netip.MustParseAddr("::1"), Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return l.Claim(d, id, path)
}

// A variable stands for one literal name. What is not a name makes the pattern match nothing.
func TestVariablesOfMountPatternsNeverWiden(t *testing.T) {
	const (
		nothing = iota
		matched
		named
	)
	for _, tt := range []struct {
		pattern, user, cn, path string
		want                    int
	}{
		{"site/{user}", "pump7", "", "site/pump7", named},
		{"site/{user}", "pump7", "", "site/pump8", nothing},
		{"site/{user}", "pump7", "", "site/pump7/x", nothing},
		{"site/{user}", "pump7", "", "site/{user}", nothing},
		{"site/{user}/**", "pump7", "", "site/pump7/x/y", named},
		{"*/p-{user}-1", "7", "", "site/p-7-1", named},
		{"site/{cn}", "fleet", "pump7", "site/pump7", named},
		{"site/{cn}", "fleet", "pump7", "site/fleet", nothing},
		{"site/{cn}", "fleet", "", "site/", nothing},
		{"site/{cn}", "fleet", "", "site", nothing},
		{"{user}/{cn}", "fleet", "pump7", "fleet/pump7", named},
		{"site/{user}", "*", "", "site/pump7", nothing},
		{"site/{user}", "*", "", "site/*", nothing},
		{"site/{user}", "p?", "", "site/p7", nothing},
		{"site/{user}", "[a-z]", "", "site/a", nothing},
		{"site/{user}", `\a`, "", "site/a", nothing},
		{"site/{user}", "**", "", "site/a/b", nothing},
		{"site/{user}", "a/b", "", "site/a/b", nothing},
		{"site/{user}", "..", "", "site/..", nothing},
		{"site/{user}", "a\x1b", "", "site/a\x1b", nothing},
		{"site/{cn}", "fleet", "*", "site/pump7", nothing},
		{"site/{cn}", "fleet", "a/b", "site/a/b", nothing},
		{"site/{cn}", "fleet", ".", "site/.", nothing},
		{"site/{cn}", "fleet", "a\x00", "site/a\x00", nothing},
		{"site/{user}", "{cn}", "pump7", "site/pump7", nothing},
		{"site/{user}", "{cn}", "pump7", "site/{cn}", named},
		{`site/\{user}`, "pump7", "", "site/{user}", named},
		{`site/\{user}`, "pump7", "", "site/pump7", nothing},
		{"site/*", "pump7", "", "site/pump7", matched},
		{"site/pump7", "x", "", "site/pump7", named},
		{"**", "x", "", "site/pump7", matched},
		{"site/pump[7]", "x", "", "site/pump7", matched},
	} {
		d := auth.NewDirectory(&auth.User{Name: tt.user, Password: auth.PlainPassword("pw"),
			Mounts: []shvpath.Pattern{shvpath.MustPattern(tt.pattern)}})
		var shown []auth.CertName
		if tt.cn != "" {
			shown = []auth.CertName{"sha256:00", auth.CertName("cn:" + tt.cn), "dns:other"}
		}
		got := d.Standing(claimOf(t, d, tt.user, shown, "", tt.path))
		if got.May != (tt.want != nothing) || got.Named != (tt.want == named) {
			t.Errorf("%s of user %q, cn %q at %q: %+v", tt.pattern, tt.user, tt.cn, tt.path, got)
		}
	}
}

func TestUnknownVariablesOfMountPatternsAreFaults(t *testing.T) {
	for text, want := range map[string]string{
		"site/{user}": "", "site/{cn}/**": "", "{user}-{cn}/[a-z]": "", `site/\{user\}`: "", "site/a}": "",
		`site/\[{user}`: "[ ]",
		"site/{usr}":    `"site/{usr}"`, "site/{user": "{user}", "site/{x": "{x}", "site/{": "{user}",
		"site/{User}": "{user}", "site/{}": "{user}",
		"site/[{user}]": "[ ]", "site/{cn}[ab]": "[ ]", "site/{{user}}": "{user}", `site/\\{usr}`: "{user}",
	} {
		err := auth.CheckMountPattern(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestStandingByDeviceIDAndWithoutAUser(t *testing.T) {
	a := auth.Access{
		Users: map[string]auth.UserEntry{
			"fleet": {Password: auth.PlainPassword("pw"), ByDeviceID: true, Roles: []string{"guest"}},
			"eva":   {Password: auth.PlainPassword("pw")}},
		Roles:   map[string]auth.RoleEntry{"guest": {MountInside: true}},
		Devices: map[string]auth.DeviceEntry{"serial-7": {MountPoint: "site/pump7"}},
	}
	d := build(t, a)
	if c := claimOf(t, d, "fleet", nil, "serial-7", "x"); c.Path != "site/pump7" ||
		d.Standing(c) != (auth.Standing{May: true, Inside: true}) {
		t.Errorf("%+v, %+v", c, d.Standing(c))
	}
	for name, c := range map[string]*auth.Claim{
		"unknown id":     claimOf(t, d, "fleet", nil, "serial-8", "site/pump7"),
		"without a role": claimOf(t, d, "eva", nil, "serial-7", "/site//pump7/"),
		"unknown user":   {User: "nobody", Path: "site/pump7", DeviceID: "serial-7"},
		"another place":  {User: "fleet", Path: "site/pump8", DeviceID: "serial-7"},
	} {
		if d.Standing(c).May || c.Path == "" {
			t.Errorf("%s: %+v may", name, c)
		}
	}
}

func TestNamesThatAreNoNodesAreToldForPatternsOfUsers(t *testing.T) {
	patterns := func(text string) []shvpath.Pattern { return []shvpath.Pattern{shvpath.MustPattern(text)} }
	faults := auth.Access{
		Users: map[string]auth.UserEntry{"a/b": {Roles: []string{"up"}}, "..": {Mounts: patterns("x/{cn}")},
			"*": {Mounts: patterns("x/{user}")}, "ok": {Roles: []string{"up"}}},
		Roles: map[string]auth.RoleEntry{"up": {Roles: []string{"by-user"}}, "by-user": {Mounts: patterns("site/{user}")}},
	}.Nameless()
	if len(faults) != 2 || faults[0].Name != "*" || faults[1].Name != "a/b" {
		t.Errorf("%v", faults)
	}
}

// One device could lock all others of its user out.
func TestUsersThatMountDoNotChangeTheirPassword(t *testing.T) {
	mounts := []shvpath.Pattern{shvpath.MustPattern("site/*")}
	device := func(ri string, level rpc.Access) auth.User {
		return auth.User{Mounts: mounts, Rules: []auth.Rule{auth.MustRule(ri, level)}}
	}
	const node, call = ".broker/currentClient:*", ".broker/currentClient:changePassword"
	for name, tt := range map[string]struct {
		user auth.User
		may  bool
	}{
		"person":                     {auth.User{}, true},
		"device":                     {auth.User{Mounts: mounts}, false},
		"device by id":               {auth.User{ByDeviceID: true}, false},
		"device with su":             {device("**:*", rpc.AccessSuper), false},
		"device with rights at node": {device(node, rpc.AccessSuper), false},
		"device with the right":      {device(call, rpc.AccessWrite), true},
		"device with less than that": {device(call, rpc.AccessRead), false},
		"device without that at all": {device(call, rpc.AccessNone), false},
	} {
		if tt.user.MayChangePassword() != tt.may {
			t.Errorf("%s: %v", name, !tt.may)
		}
	}
}

// Whatever a user or a certificate is called, its variable matches that one name or nothing.
func FuzzVariablesNeverWiden(f *testing.F) {
	for _, seed := range [][3]string{{"site/{user}/{cn}", "pump7", "site/pump7/a"}, {"{cn}*", "*", "a"},
		{`\{user}/[a]`, "a/b", "{user}/a"}, {"{user", "{cn}", "x"}, {"**/{user}", "..", ".."}, {"{cn}/{user}", "[", `\`}} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, name, path string) {
		path = string(shvpath.Clean([]byte(path)))
		standing := func(p shvpath.Pattern) auth.Standing {
			return auth.NewDirectory(&auth.User{Name: name, Mounts: []shvpath.Pattern{p}}).
				Standing(&auth.Claim{User: name, CommonName: name, Path: path})
		}
		for _, one := range []string{"site/{user}", "site/{cn}"} {
			want := shvpath.CheckName(name) == nil && path == "site/"+name
			if got := standing(shvpath.MustPattern(one)); got != (auth.Standing{May: want, Named: want}) {
				t.Errorf("%s of %q at %q: %+v", one, name, path, got)
			}
		}
		p, err := shvpath.ParsePattern(pattern)
		if err == nil && auth.CheckMountPattern(p.String()) == nil {
			standing(p) // it must not panic
		}
	})
}
