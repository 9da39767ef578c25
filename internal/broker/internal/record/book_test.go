package record_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"shvtools/internal/broker/internal/record"
	"shvtools/internal/broker/internal/tunnels"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
	"shvtools/internal/wire/link"
)

// someone is a client.
type someone struct {
	who  record.Who
	open atomic.Int32
}

func (s *someone) Who() record.Who {
	s.who.Open = &s.open
	return s.who
}

// book is a Book whose records are in a file.
type book struct {
	*record.Book
	t     *testing.T
	trail *audit.Trail
	name  string
}

func newBook(t *testing.T, s audit.Settings) *book {
	t.Helper()
	s.File = filepath.Join(t.TempDir(), "audit")
	trail, err := audit.Open(audit.Options{Settings: s, Program: "shvbroker"})
	if err != nil {
		t.Fatal(err)
	}
	return &book{record.New(trail), t, trail, s.File}
}

// records ends the trail and returns its records as lines such as
// `session.start c7-3 runCmd`.
func (b *book) records() string {
	b.t.Helper()
	b.trail.Close()
	text, err := os.ReadFile(b.name)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []string
	for line := range bytes.Lines(text) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil {
			b.t.Fatal(err)
		}
		short := fmt.Sprint(r["event"])
		for _, key := range []string{"user", "path", "device", "method", "entry", "change", "session", "use", "command",
			"exit", "signal", "bytesIn",
			"bytesOut", "cause"} {
			if v, ok := r[key]; ok {
				short += fmt.Sprintf(" %s=%v", key, v)
			}
		}
		all = append(all, short)
	}
	return strings.Join(all, "\n")
}

func message(t testing.TB, text string, args ...any) *rpc.Message {
	t.Helper()
	v, err := cpon.Parse(fmt.Appendf(nil, text, args...), chainpack.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	m := new(rpc.Message)
	if err := m.Parse(chainpack.Append(nil, v)); err != nil {
		t.Fatal(err)
	}
	return m
}

// call passes a request on, which the client has sent as text.
func (b *book) call(c *someone, device int64, path, text string, args ...any) *rpc.Error {
	b.t.Helper()
	m := message(b.t, text, args...)
	m.PushCaller(c.who.ID)
	return b.Called(c, m, []byte(path), device)
}

func (b *book) answer(c *someone, text string, args ...any) {
	b.t.Helper()
	b.Answered(c.who.ID, message(b.t, text, args...))
}

func eva() *someone {
	return &someone{who: record.Who{ID: 7, User: "eva", Peer: "10.0.0.1:5", LoggedIn: true}}
}

func (b *book) expect(want ...string) {
	b.t.Helper()
	if got := b.records(); got != strings.Join(want, "\n") {
		b.t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestCallsThatAreSessions(t *testing.T) {
	for name, tt := range map[string]struct{ path, method, use string }{
		"command": {"dev", "runCmd", "commands"}, "script": {"dev", "runScript", "scripts"},
		"write": {"dev/sys/fs/a", "write", "files"}, "append": {"sys/fs/a", "append", "files"},
		"truncate": {"dev/sys/fs/a/b", "truncate", "files"},
		"mkfile":   {"dev/sys/fs", "mkfile", "files"}, "mkdir": {"dev/sys/fs", "mkdir", "files"}, "rmdir": {"dev/sys/fs/d",
			"rmdir", "files"},
		"delete": {"dev/sys/fs/a", "delete", "files"},
		"get":    {"dev", "get", ""}, "another write": {"dev/x", "write", ""}, "a name like it": {"dev/mysys/fs/x",
			"write", ""},
		"a longer name": {"dev/sys/fsx", "write", ""}, "read": {"dev/sys/fs/a", "read", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, c := newBook(t, audit.Settings{}), eva()
			b.call(c, 9, tt.path, `<1:1,8:3,10:"%s">i{1:"x"}`, tt.method)
			b.answer(c, `<1:1,8:3>i{4:0.5}`) // still running
			b.answer(c, `<1:1,8:4>i{2:1}`)   // another call
			b.answer(c, `<1:1,8:3>i{2:1}`)
			b.answer(c, `<1:1,8:3>i{2:1}`)
			if n := c.open.Load(); n != 0 {
				t.Errorf("%d are open", n)
			}
			if tt.use == "" {
				b.expect()
				return
			}
			of := fmt.Sprintf(" user=eva path=%s method=%s session=c7-3 use=%s", tt.path, tt.method, tt.use)
			b.expect("session.start"+of, "session.end"+of+" bytesIn=6 bytesOut=4")
		})
	}
}

// Somebody who calls a device by the number of its connection is found by the name of the device.
func TestCallByNumberSaysWhichDevice(t *testing.T) {
	b, c := newBook(t, audit.Settings{}), eva()
	pump, person := &someone{who: record.Who{ID: 9, User: "pump", LoggedIn: true}}, eva()
	b.Mounted(pump, "site/pump", false, nil)
	const id = `<1:1,8:3,9:"%s",10:"%s">i{}`
	for _, tt := range []struct{ path, rest, method string }{
		{"site/pump", "", "runCmd"},
		{".broker/client/9", "", "runCmd"},
		{".broker/clients/9/app/sys/fs/a", "sys/fs/a", "write"},
		{"site/pump/sys/fs/a", "sys/fs/a", "write"},
	} {
		_ = b.call(c, 9, tt.path, id, tt.rest, tt.method)
		b.answer(c, `<1:1,8:3>i{2:null}`)
	}
	_ = b.call(c, person.who.ID, ".broker/client/7", id, "", "runCmd")
	b.LoggedOut(pump, "site/pump", "idle", 0, link.Traffic{})
	_ = b.call(c, 9, ".broker/client/9", `<1:1,8:4,10:"runCmd">i{}`)
	var devices []string
	for _, line := range strings.Split(b.records(), "\n") {
		if rest, found := strings.CutPrefix(line, "session.start "); found {
			devices = append(devices, rest[:strings.Index(rest, " method=")])
		}
	}
	want := []string{
		"user=eva path=site/pump",
		"user=eva path=.broker/client/9 device=site/pump",
		"user=eva path=.broker/clients/9/app/sys/fs/a device=site/pump/sys/fs/a",
		"user=eva path=site/pump/sys/fs/a",
		"user=eva path=.broker/client/7",
		"user=eva path=.broker/client/9",
	}
	if !slices.Equal(devices, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(devices, "\n"), strings.Join(want, "\n"))
	}
}

func TestChainOfUsersIsRecorded(t *testing.T) {
	b, c := newBook(t, audit.Settings{}), eva()
	b.call(c, 9, "dev", `<1:1,8:3,10:"runCmd",11:4,16:"ida">i{1:"x"}`)
	b.Gone(9, link.IdleTimeout)
	of := ` user=ida;eva path=dev method=runCmd session=c4.7-3 use=commands`
	b.expect("session.start"+of, "session.end"+of+" bytesIn=6 bytesOut=0 cause=the device disconnected: idle for too long")
}

// A client must not hide a call behind the number of another one that is not answered.
func TestNumberOfAnOpenCallHidesNoOtherCall(t *testing.T) {
	b, c := newBook(t, audit.Settings{}), eva()
	b.call(c, 9, "mine", `<1:1,8:3,10:"runCmd">i{1:"x"}`)
	b.call(c, 9, "mine", `<1:1,8:3,10:"runCmd">i{1:"x"}`)       // the same again
	b.call(c, 9, "mine", `<1:1,8:3,10:"runCmd">i{5:false}`)     // a question about it
	b.call(c, 8, "victim", `<1:1,8:3,10:"runCmd">i{1:"x"}`)     // another device
	b.call(c, 8, "victim", `<1:1,8:3,10:"runCmd">i{1:"y"}`)     // another command
	b.call(c, 8, "victim", `<1:1,8:3,10:"runScript">i{1:"y"}`)  // another method
	b.call(c, 8, "victim", `<1:1,8:5,10:"runCmd">i{5:1,1:"z"}`) // no question: it runs
	b.call(c, 8, "victim", `<1:1,8:6,10:"runCmd">i{}`)
	all := b.records()
	if got := strings.Count(all, "session.start"); got != 6 {
		t.Errorf("%d sessions:\n%s", got, all)
	}
	if got := strings.Count(all, "cause=its end was not seen: the client used its request id again"); got != 3 {
		t.Errorf("%d ends:\n%s", got, all)
	}
}

func TestLaunchBecomesTheSessionOfItsTunnel(t *testing.T) {
	const params = `"method":"runCmd","params":["true"]`
	for name, tt := range map[string]struct{ param, want string }{
		"shell":     {`{` + params + `,"ext":{"version":1,"run":{"shell":null}}}`, " use=shell"},
		"exec":      {`{` + params + `,"ext":{"version":1,"run":{"exec":"ls -l /secret"}}}`, " use=commands command=ls"},
		"sftp":      {`{` + params + `,"ext":{"version":1,"run":{"subsystem":"sftp"}}}`, " use=sftp"},
		"base":      {`{"method":"runPtyCmd","params":["/bin/bash",80,24]}`, " command=/bin/bash"},
		"base argv": {`{"method":"runCmd","params":["ls",5]}`, " command=ls"},
		"void ext":  {`{` + params + `,"ext":{"version":0,"run":{"exec":"ls"}}}`, " command=true"},
		"nothing":   {`null`, ""}, "a list": {`[1,2]`, ""},
		"too much": {`{` + params + `,"x":[` + strings.Repeat("0,", 5000) + `0]}`, " command=***"},
	} {
		t.Run(name, func(t *testing.T) {
			b, c := newBook(t, audit.Settings{Command: audit.FirstWord}), eva()
			b.call(c, 9, "dev", `<1:1,8:3,10:"launchRexec">i{1:%s}`, tt.param)
			s := b.Opened(tunnels.NewKey(7, 3, nil), "s-1", c, "p", "m")
			if err := s.Begin(); err != nil || c.open.Load() != 0 {
				t.Errorf("%v, %d open", err, c.open.Load())
			}
			s.Count(5, 6)
			s.End(record.Closed(message(t, `<1:1,8:3,15:i{1:5}>i{2:{"exit":3,"sent":i{1:1}}}`), true))
			s.End(record.How{Cause: "again"})
			of := " user=eva path=dev method=launchRexec session=s-1"
			use, _, _ := strings.Cut(tt.want, " command")
			if !strings.Contains(use, "use") {
				use = ""
			}
			b.expect("session.start"+of+tt.want, "session.end"+of+use+" exit=3 bytesIn=5 bytesOut=6")
		})
	}
}

func TestLaunchThatIsRefusedIsNoSession(t *testing.T) {
	b, c := newBook(t, audit.Settings{}), eva()
	b.call(c, 9, "dev", `<1:1,8:3,10:"launchRexec">i{1:{}}`)
	b.answer(c, `<1:1,8:3>i{3:i{1:8,2:"refused"}}`)
	b.call(c, 9, "dev", `<1:1,8:4,10:"launchRexec">i{1:{}}`)
	b.Gone(7, link.PeerClosed)
	m := message(t, `<1:1,8:5,10:"launchRexec">i{1:{}}`)
	m.PushCaller(7)
	b.Called(c, m, []byte("dev"), 9)
	m.PopCaller()
	b.Refused(c, m, []byte("dev"), rpc.Errorf(rpc.CodeException, "full"))
	if c.open.Load() != 0 {
		t.Error("a call is open")
	}
	b.expect()
}

func TestWaysATunnelEnds(t *testing.T) {
	for text, want := range map[string]string{
		`i{2:{"exit":0}}`:                 " exit=0 bytesIn=0 bytesOut=0",
		`i{2:{"signal":"TERM"}}`:          " signal=TERM bytesIn=0 bytesOut=0",
		`i{2:null}`:                       " bytesIn=0 bytesOut=0",
		`i{2:{"exit":4294967296}}`:        " bytesIn=0 bytesOut=0",
		`i{2:{"exit":127,"message":"m"}}`: " exit=127 bytesIn=0 bytesOut=0 cause=m",
		`i{3:i{1:8,2:"lost"}}`:            " bytesIn=0 bytesOut=0 cause=lost",
	} {
		b, c := newBook(t, audit.Settings{}), eva()
		s := b.Opened(tunnels.NewKey(7, 3, nil), "s-1", c, "dev", "launchRexec")
		_ = s.Begin()
		s.End(record.Closed(message(t, `<1:1,8:3,15:i{1:5}>%s`, text), true))
		of := " user=eva path=dev method=launchRexec session=s-1"
		b.expect("session.start"+of, "session.end"+of+want)
	}
	lie := record.Closed(message(t, `<1:1,8:3,15:i{1:5}>i{3:i{1:8,2:"closed by boss"}}`), false)
	if lie.Cause != "told by the user's end: closed by boss" {
		t.Errorf("a user says who ended the session: %+v", lie)
	}
	if how := record.Closed(message(t, `<1:1,8:3,15:i{1:5}>i{2:{"exit":0}}`), false); how.Exit != nil ||
		how.Cause != "closed by the user" {
		t.Errorf("the user's end: %+v", how)
	}
}

func TestSessionInBand(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	b, c := newBook(t, audit.Settings{}), eva()
	b.call(c, 9, "dev",
		`<1:1,8:3,10:"launchRexec">i{1:{"method":"runCmd","params":"x","ext":{"version":1,"run":{"exec":"ls"}}}}`)
	b.answer(c, `<1:1,8:3>i{2:{"ext":{"version":1,"inband":"%s"}}}`, id)
	node := "dev/.rexec/" + id
	for n := range 2 {
		b.call(c, 9, node, `<1:1,8:%d,10:"attach">i{1:{}}`, 10+n)
	}
	b.call(c, 9, node, `<1:1,8:12,10:"write">i{1:[0,0,"abc"]}`)
	b.answer(c, `<1:1,8:3>i{2:[1,"output",0]}`)
	b.answer(c, `<1:1,8:3,15:i{1:5}>i{2:{"exit":2}}`)
	b.call(c, 9, node, `<1:1,8:13,10:"close">i{}`)
	all := b.records()
	for _, part := range []string{
		"session.start user=eva path=dev method=launchRexec session=" + rpc.SessionName(id) + " use=commands command=ls\n",
		"session.end user=eva path=dev method=launchRexec session=" + rpc.SessionName(id) + " use=commands exit=2 bytesIn=",
	} {
		if strings.Count(all, part) != 1 {
			t.Errorf("%s is not in\n%s", part, all)
		}
	}
	if strings.Count(all, "\n") != 1 || strings.Contains(all, id) || c.open.Load() != 0 {
		t.Errorf("got %s", all)
	}

	b = newBook(t, audit.Settings{})
	b.call(c, 9, node, `<1:1,8:12,10:"attach">i{1:{}}`) // its launchRexec is not known
	b.call(c, 9, node, `<1:1,8:13,10:"close">i{}`)
	if all := b.records(); strings.Count(all, "session.") != 2 || c.open.Load() != 0 {
		t.Errorf("got %s", all)
	}
}

// The command of a record must be that of its session, however the user launches and attaches.
func TestSessionInBandIsNotRecordedAsAnother(t *testing.T) {
	const bad, good = "00112233445566778899aabbccddeeff", "ff112233445566778899aabbccddeeff"
	b, c := newBook(t, audit.Settings{}), eva()
	for n, id := range []string{bad, good} {
		b.call(c, 9, "dev", `<1:1,8:%d,10:"launchRexec">i{1:{"method":"runCmd","params":["%s"]}}`, 3+n, id[:2])
		b.answer(c, `<1:1,8:%d>i{2:{"ext":{"version":1,"inband":"%s"}}}`, 3+n, id)
	}
	// By another path to the same device.
	b.call(c, 9, ".broker/client/9/.rexec/"+bad, `<1:1,8:10,10:"attach">i{1:{}}`)
	b.answer(c, `<1:1,8:3,15:i{1:5}>i{2:{"exit":2}}`)
	name := rpc.SessionName(bad)
	b.expect("session.start user=eva path=dev method=launchRexec session="+name+" command=00",
		"session.end user=eva path=dev method=launchRexec session="+name+" exit=2 bytesIn=35 bytesOut=64")
}

// The device takes input and the end of a session from its caller alone: calls with other caller ids
// must not end the record of a session that goes on.
func TestOtherCallersDoNotEndTheRecordOfASessionInBand(t *testing.T) {
	const id = "00112233445566778899aabbccddeeff"
	b, c := newBook(t, audit.Settings{}), eva()
	node := "dev/.rexec/" + id
	b.call(c, 9, "dev", `<1:1,8:3,10:"launchRexec">i{1:{"method":"runCmd","params":["ls"]}}`)
	b.answer(c, `<1:1,8:3>i{2:{"ext":{"version":1,"inband":"%s"}}}`, id)
	b.call(c, 9, node, `<1:1,8:10,10:"attach">i{1:{}}`)
	b.call(c, 9, node, `<1:1,8:11,10:"close",11:99>i{}`)
	b.call(c, 9, node, `<1:1,8:12,10:"write",11:99>i{1:[0,0,"abc"]}`)
	if n := c.open.Load(); n != 1 {
		t.Errorf("%d are open", n)
	}
	b.call(c, 9, node, `<1:1,8:13,10:"close">i{}`)
	if all := b.records(); strings.Count(all, "session.") != 2 || c.open.Load() != 0 {
		t.Errorf("got %s", all)
	}
}

// Of a broker's users each has a limit of its own, whatever their clients write before the names.
func TestMadeUpChainsDoNotFreeOfLimits(t *testing.T) {
	for broker, want := range map[bool]int{false: 10, true: 20} {
		b, c := newBook(t, audit.Settings{}), eva()
		c.who.Broker = broker
		for n := range 100 {
			m := message(t, `<1:1,8:3,10:"get",16:"x%d;%s">i{}`, n, []string{"mal", "ida"}[n%2])
			b.Denied(c, m, []byte("p"), "no")
		}
		if got := strings.Count(b.records(), "call.denied") - want/10; got != want {
			t.Errorf("broker %v: %d records, want %d", broker, got, want)
		}
	}
}

func TestBookIsBounded(t *testing.T) {
	b, c := newBook(t, audit.Settings{}), eva()
	for n := range 6000 {
		b.call(c, int64(n), "dev", `<1:1,8:%d,10:"runCmd">i{1:"x"}`, n+1)
	}
	if n := c.open.Load(); n > 4096 {
		t.Errorf("%d calls are open", n)
	}
	b.Gone(7, link.PeerClosed)
	all := b.records()
	if s, e := strings.Count(all, "session.start"), strings.Count(all, "session.end"); s != 6000 || e != 6000 ||
		c.open.Load() != 0 {
		t.Errorf("%d starts, %d ends, %d open", s, e, c.open.Load())
	}
}

func TestCallThatCannotBeRecordedIsRefused(t *testing.T) {
	b, c := newBook(t, audit.Settings{Refuse: true}), eva()
	if err := b.call(c, 9, "dev", `<1:1,8:3,10:"runCmd">i{1:"x"}`); err != nil {
		t.Fatal(err)
	}
	// A directory in the place of the file cannot be written, and neither can a closed one.
	b.trail.Close()
	if err := b.call(c, 9, "dev", `<1:1,8:4,10:"runCmd">i{1:"x"}`); err == nil || c.open.Load() != 1 {
		t.Errorf("%v, %d open", err, c.open.Load())
	}
	if err := b.Opened(tunnels.NewKey(7, 9, nil), "s-1", c, "dev", "launchRexec").Begin(); err == nil {
		t.Error("a tunnel without a record")
	}
}

func TestOtherEvents(t *testing.T) {
	b, c := newBook(t, audit.Settings{}), eva()
	b.Denied(c, message(t, `<1:1,8:3,10:"get",16:"ida">i{}`), []byte("dev"), "no rule")
	set, reload := &node.Request{Path: "users", Method: "setValue"}, &node.Request{Path: "app", Method: "reloadConfig"}
	b.Changed(c, set, "roles: a -> b", nil, []string{"mal"})
	b.Changed(c, set, "", errors.New("read-only"), []string{"mal"})
	b.Changed(c, reload, "", nil, nil)
	b.LoggedOut(c, "dev", "idle", 0, link.Traffic{BytesIn: 3, BytesOut: 4})
	b.Mounted(c, "dev", true, eva())
	b.Mounted(c, "other", false, nil)
	b.LoginRefused(c, "mal", "wrong")
	b.expect(
		"call.denied user=ida;eva path=dev method=get cause=no rule",
		"rights.changed user=eva path=users method=setValue entry=mal change=roles: a -> b",
		"call.denied user=eva path=users method=setValue entry=mal cause=refused: read-only",
		"reload user=eva path=app method=reloadConfig",
		"unmount user=eva path=dev cause=idle",
		"logout user=eva bytesIn=3 bytesOut=4 cause=idle",
		"mount user=eva path=dev",
		"takeover user=eva path=dev cause=from client 7 of eva at 10.0.0.1:5",
		"mount user=eva path=other",
		"login.refused user=mal cause=wrong",
	)
	stranger := &someone{}
	b = newBook(t, audit.Settings{})
	b.LoggedOut(stranger, "", "idle", 0, link.Traffic{})
	b.expect()
}

func TestOrdinaryCallsDoNotAllocate(t *testing.T) {
	b, c := newBook(t, audit.Settings{}), eva()
	m, path := message(t, `<1:1,8:3,9:"dev/temperature",10:"get",11:7>i{}`), []byte("dev/temperature")
	if n := testing.AllocsPerRun(100, func() { b.Called(c, m, path, 9) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzWhatALaunchAsksFor(f *testing.F) {
	f.Add([]byte{0x8b, 0x41, 0x80, 0xff})
	f.Fuzz(func(t *testing.T, body []byte) {
		m := new(rpc.Message)
		text := message(t, `<1:1,8:1,10:"launchRexec">i{}`).AppendMeta(nil)
		if m.Parse(append(text, body...)) != nil {
			return
		}
		m.PushCaller(7)
		b := record.New(nil)
		c := eva()
		b.Called(c, m, []byte("dev"), 9)
		b.Gone(7, link.PeerClosed)
		if c.open.Load() != 0 {
			t.Error("a call is left")
		}
	})
}

func BenchmarkOrdinaryCall(b *testing.B) {
	book, c := record.New(nil), eva()
	m, path := message(b, `<1:1,8:3,9:"dev/temperature",10:"get",11:7>i{}`), []byte("dev/temperature")
	b.ReportAllocs()
	for b.Loop() {
		book.Called(c, m, path, 9)
	}
}
