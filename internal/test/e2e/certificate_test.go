package e2e_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/test/certtest"
)

// certified is a world without passwords: every client shows a certificate. The user eva
// may call the methods of the agent.
type certified struct {
	*world
	authority *certtest.Authority
	file      string // the configuration
	crl       string
	base      string // URL of the broker
}

// listenEntry returns a list with one listener that has a certificate, and more keys.
func listenEntry(own certtest.Files, more string) string {
	return fmt.Sprintf("listen: [{url: 'ssl://127.0.0.1:0', cert: %q, key: %q, %s}]\n", own.Cert, own.Key, more)
}

const certifiedUsers = `access:
  users:
    device: {certificates: ["cn:device"], roles: [devices]}
    eva: {certificates: ["dns:eva.example"], roles: [operators]}
    kid: {certificates: ["cn:kid"], roles: [broker]}
  roles:
    devices: {access: [{shvRI: "**:*", grant: bws}], mount-points: ["test/**"]}
    broker: {access: [{shvRI: "**", grant: bws}], mount-points: ["sites/**"]}
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
	const trust = "client-ca: ca.crt, crl: crl.pem, require-client-cert: true"
	w.file = w.configuredBroker(listenEntry(own, trust) + certifiedUsers)
	w.base = strings.Replace(w.url, "127.0.0.1", "localhost", 1)
	w.startAgentAt("--url", w.as(w.authority.Issue(t, "device", 3, later)))
	return w
}

// as makes the next shvrsh show a certificate, or none for the zero Files, and returns
// the URL that does so.
func (w *certified) as(f certtest.Files) string {
	w.url = w.base + "?ca=" + w.authority.CA
	if f.Cert != "" {
		w.url += "&cert=" + f.Cert + "&key=" + f.Key
	}
	return w.url
}

// runs runs the command true on the device.
func (w *certified) runs(f certtest.Files) result {
	w.t.Helper()
	w.as(f)
	return w.rsh("true")
}

func TestCertificatesReplacePasswords(t *testing.T) {
	t.Parallel()
	w := newCertified(t)
	later := time.Now().Add(time.Hour)
	eva := w.authority.Issue(t, "eva", 4, later, "eva.example")
	w.runs(eva).wants(t, 0, "", "")
	w.runs(w.authority.Issue(t, "nobody", 5, later)).wantsFailure(t, "certificates of the user")

	// A file that cannot be read leaves everything as it was, including the rights.
	good, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	w.configure(w.file, strings.Replace(string(good), "dns:eva.example", "dns:other", 1))
	if err := os.WriteFile(w.crl, []byte("no list"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.broker.signal(t, syscall.SIGHUP)
	w.broker.says(t, "crl.pem: no list")
	w.runs(eva).wants(t, 0, "", "")
	w.configure(w.file, string(good))

	term := w.shell(80, 24)
	w.authority.Revoke(t, w.crl, later, 4)
	w.broker.signal(t, syscall.SIGHUP)
	w.broker.says(t, "certificate revoked")
	term.ends(255)
	if w.runs(eva).code == 0 {
		t.Error("a revoked certificate is let in")
	}
	if !w.agent.Running() || strings.Count(w.agent.log.String(), "logged in") > 1 {
		t.Errorf("the agent noticed:\n%s", w.agent.log)
	}
	w.authority.Revoke(t, w.crl, later, 3)
	w.broker.signal(t, syscall.SIGHUP)
	eventually(t, patience, "the device is gone", func() bool {
		return strings.Count(w.broker.log.String(), "certificate revoked") >= 2
	})
	w.runs(eva).wantsFailure(t, "test/agent")
}

// Each fault is one line for those who can fix it: the user, and the operator in the log
// of the broker.
func TestFaultsOfCertificatesAreReportedInOneLine(t *testing.T) {
	t.Parallel()
	w := newCertified(t)
	later, before := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	w.authority.Revoke(t, w.crl, later, 6, 16)
	w.broker.signal(t, syscall.SIGHUP)
	w.broker.says(t, "configuration reloaded")
	strange := certtest.NewAuthority(t, w.dir, "strange")
	for _, fault := range []struct {
		shown        certtest.Files
		user, broker string
	}{
		{certtest.Files{}, "add cert and key to the URL", "add cert and key to the client's URL"},
		{w.authority.Issue(t, "expired", 5, before),
			"expired.crt: remote error: tls: expired certificate; renew it",
			"CN=expired expired on"},
		{w.authority.Issue(t, "revoked", 6, later),
			"revoked.crt: remote error: tls: bad certificate; it was revoked or",
			"CN=revoked was revoked; its user needs a new one"},
		{strange.Issue(t, "other", 7, later),
			"other.crt: remote error: tls: unknown certificate authority; have it signed",
			"CN=other: x509: certificate signed by unknown authority"},
	} {
		w.runs(fault.shown).wantsFailure(t, "cannot connect to "+w.base, fault.user)
		w.broker.says(t, fault.broker)
	}

	// The faults of brokers, each at a listener of one broker.
	own := map[string]certtest.Files{
		"CN=lost was revoked":                  w.authority.Issue(t, "lost", 16, later, "localhost"),
		"it is valid for broker.example, not":  w.authority.Issue(t, "elsewhere", 17, later, "broker.example"),
		"does not hold the certificate of its": strange.Issue(t, "stranger", 18, later, "localhost"),
	}
	text, wants := "listen:\n", []string(nil)
	for want, files := range own {
		text += fmt.Sprintf("- {url: 'ssl://127.0.0.1:0', cert: %q, key: %q}\n", files.Cert, files.Key)
		wants = append(wants, want)
	}
	w.configuredBroker(text + certifiedUsers)
	ready, err := os.ReadFile(filepath.Join(w.dir, "broker.ready"))
	if err != nil {
		t.Fatal(err)
	}
	for i, base := range strings.Fields(string(ready)) {
		w.base = strings.Replace(base, "127.0.0.1", "localhost", 1)
		w.url = w.as(certtest.Files{}) + "&crl=" + w.crl
		w.rsh("true").wantsFailure(t, "the broker's certificate: ", wants[i], "; ")
	}

	// No broker of ours starts with an expired one, but one that runs goes on with it.
	w.base = expiredListener(t, w.authority.Issue(t, "old", 15, before, "localhost"))
	w.url = w.as(certtest.Files{})
	w.rsh("true").wantsFailure(t, "the broker's certificate: ", "CN=old expired on", "; ")
}

// expiredListener shows a certificate to whoever connects, and returns its URL.
func expiredListener(t *testing.T, files certtest.Files) (base string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 1)) // the handshake; the client ends it
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "ssl://localhost:" + port
}

func TestBrokersConnectUpwardsByCertificate(t *testing.T) {
	t.Parallel()
	w := newCertified(t)
	w.configure(filepath.Join(w.dir, "kid.yaml"), fmt.Sprintf(`listen: [{url: 'tcp://127.0.0.1:0'}]
access: {}
connections:
- name: up
  enabled: true
  client: {url: %q, ca: ca.crt, cert: kid.crt, key: kid.key, mount: sites/kid, reconnect_interval: 1s}
`, w.base))
	start := func() *process {
		cmd := exec.Command(program("shvbroker"), "--config", filepath.Join(w.dir, "kid.yaml"))
		cmd.Env = environment()
		return w.launch(cmd)
	}
	w.authority.Issue(t, "kid", 4, time.Now().Add(-time.Hour))
	kid := start()
	kid.says(t, "renew it")
	w.authority.Issue(t, "kid", 4, time.Now().Add(time.Hour)) // the broker reads it again for each attempt
	w.broker.says(t, "device mounted", "sites/kid")
}

// Users copy the example, so it must be valid, and --check-config must check the files
// that it names.
func TestExampleConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text, err := os.ReadFile("../../../docs/shvbroker.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.dir, "shvbroker.yaml")
	w.configure(file, strings.NewReplacer("/var/lib/shvbroker/", w.dir+"/", "/run/shvbroker/", w.dir+"/").
		Replace(string(text)))
	check := func() result { return call(w, "shvbroker", "--config", file, "--check-config") }
	missing := "shvbroker: " + file + ":11:11: listen[2].cert: cannot read certificate: open " +
		filepath.Join(w.dir, "plant.pem")
	authorities, lists := file+":13:16: listen[2].client-ca: ", file+":14:10: listen[2].crl: "
	if r := check(); r.code != 1 || !r.stderrHas(missing, authorities, lists) {
		t.Errorf("without its files: %d, %s", r.code, r.stderr)
	}
	devices := certtest.NewAuthority(t, w.dir, "devices-ca")
	own := certtest.Write(t, w.dir, "plant", "plant.example.com")
	for from, to := range map[string]string{own.Cert: "plant.pem", devices.CA: "devices-ca.pem"} {
		if err := os.Rename(from, filepath.Join(w.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	devices.Revoke(t, filepath.Join(w.dir, "devices-crl.pem"), time.Now().Add(time.Hour))
	if r := check(); r.code != 0 || len(r.stderr) != 0 || !r.stdoutHas("the configuration is fine") {
		t.Errorf("%d, %s", r.code, r.stderr)
	}
	// It locks out all devices, and a start or a reload would refuse it.
	devices.Revoke(t, filepath.Join(w.dir, "devices-crl.pem"), time.Now().Add(-time.Minute))
	if r := check(); r.code != 1 || !r.stderrHas("shvbroker: "+lists) || !r.stderrHas("outdated") || r.stdoutHas("fine") {
		t.Errorf("with an outdated list: %d, %s, %s", r.code, r.stdout, r.stderr)
	}
}
