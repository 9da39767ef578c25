package pki_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/config"
	"shvtools/internal/broker/pki"
	"shvtools/internal/shv/login"
	"shvtools/internal/sys/conf"
	"shvtools/internal/wire/transport"
)

// made returns a new directory of an authority.
func made(t *testing.T, names ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site")
	if names == nil {
		names = []string{"broker.example", "192.0.2.7"}
	}
	if _, err := pki.Init(dir, names); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string) *pki.Authority {
	t.Helper()
	a, err := pki.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func issue(t *testing.T, dir string, r pki.Request) pki.Issued {
	t.Helper()
	a := open(t, dir)
	defer a.Close()
	r.Scheme, r.Port = "ssl", "3756"
	issued, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func revoke(t *testing.T, dir, target string) {
	t.Helper()
	a := open(t, dir)
	defer a.Close()
	if _, err := a.Revoke(target); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, names ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(names...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func certificate(t *testing.T, names ...string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(read(t, names...)))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func list(t *testing.T, names ...string) *x509.RevocationList {
	t.Helper()
	block, _ := pem.Decode([]byte(read(t, names...)))
	crl, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return crl
}

// load reads the configuration of a directory as the broker does.
func load(t *testing.T, dir string) *config.Config {
	t.Helper()
	c, err := config.Load(config.Sources{File: pki.ConfigFile(dir)})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %q", c.Warnings)
	}
	return c
}

// tree returns all files below a directory with their modes and texts.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		if !d.IsDir() {
			text = read(t, path)
		}
		name, _ := filepath.Rel(dir, path)
		all[name] = info.Mode().String() + " " + text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCertificatesOfEachKindAreGoodForThatAlone(t *testing.T) {
	dir := made(t)
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump7"})
	issue(t, dir, pki.Request{Kind: pki.User, Name: "eva"})
	ca := certificate(t, dir, "ca", "ca.pem")
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	now := time.Now()
	if !ca.IsCA || ca.MaxPathLen != 0 || !ca.MaxPathLenZero || ca.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign ||
		!ca.NotBefore.Equal(time.Unix(0, 0)) || ca.NotAfter.Before(now.AddDate(9, 11, 0)) {
		t.Errorf("the authority: %+v", ca)
	}
	const server, client = x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	serials := make(map[string]bool)
	for _, tt := range []struct {
		file        string
		usage, not  x509.ExtKeyUsage
		name, unit  string
		from, until time.Time
	}{
		{"broker/broker.pem", server, client, "broker.example", "broker", time.Unix(0, 0), now.AddDate(0, 0, 825)},
		{"devices/pump7/device.pem", client, server, "pump7", "device", now.Add(-time.Hour), ca.NotAfter},
		{"users/eva/user.pem", client, server, "eva", "user", now.Add(-time.Hour), now.AddDate(0, 0, 825)},
	} {
		cert := certificate(t, dir, tt.file)
		for _, usage := range []x509.ExtKeyUsage{tt.usage, tt.not} {
			_, err := cert.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}})
			if (err == nil) != (usage == tt.usage) {
				t.Errorf("%s: usage %v: %v", tt.file, usage, err)
			}
		}
		near := func(a, b time.Time) bool { return a.Sub(b).Abs() < time.Minute }
		key, ok := cert.PublicKey.(*ecdsa.PublicKey)
		if !ok || key.Curve != elliptic.P256() || cert.IsCA || cert.KeyUsage != x509.KeyUsageDigitalSignature ||
			cert.Subject.CommonName != tt.name || cert.Subject.OrganizationalUnit[0] != tt.unit ||
			!near(cert.NotBefore, tt.from) || !near(cert.NotAfter, tt.until) {
			t.Errorf("%s: %s, %s to %s, %v", tt.file, cert.Subject, cert.NotBefore, cert.NotAfter, cert.KeyUsage)
		}
		if bits := cert.SerialNumber.BitLen(); bits <= 120 || bits > 128 {
			t.Errorf("%s: a serial number of %d bits", tt.file, bits)
		}
		serials[cert.SerialNumber.String()] = true
		if kept := fmt.Sprintf("%032x.pem", cert.SerialNumber); read(t, dir, "ca", "issued", kept) != read(t, dir, tt.file) {
			t.Errorf("%s is not among the issued ones", tt.file)
		}
	}
	if len(serials) != 3 {
		t.Error("a serial number twice")
	}
	broker := certificate(t, dir, "broker", "broker.pem")
	for _, host := range []string{"broker.example", "192.0.2.7", "localhost", "127.0.0.1", "::1"} {
		// A device without a battery starts in 1970, and must be able to connect.
		for _, clock := range []time.Time{now, time.Unix(1, 0)} {
			if _, err := broker.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: clock}); err != nil {
				t.Errorf("%s in %d: %v", host, clock.Year(), err)
			}
		}
	}
	crl := list(t, dir, "broker", "crl.pem")
	if err := crl.CheckSignatureFrom(ca); err != nil || !crl.NextUpdate.Equal(ca.NotAfter) ||
		len(crl.RevokedCertificateEntries) != 0 || crl.Number.Int64() != 1 {
		t.Errorf("the first list: %v, %+v", err, crl)
	}
}

func TestOnlyTheOwnerReadsKeysAndPasswords(t *testing.T) {
	dir := made(t)
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump7"})
	issue(t, dir, pki.Request{Kind: pki.User, Name: "eva"})
	for name, entry := range tree(t, dir) {
		mode, text, _ := strings.Cut(entry, " ")
		secret := strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "$argon2id$")
		want := "-rw-r--r--"
		switch {
		case mode[0] == 'd':
			want = "drwx------"
		case secret:
			want = "-rw-------"
		}
		if mode != want {
			t.Errorf("%s: %s, want %s", name, mode, want)
		}
		whole := conf.Marked([]byte(text)) && conf.Cut([]byte(text)) == nil
		if filepath.Ext(name) == ".yaml" && !whole {
			t.Errorf("%s could be cut off unseen:\n%s", name, text)
		}
		for line := range strings.Lines(text) {
			if len(line) > 121 && !strings.Contains(line, "$argon2id$") {
				t.Errorf("%s: a long line: %s", name, line)
			}
		}
	}
}

func TestInitNeverTouchesWhatExists(t *testing.T) {
	parent := t.TempDir()
	full := filepath.Join(parent, "full")
	if err := os.MkdirAll(full, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(full, "mine"), filepath.Join(parent, "file")} {
		if err := os.WriteFile(name, []byte("mine\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, parent)
	for _, name := range []string{"full", "file", "file/below", "none/below"} {
		if _, err := pki.Init(filepath.Join(parent, name), []string{"h"}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if after := tree(t, parent); len(after) != len(before) || after["full/mine"] != before["full/mine"] {
		t.Errorf("files were changed: %q", after)
	}
	empty, link := filepath.Join(parent, "empty"), filepath.Join(parent, "link")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(empty, link); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.Init(link, []string{"h"}); err != nil {
		t.Errorf("an empty directory: %v", err)
	}
	load(t, empty)
	if _, err := pki.Init(empty, []string{"h"}); err == nil {
		t.Error("a second authority in the same place")
	}
}

func TestNamesThatCannotBeOnes(t *testing.T) {
	dir := made(t)
	long := strings.Repeat("a", 65)
	for _, name := range []string{"", ".", "..", "-x", ".x", "a/b", "a b", "a\nb", "a:b", "*", "ä", "{cn}", `"`, long,
		strings.Repeat("ab", 16)} {
		if pki.CheckName(name) == nil {
			t.Errorf("%q is a name", name)
		}
		a := open(t, dir)
		if _, err := a.Issue(pki.Request{Kind: pki.Device, Name: name}); err == nil {
			t.Errorf("%q has a certificate", name)
		}
		a.Close()
	}
	for _, hosts := range [][]string{nil, {""}, {"a b"}, {"a..b"}, {"*.example"}, {"h", "-x"}, {"https://h"}, {"h:3756"},
		{"0.0.0.0"}, {"::"}, {"fe80::1%eth0"}, {long + ".example"}} {
		if _, err := pki.Init(filepath.Join(t.TempDir(), "d"), hosts); err == nil {
			t.Errorf("%q are names of a broker", hosts)
		}
	}
	for _, mount := range []string{"/site/x", "site/", "site//x", "site/*", "site/..", ".broker/x", "site/x y", "**",
		strings.Repeat("a/", 32) + "a"} {
		a := open(t, dir)
		if _, err := a.Issue(pki.Request{Kind: pki.Device, Name: "x", Mount: mount}); err == nil {
			t.Errorf("%q is a mount point", mount)
		}
		a.Close()
	}
	if certs := tree(t, filepath.Join(dir, "ca", "issued")); len(certs) != 2 {
		t.Errorf("certificates were issued: %q", certs)
	}
}

func TestEachDeviceIsOneUserWithOnePlace(t *testing.T) {
	dir := made(t)
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump7"})
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump8", Mount: "plant/hall/8"})
	issue(t, dir, pki.Request{Kind: pki.User, Name: "eva"})
	issue(t, dir, pki.Request{Kind: pki.User, Name: "007", Role: "admin"}) // in YAML a number, unless it is quoted
	users := load(t, dir).Directory
	for name, want := range map[string]string{
		"pump7": "[devices] [site/pump7] site/**:cmd=", "pump8": "[devices] [plant/hall/8] site/**:cmd=",
		"eva": "[operator] [] site/**:cmd=cmd", "007": "[admin] [] site/**:cmd=su", "admin": "[admin] [] site/**:cmd=su",
	} {
		u := users.User(name)
		if u == nil {
			t.Errorf("no user %s", name)
			continue
		}
		got := fmt.Sprint(u.Roles, " ", u.Mounts, " site/**:cmd=", u.Level([]byte("site/pump7"), []byte("cmd")))
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if u.ByDeviceID {
			t.Errorf("%s may mount by a device id", name)
		}
	}
	a := open(t, dir)
	defer a.Close()
	for want, r := range map[string]pki.Request{
		"site/pump7 is the place of the device \"pump7\"": {Kind: pki.Device, Name: "thief", Mount: "site/pump7"},
		"site/pump7/x and site/pump7, the place of":       {Kind: pki.Device, Name: "in", Mount: "site/pump7/x"},
		"plant/hall and plant/hall/8, the place of":       {Kind: pki.Device, Name: "out", Mount: "plant/hall"},
		"\"pump7\" is a device already":                   {Kind: pki.User, Name: "pump7"},
		"\"eva\" is a user already":                       {Kind: pki.Device, Name: "eva"},
		"invalid role \"a b\"":                            {Kind: pki.User, Name: "bob", Role: "a b"},
	} {
		if _, err := a.Issue(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", r, err, want)
		}
	}
}

func TestRenewalKeepsAccountPlaceAndFilesOfPeople(t *testing.T) {
	dir := made(t)
	first := issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump7", Mount: "plant/7"})
	issue(t, dir, pki.Request{Kind: pki.User, Name: "eva", Role: "auditor"})
	accounts := read(t, dir, "broker", "accounts.yaml")
	yaml := filepath.Join(first.Dir, "shvagent.yaml")
	if err := os.WriteFile(yaml, []byte("connection: {mount: mine}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump7"})
	issue(t, dir, pki.Request{Kind: pki.User, Name: "eva"})
	if got := read(t, dir, "broker", "accounts.yaml"); got != accounts {
		t.Errorf("the accounts have changed:\n%s", got)
	}
	if read(t, yaml) != "connection: {mount: mine}\n" || second.Kept != yaml || second.Mount != "plant/7" {
		t.Errorf("renewed: %+v", second)
	}
	if second.Serial == first.Serial || len(second.Before) != 1 || second.Before[0].Serial != first.Serial {
		t.Errorf("the one before: %+v", second.Before)
	}
	if got := fmt.Sprintf("%032x", certificate(t, first.Dir, "device.pem").SerialNumber); got != second.Serial {
		t.Errorf("the device is handed %s", got)
	}
	// The one before can be revoked without the new one.
	revoke(t, dir, first.Serial)
	if got := read(t, dir, "broker", "accounts.yaml"); got != accounts {
		t.Errorf("the account ended with the old certificate:\n%s", got)
	}

	old := certificate(t, dir, "broker", "broker.pem")
	issue(t, dir, pki.Request{Kind: pki.Broker})
	renewed := certificate(t, dir, "broker", "broker.pem")
	if !slices.Equal(old.DNSNames, renewed.DNSNames) || len(old.IPAddresses) != len(renewed.IPAddresses) ||
		old.Subject.String() != renewed.Subject.String() || old.SerialNumber.Cmp(renewed.SerialNumber) == 0 {
		t.Errorf("the broker: %v %v, renewed %v %v", old.DNSNames, old.IPAddresses, renewed.DNSNames, renewed.IPAddresses)
	}
	issue(t, dir, pki.Request{Kind: pki.Broker, Names: []string{"new.example"}})
	names := certificate(t, dir, "broker", "broker.pem").DNSNames
	if !slices.Equal(names, []string{"new.example", "localhost"}) {
		t.Errorf("new names: %q", names)
	}
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump9"})
	if text := read(t, dir, "devices", "pump9", "shvagent.yaml"); !strings.Contains(text, "ssl://new.example:3756?") {
		t.Errorf("the next device is sent elsewhere:\n%s", text)
	}
}

func TestRevocationsAddUpAndEndAccounts(t *testing.T) {
	dir := made(t)
	for _, name := range []string{"a", "b", "c"} {
		issue(t, dir, pki.Request{Kind: pki.Device, Name: name})
	}
	twice := issue(t, dir, pki.Request{Kind: pki.Device, Name: "a"})
	revoke(t, dir, "a") // both
	revoke(t, dir, "a") // again, as after a crash
	c := certificate(t, dir, "devices", "c", "device.pem")
	colons := strings.ToUpper(fmt.Sprintf("%032x", c.SerialNumber))
	for i := len(colons) - 2; i > 0; i -= 2 {
		colons = colons[:i] + ":" + colons[i:] // as openssl prints it
	}
	revoke(t, dir, colons)
	crl := list(t, dir, "broker", "crl.pem")
	if len(crl.RevokedCertificateEntries) != 3 || crl.Number.Int64() != 3 {
		t.Errorf("list %d of %d", crl.Number, len(crl.RevokedCertificateEntries))
	}
	if users := load(t, dir).Access.Users; len(users) != 2 { // admin and b
		t.Errorf("accounts: %v", users)
	}
	// The next certificate of the name is another one.
	again := issue(t, dir, pki.Request{Kind: pki.Device, Name: "a"})
	if again.Serial == twice.Serial || len(again.Before) != 0 || load(t, dir).Directory.User("a") == nil {
		t.Errorf("again: %+v", again)
	}
	a := open(t, dir)
	defer a.Close()
	for _, target := range []string{"", "nobody", strings.Repeat("0", 32), "broker.example"} {
		if _, err := a.Revoke(target); err == nil {
			t.Errorf("%q was revoked", target)
		}
	}
}

// The name of a device may become that of a user later.
func TestRevokingAnOldCertificateSparesTheAccountOfAnother(t *testing.T) {
	dir := made(t)
	device := issue(t, dir, pki.Request{Kind: pki.Device, Name: "x"})
	revoke(t, dir, "x")
	issue(t, dir, pki.Request{Kind: pki.User, Name: "x"})
	revoke(t, dir, device.Serial)
	if load(t, dir).Directory.User("x") == nil {
		t.Error("the account of the user ended")
	}
}

// A device whose account was removed by hand keeps its certificate. A user of its name must not be it.
func TestTheCertificateOfADeviceNeverBecomesThatOfAUser(t *testing.T) {
	dir := made(t)
	fresh := read(t, dir, "broker", "accounts.yaml")
	device := issue(t, dir, pki.Request{Kind: pki.Device, Name: "x"})
	if err := os.WriteFile(filepath.Join(dir, "broker", "accounts.yaml"), []byte(fresh), 0o600); err != nil {
		t.Fatal(err)
	}
	a := open(t, dir)
	_, err := a.Issue(pki.Request{Kind: pki.User, Name: "x", Role: "admin"})
	a.Close()
	if err == nil || !strings.Contains(err.Error(), device.Serial) {
		t.Errorf("the user has the certificate of the device: %v", err)
	}
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "x"}) // its account comes back
	revoke(t, dir, "x")
	issue(t, dir, pki.Request{Kind: pki.User, Name: "x", Role: "admin"})
}

// A list from a backup must not replace the broker's: what was revoked since would be let in.
func TestAListFromABackupDoesNotReplaceTheBrokers(t *testing.T) {
	dir := made(t)
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "lost"})
	old := read(t, dir, "ca", "crl.pem")
	revoke(t, dir, "lost")
	latest := read(t, dir, "ca", "crl.pem")
	if err := os.WriteFile(filepath.Join(dir, "ca", "crl.pem"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := pki.Open(t.Context(), dir)
	if err == nil {
		_, err = a.Issue(pki.Request{Kind: pki.Device, Name: "other"})
		a.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "is older than the broker's copy") {
		t.Errorf("the older list was taken: %v", err)
	}
	if read(t, dir, "broker", "crl.pem") != latest {
		t.Error("the broker's list was replaced")
	}
	if err := os.WriteFile(filepath.Join(dir, "ca", "crl.pem"), []byte(latest), 0o600); err != nil {
		t.Fatal(err)
	}
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "other"}) // and the authority is not locked
}

// What is damaged must never lead to a list that forgets, or to accounts that are lost.
func TestDamagedFilesAreNotWrittenOver(t *testing.T) {
	dir := made(t)
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump7"})
	revoke(t, dir, "pump7")
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump8"})
	other := made(t)
	serial := fmt.Sprintf("%032x.pem", certificate(t, dir, "devices", "pump8", "device.pem").SerialNumber)
	for _, name := range []string{"ca/ca.key", "ca/ca.pem", "ca/crl.pem", "broker/accounts.yaml", "broker/broker.pem",
		"ca/issued/" + serial} {
		path := filepath.Join(dir, name)
		good := read(t, path)
		damages := []string{"", good[:len(good)/2], "x\n"}
		if strings.HasPrefix(name, "ca/") && !strings.Contains(name, "issued") {
			damages = append(damages, read(t, other, name)) // of another authority
		}
		for i, bad := range append(damages, "missing") {
			if bad == "missing" {
				if strings.Contains(name, "issued") {
					continue
				}
				_ = os.Remove(path)
			} else if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			a, err := pki.Open(t.Context(), dir)
			if err == nil {
				_, err = a.Issue(pki.Request{Kind: pki.Device, Name: "pump8"})
				a.Close()
			}
			if err == nil || !strings.Contains(err.Error(), filepath.Base(name)) {
				t.Errorf("%s, damage %d: %v", name, i, err)
			}
			for file, text := range tree(t, dir) {
				if before[file] != text {
					t.Errorf("%s, damage %d: %s was changed", name, i, file)
				}
			}
		}
		if err := os.WriteFile(path, []byte(good), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	revoke(t, dir, "pump8")
}

// A copy of the list that went wrong at the broker's side is mended by the next command.
func TestTheBrokersCopiesFollowTheAuthority(t *testing.T) {
	dir := made(t)
	issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump7"})
	old := read(t, dir, "broker", "crl.pem")
	revoke(t, dir, "pump7")
	for _, next := range []func(){
		func() { revoke(t, dir, "pump7") },
		func() { issue(t, dir, pki.Request{Kind: pki.Device, Name: "pump8"}) },
		func() { issue(t, dir, pki.Request{Kind: pki.Broker}) },
	} {
		if err := os.WriteFile(filepath.Join(dir, "broker", "crl.pem"), []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
		next()
		if read(t, dir, "broker", "crl.pem") != read(t, dir, "ca", "crl.pem") {
			t.Error("the broker has an old list")
		}
	}
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	dir := made(t)
	const many = 8
	var all sync.WaitGroup
	for i := range many {
		all.Go(func() {
			a, err := pki.Open(context.Background(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer a.Close()
			name := fmt.Sprintf("d%d", i)
			if _, err := a.Issue(pki.Request{Kind: pki.Device, Name: name, Scheme: "ssl"}); err != nil {
				t.Error(err)
			}
			if i%2 == 1 {
				if _, err := a.Revoke(name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if users := load(t, dir).Access.Users; len(users) != 1+many/2 {
		t.Errorf("accounts: %v", users)
	}
	if crl := list(t, dir, "broker", "crl.pem"); len(crl.RevokedCertificateEntries) != many/2 {
		t.Errorf("%d revoked", len(crl.RevokedCertificateEntries))
	}
	a := open(t, dir)
	defer a.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pki.Open(ctx, dir); err == nil || !strings.Contains(err.Error(), "another program uses the authority") {
		t.Errorf("while it is in use: %v", err)
	}
}

func TestTheFirstPasswordIsTheAdministrators(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	made, err := pki.Init(dir, []string{"h"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(fmt.Sprint(tree(t, dir)), made.Password) {
		t.Error("the password is stored")
	}
	store := auth.NewStore(load(t, dir).Directory)
	for password, want := range map[string]bool{made.Password: true, "admin": false} {
		attempt := auth.Attempt{Type: login.Plain, User: made.User, Password: password, Now: time.Now()}
		if _, err := store.Check(t.Context().Done(), attempt); (err == nil) != want {
			t.Errorf("a login: %v, want %v", err, want)
		}
	}
	if len(made.Password) < 20 || made.User != "admin" {
		t.Errorf("%+v", made)
	}
}

func FuzzNamesMakeAccountsThatTheBrokerReads(f *testing.F) {
	for _, seed := range []string{"pump7", "true", "null", "1e3", "0x1", "a.b", "a-", "~", "..",
		"é", "<<", "=", "-", "y"} {
		f.Add(seed)
	}
	dir := filepath.Join(f.TempDir(), "site")
	if _, err := pki.Init(dir, []string{"h"}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if pki.CheckName(name) != nil || name == "admin" {
			return
		}
		issue(t, dir, pki.Request{Kind: pki.Device, Name: name})
		if u := load(t, dir).Directory.User(name); u == nil || !u.MayMount([]byte("site/"+name)) {
			t.Errorf("%q: %+v", name, u)
		}
		revoke(t, dir, name)
	})
}

// It is valid since 1970, so a tenth of that time would be years.
func TestTheBrokersCertificateIsWarnedOfWhenItEndsSoon(t *testing.T) {
	dir := made(t)
	c := load(t, dir)
	u, err := c.Listen[0].Parsed()
	if err != nil {
		t.Fatal(err)
	}
	files := transport.ListenOptions{CertFile: c.Listen[0].Cert, KeyFile: c.Listen[0].Key}
	for days, want := range map[int]int{0: 0, 760: 0, 770: 1} {
		notices, err := transport.CheckListen(u, files, time.Now().AddDate(0, 0, days))
		if err != nil || len(notices) != want {
			t.Errorf("after %d days: %v, %v", days, notices, err)
		}
	}
}
