package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
)

// audited is an agent whose records are in a file.
func audited(t *testing.T, change func(*audit.Settings)) (w *brokerSide, trail *audit.Trail, file, served string) {
	t.Helper()
	o := options(t)
	served = t.TempDir()
	o.Files = fsnode.Options{Dir: served}
	o.Policy = &policy.Policy{Rules: []policy.Rule{
		{Name: "no", Users: []string{"mal"}, Uses: policy.Uses(), Deny: true},
		{Name: "few", Users: []string{"low"}, Uses: []policy.Use{policy.Commands}, Commands: []policy.Command{{"uptime"}}},
		{Name: "all", Uses: policy.Uses(), Limits: policy.DefaultLimits()},
	}}
	s := audit.Settings{File: filepath.Join(t.TempDir(), "audit")}
	change(&s)
	trail, err := audit.Open(audit.Options{Settings: s, Program: "shvagent"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(trail.Close)
	o.Audit = trail
	return loggedIn(t, o), trail, s.File, served
}

// shows waits until the file has each of the parts.
func shows(t *testing.T, file string, parts ...string) {
	t.Helper()
	var text []byte
	for end := time.Now().Add(deadline); time.Now().Before(end); time.Sleep(time.Millisecond) {
		text, _ = os.ReadFile(file)
		missing := 0
		for _, part := range parts {
			if !strings.Contains(string(text), part) {
				missing++
			}
		}
		if missing == 0 {
			return
		}
	}
	t.Errorf("%q is not all in\n%s", parts, text)
}

// The user id of a cmdlog signal was quoted twice: "\"iot\"".
func TestCmdlogNamesTheUserAsItIs(t *testing.T) {
	w := loggedIn(t, options(t))
	w.Send(`<1:1,8:3,10:"runCmd",11:33,14:"cmd",16:"ida;iot",17:24>i{1:"ls"}`)
	if got := cpon.String(w.signal()); !strings.Contains(got, `"userId":"ida;iot"`) {
		t.Errorf("got %s", got)
	}
	w.answer()
}

func TestWhatThePolicyOrTheLevelDeniesIsRecorded(t *testing.T) {
	w, _, file, _ := audited(t, func(*audit.Settings) {})
	w.Send(`<1:1,8:3,10:"runCmd",11:33,14:"cmd",16:"mal",17:24>i{1:"ls"}`)
	w.answer()
	w.Send(`<1:1,8:4,9:"sys/fs/x",10:"write",11:33,16:"eva",17:8>i{1:"text"}`)
	w.answer()
	w.Send(`<1:1,8:5,10:"runScript",11:33,16:"eva",17:8>i{1:"text"}`)
	w.answer()
	shows(t, file,
		`"event":"call.denied","user":"mal","peer":"tcp://127.0.0.1:`,
		`"path":"test/agent","method":"runCmd","use":"commands","command":"ls","cause":"refused: rule`,
		`"user":"eva"`, `"path":"test/agent","method":"runScript","cause":"`,
	)
}

// A command may hold a secret: of what is refused no more is recorded than of what runs.
func TestRefusedCommandsAreRecordedAsFarAsAllowed(t *testing.T) {
	for form, want := range map[audit.CommandForm]string{
		audit.WholeCommand: `"command":"mysql -phush x"`, audit.FirstWord: `"command":"mysql"`,
		audit.HashedText: `"command":"sha256:`, audit.NoCommand: `"use":"commands","cause":"`,
	} {
		w, _, file, _ := audited(t, func(s *audit.Settings) { s.Command = form })
		w.Send(`<1:1,8:3,10:"runCmd",11:33,14:"cmd",16:"low",17:24>i{1:["mysql",["-phush","x"]]}`)
		w.answer()
		shows(t, file, `"event":"call.denied","user":"low"`, want, "does not allow this command")
		text, _ := os.ReadFile(file)
		if strings.Contains(string(text), "hush") != (form == audit.WholeCommand) {
			t.Errorf("%s: %s", form, text)
		}
	}
}

// Callers write the beginning of a chain of users, which must not free them of a limit.
func TestMadeUpChainsOfUsersAreLimitedAsOneUser(t *testing.T) {
	w, trail, file, _ := audited(t, func(*audit.Settings) {})
	const calls = 40
	for n := range calls {
		w.Send(`<1:1,8:%d,10:"runCmd",11:33,14:"cmd",16:"x%d;mal",17:24>i{1:"ls"}`, n+3, n)
		w.answer()
	}
	trail.Close()
	text, _ := os.ReadFile(file)
	if n := strings.Count(string(text), "call.denied"); n >= calls/2 || !strings.Contains(string(text), `"count":`) {
		t.Errorf("%d records of %d refusals", n, calls)
	}
}

// A session that cannot be recorded must not begin, whatever its use is.
func TestNothingRunsWithoutItsRecord(t *testing.T) {
	w, trail, _, served := audited(t, func(s *audit.Settings) { s.Refuse = true })
	trail.Close() // nothing can be written any more
	mark := filepath.Join(served, "mark")
	for n, call := range []string{
		`10:"runCmd",14:"cmd",17:24>i{1:["touch",["` + mark + `"]]}`,
		`10:"runScript",14:"cmd",17:24>i{1:"touch ` + mark + `"}`,
		`9:"sys/fs/mark",10:"write",17:48>i{1:"text"}`, `9:"sys/fs/mark",10:"append",17:48>i{1:b"text"}`,
		`9:"sys/fs",10:"mkdir",17:48>i{1:"mark"}`, `9:"sys/fs",10:"mkfile",17:48>i{1:"mark"}`,
	} {
		w.Send(`<1:1,8:%d,11:33,16:"eva",%s`, n+3, call)
		m := w.Next()
		for m.Kind() == rpc.Signal { // cmdlog
			m = w.Next()
		}
		content, err := m.Content()
		if err != nil || content.Error == nil || !strings.Contains(content.Error.Message, "cannot be recorded") {
			t.Errorf("%s: %+v, %v", call, content, err)
		}
		if _, err := os.Lstat(mark); err == nil {
			t.Fatalf("%s was done", call)
		}
	}
	w.Send(`<1:1,8:50,9:"sys/fs",10:"ls",11:33,16:"eva",17:48>i{}`) // reads go on
	if content, err := w.Next().Content(); err != nil || content.Error != nil {
		t.Errorf("ls: %+v, %v", content, err)
	}
}
