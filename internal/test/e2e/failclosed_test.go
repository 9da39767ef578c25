package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/shv/login"
	"shvtools/internal/test/certtest"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

// refusesAt reports whether the broker refuses a login. Each refusal takes longer than the one before.
func (w *world) refusesAt(user, password string) bool {
	w.t.Helper()
	url, err := transport.ParseURL(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{URL: url, Login: client.Login{User: user, Password: password}})
	if err != nil {
		return strings.Contains(err.Error(), "unknown user or wrong password")
	}
	c.Close()
	return false
}

// A file that an editor or a full disk has left is not put in force, and does not start a broker.
func TestDamagedConfigurationsLetNobodyIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.configuredBroker(configured)
	access := filepath.Join(w.dir, "access.yaml")
	root, eva := w.logIn("root"), w.logIn("eva")
	if _, err := callOf(root, ".broker/access/users", "setValue", `["bob",null]`); err != nil {
		t.Fatal(err)
	}
	w.broker.says(t, `change="removed: password changed; roles: [\"operators\"] -> null"`)
	changes, err := os.ReadFile(access)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(configured, "\n")
	for _, damage := range []struct{ file, text, whole string }{
		{file, "", configured}, {file, "# x\n", configured}, {file, "{}\n", configured},
		{file, strings.TrimSuffix(configured, rest), configured}, // cut before access:
		{file, strings.TrimSuffix(configured, rest) + "access:\n", configured},
		{file, strings.TrimSuffix(configured, "\n"), configured},
		{file, "-", configured}, // missing
		{access, "", string(changes)}, {access, "{}\n", string(changes)}, {access, "-", string(changes)},
		{access, strings.TrimSuffix(string(changes), "...\n"), string(changes)},
	} {
		w.configure(damage.file, damage.text)
		if damage.text == "-" {
			_ = os.Remove(damage.file)
		}
		mark := strings.Count(w.broker.log.String(), "configuration not reloaded")
		w.broker.signal(t, syscall.SIGHUP)
		eventually(t, patience, "the reload is refused", func() bool {
			return strings.Count(w.broker.log.String(), "configuration not reloaded") > mark
		})
		if r := call(w, "shvbroker", "--config", file, "--access-file", access, "--check-config"); r.code != 1 ||
			r.stdoutHas("fine") {
			t.Errorf("%s %q is found fine: %s", damage.file, damage.text, r.stdout)
		}
		w.configure(damage.file, damage.whole)
	}
	if !w.refusesAt(login.DevelopmentUser, login.DevelopmentPassword) || !w.refusesAt("bob", "pw-bob") {
		t.Error("somebody is let in")
	}
	if _, err := callOf(eva, ".broker/currentClient", "info", "null"); err != nil {
		t.Errorf("eva has lost her session: %v", err)
	}
	if strings.Contains(w.broker.log.String(), "configuration reloaded") {
		t.Error("something was put in force")
	}
	w.broker.signal(t, syscall.SIGHUP)
	w.broker.says(t, "configuration reloaded")
	w.broker.says(t, "bob of "+file+":6 is not used, "+access)
}

func TestAReloadTakesListsAndSaysWhatWaitsForARestart(t *testing.T) {
	t.Parallel()
	w := &certified{world: newWorld(t)}
	w.authority = certtest.NewAuthority(t, w.dir, "ca")
	later := time.Now().Add(time.Hour)
	own := w.authority.Issue(t, "broker", 2, later, "localhost")
	w.crl = w.newFile("crl.pem")
	device := w.authority.Issue(t, "device", 3, later)
	w.file = w.configuredBroker(listenEntry(own, "client-ca: ca.crt, require-client-cert: true") + certifiedUsers)
	w.base = strings.Replace(w.url, "127.0.0.1", "localhost", 1)
	w.startAgentAt("--url", w.as(device))
	w.authority.Revoke(t, w.crl, later, 3)
	w.configure(w.file, listenEntry(own, "client-ca: ca.crt, crl: crl.pem, require-client-cert: true")+certifiedUsers+
		"limits: {frame: 1MiB}\ndrain: {grace: 3s}\n")
	w.broker.signal(t, syscall.SIGHUP)
	w.broker.says(t, "client certificate no longer valid")
	w.broker.says(t, `in force only after a restart key=drain.grace`)
	w.broker.says(t, `in force only after a restart key=limits.frame`)
	w.broker.says(t, "configuration reloaded")
	w.agent.says(t, "revoked")
	if log := w.broker.log.String(); strings.Contains(log, "key=listen") {
		t.Errorf("a list is said to wait:\n%s", log)
	}
	expired := w.authority.Issue(t, "old", 5, time.Now().Add(-time.Hour), "localhost")
	w.configure(w.file, listenEntry(expired, "client-ca: ca.crt, crl: crl.pem")+certifiedUsers)
	w.broker.signal(t, syscall.SIGHUP)
	w.broker.says(t, fmt.Sprintf("certificate %s expired", expired.Cert))
	w.broker.says(t, "configuration not reloaded")
}
