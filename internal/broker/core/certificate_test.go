package core_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/certtest"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// certified is a broker with the users of access, whose clients may show certificates of
// an authority.
type certified struct {
	*world.World
	t         *testing.T
	authority *certtest.Authority
	listener  *transport.Listener
	options   transport.ListenOptions
}

func openCertified(t *testing.T, options string) *certified {
	t.Helper()
	a := certtest.NewAuthority(t, t.TempDir(), "ca")
	own := a.Issue(t, "broker", 2, time.Now().Add(time.Hour))
	u, err := transport.ParseURL("ssl://127.0.0.1:0?client-ca=" + a.CA + options)
	if err != nil {
		t.Fatal(err)
	}
	files := transport.ListenOptions{CertFile: own.Cert, KeyFile: own.Key}
	l, err := transport.Listen(t.Context(), u, files)
	if err != nil {
		t.Fatal(err)
	}
	o := core.Options{Users: auth.NewStore(withCertificate(t, "cn:eva")), Limits: core.Limits{FrameStall: time.Second}}
	c := &certified{world.New(t, o), t, a, l, files}
	go func() { _ = c.Serve(l) }()
	return c
}

// withCertificate is access with a certificate of eva.
func withCertificate(t *testing.T, name auth.CertName) *auth.Directory {
	t.Helper()
	return changed(t, func(a *auth.Access) {
		user(a, "eva", func(e *auth.UserEntry) { e.Certificates = []auth.CertName{name} })
	})
}

// show connects with a certificate, the zero Files with none.
func (c *certified) show(f certtest.Files) *world.Peer {
	u := c.listener.URL()
	u.CA, u.Cert, u.Key = c.authority.CA, f.Cert, f.Key
	return c.Dial(u)
}

const externalLogin = `<8:2,10:"login">i{1:{"login":{"type":"EXTERNAL","user":"%s"},"options":{}}}`

// external logs in by the certificate that was shown.
func external(r *world.Peer) *world.Peer {
	r.Send(externalLogin, "")
	return r.LoggedIn()
}

func TestCertificatesLogTheirUsersIn(t *testing.T) {
	c := openCertified(t, "")
	eva := c.show(c.authority.Issue(t, "eva", 3, time.Now().Add(time.Hour)))
	eva.Send(`<8:1,10:"workflows">i{}`)
	eva.Expect(`<1:1,8:1>i{2:["PLAIN","SHA1","TOKEN","EXTERNAL"]}`)
	external(eva)
	eva.Send(`<8:3,9:".broker/currentClient",10:"info">i{}`)
	if text := eva.Text(); !strings.Contains(text, `"userName":"eva"`) {
		t.Errorf("logged in as %s", text)
	}
	// After a reset the connection is the same one.
	eva.SendRaw([]byte{1, 0})
	external(eva).Fence()

	stranger := c.authority.Issue(t, "stranger", 4, time.Now().Add(time.Hour))
	for name, r := range map[string]*world.Peer{"none": c.show(certtest.Files{}), "stranger": c.show(stranger)} {
		r.Send(externalLogin, "eva")
		m := r.ExpectError(2, rpc.CodeException, "client certificate")
		if content, _ := m.Content(); !strings.Contains(content.Error.Message, "certificates of the user") {
			t.Errorf("%s: no advice in %q", name, content.Error.Message)
		}
		r.Login("bob", world.Password, "{}").Fence() // a password is as good as ever
	}
}

func TestWhoLosesACertificateIsDisconnectedAtOnce(t *testing.T) {
	c := openCertified(t, "")
	shown := c.authority.Issue(t, "eva", 3, time.Now().Add(time.Hour))
	eva := external(c.show(shown))
	// Another user may not log in beside it; bob may go on while it is nobody's.
	refused := c.show(shown)
	refused.Send(plainLogin, 2, world.Password, "PLAIN", "bob")
	refused.ExpectError(2, rpc.CodeException, "not one of this user")
	c.Apply(withCertificate(t, auth.CertName("dns:other")))
	eva.Gone()
	c.Eventually("the cause", func() bool { return c.Stats().Ended[link.CertificateTaken] == 1 })
	bob := c.show(shown).Login("bob", world.Password, "{}")
	if lost := c.Apply(withCertificate(t, "cn:eva")); len(lost) != 1 || lost[0].User != "bob" {
		t.Errorf("lost: %+v", lost)
	}
	bob.Gone()
}

// reload loads the listener's files again and checks the sessions against them.
func (c *certified) reload() []core.Affected {
	c.t.Helper()
	use, err := c.listener.Reload(c.listener.URL(), c.options)
	if err != nil {
		c.t.Fatal(err)
	}
	use()
	return c.Rejudge()
}

func TestRevokedCertificatesEndTheirSessions(t *testing.T) {
	crl := t.TempDir() + "/crl.pem"
	later := time.Now().Add(time.Hour)
	certtest.NewAuthority(t, t.TempDir(), "ca").Revoke(t, crl, later) // of another one with this name
	c := openCertified(t, "&crl="+crl)
	c.authority.Revoke(t, crl, later, 9)
	c.reload()
	eva := external(c.show(c.authority.Issue(t, "eva", 3, later)))
	agent := c.show(c.authority.Issue(t, "agent", 4, later)).
		Login("iot", world.Password, `{"device":{"mountPoint":"test/agent"}}`)
	bob := c.show(certtest.Files{}).Login("bob", world.Password, "{}")
	waiting := c.show(c.authority.Issue(t, "waiting", 5, later)) // has not logged in
	waiting.Nonce()
	if lost := c.reload(); len(lost) != 0 {
		t.Errorf("lost for nothing: %+v", lost)
	}
	c.authority.Revoke(t, crl, later, 3, 4, 5)
	if lost := c.reload(); len(lost) != 3 {
		t.Errorf("lost: %+v", lost)
	}
	eva.Gone()
	agent.Gone()
	waiting.Gone()
	bob.Fence()
	c.Eventually("the cause", func() bool { return c.Stats().Ended[link.CertificateRevoked] == 3 })
}

// A reload may come while a client logs in.
func TestRevocationWhileItsClientLogsIn(t *testing.T) {
	crl := t.TempDir() + "/crl.pem"
	later := time.Now().Add(time.Hour)
	certtest.NewAuthority(t, t.TempDir(), "ca").Revoke(t, crl, later)
	c := openCertified(t, "&crl="+crl)
	c.authority.Revoke(t, crl, later)
	c.reload()
	eva := c.show(c.authority.Issue(t, "eva", 3, later))
	eva.Nonce()
	c.authority.Revoke(t, crl, later, 3)
	use, err := c.listener.Reload(c.listener.URL(), c.options)
	if err != nil {
		t.Fatal(err)
	}
	use()
	eva.Send(externalLogin, "bob")
	c.Eventually("the login is refused", func() bool { return c.Stats().Logins[door.Invalid] == 1 })
	if lost := c.Rejudge(); len(lost) != 1 { // the race detector sees what it must not read
		t.Errorf("lost: %+v", lost)
	}
	eva.Gone()
}

func TestCertificatesOfAnAuthorityThatIsGoneEndTheirSessions(t *testing.T) {
	c := openCertified(t, "")
	eva := external(c.show(c.authority.Issue(t, "eva", 3, time.Now().Add(time.Hour))))
	next := certtest.NewAuthority(t, t.TempDir(), "next")
	text, err := os.ReadFile(next.CA)
	if err == nil {
		err = os.WriteFile(c.authority.CA, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if lost := c.reload(); len(lost) != 1 || !strings.Contains(lost[0].What, link.CertificateUntrusted.String()) {
		t.Errorf("lost: %+v", lost)
	}
	eva.Gone()
}

func TestCertificatesThatExpireEndTheirSessions(t *testing.T) {
	t.Parallel()
	c := openCertified(t, "")
	// Long enough for a login on a busy machine; a certificate tells whole seconds.
	eva := external(c.show(c.authority.Issue(t, "eva", 3, time.Now().Add(6*time.Second))))
	bob := c.show(certtest.Files{}).Login("bob", world.Password, "{}")
	eva.Gone()
	c.Eventually("the cause", func() bool { return c.Stats().Ended[link.CertificateExpired] == 1 })
	bob.Fence()
}
