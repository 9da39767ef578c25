package transport

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shvtools/internal/test/certtest"
)

// TestNoDamagedFileOfTrustIsTaken tries each file of a listener cut at each place, empty, missing and
// full of zero bytes, at a start, at a reload and for --check-config.
func TestNoDamagedFileOfTrustIsTaken(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a, second := certtest.NewAuthority(t, dir, "ca"), certtest.NewAuthority(t, dir, "second")
	own := a.Issue(t, "broker", 2, later)
	crl := filepath.Join(dir, "crl.pem")
	a.Revoke(t, crl, later, 4)
	files := map[string][]byte{}
	read := func(file string) []byte {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, file := range []string{own.Cert, own.Key, crl} {
		files[file] = read(file)
	}
	both := filepath.Join(dir, "both.crt")
	files[both] = append(read(a.CA), read(second.CA)...)
	put := func(file string, data []byte) {
		t.Helper()
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(both, files[both])
	o := ListenOptions{CertFile: own.Cert, KeyFile: own.Key}
	l := listen(t, "ssl://127.0.0.1:0?client-ca="+both+"&crl="+crl, o)
	u := l.URL()
	first := len(read(a.CA)) // of both: a cut there, at a line end, cannot be seen
	for file, whole := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			states := [][]byte{make([]byte, len(whole)), []byte("\n"), []byte("# x\n"), []byte("{}\n"), nil}
			for end := range whole {
				if file != both || end != first {
					states = append(states, whole[:end])
				}
			}
			for _, data := range states {
				put(file, data)
				if data == nil {
					_ = os.Remove(file)
				}
				if use, err := l.Reload(u, o); err == nil || use != nil || !strings.Contains(err.Error(), file) {
					t.Errorf("reload of %d bytes: %v", len(data), err)
				}
				if _, err := CheckListen(u, o, time.Now()); err == nil || !strings.Contains(err.Error(), file) {
					t.Errorf("check of %d bytes: %v", len(data), err)
				}
				unended := len(data) > 0 && strings.HasSuffix(string(data), "-----") // a whole block: a warning
				if files, err := readTrust(u, o); err == nil && (!unended || len(files.notices(time.Now())) == 0) {
					t.Errorf("a start with %d bytes", len(data))
				}
			}
			put(file, whole)
			if _, err := l.Reload(u, o); err != nil {
				t.Errorf("the whole file: %v", err)
			}
		})
	}
}

func TestNothingOutdatedReplacesWhatIsValid(t *testing.T) {
	dir, later, past := t.TempDir(), time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	a := certtest.NewAuthority(t, dir, "ca")
	own, old := a.Issue(t, "broker", 2, later), a.Issue(t, "old", 3, past)
	crl, oldCRL := filepath.Join(dir, "crl.pem"), filepath.Join(dir, "old.pem")
	a.Revoke(t, crl, later)
	a.Revoke(t, oldCRL, past)
	good := ListenOptions{CertFile: own.Cert, KeyFile: own.Key}
	bad := ListenOptions{CertFile: old.Cert, KeyFile: old.Key}
	l := listen(t, "ssl://127.0.0.1:0?client-ca="+a.CA+"&crl="+crl, good)
	u := l.URL()
	withOld := u
	withOld.CRL = oldCRL
	for name, tt := range map[string]struct {
		u URL
		o ListenOptions
	}{"certificate": {u, bad}, "list": {withOld, good}} {
		if _, err := l.Reload(tt.u, tt.o); err == nil || !strings.Contains(err.Error(), "expired on") {
			t.Errorf("%s: reloaded: %v", name, err)
		}
		if _, err := CheckListen(tt.u, tt.o, time.Now()); err == nil {
			t.Errorf("%s: the check finds nothing", name)
		}
		tt.u.Port = "0"
		if l, err := Listen(t.Context(), tt.u, tt.o); err == nil {
			_ = l.Close()
			t.Errorf("%s: a start takes it", name)
		}
	}
	// One outdated file does not let another one replace what is valid.
	half := listenLater(t, "ssl://127.0.0.1:0?client-ca="+a.CA+"&crl="+oldCRL, good)
	if _, err := half.Reload(half.URL(), bad); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate beside an expired list in force: reloaded: %v", err)
	}
	// Once what is in force is outdated too, a reload must not be held up: it may revoke rights.
	late := listenLater(t, "ssl://127.0.0.1:0?client-ca="+a.CA+"&crl="+crl, bad)
	if _, err := late.Reload(late.URL(), bad); err != nil {
		t.Errorf("beside an expired one in force: %v", err)
	}
}

func TestAReloadTakesOtherFilesOfTrust(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a, next := certtest.NewAuthority(t, dir, "ca"), certtest.NewAuthority(t, dir, "next")
	own, eva, ida := a.Issue(t, "broker", 2, later), a.Issue(t, "eva", 3, later), next.Issue(t, "ida", 4, later)
	crl := filepath.Join(dir, "crl.pem")
	a.Revoke(t, crl, later, 3)
	o := ListenOptions{CertFile: own.Cert, KeyFile: own.Key}
	l := listen(t, "ssl://127.0.0.1:0?client-ca="+a.CA, o)
	echo(t, l, NewSlots(1))
	try := func(f certtest.Files) error {
		u := l.URL()
		u.ClientCA, u.CA, u.Cert, u.Key = "", a.CA, f.Cert, f.Key
		return met(t, u)
	}
	change := func(edit func(u *URL)) {
		t.Helper()
		u := l.URL()
		edit(&u)
		use, err := l.Reload(u, o)
		if err != nil {
			t.Fatal(err)
		}
		use()
	}
	wantMet(t, "without a list", try(eva), "")
	change(func(u *URL) { u.CRL = crl })
	wantMet(t, "with a list", try(eva), "bad certificate")
	change(func(u *URL) { u.ClientCA = next.CA })
	wantMet(t, "of the authority before", try(eva), "unknown certificate authority")
	wantMet(t, "of the next authority", try(ida), "")
}

// A reload that waits for a pipe, or reads a device, is the last one.
func TestPipesAndDevicesAreNoCertificates(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{pipe: "is empty", "/dev/zero": "is longer than", "/dev/null": "is empty"} {
		done := make(chan error, 1)
		go func() {
			_, err := CheckListen(URL{Scheme: SSL, Host: "h", Cert: file, Key: file}, ListenOptions{}, time.Now())
			done <- err
		}()
		select {
		case err := <-done:
			wantMet(t, file, err, want)
		case <-time.After(patience):
			t.Errorf("%s: it waits", file)
		}
	}
}

// The check finds it before a start fails; a service may make the directory only then.
func TestTheDirectoryOfASocketIsChecked(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		dir + "/s": 0, dir + "/none/s": 1, file + "/s": 1, dir + "/none/s?socket=shv": 0,
	} {
		u, err := ParseListenURL("unix:" + path)
		if err != nil {
			t.Fatal(err)
		}
		if notices, err := CheckListen(u, ListenOptions{}, time.Now()); err != nil || len(notices) != want {
			t.Errorf("%s: %v, %v, want %d", path, notices, err, want)
		}
	}
}

// A list from a backup, or of somebody else, would let revoked devices in again.
func TestNoReloadForgetsWhatWasRevoked(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a, b := certtest.NewAuthority(t, dir, "a"), certtest.NewAuthority(t, dir, "b")
	strange := certtest.NewAuthority(t, dir, "c")
	own := a.Issue(t, "broker", 2, later)
	path := func(name string) string { return filepath.Join(dir, name) }
	join := func(name string, files ...string) string {
		var all []byte
		for _, file := range files {
			all = append(all, read(t, file)...)
		}
		if err := os.WriteFile(path(name), all, 0o600); err != nil {
			t.Fatal(err)
		}
		return path(name)
	}
	a.Revoke(t, path("a1"), later)
	a.Revoke(t, path("a2"), later, 3)
	a.Revoke(t, path("a3"), later, 3, 4)
	b.Revoke(t, path("b1"), later, 5)
	strange.Revoke(t, path("c1"), later)
	both := join("both", a.CA, b.CA)
	o := ListenOptions{CertFile: own.Cert, KeyFile: own.Key}
	u, err := ParseURL("ssl://127.0.0.1:0?client-ca=" + both + "&crl=" + join("in-force", path("a2"), path("b1")))
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(t.Context(), u, o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, tt := range map[string]struct{ ca, crl, want string }{
		"the same":                          {both, path("in-force"), ""},
		"newer":                             {both, join("newer", path("b1"), path("a3")), ""},
		"older":                             {both, join("older", path("a1"), path("b1")), "is older than the one in force"},
		"older and newer":                   {both, join("on", path("a1"), path("a3"), path("b1")), ""},
		"without one":                       {both, path("a2"), "is missing, and was there before"},
		"of a stranger":                     {both, path("c1"), "is missing, and was there before"},
		"without an authority that ends":    {a.CA, path("a2"), ""},
		"no list any more, as the key says": {both, "", ""},
	} {
		next := u
		next.ClientCA, next.CRL = tt.ca, tt.crl
		_, err := l.Reload(next, o)
		wantMet(t, name, err, tt.want)
	}
	// Whoever takes the key away is told what that means, for as long as it is so.
	said := func() bool {
		return slices.ContainsFunc(l.Notices(time.Now()), func(text string) bool {
			return strings.Contains(text, "no revocation list any more")
		})
	}
	for _, tt := range []struct {
		ca, crl string
		want    bool
	}{{both, "", true}, {both, "", true}, {both, path("in-force"), false}, {"", "", false}} {
		next := u
		next.ClientCA, next.CRL = tt.ca, tt.crl
		use, err := l.Reload(next, o)
		if err != nil {
			t.Fatal(err)
		}
		if use(); said() != tt.want {
			t.Errorf("%q, %q: it is said: %v", tt.ca, tt.crl, !tt.want)
		}
	}
	// At a start nothing was in force, but nobody is to think that the list is good for all.
	u.CRL = path("c1")
	notices, err := CheckListen(u, o, time.Now())
	if err != nil || len(notices) != 1 || !strings.Contains(notices[0].Error(), "no list of an authority in") {
		t.Errorf("the check: %v, %v", notices, err)
	}
}

// A reload that takes trust away ends what came by it.
func TestAReloadVerifiesThoseWhoCameBefore(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a := certtest.NewAuthority(t, dir, "ca")
	own, eva := a.Issue(t, "broker", 2, later), a.Issue(t, "eva", 3, later)
	o := ListenOptions{CertFile: own.Cert, KeyFile: own.Key}
	for _, tt := range []struct {
		name  string
		shown certtest.Files
		edit  func(u *URL)
		want  string
	}{
		{"nothing", certtest.Files{}, func(*URL) {}, ""},
		{"nothing, with a certificate", eva, func(*URL) {}, ""},
		{"a certificate is required", certtest.Files{}, func(u *URL) { u.RequireClientCert = true },
			"requires a certificate now"},
		{"one is required, and shown", eva, func(u *URL) { u.RequireClientCert = true }, ""},
		{"no authority", eva, func(u *URL) { u.ClientCA = "" }, "no client-ca any more"},
		{"no authority, and none shown", certtest.Files{}, func(u *URL) { u.ClientCA = "" }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := listen(t, "ssl://127.0.0.1:0?client-ca="+a.CA, o)
			came := make(chan *TLSConn, 1)
			go func() {
				conn, err := l.Accept()
				if err != nil {
					close(came)
					return
				}
				c := conn.(*TLSConn)
				_ = c.Handshake(NewSlots(1))
				came <- c
			}()
			to := l.URL()
			to.ClientCA, to.CA, to.Cert, to.Key = "", a.CA, tt.shown.Cert, tt.shown.Key
			conn, err := Dial(t.Context(), to, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := <-came
			if c == nil {
				t.Fatal("nobody came")
			}
			defer c.Close()
			u := l.URL()
			tt.edit(&u)
			use, err := l.Reload(u, o)
			if err != nil {
				t.Fatal(err)
			}
			use()
			wantMet(t, tt.name, c.Verify(), tt.want)
		})
	}
}

func TestSuitesWithoutAuthenticatedEncryptionAreRefused(t *testing.T) {
	own := certtest.Write(t, t.TempDir(), "broker", "127.0.0.1")
	try := func(o ListenOptions, c *tls.Config) error {
		o.CertFile, o.KeyFile = own.Cert, own.Key
		l := listen(t, "ssl://127.0.0.1:0", o)
		echo(t, l, NewSlots(1))
		c.InsecureSkipVerify = true
		conn, err := tls.Dial("tcp", l.Addr().String(), c)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if strings.Contains(suite.Name, "_SHA") && !strings.Contains(suite.Name, "GCM") &&
			!strings.Contains(suite.Name, "CHACHA20") {
			c := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite.ID}}
			if try(ListenOptions{}, c) == nil {
				t.Errorf("%s is agreed on", suite.Name)
			}
		}
	}
	if err := try(ListenOptions{}, &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	}
	if try(ListenOptions{MinTLS: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12}) == nil {
		t.Error("TLS 1.2 below the least version is agreed on")
	}
}
