package transport

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"shvtools/internal/test/certtest"
)

// met reports whether a client at u is served. Over TLS 1.3 a client learns only from its first
// read that its certificate was rejected.
func met(t *testing.T, u URL) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := Dial(ctx, u, time.Minute)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

// reload reads the files of a listener again and puts them in force.
func reload(l *Listener, o ListenOptions) error {
	use, err := l.Reload(l.URL(), o)
	if err == nil {
		use()
	}
	return err
}

func wantMet(t *testing.T, name string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

func TestCertificatesOfClientsAreVerified(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a, strange := certtest.NewAuthority(t, dir, "ca"), certtest.NewAuthority(t, dir, "strange")
	broker, eva := a.Issue(t, "broker", 2, later), a.Issue(t, "eva", 3, later)
	lost, old := a.Issue(t, "lost", 4, later), a.Issue(t, "old", 5, time.Now().Add(-time.Hour))
	other := strange.Issue(t, "other", 6, later)
	forged := certtest.NewAuthority(t, t.TempDir(), "ca").Issue(t, "eva", 3, later)
	crl := dir + "/crl.pem"
	a.Revoke(t, crl, later, 4)
	files := ListenOptions{CertFile: broker.Cert, KeyFile: broker.Key}
	l := listen(t, "ssl://127.0.0.1:0?require-client-cert=true&client-ca="+a.CA+"&crl="+crl, files)
	echo(t, l, NewSlots(1))
	try := func(f certtest.Files) error {
		u := URL{Scheme: SSL, Host: "127.0.0.1", CA: a.CA, Cert: f.Cert, Key: f.Key}
		_, u.Port, _ = net.SplitHostPort(l.Addr().String())
		return met(t, u)
	}
	wantMet(t, "good", try(eva), "")
	wantMet(t, "none", try(certtest.Files{}), "certificate required")
	wantMet(t, "revoked", try(lost), "bad certificate")
	wantMet(t, "expired", try(old), "expired")
	wantMet(t, "another authority's", try(other), "unknown certificate authority")
	wantMet(t, "another authority's of the same name", try(forged), "tls: ")

	a.Revoke(t, crl, time.Now().Add(-time.Minute))
	wantMet(t, "reload of an expired list", reload(l, files), "expired on")
	wantMet(t, "revoked, by the list before", try(lost), "bad certificate")
	a.Revoke(t, crl, later, 3)
	if err := reload(l, files); err != nil {
		t.Fatal(err)
	}
	wantMet(t, "revoked by the new list", try(eva), "bad certificate")
	wantMet(t, "not revoked any more", try(lost), "")
}

// An outdated list rejects every certificate of its authority, no other client, and is reported.
func TestOutdatedListsRefuseCertificates(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a := certtest.NewAuthority(t, dir, "ca")
	broker, eva := a.Issue(t, "broker", 2, later), a.Issue(t, "eva", 3, later)
	crl := dir + "/crl.pem"
	a.Revoke(t, crl, time.Now().Add(-time.Minute))
	files := ListenOptions{CertFile: broker.Cert, KeyFile: broker.Key}
	l := listenLater(t, "ssl://127.0.0.1:0?client-ca="+a.CA+"&crl="+crl, files)
	echo(t, l, NewSlots(1))
	u := l.URL()
	u.CA, u.CRL = a.CA, ""
	wantMet(t, "without a certificate", met(t, u), "")
	u.Cert, u.Key = eva.Cert, eva.Key
	wantMet(t, "with one", met(t, u), "bad certificate")
	if got := strings.Join(l.Notices(time.Now()), "\n"); !strings.Contains(got, crl) ||
		!strings.Contains(got, "outdated") {
		t.Errorf("notices: %s", got)
	}
	a.Revoke(t, crl, later)
	if err := reload(l, files); err != nil {
		t.Fatal(err)
	}
	wantMet(t, "with the new list", met(t, u), "")
	if got := l.Notices(time.Now()); len(got) != 0 {
		t.Errorf("notices: %s", got)
	}
	for at, want := range map[time.Time]string{
		later.Add(-time.Minute): "broker.crt expires on",
		later.Add(time.Minute):  "broker.crt expired on",
	} {
		if got := l.Notices(at); len(got) == 0 || !strings.Contains(got[0], want) {
			t.Errorf("notices of later: %s, want %s", got, want)
		}
	}
	if got := l.Notices(later.Add(time.Minute)); len(got) != 2 || !strings.Contains(got[1], "outdated") {
		t.Errorf("notices of later: %s", got)
	}
}

// An authority with a new key keeps its name, so for a while there are two lists.
func TestListsOfAnOldAndANewKeyStandSideBySide(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	old, renewed := certtest.NewAuthority(t, dir, "ca"), certtest.NewAuthority(t, t.TempDir(), "ca")
	var both, lists []byte
	for _, a := range []*certtest.Authority{old, renewed} {
		crl := dir + "/one.pem"
		a.Revoke(t, crl, later, 4)
		both, lists = append(both, read(t, a.CA)...), append(lists, read(t, crl)...)
	}
	for file, text := range map[string][]byte{"/both.pem": both, "/lists.pem": lists} {
		if err := os.WriteFile(dir+file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	broker := old.Issue(t, "broker", 2, later)
	l := listen(t, "ssl://127.0.0.1:0?require-client-cert=true&client-ca="+dir+"/both.pem&crl="+dir+"/lists.pem",
		ListenOptions{CertFile: broker.Cert, KeyFile: broker.Key})
	echo(t, l, NewSlots(1))
	for _, a := range []*certtest.Authority{old, renewed} {
		for serial, want := range map[int64]string{3: "", 4: "bad certificate"} {
			u, shown := l.URL(), a.Issue(t, "eva", serial, later)
			u.CA, u.CRL, u.ClientCA, u.Cert, u.Key = old.CA, "", "", shown.Cert, shown.Key
			wantMet(t, shown.Cert, met(t, u), want)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRevokedBrokersAreRefused(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a, strange := certtest.NewAuthority(t, dir, "ca"), certtest.NewAuthority(t, dir, "ca2")
	broker := a.Issue(t, "broker", 2, later)
	l := listen(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: broker.Cert, KeyFile: broker.Key})
	echo(t, l, NewSlots(1))
	u := l.URL()
	u.Cert, u.Key, u.CA, u.CRL = "", "", a.CA, dir+"/crl.pem"
	wantMet(t, "no list", met(t, u), "crl.pem")
	a.Revoke(t, u.CRL, later, 9)
	wantMet(t, "another revoked", met(t, u), "")
	a.Revoke(t, u.CRL, later, 2)
	wantMet(t, "revoked", met(t, u), "was revoked")
	a.Revoke(t, u.CRL, time.Now().Add(-time.Minute))
	wantMet(t, "expired list", met(t, u), "expired on")
	strange.Revoke(t, u.CRL, later, 2)
	wantMet(t, "list of another authority", met(t, u), "")
	if err := os.WriteFile(u.CRL, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantMet(t, "no list in it", met(t, u), "no list in PEM form")
	u.NoVerify = true
	wantMet(t, "not verified", met(t, u), "crl")
}

func TestExpiredBrokersAreRefused(t *testing.T) {
	dir := t.TempDir()
	a := certtest.NewAuthority(t, dir, "ca")
	broker := a.Issue(t, "broker", 2, time.Now().Add(-time.Hour))
	l := listenLater(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: broker.Cert, KeyFile: broker.Key})
	echo(t, l, NewSlots(1))
	u := l.URL()
	u.CA = a.CA
	wantMet(t, "expired", met(t, u), "expired")
}

func TestListenersWithoutTLSRefuseOptionsAboutClientCertificates(t *testing.T) {
	socket := "unix:" + t.TempDir() + "/s"
	for _, text := range []string{"tcp://127.0.0.1:0?client-ca=/x", "ws://127.0.0.1:0?require-client-cert=1",
		"tcps://127.0.0.1:0?crl=/x", socket + "?client-ca=/x"} {
		u, err := ParseListenURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := CheckListen(u, ListenOptions{}, time.Now()); err == nil {
			t.Errorf("%s: found fine", text)
		}
		if l, err := Listen(t.Context(), u, ListenOptions{}); err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", text)
		}
	}
}

// A listener that cannot verify clients as configured does not open.
func TestListenersWithIncompleteTrustDoNotOpen(t *testing.T) {
	dir := t.TempDir()
	own := certtest.Write(t, dir, "own", "127.0.0.1")
	for _, query := range []string{"crl=/x", "require-client-cert=1", "client-ca=/x",
		"client-ca=" + own.Cert + "&crl=/x"} {
		u, err := ParseURL("ssl://127.0.0.1:0?" + query)
		if err != nil {
			t.Fatal(err)
		}
		if l, err := Listen(t.Context(), u, ListenOptions{CertFile: own.Cert, KeyFile: own.Key}); err == nil {
			_ = l.Close()
			t.Errorf("%s: opened", query)
		}
	}
}
