package e2e_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

const configured = `listen: [{url: "tcp://127.0.0.1:0"}]
access:
  users:
    device: {password: !Plain pw-device, roles: [devices]}
    eva: {password: !Plain pw-eva, roles: [operators]}
    bob: {password: !Plain pw-bob, roles: [operators]}
    root: {password: !Plain pw-root, roles: [su]}
  roles:
    devices: {access: [{shvRI: "**:*", grant: bws}], mount-points: ["test/**"]}
    operators: {access: [{shvRI: "**:*", grant: cmd}]}
    su: {access: [{shvRI: "**:*", grant: su}]}
`

// configuredBroker starts a broker with a configuration, and returns its file.
func (w *world) configuredBroker(text string) (file string) {
	w.t.Helper()
	file = w.newFile("shvbroker.yaml")
	w.configure(file, text)
	w.restartConfigured(file)
	return file
}

func (w *world) restartConfigured(file string) {
	w.t.Helper()
	ready := w.newFile("broker.ready")
	cmd := exec.Command(program("shvbroker"), "--config", file,
		"--access-file", w.dir+"/access.yaml", "--ready-file", ready)
	cmd.Env = environment()
	w.broker = w.launch(cmd)
	w.url = w.awaitReady(w.broker, ready)
}

func (w *world) configure(file, text string) {
	w.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// logIn logs a client in at the broker.
func (w *world) logIn(user string) *client.Client {
	w.t.Helper()
	return logInAt(w.t, w.url, user, "pw-"+user)
}

func callOf(c *client.Client, path, method, param string) (chainpack.Value, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	v, err := cpon.Parse([]byte(param), chainpack.Limits{})
	if err != nil {
		return v, err
	}
	return c.Call(ctx, path, method, v)
}

func TestReloadUnderTraffic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.configuredBroker(configured)
	w.setup = setup{agentOptions: []string{"--user", "device"}, agentEnv: []string{"SHV_PASSWORD=pw-device"}}
	w.startAgent()
	eva, bob := w.logIn("eva"), w.logIn("bob")
	var calls atomic.Int64
	failed := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		defer close(failed)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := callOf(bob, device, "ls", "null"); err != nil {
				failed <- err
				return
			}
			calls.Add(1)
		}
	}()
	traffic := func() {
		t.Helper()
		before := calls.Load()
		eventually(t, patience, "calls go on", func() bool { return calls.Load() > before+100 || len(failed) > 0 })
	}
	traffic()
	for i, broken := range []struct{ text, place string }{
		{strings.Replace(configured, "grant: cmd", "grant: command", 1), file + ":10:"},
		{"access: [", file + ":1:"},
		{strings.Replace(configured, "roles: [su]", "rolls: [su]", 1), file + ":7:"},
	} {
		w.configure(file, broken.text)
		w.broker.signal(t, []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1}[i%2])
		w.broker.says(t, broken.place)
		traffic()
	}
	if _, err := callOf(eva, device, "ls", "null"); err != nil {
		t.Errorf("a broken file took a right away: %v", err)
	}
	w.configure(file, strings.Replace(configured, "    eva:", "    eve:", 1))
	w.broker.signal(t, syscall.SIGHUP)
	w.broker.says(t, "configuration reloaded")
	select {
	case <-eva.Done():
	case <-time.After(patience):
		t.Error("who was removed is still connected")
	}
	w.broker.says(t, "user removed")
	traffic()
	close(stop)
	for err := range failed {
		t.Errorf("somebody else noticed: %v", err)
	}
	if !w.agent.Running() || strings.Count(w.agent.log.String(), "logged in") > 1 {
		t.Errorf("the agent noticed:\n%s", w.agent.log)
	}
}

func TestChangedRightsOutliveAKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.configuredBroker(configured)
	root, eva := w.logIn("root"), w.logIn("eva")
	if _, err := callOf(eva, ".broker/access/users", "setValue", `["eva",{"roles":["su"]}]`); err == nil {
		t.Error("eva made herself su")
	}
	for _, change := range []string{`["new",{"password":{"Plain":"pw-new"},"roles":["operators"]}]`, `["eva",null]`} {
		if _, err := callOf(root, ".broker/access/users", "setValue", change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
	}
	select {
	case <-eva.Done():
	case <-time.After(patience):
		t.Error("who was removed is still connected")
	}
	w.logIn("new")
	_ = w.broker.Cmd.Process.Kill()
	w.broker.code(t)
	w.restartConfigured(file)
	w.logIn("new")
	url, _ := transport.ParseURL(w.url)
	login := client.Login{User: "eva", Password: "pw-eva"}
	if c, err := client.Dial(context.Background(), client.Options{URL: url, Login: login}); err == nil {
		c.Close()
		t.Error("eva is back")
	}
}

func TestConfigurationsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, bad := w.newFile("good.yaml"), w.newFile("bad.yaml")
	w.configure(good, configured)
	w.configure(bad, strings.Replace(configured, "grant: cmd", "grant: command", 1)+"lisen: []\n")
	odd := w.newFile("odd.yaml")
	w.configure(odd, configured+"time_broadcast: true\n")
	r := call(w, "shvbroker", "--config", odd, "--check-config")
	warning := "shvbroker: warning: " + odd + ":12:1: time_broadcast: not used by this broker\n"
	if r.code != 0 || string(r.stderr) != warning || r.stdoutHas("fine") {
		t.Errorf("odd: %d, %s%s", r.code, r.stdout, r.stderr)
	}
	known := w.newFile("known.yaml")
	w.configure(known, strings.Replace(configured, "pw-bob", "lub42DUB", 1)+"allow-plaintext: true\n")
	r = call(w, "shvbroker", "--config", good, "--check-config")
	if r.code != 0 || !strings.HasSuffix(string(r.stdout), "\nthe configuration is fine\n") ||
		!r.stdoutHas("limits.frame: 16MiB  # default; the size of a message after login (64KiB to 256MiB)\n") {
		t.Errorf("good: %d, %s%s", r.code, r.stdout, r.stderr)
	}
	r = call(w, "shvbroker", "--config", bad, "--check-config")
	place := "shvbroker: " + bad
	if r.code != 1 || bytes.Count(r.stderr, []byte("\n")) != 2 ||
		!r.stderrHas(place+":10:", place+":12:1: lisen: unknown key") {
		t.Errorf("bad: %d, %s", r.code, r.stderr)
	}
	above := w.newFile("above.yaml")
	w.configure(above, configured+`connections:
- {enabled: true, client: {url: ssl://u@h, mount: m, password-file: none}}
`)
	r = call(w, "shvbroker", "--config", above, "--check-config")
	if r.code != 1 || !r.stderrHas(above+`:13:69: connections."h:3756".client.password-file: `,
		w.dir+"/none: no such file") {
		t.Errorf("no password file: %d, %s", r.code, r.stderr)
	}
	secret := w.newFile("none")
	w.configure(secret, "secret\n")
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	r = call(w, "shvbroker", "--config", above, "--check-config")
	if r.code != 0 || !r.stderrHas(`warning: `+above+`:13:`, `connections."h:3756"`, "can read it") ||
		r.stdoutHas("fine") {
		t.Errorf("a password file for everybody: %d, %s, %s", r.code, r.stdout, r.stderr)
	}
	w.newFile("none") // is gone again
	r = call(w, "shvbroker", "--config", good, "--print-config")
	if r.code != 0 || r.stdoutHas("pw-") || !r.stdoutHas("limits.frame: 16MiB  # default") {
		t.Errorf("print: %d, %s", r.code, r.stdout)
	}
	r = call(w, "shvbroker", "--config", known, "--listen", "tcp://0.0.0.0:0")
	if r.code == 0 || !r.stderrHas("password that everybody knows", "bob") {
		t.Errorf("a well-known password off loopback: %d, %s", r.code, r.stderr)
	}
	// Each listener is refused at its place, and only a fault of an option is one of the
	// command line.
	open := w.newFile("open.yaml")
	_, rights, _ := strings.Cut(configured, "\n")
	text := rights + `listen:
- url: tcp://0.0.0.0:0
- {url: 'ws://0.0.0.0:0'}
- {url: 'ssl://127.0.0.1:0', cert: none, key: none}
connections:
- {name: up, enabled: true, client: {url: ssl://192.0.2.1, mount: m}}
- {name: up2, enabled: true, client: {url: ssl://eva@192.0.2.1, mount: m}}
`
	w.configure(open, text)
	const plain = ": not encrypted, so off loopback everyone on the path could read along; "
	refused := []string{
		"listen[1].url: tcp://0.0.0.0:0" + plain,
		"listen[2].url: ws://0.0.0.0:0" + plain,
	}
	r = call(w, "shvbroker", "--config", open)
	if r.code != 1 || bytes.Count(r.stderr, []byte("\n")) != len(refused) || !r.stderrHas(refused...) ||
		r.stderrHas("--help") {
		t.Errorf("open: %d, %s", r.code, r.stderr)
	}
	refused = append(refused, "listen[3].cert: cannot read certificate: ",
		`connections."up".client: no user (want user and password-file)`+"\n",
		`connections."up2".client: no password for user "eva" (want password-file)`+"\n")
	r = call(w, "shvbroker", "--config", open, "--check-config")
	if r.code != 1 || bytes.Count(r.stderr, []byte("\n")) != len(refused) || !r.stderrHas(refused...) ||
		r.stderrHas("--help") {
		t.Errorf("open, checked: %d, %s", r.code, r.stderr)
	}
	r = call(w, "shvbroker", "--config", good, "--listen", "tcp://0.0.0.0:0")
	if r.code != 2 || !r.stderrHas("shvbroker: --listen: tcp://0.0.0.0:0"+plain, "; see shvbroker --help\n") {
		t.Errorf("an open option: %d, %s", r.code, r.stderr)
	}
	w.configure(open, strings.ReplaceAll(text, "0.0.0.0", "127.0.0.1"))
	r = call(w, "shvbroker", "--config", open)
	if r.code != 1 || string(r.stderr) != "shvbroker: "+open+":14:36: listen[3].cert: cannot read certificate: open "+
		filepath.Join(w.dir, "none")+": no such file or directory\n" {
		t.Errorf("without certificate: %d, %s", r.code, r.stderr)
	}
	for _, tt := range []struct {
		password string
		code     int
		says     string
	}{
		{"admin\n", 0, "warning: everybody knows this password"},
		{"\n", 1, "no password was given: it is empty"},
		{strings.Repeat("x", 5000), 1, "the password is too long"}, // a hash of its beginning would be another password's
	} {
		cmd := exec.Command(program("shvbroker"), "--hash-password")
		cmd.Stdin = strings.NewReader(tt.password)
		cmd.Env = environment()
		r := w.finish(cmd)
		if r.code != tt.code || !r.stderrHas(tt.says) || (len(r.stdout) > 0) != (tt.code == 0) {
			t.Errorf("%.8q: %d, %s%s; want %d, %s", tt.password, r.code, r.stdout, r.stderr, tt.code, tt.says)
		}
	}
	hash := exec.Command(program("shvbroker"), "--hash-password")
	hash.Stdin = strings.NewReader("pw-hashed\n")
	hash.Env = environment()
	text = strings.TrimSpace(string(w.finish(hash).stdout))
	// An argon2id hash needs the password itself, which our client sends on a socket.
	socket := strings.Replace(configured, `"tcp://127.0.0.1:0"`, `"unix:`+w.newFile("socket")+`"`, 1)
	w.configuredBroker(strings.Replace(socket, "!Plain pw-bob", "'"+text+"'", 1))
	url, err := transport.ParseURL(w.url)
	if err != nil {
		t.Fatal(err)
	}
	bob := client.Login{User: "bob", Password: "pw-hashed"}
	c, err := client.Dial(context.Background(), client.Options{URL: url, Login: bob})
	if err != nil {
		t.Fatalf("with a password that is hashed: %v\n%s", err, w.broker.log)
	}
	c.Close()
}
