package config_test

import (
	"os"
	"strings"
	"testing"

	"shvtools/internal/broker/config"
	"shvtools/internal/shv/chainpack"
)

// overlaid is a configuration of which calls change entries.
const overlaid = `---
access:
  users:
    boss: {password: !Plain hush-boss, roles: [su]}
    eva: {password: !Plain hush-eva, roles: [operator]}
    tom: {password: !Plain hush-tom, roles: [operator]}
  roles:
    su: {access: [{shvRI: "**:*", grant: su}]}
    operator: {access: [{shvRI: "**:*", grant: cmd}], allowed-ips: [127.0.0.0/8]}
    viewer: {access: [{shvRI: "**:*", grant: bws}]}
...
`

func (f *fixture) update(name string, fields ...chainpack.Entry) error {
	f.t.Helper()
	_, err := f.tables[users].Update(name, chainpack.Map(fields...))
	return err
}

func (f *fixture) renew(name, password string) {
	f.t.Helper()
	stored := chainpack.Map(chainpack.F("Plain", chainpack.String(password)))
	if err := f.update(name, chainpack.F("password", stored)); err != nil {
		f.t.Fatal(err)
	}
}

// rewrite replaces a text in the configuration and reloads.
func (f *fixture) rewrite(old, next string) *config.Config {
	f.t.Helper()
	data, err := os.ReadFile(f.file)
	if err != nil || !strings.Contains(string(data), old) {
		f.t.Fatalf("%q is not there: %v", old, err)
	}
	if err := os.WriteFile(f.file, []byte(strings.Replace(string(data), old, next, 1)), 0o600); err != nil {
		f.t.Fatal(err)
	}
	c, err := f.Reload(accept)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := f.Keep(); err != nil {
		f.t.Fatal(err)
	}
	return c
}

const evaLine = "    eva: {password: !Plain hush-eva, roles: [operator]}\n"

func TestWhatTheConfigurationTakesAwayNoCallKeeps(t *testing.T) {
	const local = "127.0.0.1"
	for _, tt := range []struct {
		name   string
		change func(f *fixture)
		old    string
		next   string
	}{
		{"a new password, and the user is deleted", func(f *fixture) { f.renew("eva", "pw-new-eva") }, evaLine, ""},
		{"a new password, and the user is deactivated", func(f *fixture) { f.renew("eva", "pw-new-eva") },
			evaLine, "    eva: {password: !Plain hush-eva, roles: [], deactivated: true}\n"},
		{"a new password, and the user expires", func(f *fixture) { f.renew("eva", "pw-new-eva") },
			evaLine, "    eva: {password: !Plain hush-eva, roles: [operator], expires: 2020-01-01}\n"},
		{"deactivated and activated, and the user is deleted", func(f *fixture) {
			for _, off := range []bool{true, false} {
				if err := f.update("eva", chainpack.F("deactivated", chainpack.Bool(off))); err != nil {
					f.t.Fatal(err)
				}
			}
			f.renew("eva", "pw-new-eva")
		}, evaLine, ""},
		{"another role, and the user is deleted", func(f *fixture) {
			if err := f.set(users, "eva", `{"roles":["su"],"password":{"Plain":"pw-new-eva"}}`); err != nil {
				f.t.Fatal(err)
			}
		}, evaLine, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixtureOf(t, overlaid)
			tt.change(f)
			if c := f.kept(); !letsIn(c, "eva", "pw-new-eva", local) {
				t.Fatal("eva is not let in before")
			}
			f.rewrite(tt.old, tt.next)
			for _, c := range []*config.Config{f.kept(), f.kept()} {
				if letsIn(c, "eva", "pw-new-eva", local) || letsIn(c, "eva", "hush-eva", local) {
					t.Error("eva is let in")
				}
			}
			if tt.next == "" { // what has ended does not come back with the name
				data, err := os.ReadFile(f.changes)
				if err != nil || strings.Contains(string(data), "eva") {
					t.Errorf("kept of eva: %v\n%s", err, data)
				}
			}
		})
	}
}

func TestANewPasswordKeepsNothingElse(t *testing.T) {
	f := newFixtureOf(t, overlaid)
	f.renew("eva", "pw-new-eva")
	data, err := os.ReadFile(f.changes)
	if err != nil || !strings.Contains(string(data), `  "eva": {"change":"overlay","password":{"Plain":"pw-new-eva"}}`) {
		t.Errorf("kept: %v\n%s", err, data)
	}
	f.rewrite("eva, roles: [operator]", "eva, roles: [viewer]")
	if got := f.value(users, "eva"); got != `{"roles":["viewer"]}` {
		t.Errorf("after a change of the configuration: %s", got)
	}
}

func TestAnOverrideThatEqualsTheConfigurationIsNone(t *testing.T) {
	f := newFixtureOf(t, overlaid)
	for _, off := range []bool{true, false} {
		if err := f.update("eva", chainpack.F("deactivated", chainpack.Bool(off))); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.set(users, "tom", "null"); err != nil {
		t.Fatal(err)
	}
	if err := f.set(users, "tom", `{"password":{"Plain":"hush-tom"},"roles":["operator"]}`); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(f.changes)
	if err != nil || strings.Contains(string(data), "users:") || !strings.HasSuffix(string(data), "\n...\n") {
		t.Errorf("kept: %v\n%s", err, data)
	}
}

func TestACallCannotLiftABoundOfTheConfiguration(t *testing.T) {
	f := newFixtureOf(t, strings.Replace(overlaid, evaLine,
		"    eva: {password: !Plain hush-eva, deactivated: true, expires: 2030-01-01, allowed-ips: [10.0.0.0/8]}\n", 1))
	for _, step := range []struct{ table, name, value, want string }{
		{users, "eva", `{"deactivated":false,"expires":"2030-01-01","allowed-ips":["10.0.0.0/8"]}`, "deactivated"},
		{users, "eva", `{"deactivated":true,"expires":"2031-01-01","allowed-ips":["10.0.0.0/8"]}`, "expires"},
		{users, "eva", `{"deactivated":true,"allowed-ips":["10.0.0.0/8"]}`, "expires"},
		{users, "eva", `{"deactivated":true,"expires":"2030-01-01"}`, "allowed-ips"},
		{users, "eva", `{"deactivated":true,"expires":"2030-01-01","allowed-ips":["0.0.0.0/0"]}`, "allowed-ips"},
		{users, "eva", `{"deactivated":true,"expires":"2030-01-01","allowed-ips":["10.1.0.0/16","11.0.0.0/8"]}`,
			"allowed-ips"},
		{users, "eva", `{"deactivated":true,"expires":"2030-01-01","allowed-ips":["::/0"]}`, "allowed-ips"},
		{roles, "operator", `{"access":[]}`, "allowed-ips"},
		{roles, "operator", `{"access":[],"allowed-ips":["0.0.0.0/0"]}`, "allowed-ips"},
	} {
		err := f.set(step.table, step.name, step.value)
		if err == nil || !strings.Contains(err.Error(), "the configuration says "+step.want) ||
			!strings.Contains(err.Error(), f.file+":") {
			t.Errorf("%s: %v", step.value, err)
		}
	}
	if f.applied != 0 {
		t.Error("something was put in force")
	}
	const more = `{"deactivated":true,"expires":"2029-01-01","allowed-ips":["10.1.0.0/16"]}`
	if err := f.set(users, "eva", more); err != nil {
		t.Errorf("what binds more: %v", err)
	}
}

// Addresses that the configuration takes away later, no call keeps.
func TestACallKeepsNoAddressThatTheConfigurationTakesAway(t *testing.T) {
	f := newFixtureOf(t, strings.Replace(overlaid, evaLine,
		"    eva: {password: !Plain hush-eva, roles: [operator], allowed-ips: [10.0.0.0/8]}\n", 1))
	if err := f.set(users, "eva", `{"roles":["operator"],"allowed-ips":["10.1.0.0/16","10.2.0.0/16"]}`); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ old, next, want string }{
		{"[10.0.0.0/8]", "[10.2.3.0/24]", `"10.2.3.0/24"`},
		{"[10.2.3.0/24]", "[192.168.0.0/16]", `"192.168.0.0/16"`}, // never a list of nothing, which is everything
		{"[192.168.0.0/16]", "[0.0.0.0/0]", `"10.1.0.0/16","10.2.0.0/16"`},
	} {
		f.rewrite(step.old, step.next)
		if got := f.value(users, "eva"); got != `{"allowed-ips":[`+step.want+`],"roles":["operator"]}` {
			t.Errorf("%s: %s", step.next, got)
		}
	}
}

func TestAConfigurationWithoutUsersIsWarnedOf(t *testing.T) {
	for text, want := range map[string]bool{
		"access: {}\n": true, "access: {users: {}, roles: {}}\n": true, overlaid: false,
	} {
		c := load(t, config.Sources{File: write(t, "shvbroker.yaml", text)})
		if got := strings.Contains(strings.Join(c.Warnings, "\n"), "nobody can log in"); got != want {
			t.Errorf("%q: %q", text, c.Warnings)
		}
	}
}

// A right that only a field of a role gives can be taken away by a call, and stays away.
func TestEachFieldOfARoleCanBeTakenAwayByACall(t *testing.T) {
	const full = "    full: {access: [{shvRI: '**:*', grant: cmd}], roles: [viewer], mount-points: [site/*], " +
		"mount-by-device-id: true, mount-inside: true, share: 7}\n"
	f := newFixtureOf(t, strings.Replace(overlaid, "    viewer:", full+"    viewer:", 1))
	if err := f.set(roles, "full", `{"access":[]}`); err != nil {
		t.Fatal(err)
	}
	if got := f.value(roles, "full"); got != `{"access":[],"roles":[]}` {
		t.Errorf("at once: %s", got)
	}
	got := f.kept().Access.Roles["full"]
	if got.MountInside || got.ByDeviceID || got.Share > 1 || len(got.Mounts)+len(got.Roles)+len(got.Rules) > 0 {
		t.Errorf("after a start: %+v", got)
	}
}

func TestTheLastUserWhoMayChangeRightsStays(t *testing.T) {
	f := newFixtureOf(t, overlaid)
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "nobody could change rights any more") {
			t.Errorf("%s: %v", what, err)
		}
	}
	off := chainpack.F("deactivated", chainpack.Bool(true))
	refused("removed", f.set(users, "boss", "null"))
	refused("deactivated", f.update("boss", off))
	refused("expired", f.set(users, "boss", `{"roles":["su"],"expires":"2020-01-01"}`))
	refused("expires one day", f.set(users, "boss", `{"roles":["su"],"expires":"2099-01-01"}`))
	refused("without the role", f.set(users, "boss", `{"roles":[]}`))
	refused("the role grants less", f.set(roles, "su", `{"access":[{"shvRI":"**:*","grant":"dev"}]}`))
	refused("the role is gone", f.set(roles, "su", "null"))
	refused("the role is gone, as SHV 2 has it", f.set(aclRules, "su", "null"))
	refused("from nowhere", f.set(roles, "su", `{"access":[{"shvRI":"**:*","grant":"su"}],"allowed-ips":[]}`))
	if f.applied != 0 || f.value(users, "boss") != `{"roles":["su"]}` {
		t.Error("something was put in force")
	}
	if err := f.set(users, "eva", `{"roles":["su"]}`); err != nil {
		t.Fatal(err)
	}
	if err := f.set(users, "boss", "null"); err != nil {
		t.Errorf("beside another one: %v", err)
	}
	refused("now the other one", f.set(users, "eva", "null"))
}

func TestEachShadowedEntryIsToldWithBothPlaces(t *testing.T) {
	f := newFixtureOf(t, overlaid)
	f.renew("eva", "pw-new-eva")
	for _, step := range [][3]string{
		{users, "tom", `{"roles":["viewer"]}`}, {roles, "viewer", "null"}, {users, "new", `{"password":{"Plain":"pw"}}`},
		{roles, "viewer", `{"access":[],"roles":["nowhere"]}`},
	} {
		if err := f.set(step[0], step[1], step[2]); err != nil {
			t.Fatal(err)
		}
	}
	c := f.rewrite("  roles:\n", "    new: {password: !Plain other, roles: [absent]}\n  roles:\n")
	told := strings.Join(c.Warnings, "\n")
	for _, want := range []string{
		f.changes + ":10:3: access.users.\"tom\": roles of tom of " + f.file + ":6: not used, " + f.changes + ":10 is",
		"passwords that calls have changed are used instead of those of the configuration: eva (" + f.changes + ":8, not " +
			f.file + ":5)",
		"access.users.\"new\": new of " + f.file + ":7 is not used, " + f.changes + ":9 is",
		"access.roles.\"viewer\": roles, access of viewer of " + f.file,
		"there is no role \"absent\"", // of the shadowed one
		"there is no role \"nowhere\"",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("not told: %s\nbut\n%s", want, told)
		}
	}
	if err := f.set(users, "tom", "null"); err != nil {
		t.Fatal(err)
	}
	if told := strings.Join(f.kept().Warnings, "\n"); !strings.Contains(told, "tom of "+f.file+":6 is not used, "+
		f.changes+":10 removes it") {
		t.Errorf("a removed one:\n%s", told)
	}
}

func TestEntriesOfOlderFilesAreKeptAndTold(t *testing.T) {
	f := newFixtureOf(t, overlaid)
	const older = "# Rights that were changed while shvbroker ran\nusers:\n" +
		"  \"gone\": {\"password\":{\"Plain\":\"pw-gone\"},\"roles\":[\"operator\"]}\n" +
		"  \"eva\": {\"password\":{\"Plain\":\"pw-new-eva\"},\"roles\":[\"operator\"]}\n" +
		"  \"tom\": null\n"
	if err := os.WriteFile(f.changes, []byte(older), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also once they are written anew
		c := f.rewrite("...\n", "...\n")
		told := strings.Join(c.Warnings, "\n")
		if !letsIn(c, "gone", "pw-gone", "") || !letsIn(c, "eva", "pw-new-eva", "127.0.0.1") ||
			letsIn(c, "tom", "hush-tom", "") {
			t.Error("the entries are not in force")
		}
		if !strings.Contains(told, "access.users.\"gone\": the configuration has no gone") {
			t.Errorf("not told:\n%s", told)
		}
	}
	f.rewrite(evaLine, "")
	if c := f.kept(); letsIn(c, "eva", "pw-new-eva", "127.0.0.1") || !letsIn(c, "gone", "pw-gone", "") {
		t.Error("eva was in the configuration, and outlives it")
	}
}

func TestAChangeSaysFromWhatToWhat(t *testing.T) {
	f := newFixtureOf(t, overlaid)
	value := func(text string) chainpack.Value {
		v := chainpack.Null()
		if text != "" {
			v = chainpack.Map(chainpack.F("roles", chainpack.List(chainpack.String(text))),
				chainpack.F("password", chainpack.Map(chainpack.F("Plain", chainpack.String("pw-secret")))))
		}
		return v
	}
	for _, tt := range []struct{ name, roles, want string }{
		{"eva", "viewer", `password changed; roles: ["operator"] -> ["viewer"]`},
		{"new", "viewer", `added: password changed; roles: null -> ["viewer"]`},
		{"new", "", `removed: password changed; roles: ["viewer"] -> null`},
	} {
		if got, err := f.tables[users].Set(tt.name, value(tt.roles)); err != nil || got != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}
