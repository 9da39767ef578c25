package agent_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/client"
)

// caller is a user of a real broker, behind which an agent is.
func caller(t *testing.T, o agent.Options) *client.Client {
	t.Helper()
	w := world.New(t, world.Options{})
	ready := make(chan struct{})
	home := agent.Broker{URL: w.Listen("tcp://127.0.0.1:0"), User: "iot", Password: world.Password}
	o.Brokers = []agent.Broker{home}
	o.Ready = func() error { close(ready); return nil }
	t.Cleanup(runAgent(t, o))
	select {
	case <-ready:
	case <-time.After(deadline):
		t.Fatal("the agent does not connect")
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c, err := client.Dial(ctx,
		client.Options{URL: home.URL, Login: client.Login{User: home.User, Password: home.Password}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func call(t *testing.T, c *client.Client, path, method, param string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	v, err := c.Call(ctx, path, method, world.Value(t, param))
	if err != nil {
		e := rpc.AsError(err)
		return "error " + cpon.String(e.Value())
	}
	return cpon.String(v)
}

func TestMethodsThroughABroker(t *testing.T) {
	o := options(t)
	o.DeviceID, o.Tester, o.Device = "d1", true,
		agent.Device{Serial: "S/N 5", Reset: "echo reset >> " + filepath.Join(o.ScriptDir+".reset")}
	o.Files = fsnode.Options{Dir: t.TempDir()}
	c := caller(t, o)
	const at = "test/agent"
	for _, test := range [][4]string{
		{at, "ls", `null`, `[".app",".device","sys","tester"]`},
		{at, "appName", `null`, `"shvagent"`},
		{at, "appVersion", `null`, `"1.2.3"`},
		{at, "gitCommit", `null`, `"abc"`},
		{at, "shvVersion", `null`, `"N/A"`},
		{at, "shvGitCommit", `null`, `"N/A"`},
		{at, "deviceId", `null`, `"d1"`},
		{at, "deviceType", `null`, `"ShvAgent"`},
		{at, "dir", `"runScript"`, `true`},
		{at, "dir", `"nosuch"`, `false`},
		{at, "runCmd", `["sh",["-c","echo out; echo err >&2; exit 3"],1,2]`, `[3,"out\n","err\n"]`},
		{at, "runCmd", `[1,"sh",["-c","echo $A$FROM_AGENT"],{"A":"b"}]`, `["b\n",0]`},
		// What configures our programs, passwords too, is nobody else's matter.
		{at, "runCmd", `[1,"sh",["-c","echo $FROM_AGENT; env | grep -c ^SHV_"]]`, `["yes\n0\n",1]`},
		{at, "runCmd", `"nosuch"`, `error i{1:8,2:"Failed to start process (file not found, resource error)"}`},
		{at, "runCmd", `["ls",7]`, `error i{1:8,2:"Invalid request parameter: 7"}`},
		{at, "runScript", `["echo $1; exit 4",["argA"],1]`, `[4,"argA\n"]`},
		{at, "runScript", `"0123456789012345678901234567890123456789"`,
			`error i{1:32,2:"SHA1_NOT_EXISTS - Script with SHA1 privided doesn't exist, sha1: ` +
				`0123456789012345678901234567890123456789"}`},
		{at + "/.app", "name", `null`, `"shvagent"`},
		{at + "/.app", "version", `null`, `"1.2.3"`},
		{at + "/.app", "shvVersionMajor", `null`, `3`},
		{at + "/.app", "shvVersionMinor", `null`, `0`},
		{at + "/.app", "ping", `null`, `null`},
		{at + "/.device", "name", `null`, `"ShvAgent"`},
		{at + "/.device", "version", `null`, `"1.2.3"`},
		{at + "/.device", "serialNumber", `null`, `"S/N 5"`},
		{at + "/.device", "reset", `null`, `null`},
		{at + "/tester", "ls", `null`, `["prop1","prop2","prop3","prop4"]`},
		{at + "/tester/prop1", "get", `null`, `null`},
		{at + "/tester/prop1", "set", `[1,"a"]`, `true`},
		{at + "/tester/prop1", "get", `null`, `[1,"a"]`},
		{at + "/tester/prop2", "get", `null`, `null`},
		{at + "/sys", "ls", `null`, `["fs"]`},
		{at + "/sys/fs", "ls", `null`, `[]`},
		{at + "/sys/fs/new file", "write", `[0,"content"]`, `null`},
		{at + "/sys/fs/new file", "read", `[3,100]`, `b"tent"`},
		{at + "/sys/fs", "ls", `null`, `["new file"]`},
		{at + "/sys/fs/../x", "ls", `null`, `error i{1:3,2:"'sys/fs/../x' is not a valid file path"}`},
		{at + "/sys/fs/nosuch", "read", `null`, `error i{1:2,2:"Method: 'read' on path 'sys/fs/nosuch' doesn't exist"}`},
	} {
		if got := call(t, c, test[0], test[1], test[2]); got != test[3] {
			t.Errorf("%s:%s(%s)\n got %s\nwant %s", test[0], test[1], test[2], got, test[3])
		}
	}
	if uptime := call(t, c, at+"/.device", "uptime", "null"); !strings.HasSuffix(uptime, "u") {
		t.Errorf("uptime %s", uptime)
	}
	if b, err := os.ReadFile(o.ScriptDir + ".reset"); string(b) != "reset\n" {
		t.Errorf("reset: %q, %v", b, err)
	}
}

func TestMethodsThatNobodyConfiguredAreNotThere(t *testing.T) {
	w := loggedIn(t, options(t))
	w.check(1, "", "ls", "null", `i{2:[".app",".device"]}`)
	w.check(2, ".device", "reset", "null", `i{3:i{1:2,2:"Method: 'reset' on path '.device' doesn't exist"}}`)
	w.check(3, ".device", "serialNumber", "null", `i{2:null}`)
	w.check(4, "tester/prop1", "get", "null", `i{3:i{1:2,2:"Method: 'get' on path 'tester/prop1' doesn't exist"}}`)
	w.check(5, "sys/fs", "ls", "null", `i{3:i{1:2,2:"Method: 'ls' on path 'sys/fs' doesn't exist"}}`)
}

func TestResetThatFailsSaysSo(t *testing.T) {
	o := options(t)
	o.Device.Reset = "exit 5"
	w := loggedIn(t, o)
	w.check(1, ".device", "reset", "null", `i{3:i{1:8,2:"the command that resets this device failed with exit code 5"}}`)
}

// The command is the operator's, but who may run it is the policy's decision.
func TestResetIsJudgedByThePolicy(t *testing.T) {
	for _, test := range []struct {
		name  string
		rules []policy.Rule
		runs  bool
	}{
		{"no rules", []policy.Rule{}, false},
		{"denied", []policy.Rule{{Uses: policy.Uses(), Deny: true}}, false},
		{"another use", []policy.Rule{{Uses: []policy.Use{policy.Files}}}, false},
		{"commands", []policy.Rule{{Uses: []policy.Use{policy.Commands}}}, true},
	} {
		o := options(t)
		o.Device.Reset, o.Policy = "true", &policy.Policy{Rules: test.rules}
		w := loggedIn(t, o)
		w.request(1, ".device", "reset", "null")
		if got := w.answer(); strings.Contains(got, "2:null") != test.runs || strings.Contains(got, "refused") == test.runs {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}

// Levels and flags as spec.md 9.1 lists them.
func TestLevels(t *testing.T) {
	o := options(t)
	o.Files, o.Tester, o.Device.Reset = fsnode.Options{Dir: t.TempDir()}, true, "true"
	if err := os.WriteFile(filepath.Join(o.Files.Dir, "f"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w := loggedIn(t, o)
	id := 0
	for _, test := range []struct {
		path    string
		level   rpc.Access
		methods string
	}{
		{"", rpc.AccessBrowse, "ls dir appName appVersion deviceId deviceType"},
		{"", rpc.AccessRead, "gitCommit shvVersion shvGitCommit"},
		{"", rpc.AccessCommand, "runCmd runScript launchRexec"},
		{".device", rpc.AccessBrowse, "name version serialNumber"},
		{".device", rpc.AccessRead, "uptime"},
		{".device", rpc.AccessCommand, "reset"},
		{"tester/prop1", rpc.AccessRead, "get"},
		{"tester/prop1", rpc.AccessWrite, "set"},
		{"sys/fs", rpc.AccessBrowse, "ls dir"},
		{"sys/fs", rpc.AccessRead, "lsfiles"},
		{"sys/fs", rpc.AccessWrite, "mkfile mkdir"},
		{"sys/fs", rpc.AccessService, "rmdir"},
		{"sys/fs/f", rpc.AccessBrowse, "size"},
		{"sys/fs/f", rpc.AccessRead, "stat crc sha1 read hash sizeCompressed readCompressed"},
		{"sys/fs/f", rpc.AccessWrite, "write truncate append"},
		{"sys/fs/f", rpc.AccessService, "delete"},
	} {
		for method := range strings.FieldsSeq(test.methods) {
			id++
			w.Send(`<1:1,8:%d,9:%q,10:%q,11:7,17:%d>i{1:"no such param"}`, id, test.path, method, test.level-1)
			if got := w.answer(); test.level > rpc.AccessBrowse && !strings.Contains(got, "permission denied") {
				t.Errorf("%s:%s below level %d: %s", test.path, method, test.level, got)
			}
			if test.level == rpc.AccessCommand || test.level == rpc.AccessService {
				continue // it would run
			}
			id++
			w.Send(`<1:1,8:%d,9:%q,10:%q,11:7,17:%d>i{1:null}`, id, test.path, method, test.level)
			if got := w.answer(); strings.Contains(got, "permission denied") || strings.Contains(got, "doesn't exist") {
				t.Errorf("%s:%s with level %d: %s", test.path, method, test.level, got)
			}
		}
	}
}

func TestTesterSignalsItsChanges(t *testing.T) {
	o := options(t)
	o.Tester = true
	w := loggedIn(t, o)
	w.request(1, "tester/prop3", "set", `{"a":1}`)
	if got, want := cpon.String(w.signal()), `<1:1,9:"tester/prop3",10:"chng">i{1:<1:5>{"a":1}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	w.expect(1, `i{2:true}`)
	w.request(2, "tester/prop3", "set", `"`+strings.Repeat("x", 100<<10)+`"`)
	if got := w.answer(); !strings.Contains(got, "the value is too long") {
		t.Errorf("got %s", got)
	}
}
