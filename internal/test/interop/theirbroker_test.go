package interop_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

const theirBroker = "pyshv broker"

// theirConfig lets a user call anything, and a device be mounted below test/.
const theirConfig = `
name = "interop"
listen = ["tcp://127.0.0.1:0"]
[user.user]
password = "u-secret"
role = "all"
[user.device]
password = "d-secret"
role = "device"
[role.all]
access.su = ["**:*"]
[role.device]
mountPoints = ["test/*"]
access.bws = ["**:*"]
`

// logAll makes a pyshvbroker log each message, which costs too much for megabytes.
var logAll = []string{"--log-level", "DEBUG"}

// startTheirBroker starts a pyshvbroker with a configuration, and returns its URL.
func startTheirBroker(t *testing.T, text string, options ...string) (s *server, url string) {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "pyshvbroker.toml")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(inVenv("pyshvbroker"), append(options, "-c", config)...)
	cmd.Env = environment(dir)
	s = start(t, cmd)
	port := 0
	s.await(t, "it listens", func() bool {
		port = listensAt(cmd.Process.Pid)
		return port != 0
	})
	return s, fmt.Sprintf("tcp://127.0.0.1:%d", port)
}

func TestOurAgentServesThroughThePyshvBroker(t *testing.T) {
	covers(t, theirBroker+" and client", "shvagent", "mounted: ls, dir, each method, .app, errors")
	_, url := startTheirBroker(t, theirConfig, logAll...)
	startAgent(t, url, "device", "d-secret")
	c := connected(t, withQueries(url, "user=user", "password=u-secret"))
	c.wants("ls", args{"path": "test"}, `["agent"]`)
	c.wants("has_child", args{"path": "test/agent", "name": ".app"}, "true")
	for _, call := range [][3]string{
		{"test/agent", "appName", `"shvagent"`},
		{"test/agent", "deviceId", `"interop"`},
		{"test/agent", "deviceType", `"ShvAgent"`},
		{"test/agent/.app", "name", `"shvagent"`},
		{"test/agent/.app", "shvVersionMajor", "3"},
		{"test/agent/.app", "ping", "null"},
	} {
		c.wants("call", args{"path": call[0], "method": call[1]}, call[2])
	}
	c.wants("type_of", args{"path": "test/agent/.app", "method": "version"}, `"str"`)
	c.wants("type_of", args{"path": "test/agent/.app", "method": "date"}, `"datetime"`)
	var methods []struct{ Name string }
	c.must("dir", args{"path": "test/agent"}, &methods)
	for _, name := range []string{"dir", "ls", "appName", "deviceId", "deviceType", "launchRexec"} {
		if !slices.ContainsFunc(methods, func(m struct{ Name string }) bool { return m.Name == name }) {
			t.Errorf("dir shows no %s: %v", name, methods)
		}
	}
	c.fails("call", args{"path": "test/agent", "method": "nosuch"}, 2, "nosuch")
	c.fails("call", args{"path": "test/agent/nosuch", "method": "ls"}, 2)
	for _, abort := range []bool{false, true} {
		c.fails("query", args{"path": "test/agent", "method": "launchRexec", "abort": abort}, 14)
	}
}

// dialTheirs logs our client in at a pyshv broker.
func dialTheirs(t *testing.T, url, password string) (*client.Client, error) {
	t.Helper()
	u, err := transport.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	return client.Dial(t.Context(), client.Options{
		URL:       u,
		Login:     client.Login{User: "user", Password: password, Watchdog: time.Minute},
		Heartbeat: time.Second, // two late answers to pings end the connection
	})
}

// The login result of pyshv's broker has no client id, and it has no .broker/app:ping.
func TestOurClientStaysOnThePyshvBroker(t *testing.T) {
	covers(t, theirBroker, "client of our programs", "login, login refused, heartbeats, calls, errors, ls")
	s, url := startTheirBroker(t, theirConfig, logAll...)
	c, err := dialTheirs(t, url, "u-secret")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s.await(t, "it was pinged four times", func() bool { return strings.Count(s.log.String(), `"ping"`) >= 4 })
	call := func(path, method string) (chainpack.Value, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return c.Call(ctx, path, method, chainpack.Null())
	}
	for _, step := range [][3]string{
		{".app", "name", `"pyshvbroker"`},
		{".app", "shvVersionMajor", "3"},
		{"", "ls", `[".app",".broker"]`},
	} {
		if v, err := call(step[0], step[1]); err != nil || cpon.String(v) != step[2] {
			t.Errorf("%s:%s is %s, %v; want %s", step[0], step[1], cpon.String(v), err, step[2])
		}
	}
	if v, err := call("test/nosuch", "ls"); err == nil {
		t.Errorf("test/nosuch:ls is %s", cpon.String(v))
	}
	if err := c.Err(); err != nil {
		t.Errorf("the connection ended: %v", err)
	}
	if c, err := dialTheirs(t, url, "wrong"); !errors.Is(err, client.ErrRefused) {
		t.Errorf("a wrong password: %v", err)
		if err == nil {
			c.Close()
		}
	}
}

func TestShvrshSaysWhyThereIsNoSessionThroughThePyshvBroker(t *testing.T) {
	covers(t, theirBroker, "shvrsh and shvagent", "unknown path, login refused: one line says so")
	_, url := startTheirBroker(t, theirConfig, logAll...)
	startAgent(t, url, "device", "d-secret")
	for _, tt := range []struct{ path, password, says string }{
		{"test/nosuch", "u-secret", "shvrsh: test/nosuch: no such device: test has no nosuch\n"},
		{"test/agent", "wrong", "shvrsh: test/agent: login refused: Invalid login\n"},
	} {
		cmd := exec.Command(program("shvrsh"), "--url", url, "--user", "user", tt.path, "true")
		cmd.Env = environment(t.TempDir(), "SHV_PASSWORD="+tt.password)
		out, err := cmd.CombinedOutput()
		var failed *exec.ExitError
		if !errors.As(err, &failed) || failed.ExitCode() != 255 || string(out) != tt.says {
			t.Errorf("%s: %v, %q; want %q", tt.path, err, out, tt.says)
		}
	}
}
