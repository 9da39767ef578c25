package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"shvtools/internal/test/nstest"
)

// notThere is an address that leads nowhere (RFC 5737).
const notThere = "192.0.2.1"

// howToAllow is what users read of a broker that is refused.
var howToAllow = []string{" is not encrypted, and " + notThere + " is not on this machine", "use ssl or wss",
	"--allow-plaintext", "SHV_ALLOW_PLAINTEXT=1", "allow-plaintext: true"}

// Who answers there could be anybody: nothing may be asked for or sent, and nothing tried again.
func TestBrokersOffLoopbackAreRefusedWithoutEncryption(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, scheme := range []string{"tcp", "ws", "tcps"} {
		url := scheme + "://eva@" + notThere
		config := w.newFile("config-" + scheme + ".yaml")
		w.configure(config, fmt.Sprintf("hosts: {a: {url: %q}}\n", url))
		agent := w.newFile("agent-" + scheme + ".yaml")
		w.configure(agent, fmt.Sprintf("connection: {url: ['ssl://eva@127.0.0.1:1', {url: %q}]}\n", url))
		for _, tt := range []struct {
			program string
			args    []string
			env     []string
		}{
			{"shvrsh", []string{"--url", url, device}, nil},
			{"shvrsh", []string{device, "true"}, []string{"SHV_URL=" + url}},
			{"shvrsh", []string{"-F", config, "a", "true"}, nil},
			{"shvrsh", []string{"-F", config, "--check-config"}, nil},
			{"shvrsh", []string{"--url", url, device}, []string{"SHV_ALLOW_PLAINTEXT=0"}},
			{"shvagent", []string{"--url", url}, nil},
			{"shvagent", nil, []string{"SHV_URL=" + url}},
			{"shvagent", []string{"--config", agent}, []string{"SHV_PASSWORD=x"}},
			{"shvagent", []string{"--url", url, "--check-config"}, nil},
		} {
			cmd := exec.Command(program(tt.program), tt.args...)
			cmd.Env = environment(tt.env...)
			r := w.finish(cmd)
			if r.code != 255 || strings.Count(string(r.stderr), "\n") != 1 || !r.stderrHas(howToAllow...) ||
				!r.stderrHas(scheme+"://"+notThere) || r.stderrHas("password") || r.stdoutHas("fine") {
				t.Errorf("%s %q %q: %d, %s%s", tt.program, tt.args, tt.env, r.code, r.stdout, r.stderr)
			}
		}
	}
}

// A helper keeps to what its agent says. An agent that says nothing is one of C++ or of an earlier
// release, and goes on as before.
func TestHelperKeepsToItsAgentsPlaintext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const line = `{"findTunnelResponse":<1:3>i{1:2,2:%q,3:1,4:"s",5:3,6:2},` +
		`"onConnectedCall":{"method":"runCmd","params":"true"}%s}` + "\n"
	for _, tt := range []struct {
		host, trust string
		refused     bool
	}{
		{notThere, `,"trust":{"plaintext":false}`, true},
		{notThere, `,"trust":{"plaintext":null}`, true},
		{"127.0.0.1", `,"trust":{"plaintext":false}`, false},
		{"0.0.0.0", `,"trust":{"plaintext":true}`, false},
		{"0.0.0.0", `,"trust":{"verify":true}`, false},
		{"0.0.0.0", ``, false},
	} {
		cmd := exec.Command(program("shvrexec"))
		cmd.Env = environment()
		read, write, err := os.Pipe() // its end would be that of the agent
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(write, line, tt.host, tt.trust)
		cmd.Stdin = read
		r := w.finish(cmd)
		_, _ = read.Close(), write.Close()
		want := []string{"shvrexec: ", "connection refused"} // nobody listens on port 1
		code := 1
		if tt.refused {
			want, code = append([]string{"the settings of shvagent do not allow this session"}, howToAllow...), 255
		}
		if r.code != code || !r.stderrHas(want...) || strings.Count(string(r.stderr), "\n") != 1 {
			t.Errorf("%s %s: %d, %s", tt.host, tt.trust, r.code, r.stderr)
		}
	}
}

// With a permission all of it works, and each start is warned of.
func TestPlaintextOffLoopbackWorksWhereItIsAllowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here, there := newNamespace(t, "here"), newNamespace(t, "broker")
	cable(t, here, "10.1.0.1", there, "10.1.0.2")
	w.startTreeBroker(treeBroker{name: "broker", ns: there, listen: "tcp://10.1.0.2:3755"})
	w.url = "tcp://10.1.0.2"
	config := w.newFile("shvagent.yaml")
	w.configure(config, "connection: {url: [{url: 'tcp://device@10.1.0.2', allow-plaintext: true}]}\n")
	cmd := exec.Command(program("shvagent"), "--config", config, "--socket", w.socket())
	cmd.Env = append(environment("SHV_PASSWORD=pw-device"), w.shellSettings()...)
	w.agent = w.launch(here.in(cmd))
	w.agent.says(t, "WRN", "tcp://10.1.0.2:3755 is not encrypted", "allow-plaintext")
	w.agent.says(t, "connected", "mount="+device)
	// The option allows it too.
	cmd = exec.Command(program("shvagent"), "--url", "tcp://device@10.1.0.2", "--allow-plaintext", "--mount", "test/other",
		"--socket", "none")
	cmd.Env = environment("SHV_PASSWORD=pw-device")
	w.launch(here.in(cmd)).says(t, "connected", "mount=test/other")
	for _, tt := range []struct {
		args  []string
		env   string
		code  int
		lines int
	}{
		{nil, "", 255, 1},
		{[]string{"--allow-plaintext"}, "", 7, 1},
		{nil, "1", 7, 1},
		{[]string{"-q"}, "1", 7, 0},
		{[]string{"-o", "LogLevel=ERROR"}, "1", 7, 0},
	} {
		cmd := exec.Command(program("shvrsh"), append(tt.args, device, "exit 7")...)
		cmd.Env = environment("SHV_URL="+w.url, "SHV_USER=eva", "SHV_PASSWORD=pw-eva", "SHV_ALLOW_PLAINTEXT="+tt.env)
		r := w.finish(here.in(cmd))
		if r.code != tt.code || strings.Count(string(r.stderr), "\n") != tt.lines ||
			tt.lines > 0 && !r.stderrHas("tcp://10.1.0.2:3755", "is not encrypted") {
			t.Errorf("%q, variable %q: %d, %s; want %d and %d lines", tt.args, tt.env, r.code, r.stderr, tt.code, tt.lines)
		}
	}
}

// A name that was this machine's must not lead the agent elsewhere later: it ends.
func TestAgentEndsWhenItsBrokersNameMovesToAnotherMachine(t *testing.T) {
	t.Parallel()
	nstest.Mounts(t)
	w := newWorld(t)
	hosts := w.newFile("hosts")
	point := func(address string) {
		w.configure(hosts, "127.0.0.1 localhost\n"+address+" broker.test\n")
	}
	point("127.0.0.1")
	if err := unix.Mount(hosts, "/etc/hosts", "", unix.MS_BIND, ""); err != nil {
		t.Skipf("/etc/hosts cannot be replaced: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount("/etc/hosts", unix.MNT_DETACH) })
	w.startBroker("tcp://127.0.0.1:0")
	w.startAgentAt("--url", "tcp://broker.test"+w.url[strings.LastIndex(w.url, ":"):], "--user", "iot", "--password",
		"lub42DUB")
	w.rsh("exit 7").wants(t, 7, "", "")
	point(notThere)
	named := "tcp://iot@broker.test" + w.url[strings.LastIndex(w.url, ":"):]
	r := call(w, "shvrsh", "--url", named, "--password", "x", device, "true")
	if r.code != 255 || !r.stderrHas(howToAllow...) {
		t.Errorf("shvrsh: %d, %s", r.code, r.stderr)
	}
	w.kill(w.broker)
	if code := w.agent.code(t); code != 255 {
		t.Errorf("exit code %d", code)
	}
	w.agent.says(t, howToAllow...)
}

// The owner of the other end of a socket must be root, us, or whom the URL names.
func TestSocketOfAStrangerIsNoBroker(t *testing.T) {
	t.Parallel()
	const stranger = 54321 // has no account
	if os.Geteuid() != 0 {
		t.Skip("to be another user takes root")
	}
	w := newWorld(t)
	dir, err := os.MkdirTemp("", "shv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "broker.sock")
	path := filepath.Join(dir, "shvbroker") // where that user can run it
	data, err := os.ReadFile(program("shvbroker"))
	if err == nil {
		err = os.WriteFile(path, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	broker := exec.Command(path, "--listen", "unix:"+socket+"?mode=666", "--ready-file", filepath.Join(dir, "ready"))
	broker.Env = environment()
	broker.Dir = dir
	broker.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	w.awaitReady(w.launch(broker), filepath.Join(dir, "ready"))
	agent := func(url string) *process {
		cmd := exec.Command(program("shvagent"), "--url", url, "--socket", "none")
		cmd.Env = append(environment(), w.shellSettings()...)
		return w.launch(cmd)
	}
	const refused = "uid 54321 listens there (want root)"
	p := agent("unix:" + socket)
	p.says(t, "not connected to the broker", refused)
	p.Stop(t)
	call(w, "shvrsh", "--url", "unix:"+socket, device, "true").wantsFailure(t, refused)
	owned := "unix:" + socket + "?owner=" + strconv.Itoa(stranger)
	agent(owned).says(t, "connected", "mount="+device)
	r := call(w, "shvrsh", "--url", owned, device, "echo out; exit 7")
	r.wants(t, 7, "out\n", "")
}

// Root runs what its broker says, and any user may listen on a port that is free.
func TestRootsAgentWarnsOfLoopback(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("it is about root")
	}
	w := setup{}.start(t)
	const warning = "is open to every user of this machine while the broker is down"
	w.agent.says(t, "WRN", w.url, warning, "unix:PATH?owner=USER")
	r := call(w, "shvagent", "--url", w.url, "--check-config")
	if r.code != 0 || !r.stderrHas(warning) || r.stdoutHas("fine") {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
}

// A name is judged when it is looked up: the check can only warn.
func TestCheckOfConfigurationsWarnsOfNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	agent, rsh, broker := w.newFile("agent.yaml"), w.newFile("rsh.yaml"), w.newFile("broker.yaml")
	w.configure(agent, "connection: {url: [ssl://u:p@h, tcp://broker.test]}\nrules: [{level: su}]\n")
	w.configure(rsh, "hosts: {a: {url: 'tcp://broker.test'}, b: {url: 'ssl://h'}}\n")
	w.configure(broker, configured+"connections:\n- {enabled: true, client: {url: 'tcp://u:p@broker.test', mount: m}}\n")
	for _, args := range [][]string{
		{"shvagent", "--config", agent}, {"shvrsh", "-F", rsh}, {"shvbroker", "--config", broker},
	} {
		r := call(w, args[0], append(args[1:], "--check-config")...)
		if r.code != 0 || !r.stderrHas("warning: ", "tcp://broker.test:3755 is not encrypted and refused whenever") ||
			r.stdoutHas("fine") || !r.stdoutHas("the configuration can be used, with 1 warning") {
			t.Errorf("%q: %d, %s%s", args, r.code, r.stdout, r.stderr)
		}
	}
	w.configure(rsh, "hosts: {b: {url: 'ssl://h'}}\n")
	if r := call(w, "shvrsh", "-F", rsh, "--check-config"); r.code != 0 || !r.stdoutHas("the configuration is fine") {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
}

// Everybody on the machine reads command lines, and many read logs.
func TestPasswordInAURLIsWarnedOfAndShownNowhere(t *testing.T) {
	t.Parallel()
	const password = "lub42DUB"
	w := setup{noAgent: true}.start(t)
	secret := strings.Replace(w.url, "tcp://", "tcp://iot:"+password+"@", 1)
	w.startAgentAt("--url", secret)
	w.agent.says(t, "WRN", "--url shows the password to everyone who lists processes")
	r := call(w, "shvrsh", "--url", secret, device, "env")
	if r.code != 0 || !r.stderrHas("warning: --url shows the password") || strings.Contains(r.all(), password) ||
		strings.Contains(string(r.stdout), "SHV_") {
		t.Errorf("%d, %s%s", r.code, r.stdout, r.stderr)
	}
	r = call(w, "shvagent", "--socket", w.socket(), "status", "--json")
	if r.code != 0 || strings.Contains(r.all()+w.agent.log.String()+w.broker.log.String()+w.journal(), password) {
		t.Errorf("the password is shown: %s", r.all())
	}
	file := w.newFile("config.yaml")
	w.configure(file, fmt.Sprintf("hosts: {a: {url: %q, path: %s}}\n", secret, device))
	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o644: true} {
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		r := call(w, "shvrsh", "-F", file, "a", "exit 7")
		if r.code != 7 || r.stderrHas("every user of this machine can read the password") != warned {
			t.Errorf("%o: %d, %s", mode, r.code, r.stderr)
		}
		config := w.newFile("agent.yaml")
		w.configure(config, fmt.Sprintf("connection: {url: 'ssl://iot:%s@h'}\n", password))
		if err := os.Chmod(config, mode); err != nil {
			t.Fatal(err)
		}
		r = call(w, "shvagent", "--config", config, "--check-config")
		if r.code != 0 || r.stderrHas("every user of this machine can read the password") != warned ||
			strings.Contains(r.all(), password) {
			t.Errorf("%o: %d, %s", mode, r.code, r.stderr)
		}
	}
}
