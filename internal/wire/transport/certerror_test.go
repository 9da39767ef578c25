package transport

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"shvtools/internal/test/certtest"
)

// verifying serves one connection after the other, as echo does, and reports the result of each
// handshake.
func verifying(t *testing.T, l *Listener) (handshakes chan error) {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	handshakes = make(chan error, 1)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			err = conn.(Handshaker).Handshake(NewSlots(1))
			if err == nil {
				b := make([]byte, 1)
				_, _ = conn.Read(b)
				_, _ = conn.Write(b)
			}
			_ = conn.Close()
			handshakes <- err
		}
	}()
	return handshakes
}

// wantAdvice expects a fault of a certificate in one line that contains parts.
func wantAdvice(t *testing.T, side string, err error, parts ...string) {
	t.Helper()
	var fault *CertificateError
	if !errors.As(err, &fault) || fault.Advice == "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: %v, which is no fault of a certificate with an advice", side, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q is not in %q", side, part, err)
		}
	}
}

func TestFaultsOfClientCertificatesNameCauseAndRemedyOnBothSides(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a, strange := certtest.NewAuthority(t, dir, "ca"), certtest.NewAuthority(t, dir, "strange")
	broker := a.Issue(t, "broker", 2, later)
	crl, old, forged := dir+"/crl.pem", dir+"/old.pem", dir+"/forged.pem"
	a.Revoke(t, crl, later, 4)
	certtest.NewAuthority(t, t.TempDir(), "ca").Revoke(t, forged, later)
	a.Revoke(t, old, time.Now().Add(-time.Minute))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, tt := range []struct {
			name   string
			crl    string
			shown  certtest.Files
			client []string // parts of what it is told
			broker []string // and of what the broker's log says
		}{
			{"none", crl, certtest.Files{},
				[]string{"the broker rejected a client without a certificate", "add cert and key to the URL"},
				[]string{"no client certificate", "add cert and key to the client's URL"}},
			{"expired", crl, a.Issue(t, "expired", 3, time.Now().Add(-time.Hour)), []string{"expired.crt", "renew it"},
				[]string{"CN=expired expired on 20", "renew it"}},
			{"revoked", crl, a.Issue(t, "revoked", 4, later), []string{"revoked.crt", "was revoked", "log"},
				[]string{"CN=revoked was revoked", "needs a new one"}},
			{"of another authority", crl, strange.Issue(t, "other", 5, later), []string{"other.crt", "client-ca"},
				[]string{"CN=other", "unknown authority", "client-ca"}},
			{"beside an outdated list", old, a.Issue(t, "eva", 6, later), []string{"eva.crt", "see the broker's log"},
				[]string{old, "is outdated", "expired on", "replace it by the authority's new list"}},
			{"beside a list of another one's key", forged, a.Issue(t, "ida", 7, later),
				[]string{"ida.crt", "see the broker's log"},
				[]string{forged, "CN=ca is not signed by it", "own list"}},
		} {
			t.Run(tls.VersionName(version)+" "+tt.name, func(t *testing.T) {
				l := listenLater(t, "ssl://127.0.0.1:0?require-client-cert=true&client-ca="+a.CA+"&crl="+tt.crl,
					ListenOptions{CertFile: broker.Cert, KeyFile: broker.Key})
				l.trust.Load().config.MaxVersion = version
				if version == tls.VersionTLS12 && tt.name == "none" {
					tt.client = nil // that version has no words for it
				}
				handshakes := verifying(t, l)
				u := l.URL()
				u.CA, u.CRL, u.ClientCA, u.Cert, u.Key = a.CA, "", "", tt.shown.Cert, tt.shown.Key
				if err := met(t, u); tt.client != nil {
					wantAdvice(t, "client", err, tt.client...)
				}
				wantAdvice(t, "broker", <-handshakes, tt.broker...)
			})
		}
	}
}

func TestFaultsOfTheBrokersCertificateNameCauseAndRemedy(t *testing.T) {
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	a, strange := certtest.NewAuthority(t, dir, "ca"), certtest.NewAuthority(t, dir, "strange")
	crl := dir + "/crl.pem"
	a.Revoke(t, crl, later, 4)
	good := a.Issue(t, "good", 2, later)
	for _, tt := range []struct {
		name  string
		shown certtest.Files
		ca    string
		want  []string
	}{
		{"expired", a.Issue(t, "expired", 3, time.Now().Add(-time.Hour)), a.CA,
			[]string{"CN=expired expired on 20", "renew it", "clock"}},
		{"for another name", a.Issue(t, "elsewhere", 5, later, "broker.example"), a.CA,
			[]string{"it is valid for broker.example, not for 127.0.0.1", "names in the URL"}},
		{"revoked", a.Issue(t, "revoked", 4, later), a.CA, []string{"CN=revoked was revoked", "ask its administrator"}},
		{"of another authority", good, strange.CA, []string{"unknown authority", strange.CA}},
		{"of no authority of the system", good, "", []string{"unknown authority", "add ca=FILE"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := listenLater(t, "ssl://127.0.0.1:0", ListenOptions{CertFile: tt.shown.Cert, KeyFile: tt.shown.Key})
			handshakes := verifying(t, l)
			u := l.URL()
			u.CA = tt.ca
			if tt.ca == a.CA {
				u.CRL = crl
			}
			wantAdvice(t, "client", met(t, u), append(tt.want, "the broker's certificate: ")...)
			if err := <-handshakes; err == nil || errors.As(err, new(*CertificateError)) {
				t.Errorf("the broker: %v, which is no fault of a client's certificate", err)
			}
		})
	}
}

// The rejection arrives while the client waits for its WebSocket. The error must name the
// certificate, not the WebSocket.
func TestRefusedCertificateIsTheFaultOverAWebSocketToo(t *testing.T) {
	a := certtest.NewAuthority(t, t.TempDir(), "ca")
	broker := a.Issue(t, "broker", 2, time.Now().Add(time.Hour))
	l := listen(t, "wss://127.0.0.1:0?require-client-cert=true&client-ca="+a.CA,
		ListenOptions{CertFile: broker.Cert, KeyFile: broker.Key})
	handshakes := verifying(t, l)
	u := l.URL()
	u.CA, u.ClientCA = a.CA, ""
	err := met(t, u)
	wantAdvice(t, "client", err, "the broker rejected a client without a certificate")
	if strings.Contains(err.Error(), "WebSocket") {
		t.Errorf("client: %v", err)
	}
	wantAdvice(t, "broker", <-handshakes, "add cert and key to the client's URL")
}
