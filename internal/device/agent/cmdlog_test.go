package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shvtools/internal/device/fsnode"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// Every subscriber reads the entries, so they must not hold secrets.
func TestCmdlogHoldsNoSecrets(t *testing.T) {
	o := options(t)
	o.Files, o.Device.Reset = fsnode.Options{Dir: t.TempDir()}, "true"
	if err := os.Mkdir(filepath.Join(o.Files.Dir, "d"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := loggedIn(t, o)
	for i, test := range []struct{ path, method, param, want string }{
		{"", "runCmd", `"ls"`, `runCmd("ls")`},
		{"", "runCmd", `"mysql -pSECRET"`, `runCmd("mysql ***")`},
		{"", "runCmd", `["sh",["-c","curl -u me:SECRET x"],1,2,{"PASSWORD":"SECRET"}]`, `runCmd(["sh","***",1,2,"***"])`},
		{"", "runCmd", `{"SECRET":"SECRET"}`, `runCmd("***")`},
		{"", "runCmd", `"mysql\t-pSECRET"`, `runCmd("mysql ***")`},
		{"", "runCmd", `"mysql\n-pSECRET"`, `runCmd("mysql ***")`},
		{"", "runCmd", `"PASSWORD=SECRET mysql"`, `runCmd("***")`},
		{"", "runCmd", `["https://me:SECRET@host/x",1]`, `runCmd(["***",1])`},
		{"", "runCmd", `["//me/SECRET"]`, `runCmd(["***"])`},
		{"", "runCmd", `["--token=SECRET"]`, `runCmd(["***"])`},
		{"", "runCmd", `["-pSECRET"]`, `runCmd(["***"])`},
		{"", "runCmd", `["mysql;echo$SECRET"]`, `runCmd(["***"])`},
		{"", "runCmd", `["/usr/bin/curl",["-H","Authorization: Bearer SECRET","https://me:SECRET@host"],1]`,
			`runCmd(["/usr/bin/curl","***",1])`},
		{"", "runCmd", `["passwd",["--stdin"],{"LD_PRELOAD":"SECRET"},"chpasswd"]`,
			`runCmd(["passwd","***","***","chpasswd"])`},
		{"", "runCmd", `["ls",b"SECRET"]`, `runCmd(["ls","***"])`},
		{"", "runCmd", `[["SECRET"],[["SECRET"]],i{1:"SECRET"},<1:"SECRET">"ls"]`, `runCmd(["***","***","***","ls"])`},
		{"", "runScript", `"0123456789012345678901234567890123456789"`,
			`runScript("0123456789012345678901234567890123456789")`},
		{"", "launchRexec", `{"method":"SECRET=SECRET"}`, `launchRexec({"method":"***"})`},
		{"", "launchRexec",
			`{"method":"runCmd","params":["login","-p","SECRET"],"password":"SECRET","ext":{"password":"SECRET"}}`,
			`launchRexec({"method":"runCmd"})`},
		{"", "launchRexec", `["SECRET"]`, `launchRexec("***")`},
		{"", "launchRexec", `"SECRET"`, `launchRexec("***")`},
		{".device", "reset", `{"password":"SECRET"}`, `reset("***")`},
		{".device", "reset", `"SECRET"`, `reset("***")`},
		{"sys/fs/d", "rmdir", `"SECRET"`, `rmdir("***")`},
		{"sys/fs/d", "rmdir", `[5,"SECRET"]`, `rmdir("***")`},
		{"", "runCmd", `null`, `runCmd(null)`},
		{"", "runScript", `"echo SECRET"`, `runScript("5314f206083b26e0332490e043a8ca35038095ee")`},
		{"", "runScript", `["echo SECRET",["SECRET"],{"A":"SECRET"},1]`,
			`runScript(["5314f206083b26e0332490e043a8ca35038095ee","***","***",1])`},
		{"", "launchRexec",
			`{"method":"runPtyCmd","params":["SECRET",80,24],"ext":{"run":{"env":{"A":"SECRET"},"exec":"SECRET"}}}`,
			`launchRexec({"method":"runPtyCmd"})`},
		{"", "launchRexec", `{"method":{"SECRET":1}}`, `launchRexec("***")`},
		{"sys/fs/d", "rmdir", `false`, `rmdir(false)`},
	} {
		w.request(i+1, test.path, test.method, test.param)
		signal := w.signal()
		text := cpon.String(signal)
		if strings.Contains(text, "SECRET") {
			t.Errorf("%s(%s): %s", test.method, test.param, text)
		}
		entry, _ := signal.GetInt(1)
		got, _ := entry.Get("value")
		if text, _ := got.AsString(); text != test.want {
			t.Errorf("%s(%s): got %s, want %s", test.method, test.param, text, test.want)
		}
		if test.method == "launchRexec" {
			if !strings.Contains(cpon.String(w.Value()), "15:<1:3>i{1:1}") {
				t.Error("no search for a tunnel")
			}
			continue
		}
		w.answer()
	}
	w.check(90, "", "gitCommit", "null", `i{2:"abc"}`)
	w.request(91, "sys/fs", "mkdir", `"e"`) // no signal of what may be done with wr
	if got := cpon.String(w.Value()); got != `<1:1,8:91,11:7>i{2:true}` {
		t.Errorf("got %s", got)
	}
}

func TestCmdlogHasTheFormOfTheCppAgent(t *testing.T) {
	w := loggedIn(t, options(t))
	before := time.Now().Truncate(time.Millisecond)
	w.Send(`<1:1,8:3,10:"runCmd",11:33,14:"cmd",16:{"brokerId":"broker.local","shvUser":"iot"},17:24>i{1:"ls"}`)
	signal := w.signal()
	entry, _ := signal.GetInt(1)
	at, _ := entry.Get("timestamp")
	stamp, _ := at.AsTime()
	if age := stamp.Sub(before); age < 0 || age > deadline {
		t.Errorf("time %v", stamp)
	}
	msec, _ := entry.Get("epochMsec")
	want := `<1:1,9:"",10:"cmdlog">i{1:<1:8>{"domain":"cmdlog","epochMsec":` + cpon.String(msec) + `,"timestamp":` +
		cpon.String(at) +
		`,"userId":"{\"brokerId\":\"broker.local\",\"shvUser\":\"iot\"}","value":"runCmd(\"ls\")","valueFlags":2u}}`
	if got := cpon.String(signal); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n, _ := msec.AsInt(); n != stamp.UnixMilli() || msec.Kind() != chainpack.KindInt {
		t.Errorf("%s is not %v", cpon.String(msec), stamp)
	}
	w.answer()
}
