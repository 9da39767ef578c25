package auth_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/login"
)

func TestNamesOfCertificates(t *testing.T) {
	cn := func(names ...string) (subject pkix.Name) {
		for _, name := range names {
			subject.Names = append(subject.Names, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3},
				Value: name})
		}
		return subject
	}
	cert := &x509.Certificate{
		Raw: []byte("x"), Subject: cn("Pump 7"), DNSNames: []string{"Pump7.example", ""},
		EmailAddresses: []string{"p@example"},
		URIs:           []*url.URL{{Scheme: "spiffe", Host: "plant", Path: "/pump7"}},
	}
	want := []auth.CertName{
		"sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
		"cn:Pump 7", "dns:pump7.example", "email:p@example", "uri:spiffe://plant/pump7",
	}
	if got := auth.CertNames(cert); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	// An authority could have looked at the other one.
	if got := auth.CertNames(&x509.Certificate{Subject: cn("eva", "bob")}); len(got) != 1 {
		t.Errorf("of two common names: %q", got)
	}
	if got := auth.CertNames(nil); got != nil {
		t.Errorf("of none: %q", got)
	}
	for text, want := range map[string]auth.CertName{
		"SHA256:x": "", "cn:": "", "eva": "", "sha256:2d": "", "cn:a:b": "cn:a:b", "dns:A.Example": "dns:a.example",
		"sha256:2D:" + strings.Repeat("00:", 30) + "FF": auth.CertName("sha256:2d" + strings.Repeat("00", 30) + "ff"),
	} {
		if got, err := auth.ParseCertName(text); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

// holding is what the tests below begin with: eva and bob have certificates.
func holding() auth.Access {
	return auth.Access{Users: map[string]auth.UserEntry{
		"eva": {Password: auth.PlainPassword("pw-eva"), Certificates: []auth.CertName{"cn:eva", "dns:shared"}},
		"bob": {Certificates: []auth.CertName{"cn:bob"}, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
			Tokens: []string{"token-of-bob-0000"}},
		"tom": {Password: auth.PlainPassword("pw-tom")},
		"off": {Certificates: []auth.CertName{"cn:off"}, Deactivated: true},
		"old": {Certificates: []auth.CertName{"cn:old"}, Expires: time.Unix(1, 0)},
	}}
}

var inside = netip.MustParseAddr("10.0.0.1")

func TestWhoACertificateLetsIn(t *testing.T) {
	s := auth.NewStore(build(t, holding()))
	const foreign = "is not one of this user"
	for _, test := range []struct {
		name, kind, user, password string
		shown                      []auth.CertName
		want                       string // the user; "": refused
		why                        string // part of the error
	}{
		{"its user", login.External, "", "", []auth.CertName{"sha256:1", "cn:eva"}, "eva", ""},
		{"by name", login.External, "eva", "", []auth.CertName{"sha256:1", "dns:shared"}, "eva", ""},
		{"another user", login.External, "tom", "", []auth.CertName{"sha256:1", "cn:eva"}, "",
			foreign + `: sha256:1, cn:eva is not in certificates of user "tom"`},
		{"nobody", login.External, "nobody", "", []auth.CertName{"sha256:1", "cn:eva"}, "", foreign + ": sha256:1"},
		{"none shown", login.External, "eva", "", nil, "", foreign + ": none was shown"},
		{"of nobody", login.External, "", "", []auth.CertName{"cn:x"}, "", foreign + ": cn:x is in certificates of no user"},
		{"of two, and no name", login.External, "", "", []auth.CertName{"cn:eva", "cn:bob"}, "",
			foreign + ": cn:eva, cn:bob belongs to several"},
		{"of two", login.External, "bob", "", []auth.CertName{"cn:eva", "cn:bob"}, "bob", ""},
		{"deactivated", login.External, "", "", []auth.CertName{"cn:off"}, "", auth.ErrLogin.Error()},
		{"expired", login.External, "", "", []auth.CertName{"cn:old"}, "", auth.ErrLogin.Error()},
		{"no empty password stands for it", login.Plain, "bob", "", []auth.CertName{"cn:bob"}, "", auth.ErrLogin.Error()},
		{"password beside it", login.Plain, "eva", "pw-eva", []auth.CertName{"cn:eva"}, "eva", ""},
		{"password beside nobody's", login.Plain, "tom", "pw-tom", []auth.CertName{"cn:x"}, "tom", ""},
		{"password beside another's", login.Plain, "tom", "pw-tom", []auth.CertName{"cn:eva"}, "", foreign},
		{"guess beside another's", login.Plain, "tom", "guess", []auth.CertName{"cn:eva"}, "", foreign},
		{"unknown user beside another's", login.Plain, "nobody", "guess", []auth.CertName{"cn:eva"}, "", foreign},
		{"token beside another's", login.Token, "", "token-of-bob-0000", []auth.CertName{"cn:eva"}, "", foreign},
		{"token beside it", login.Token, "", "token-of-bob-0000", []auth.CertName{"cn:bob"}, "bob", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, err := s.Check(nil, auth.Attempt{Type: test.kind, User: test.user, Password: test.password,
				Certificate: test.shown, From: inside, Now: time.Now()})
			switch {
			case test.want == "":
				if err == nil || !strings.Contains(err.Error(), test.why) {
					t.Errorf("got %v, want %s", err, test.why)
				}
			case err != nil || l.User.Name != test.want:
				t.Errorf("let in %v, %v", l.User, err)
			}
		})
	}
	if _, err := s.Check(nil, auth.Attempt{Type: login.External, Certificate: []auth.CertName{"cn:bob"},
		From: netip.MustParseAddr("11.0.0.1")}); !errors.Is(err, auth.ErrLogin) {
		t.Errorf("from elsewhere: %v", err)
	}
}

func TestWhatALoginByCertificateLoses(t *testing.T) {
	for _, test := range []struct {
		name   string
		user   string
		change func(*auth.UserEntry)
		eva    auth.Loss // who came by certificate
		tom    auth.Loss // who came by password beside a certificate of nobody
	}{
		{"nothing", "eva", func(*auth.UserEntry) {}, auth.Kept, auth.Kept},
		{"another password", "eva", func(e *auth.UserEntry) { e.Password = auth.PlainPassword("x") }, auth.Kept, auth.Kept},
		{"another name of it", "eva",
			func(e *auth.UserEntry) { e.Certificates = []auth.CertName{"dns:shared"} }, auth.Kept, auth.Kept},
		{"the mapping", "eva", func(e *auth.UserEntry) { e.Certificates = nil }, auth.CertificateTaken, auth.Kept},
		{"expiry", "eva", func(e *auth.UserEntry) { e.Expires = time.Unix(1, 0) }, auth.Expired, auth.Kept},
		{"activation", "eva", func(e *auth.UserEntry) { e.Deactivated = true }, auth.Deactivated, auth.Kept},
		{"address", "eva",
			func(e *auth.UserEntry) { e.Networks = []netip.Prefix{netip.MustParsePrefix("11.0.0.0/8")} }, auth.AddressDenied,
			auth.Kept},
		{"the other certificate becomes somebody's", "bob",
			func(e *auth.UserEntry) { e.Certificates = []auth.CertName{"cn:x"} }, auth.Kept, auth.CertificateTaken},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := auth.NewStore(build(t, holding()))
			eva, err := s.Check(nil, auth.Attempt{Type: login.External, Certificate: []auth.CertName{"cn:eva", "dns:shared"},
				From: inside})
			if err != nil {
				t.Fatal(err)
			}
			tom, err := s.Check(nil, auth.Attempt{Type: login.Plain, User: "tom", Password: "pw-tom",
				Certificate: []auth.CertName{"cn:x"}, From: inside})
			if err != nil {
				t.Fatal(err)
			}
			a := holding()
			entry := a.Users[test.user]
			test.change(&entry)
			a.Users[test.user] = entry
			d := build(t, a)
			if _, loss := eva.Lost(d, inside, time.Now()); loss != test.eva {
				t.Errorf("by certificate: %v, want %v", loss, test.eva)
			}
			if _, loss := tom.Lost(d, inside, time.Now()); loss != test.tom {
				t.Errorf("by password: %v, want %v", loss, test.tom)
			}
		})
	}
}

// A token would else outlive a revocation, and go where the certificate cannot.
func TestSessionTokensOfACertificateGoWithIt(t *testing.T) {
	s, shown := auth.NewStore(build(t, holding())), []auth.CertName{"sha256:1", "cn:eva"}
	l, err := s.Check(nil, auth.Attempt{Type: login.External, Certificate: shown})
	if err != nil {
		t.Fatal(err)
	}
	token := s.Issue(l, time.Now())
	try := func(shown []auth.CertName) (auth.Login, error) {
		return s.Check(nil, auth.Attempt{Type: login.Token, Token: token, Certificate: shown, Now: time.Now()})
	}
	again, err := try(shown)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range [][]auth.CertName{nil, {"sha256:2", "cn:eva"}} {
		if _, err := try(other); !errors.Is(err, auth.ErrCertificate) {
			t.Errorf("beside %q: %v", other, err)
		}
	}
	a := holding()
	delete(a.Users, "eva")
	a.Users["eva"] = auth.UserEntry{Password: auth.PlainPassword("pw-eva")}
	if _, loss := again.Lost(build(t, a), inside, time.Now()); loss != auth.CertificateTaken {
		t.Errorf("lost %v", loss)
	}
}
