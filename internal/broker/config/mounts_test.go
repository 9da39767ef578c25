package config_test

import (
	"fmt"
	"strings"
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
)

// What would keep a device out, or let it be something else, is a fault of the file.
func TestMountPointsThatAreNoneAreFaults(t *testing.T) {
	const want = `(want a path such as site/pump7)`
	places := map[string]string{
		"role":    "access: {roles: {r: {mount-points: [%q]}}}\n",
		"user":    "access: {users: {u: {password: !Plain x, mount-points: [%q]}}}\n",
		"device":  "access: {mounts: {d: {mountPoint: %q}}}\n",
		"short":   "access: {mounts: {d: %q}}\n",
		"above":   "connections: [{enabled: true, client: {url: h, mount: %q}}]\n",
		"policy":  "access: {roles: {r: {}}}\npolicies: {r: {allowed_mounts: [%q]}}\n",
		"pattern": "access: {roles: {r: {mount-points: [%q]}}}\n",
	}
	for _, tt := range []struct {
		text   string
		places []string
		want   string
	}{
		{"site/..", []string{"role", "user", "device", "short", "above"}, want},
		{"./site", []string{"role", "user", "device", "short", "above"}, want},
		{"site/a\x1b[2J", []string{"role", "device", "above"}, "a control character"},
		{"site/{user}", []string{"device", "short"}, "only mount-points have {user} and {cn}"},
		{"site/a\u202eb", []string{"role", "device", "above"}, want},
		{".broker/x", []string{"role", "device", "above"}, want},
		{strings.Repeat("x/", 40) + "x", []string{"role", "device", "above"}, want},
		{"site/*", []string{"device", "short", "above"}, want},
		{"site/{usr}", []string{"pattern", "user", "policy"}, "no variable {usr} (want {user} or {cn}"},
		{"site/{user", []string{"pattern", "policy"}, "no variable {user} (want"},
		{"site/[{cn}]", []string{"pattern"}, "[ ]"},
	} {
		for _, place := range tt.places {
			_, err := config.Load(config.Sources{File: write(t, "f", fmt.Sprintf(places[place], tt.text))})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "f:") {
				t.Errorf("%s %q: %v", place, tt.text, err)
			}
		}
	}
}

func TestCallsMakeNoMountPointThatIsNone(t *testing.T) {
	f := newFixture(t, "")
	for table, value := range map[string]string{
		".broker/access/mounts":  `{"mountPoint":"plant/../x"}`,
		".broker/etc/acl/mounts": `"plant/*"`,
		".broker/access/roles":   `{"mount-points":["site/{usr}"]}`,
	} {
		if err := f.set(table, "serial-8", value); err == nil || f.value(table, "serial-8") != "none" {
			t.Errorf("%s takes %s: %v", table, value, err)
		}
	}
	if err := f.set(".broker/access/roles", "fleet", `{"mount-points":["site/{user}"],"mount-inside":true}`); err != nil {
		t.Fatal(err)
	}
	if got := f.value(".broker/access/roles", "fleet"); !strings.Contains(got, `"mount-inside":true`) ||
		!strings.Contains(got, `"site/{user}"`) {
		t.Errorf("stored: %s", got)
	}
	if role := f.kept().Access.Roles["fleet"]; !role.MountInside || len(role.Mounts) != 1 {
		t.Errorf("kept: %+v", role)
	}
}

func TestMountKeysAreRead(t *testing.T) {
	c := load(t, config.Sources{File: write(t, "f", `takeover: refuse-alive
access:
  users:
    pump7: {password: !Plain x, roles: [device]}
    "pump/8": {password: !Plain x, roles: [device]}
    eva: {password: !Plain x, roles: [visitor]}
  roles:
    device: {mount-points: ["site/{user}", 'other/\{user}', "site/{cn}/**"]}
    visitor: {mount-inside: true}
    tester: {}
policies: {tester: {allowed_mounts: ["test/{user}"]}}
`)})
	if !c.RefuseTakeover {
		t.Error("takeover is not read")
	}
	for path, want := range map[string]auth.Standing{
		"site/pump7":    {May: true, Named: true},
		"other/{user}":  {May: true, Named: true},
		"site/pump8":    {},
		"site/cert/a/b": {May: true, Named: true},
	} {
		if got := c.Directory.Standing(&auth.Claim{User: "pump7", CommonName: "cert", Path: path}); got != want {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := c.Directory.Standing(&auth.Claim{User: "eva", Path: "x"}); got != (auth.Standing{Inside: true}) {
		t.Errorf("eva: %+v", got)
	}
	if got := strings.Join(c.Warnings, "\n"); strings.Contains(got, "pump7") ||
		!strings.Contains(got, `:5:5: access.users."pump/8": mount-points "site/{user}"`) {
		t.Errorf("warnings: %s", got)
	}
	var b strings.Builder
	if err := c.Print(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`refuse-alive`, `"mount-inside":true`, `"site/{user}"`} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %s in %s", line, b.String())
		}
	}
	if c := load(t, config.Sources{File: write(t, "f", "access: {users: {}}\n")}); c.RefuseTakeover {
		t.Error("take-overs are refused by default")
	}
}

// Devices whose place is by their certificate can never mount where nobody shows one.
func TestPlacesByCertificateWantAListenerThatVerifiesThem(t *testing.T) {
	const tls = "url: 'ssl://[::]', cert: a, key: b"
	for _, tt := range []struct {
		listen, pattern string
		warned          bool
	}{
		{"", "site/{cn}", true},
		{"listen: [{" + tls + "}]\n", "site/{cn}", true},
		{"listen: [{" + tls + "}, {url: 'tcp://127.0.0.1:1', client-ca: c}]\n", "site/{cn}", true},
		{"listen: [{url: 'tcp://127.0.0.1:1'}, {" + tls + ", client-ca: c}]\n", "site/{cn}", false},
		{"listen: [{url: 'ssl://[::]?client-ca=/c', cert: a, key: b}]\n", "site/{cn}", false},
		{"", "{user}/x-{cn}/**", true},
		{"", "site/{user}", false},
		{"", `site/\{cn}`, false},
	} {
		for _, entry := range []string{
			"access: {roles: {d: {mount-points: ['%s']}}}\n",
			"access: {users: {d: {password: !Plain x, mount-points: ['%s']}}}\n",
			"access: {roles: {d: {}}}\npolicies: {d: {allowed_mounts: ['%s']}}\n",
		} {
			c, err := config.Load(config.Sources{File: write(t, "f", tt.listen+fmt.Sprintf(entry, tt.pattern))})
			if err != nil {
				if tt.listen == "" || !strings.Contains(tt.listen, "tcp://127.0.0.1:1', client-ca") {
					t.Errorf("%s%s: %v", tt.listen, entry, err)
				}
				continue
			}
			got := strings.Join(c.Warnings, "\n")
			if (strings.Count(got, "want client-ca in an entry of listen") == 1) != tt.warned {
				t.Errorf("%s%s %s: warned %q, want %v", tt.listen, entry, tt.pattern, got, tt.warned)
			}
		}
	}
}
