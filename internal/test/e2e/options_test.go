package e2e_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/client"
)

// on runs a command line of shvrsh with options before the device.
func (w *world) on(options []string, words ...string) result {
	w.t.Helper()
	return w.finish(w.shvrsh(append(append(options, device), words...)...))
}

func opts(words ...string) []string { return words }

func TestUserOfTheCommandLine(t *testing.T) {
	t.Parallel()
	var users []*auth.User
	for _, name := range []string{"eva", "eva@example.org"} {
		users = append(users, &auth.User{
			Name: name, Password: auth.PlainPassword("e"),
			Rules: []auth.Rule{auth.MustRule("**:*", rpc.AccessCommand)},
		})
	}
	w := setup{
		url:          serveUsers(t, users...),
		agentOptions: []string{"--user", "device"},
		agentEnv:     []string{"SHV_PASSWORD=d"},
	}.start(t)
	for _, args := range [][]string{
		{"eva@" + device}, {"-l", "eva", device}, {"-leva", device}, {device, "-l", "eva"}, {"-o", "User=eva", device},
		{"eva@" + deviceHost}, {"eva@example.org@" + device}, {"-l", "eva", "-o", "User=nobody", device}, // the first counts
		{"--user", "eva", device},
	} {
		cmd := w.shvrsh(append(args, "--", "echo", "in")...)
		cmd.Env = append(cmd.Env, "SHV_PASSWORD=e", "SHV_USER=nobody")
		r := w.finish(cmd)
		if r.code != 0 || string(r.stdout) != "in\n" {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, r.code, r.stdout, r.stderr)
		}
	}
	cmd := w.shvrsh("nobody@"+device, "true")
	cmd.Env = append(cmd.Env, "SHV_PASSWORD=e", "SHV_USER=eva")
	w.finish(cmd).wantsFailure(t, "login refused")
}

func TestPortOfTheCommandLine(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	port := w.url[strings.LastIndexByte(w.url, ':')+1:]
	for _, options := range [][]string{{"-p", port}, {"-p" + port}, {"-o", "Port=" + port}, {"-p", port, "-p", "1"}} {
		cmd := w.shvrsh(append(options, device, "echo", "in")...)
		cmd.Env = append(cmd.Env, "SHV_URL=tcp://127.0.0.1:1")
		w.finish(cmd).wants(t, 0, "in\n", "")
	}
}

func TestOptionNReadsNoStdin(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	cmd := w.shvrsh("-n", device, "cat")
	cmd.Stdin = endless{}
	w.finish(cmd).wants(t, 0, "", "")
	cmd = w.shvrsh("-o", "StdinNull=yes", device, "cat; echo end")
	cmd.Stdin = strings.NewReader("text")
	w.finish(cmd).wants(t, 0, "end\n", "")
}

func TestQuiet(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, options := range [][]string{{"-q"}, {"-o", "LogLevel=QUIET"}} {
		w.finish(w.shvrsh(append(options, "test/nosuch", "true")...)).wants(t, 255, "", "")
		w.on(options, "echo out; echo err >&2; exit 3").wants(t, 3, "out\n", "err\n") // only lines of shvrsh are suppressed
	}
	w.finish(w.shvrsh("-o", "LogLevel=ERROR", "test/nosuch", "true")).wantsFailure(t, "no such device")
}

// git treats an ssh for which -G succeeds as OpenSSH. -G does not use the network.
func TestOptionGPrintsSettingsForGit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.url = "tcp://127.0.0.1:1"
	r := w.finish(w.shvrsh("-G", "-o", "SendEnv=GIT_PROTOCOL", "-p", "3755", "eva@"+deviceHost))
	lines := "\n" + string(r.stdout)
	if r.code != 0 || len(r.stderr) > 0 {
		t.Errorf("exit code %d, stderr %q", r.code, r.stderr)
	}
	for _, line := range []string{"user eva", "hostname 127.0.0.1", "port 3755", "path test/agent"} {
		if !strings.Contains(lines, "\n"+line+"\n") {
			t.Errorf("%q is not in %q", line, r.stdout)
		}
	}
	if !strings.Contains(lines, "\nsendenv ") || !strings.Contains(lines, "GIT_PROTOCOL") {
		t.Errorf("no sendenv in %q", r.stdout)
	}
}

// BatchMode must not ask, even on a terminal.
func TestBatchModeNeverAsks(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, option := range [][]string{{"-o", "BatchMode=yes"}, {"-oBatchMode=yes"}, {"-o", "BatchMode yes"}} {
		term := w.open(80, 24, w.shvrsh(append(option, "-l", "eva", device, "true")...))
		term.ends(255)
		wantsLine(t, term.stderr(), "no password for eva")
		if shown := term.screen.String(); shown != "" {
			t.Errorf("the terminal shows %q", shown)
		}
	}
	// Without it, shvrsh asks.
	term := w.open(80, 24, w.shvrsh("-l", "eva", device, "true"))
	term.expect("Password for eva")
	term.typeKeys("\x03")
	term.shell.code(t)
}

func TestConnectTimeout(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // accepts connections and never answers
	w := newWorld(t)
	w.url = "tcp://" + l.Addr().String()
	for _, option := range [][]string{{"-o", "ConnectTimeout=1"}, {"-oConnectTimeout=1"}, {"-o", "ConnectTimeout 1"}} {
		start := time.Now()
		w.on(option, "true").wantsFailure(t, l.Addr().String()+": hello: no answer within 1s")
		if took := time.Since(start); took < time.Second || took >= client.DefaultTimeout {
			t.Errorf("%q: it took %v", option, took)
		}
	}
}

func TestEnvironmentOfTheCommandLine(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	ours := []string{"LC_ODD=by send", "GIT_PROTOCOL=version=2", "LC_SET=not this", "LD_X=never", "OTHER=never"}
	cmd := w.shvrsh("-o", "SetEnv=LC_SET=set LD_PRELOAD=/nonexistent/x.so", "-oSetEnv=BASH_ENV=/nonexistent",
		"-o", "SendEnv=GIT_PROTOCOL LD_* OTHER", device, "env")
	cmd.Env = append(cmd.Env, ours...)
	r := w.finish(cmd)
	env := remoteEnv(string(r.stdout))
	wantsEnv(t, env)
	if env["LC_SET"] != "set" || env["LC_ODD"] != "by send" || env["GIT_PROTOCOL"] != "version=2" || r.code != 0 {
		t.Errorf("exit code %d, environment %q, stderr %q", r.code, env, r.stderr)
	}
	cmd = w.shvrsh("-o", "SendEnv=-LC_*", device, "env")
	cmd.Env = append(cmd.Env, ours...)
	if env := remoteEnv(string(w.finish(cmd).stdout)); env["LC_ODD"] != "" || env["GIT_PROTOCOL"] != "" {
		t.Errorf("what is not to be sent arrived: %q", env)
	}
}

func TestUnknownSubsystem(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.on(opts("-s"), "netconf").wantsFailure(t, device, "netconf")
	w.on(opts("-s"), "../../bin/sh").wantsFailure(t, device)
}

// The options decide whether the remote program has a terminal.
func TestRemoteTerminalFollowsTheOptions(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	for _, tt := range []struct {
		options []string
		there   bool // shvrsh itself has a terminal
		code    int
	}{
		{nil, false, 1}, {opts("-T"), false, 1},
		{opts("-t"), true, 0}, {opts("-tt", "-n"), true, 0}, {opts("-o", "RequestTTY=force"), true, 0},
	} {
		term := w.open(80, 24, w.shvrsh(append(tt.options, device, "tty")...))
		if tt.there {
			term.expect("/dev/pts/")
		} else {
			term.expect("not a tty")
		}
		term.ends(tt.code)
	}
	for _, tt := range []struct {
		options []string
		there   bool
	}{{nil, false}, {opts("-t"), false}, {opts("-tt"), true}} {
		r := w.on(tt.options, "tty")
		if got := strings.Contains(string(r.stdout), "/dev/pts/"); got != tt.there || (r.code == 0) != tt.there {
			t.Errorf("%q without one: exit code %d, %q, %q", tt.options, r.code, r.stdout, r.stderr)
		}
	}
}

// Options of the command line take precedence over those of a configured name.
func TestCommandLineTakesPrecedenceOverConfiguredNames(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	yaml := fmt.Sprintf(`hosts:
  pump7: {url: %q, path: %s, env: [OTHER, MORE]}
  "test/*": {url: %q}
defaults: {url: 'tcp://127.0.0.1:1'}
`, w.url, device, w.url)
	for _, name := range []string{"pump7", device, deviceHost} {
		w.finish(w.configured(w.shvrsh(name, "echo", "in"), yaml)).wants(t, 0, "in\n", "")
	}
	w.finish(w.configured(w.shvrsh("other", "true"), yaml)).wantsFailure(t, "127.0.0.1:1")
	unconfigured := w.shvrsh("-F", "none", "--url", w.url, "pump7", "true")
	w.finish(w.configured(unconfigured, yaml)).wantsFailure(t, "pump7: no such device")
	w.finish(w.configured(w.shvrsh("pump7", "true"), "hosts: {pump7: {pth: x}}\n")).wantsFailure(t, "config.yaml", "pth")
}
