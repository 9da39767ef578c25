package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
)

const withAccounts = `accounts: accounts.yaml
access:
  users: {eva: {password: !Plain secret-of-eva}}
  roles: {devices: {access: [{shvRI: ".app:ping", grant: bws}]}}
`

const someAccounts = `---
users:
  "pump7": {certificates: ["cn:pump7"], roles: ["devices"], mount-points: ["site/pump7"]}
...
`

// accountsIn writes a configuration and its file of accounts, "" for none.
func accountsIn(t *testing.T, text, accounts string) config.Sources {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "shvbroker.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if accounts != "" {
		if err := os.WriteFile(filepath.Join(dir, "accounts.yaml"), []byte(accounts), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Sources{File: file}
}

func TestAccountsAreUsersBesideThoseOfTheConfiguration(t *testing.T) {
	for _, text := range []string{withAccounts, "accounts: accounts.yaml\n"} {
		c, err := config.Load(accountsIn(t, text, someAccounts))
		if err != nil {
			t.Fatal(err)
		}
		u := c.Directory.User("pump7")
		if u == nil || !u.MayMount([]byte("site/pump7")) || u.MayMount([]byte("site/pump8")) {
			t.Errorf("pump7: %+v", u)
		}
		if c.Development {
			t.Error("the development user may log in")
		}
		if own := c.OwnUser("pump7") + c.OwnUser("nobody"); own != "" {
			t.Errorf("pump7 is the configuration's own: %s", own)
		}
	}
	c, err := config.Load(accountsIn(t, withAccounts, someAccounts))
	if err != nil || !strings.HasSuffix(c.OwnUser("eva"), "shvbroker.yaml:3:11") {
		t.Errorf("eva: %s, %v", c.OwnUser("eva"), err)
	}
}

// Both at a start and at a reload: a file that says less than it did would keep devices out,
// and one that says more would let them in.
func TestAccountsThatCannotBeTrustedAreFaults(t *testing.T) {
	type fault struct{ text, accounts, want string }
	faults := []fault{
		{withAccounts, "", "shvbroker.yaml:1:11: accounts: "},
		{"accounts: ''\n", someAccounts, "accounts: empty"},
		{withAccounts, strings.Replace(someAccounts, "pump7", "eva", 1), `accounts.yaml:3:3: accounts.users."eva": ` +
			`the user is at `},
		{strings.Replace(withAccounts, "accounts: accounts.yaml\n", "", 1) + "accounts: accounts.yaml\n",
			strings.Replace(someAccounts, "pump7", "eva", 1), "the user is at "},
		{withAccounts, strings.Replace(someAccounts, "users", "roles", 1), "accounts.yaml:2:1: accounts.roles: unknown key"},
		{withAccounts, strings.Replace(someAccounts, "roles", "rolls", 1), `accounts.users."pump7".rolls: unknown key`},
		{withAccounts, strings.Replace(someAccounts, "{certificates", "{} #", 1), "no password"},
	}
	for end := range len(someAccounts) - 1 {
		faults = append(faults, fault{withAccounts, someAccounts[:end+1], "accounts.yaml"})
	}
	good := config.Sources{}
	for _, f := range faults[:len(faults)-1] {
		sources := accountsIn(t, f.text, f.accounts)
		_, err := config.Load(sources)
		if err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%q: %v, want %s", f.accounts, err, f.want)
		}
		good = sources
	}
	file := filepath.Join(filepath.Dir(good.File), "accounts.yaml")
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(someAccounts)
	c, err := config.Load(good)
	if err != nil {
		t.Fatal(err)
	}
	var inForce *auth.Directory
	rights := config.NewRights(good, c, func(*config.Config) error { return nil },
		func(d *auth.Directory) { inForce = d })
	for end := range len(someAccounts) - 1 {
		put(someAccounts[:end])
		if _, err := rights.Reload(func(*config.Config) error { return nil }); err == nil || inForce != nil {
			t.Fatalf("reloaded %q", someAccounts[:end])
		}
	}
	_ = os.Remove(file)
	if _, err := rights.Reload(func(*config.Config) error { return nil }); err == nil || inForce != nil {
		t.Fatal("reloaded without the file")
	}
}

// An editor that drops a key at a reload must not drop everybody whom it lets in, nor bring
// back what it limits.
func TestAReloadTakesNoKeyAwayThatLetsSomebodyIn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "shvbroker.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keys := map[string]string{
		"access":   "access: {users: {eva: {password: !Plain secret12}}}\n",
		"accounts": "accounts: accounts.yaml\n",
		"policies": "policies: {}\n",
	}
	write("accounts.yaml", someAccounts)
	all := keys["access"] + keys["accounts"] + keys["policies"]
	for key := range keys {
		write("shvbroker.yaml", all)
		sources := config.Sources{File: file}
		c, err := config.Load(sources)
		if err != nil {
			t.Fatal(err)
		}
		applied := false
		nothing := func(*config.Config) error { return nil }
		rights := config.NewRights(sources, c, nothing, func(*auth.Directory) { applied = true })
		write("shvbroker.yaml", strings.Replace(all, keys[key], "", 1))
		lost := file + ": " + key + ": the key was there"
		if _, err = rights.Reload(nothing); err == nil || applied || !strings.Contains(err.Error(), lost) {
			t.Errorf("%s is gone: %v, in force %v", key, err, applied)
		}
		write("shvbroker.yaml", all)
		if _, err = rights.Reload(nothing); err != nil || !applied {
			t.Errorf("with %s again: %v", key, err)
		}
	}
}
