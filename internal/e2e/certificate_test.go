package e2e_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/certtest"
)

// certified is a world without passwords: everybody shows a certificate, and eva may
// call what the agent has.
type certified struct {
	*world
	authority *certtest.Authority
	file      string // the configuration
	crl       string
	base      string // URL of the broker
}

const certifiedUsers = `access:
  users:
    device: {certificates: ["cn:device"], roles: [devices]}
    eva: {certificates: ["dns:eva.example"], roles: [operators]}
  roles:
    devices: {access: [{shvRI: "**:*", grant: bws}], mount-points: ["test/**"]}
    operators: {access: [{shvRI: "**:*", grant: cmd}]}
`

func newCertified(t *testing.T) *certified {
	t.Helper()
	w := &certified{world: newWorld(t)}
	w.authority = certtest.NewAuthority(t, w.dir, "ca")
	later := time.Now().Add(time.Hour)
	own := w.authority.Issue(t, "broker", 2, later, "localhost")
	w.crl = w.newFile("crl.pem")
	w.authority.Revoke(t, w.crl, later)
	w.file = w.configuredBroker(`listen: [{url: "ssl://127.0.0.1:0?require-client-cert=true&client-ca=` + w.authority.CA + `&crl=` + w.crl +
		`", cert: "` + own.Cert + `", key: "` + own.Key + `"}]` + "\n" + certifiedUsers)
	w.base = strings.Replace(w.url, "127.0.0.1", "localhost", 1)
	w.startAgentAt("--url", w.as(w.authority.Issue(t, "device", 3, later)))
	return w
}

// as makes the next shvrsh show a certificate, the zero Files none, and gives the URL
// that says so.
func (w *certified) as(f certtest.Files) string {
	w.url = w.base + "?ca=" + w.authority.CA
	if f.Cert != "" {
		w.url += "&cert=" + f.Cert + "&key=" + f.Key
	}
	return w.url
}

// runs runs true on the device.
func (w *certified) runs(f certtest.Files) result {
	w.t.Helper()
	w.as(f)
	return w.rsh("true")
}

func (w *certified) logged(part string) {
	w.t.Helper()
	eventually(w.t, patience, part+" is logged", func() bool { return strings.Contains(w.broker.log.String(), part) })
}

func TestCertificatesInThePlaceOfPasswords(t *testing.T) {
	t.Parallel()
	w := newCertified(t)
	later := time.Now().Add(time.Hour)
	eva := w.authority.Issue(t, "eva", 4, later, "eva.example")
	w.runs(eva).wants(t, 0, "", "")
	w.runs(w.authority.Issue(t, "nobody", 5, later)).wantsFailure(t, "certificates of the user")

	// What cannot be read leaves everything as it was, the rights too.
	good, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.configure(w.file, strings.Replace(string(good), "dns:eva.example", "dns:other", 1))
	if err := os.WriteFile(w.crl, []byte("no list"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.broker.signal(t, syscall.SIGHUP)
	w.logged("crl.pem holds none")
	w.runs(eva).wants(t, 0, "", "")
	w.configure(w.file, string(good))

	term := w.shell(80, 24)
	w.authority.Revoke(t, w.crl, later, 4)
	w.broker.signal(t, syscall.SIGHUP)
	w.logged("certificate revoked")
	term.ends(255)
	if w.runs(eva).code == 0 {
		t.Error("a revoked certificate is let in")
	}
	if !w.agent.running() || strings.Count(w.agent.log.String(), "logged in") > 1 {
		t.Errorf("the agent noticed:\n%s", w.agent.log)
	}
	w.authority.Revoke(t, w.crl, later, 3)
	w.broker.signal(t, syscall.SIGHUP)
	eventually(t, patience, "the device is gone", func() bool { return strings.Count(w.broker.log.String(), "certificate revoked") >= 2 })
	w.runs(eva).wantsFailure(t, "test/agent")
}
