package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/pkg/sftp"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// event is a record of an audit file.
type event map[string]any

func (e event) text(key string) string {
	if v, ok := e[key]; ok {
		return fmt.Sprint(v)
	}
	return ""
}

// events reads an audit file. Lines that are no records are counted.
func events(t *testing.T, file string) (all []event, broken int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		var e event
		if json.Unmarshal(line, &e) != nil {
			broken++
			continue
		}
		all = append(all, e)
	}
	return all, broken
}

// audited is a broker and an agent that both keep records.
type audited struct {
	*world
	atBroker, atAgent string
}

// withAudit starts both; more are lines for the sections audit of their configurations.
func withAudit(t *testing.T, more string, options ...string) *audited {
	t.Helper()
	w := &audited{world: newWorld(t)}
	w.atBroker, w.atAgent = filepath.Join(w.dir, "broker.audit"), filepath.Join(w.dir, "agent.audit")
	w.configuredBroker(configured + "audit: {file: " + w.atBroker + ", " + more + "}\n")
	file := w.newFile("shvagent.yaml")
	w.configure(file, "audit: {file: "+w.atAgent+", "+more+"}\n"+
		"rules:\n- {name: no, users: [bob], deny: true}\n- {name: all}\n")
	w.setup = setup{
		agentOptions: append([]string{"--user", "device", "--config", file}, options...),
		agentEnv:     []string{"SHV_PASSWORD=pw-device"},
	}
	w.startAgent()
	return w
}

// sessions waits until a file has so many ends of sessions, and returns the records of sessions.
func (w *audited) sessions(file string, ends int) (all []event) {
	w.t.Helper()
	eventually(w.t, patience, fmt.Sprint(ends, " ends in ", filepath.Base(file)), func() bool {
		all = all[:0]
		records, _ := events(w.t, file)
		n := 0
		for _, e := range records {
			if strings.HasPrefix(e.text("event"), "session.") {
				all = append(all, e)
			}
			if e.text("event") == "session.end" {
				n++
			}
		}
		return n >= ends
	})
	return all
}

// pair returns the start and the end of a session that both files have under one name.
func pair(all []event, name string) (start, end event) {
	for _, e := range all {
		switch {
		case e.text("session") != name:
		case e.text("event") == "session.start":
			start = e
		default:
			end = e
		}
	}
	return start, end
}

// Whoever has to say who was on a device on a day finds each use in the records of both
// ends, under one name.
func TestEachUseIsRecordedAtBothEnds(t *testing.T) {
	t.Parallel()
	served := t.TempDir()
	w := withAudit(t, "fsync: true", "--sysfs-rootdir", served, "--state-dir", t.TempDir())
	root := w.logIn("root")
	for _, tt := range []struct {
		name string
		use  func()
		want event // at the agent: of the start, or of the end
		also event // at the broker
	}{
		{"command", func() { w.finish(w.as("eva", "exit 3")) },
			event{"user": "eva", "use": "commands", "command": "exit 3", "exit": "3", "path": device, "method": "launchRexec"},
			event{"user": "eva", "use": "commands", "command": "exit", "exit": "3", "path": device, "method": "launchRexec"}},
		{"command that a signal ends", func() { w.finish(w.as("eva", "kill -TERM $$")) },
			event{"signal": "TERM", "exit": ""}, event{"signal": "TERM", "exit": ""}},
		{"shell", func() {
			cmd := w.as("eva")
			cmd.Args = append([]string{cmd.Args[0], "-tt"}, cmd.Args[1:]...)
			cmd.Stdin = strings.NewReader("exit 4\n")
			w.finish(cmd)
		}, event{"use": "shell", "command": "", "exit": "4"}, event{"use": "shell", "command": "", "exit": "4"}},
		{"sftp", func() {
			w.withSFTP("root", func(c *sftp.Client) error { _, err := c.Getwd(); return err })
		}, event{"use": "sftp", "user": "root"}, event{"use": "sftp", "user": "root"}},
		{"runCmd", func() { w.answerTo(root, device, "runCmd", `["echo",["a b"],1]`) },
			event{"use": "commands", "command": "echo 'a b'", "method": "runCmd", "exit": "0", "bytesOut": "4"},
			event{"use": "commands", "command": "", "method": "runCmd", "exit": ""}},
		{"runScript", func() { w.answerTo(root, device, "runScript", `["exit 7",1,{}]`) },
			event{"use": "scripts", "command": "exit 7", "exit": "7"}, event{"use": "scripts", "method": "runScript"}},
		{"file", func() { w.answerTo(root, device+"/sys/fs/new", "write", `"text"`) },
			event{"use": "files", "method": "write", "path": device + "/sys/fs/new", "cause": ""},
			event{"use": "files", "method": "write", "path": device + "/sys/fs/new"}},
		{"file that cannot be written", func() { w.answerTo(root, device+"/sys/fs/new/x", "mkdir", `"y"`) }, nil, nil},
		{"base protocol", func() { w.bySession("eva", param("runCmd", listOf([]string{"echo", "old"}))) },
			event{"command": "echo old", "exit": "0"}, event{"command": "echo"}},
	} {
		if tt.want == nil {
			tt.use()
			continue
		}
		before := len(w.sessionsNow(w.atAgent))
		tt.use()
		ours := w.sessions(w.atAgent, before/2+1)[before:]
		name := ours[0].text("session")
		if len(ours) != 2 || name == "" {
			t.Fatalf("%s: %v", tt.name, ours)
		}
		for file, want := range map[string]event{w.atAgent: tt.want, w.atBroker: tt.also} {
			var start, end event
			eventually(t, patience, tt.name+" in "+filepath.Base(file), func() bool {
				start, end = pair(w.sessionsNow(file), name)
				return start != nil && end != nil
			})
			for key, text := range want {
				s, e := start.text(key), end.text(key)
				if key == "user" { // a broker writes its name behind that of the user
					s, _, _ = strings.Cut(s, ":")
					e, _, _ = strings.Cut(e, ":")
				}
				if s != text.(string) && e != text.(string) {
					t.Errorf("%s in %s: %s is %q, then %q, want %q", tt.name, filepath.Base(file), key, s, e, text)
				}
			}
			if end.text("seconds") == "" || end.text("bytesIn") == "" || start.text("peer") == "" {
				t.Errorf("%s in %s: %v", tt.name, filepath.Base(file), end)
			}
			if file == w.atAgent && (start.text("rule") == "" || start.text("runAs") == "") {
				t.Errorf("%s: no rule or account: %v", tt.name, start)
			}
		}
		for _, p := range []*process{w.broker, w.agent} { // and at the default level of the log
			p.says(t, "session begun", name)
			p.says(t, "session ended", name)
		}
	}
}

func (w *audited) sessionsNow(file string) []event { return w.sessions(file, 0) }

// A broker without tunnels is between them: the agent's FindTunnelRequests are lost.
func TestSessionInBandIsRecordedAtBothEnds(t *testing.T) {
	t.Parallel()
	w := &audited{world: newWorld(t)}
	w.atBroker, w.atAgent = filepath.Join(w.dir, "broker.audit"), filepath.Join(w.dir, "agent.audit")
	w.setup = setup{brokerOptions: []string{"--audit", w.atBroker}, agentOptions: []string{"--audit", w.atAgent}}
	w.startBroker("tcp://127.0.0.1:0")
	w.startAgentAt("--url", withoutTunnels(t, w.url))
	if r := w.rsh("echo in band; exit 5"); r.code != 5 {
		t.Fatalf("%d, %s", r.code, r.all())
	}
	ours := w.sessions(w.atAgent, 1)
	name := ours[0].text("session")
	for _, file := range []string{w.atAgent, w.atBroker} {
		start, end := pair(w.sessions(file, 1), name)
		if start == nil || end == nil || end.text("exit") != "5" || start.text("use") != "commands" ||
			!strings.HasPrefix(start.text("command"), "echo") || start.text("path") != device {
			t.Errorf("%s: %v, %v", filepath.Base(file), start, end)
		}
	}
}

// withoutTunnels returns the URL of a relay that loses each FindTunnelRequest.
func withoutTunnels(t *testing.T, url string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			agent, err := l.Accept()
			if err != nil {
				return
			}
			broker, err := net.Dial("tcp", strings.TrimPrefix(url, "tcp://"))
			if err != nil {
				_ = agent.Close()
				continue
			}
			a, b := link.New(agent, link.Options{}), link.New(broker, link.Options{})
			go func() { a.Run(passing{b}); b.Close(link.Done) }()
			go func() { b.Run(passing{a}); a.Close(link.Done) }()
		}
	}()
	return "tcp://" + l.Addr().String()
}

// passing passes messages on to a link.
type passing struct{ to *link.Link }

func (p passing) Message(m *rpc.Message, f *link.Frame) {
	if m.Tunnel().State != rpc.FindTunnelRequest {
		copied := link.NewMessage(bytes.Clone(f.Message()))
		_ = p.to.Send(copied, nil)
		copied.Release()
	}
}

func (p passing) Reset() {}

func TestRefusalsAndLoginsAreRecorded(t *testing.T) {
	t.Parallel()
	w := withAudit(t, "command: none")
	w.finish(w.as("bob", "id")) // the agent's rule
	cmd := w.as("eva", "id")
	cmd.Env = append(cmd.Env, "SHV_PASSWORD=wrong")
	w.finish(cmd)
	eva := w.logIn("eva")
	w.answerTo(eva, ".broker/access/users", "value", "null")
	root := w.logIn("root")
	if got := w.answerTo(root, ".broker/access/users", "setValue",
		`["mal",{"password":{"Plain":"geheim-7"},"roles":["operators"]}]`); got != "true" {
		t.Fatal(got)
	}
	w.answerTo(root, ".broker/access/users/mal", "deactivate", "null")
	eva.Close()
	want := []string{
		"login user=device", "mount path=test/agent", "login.refused user=eva cause=unknown user or wrong password",
		"call.denied user=eva path=.broker/access/users method=value",
		"rights.changed user=root entry=mal change=added",
		"rights.changed user=root entry=mal change=deactivated: null -> true",
		"logout user=eva",
	}
	expectEvents(t, w.atBroker, want...)
	expectEvents(t, w.atAgent, `call.denied user=bob use=commands cause=refused: rule "no"`)
	if text, _ := os.ReadFile(w.atBroker); bytes.Contains(text, []byte("geheim")) || bytes.Contains(text,
		[]byte("Plain")) {
		t.Error("a password is in the record")
	}
	w.broker.says(t, "rights changed", "mal", "change=")
	w.broker.says(t, "client gone", "user=eva", "closedBy=peer")
}

// expectEvents waits until a file has records with these events and the beginnings of these fields.
func expectEvents(t *testing.T, file string, want ...string) {
	t.Helper()
	var missing []string
	var all []event
	eventuallySo(t, func() bool {
		all, _ = events(t, file)
		missing = slices.DeleteFunc(slices.Clone(want), func(text string) bool {
			name, rest, _ := strings.Cut(text, " ")
			return slices.ContainsFunc(all, func(e event) bool { return e.text("event") == name && e.has(rest) })
		})
		return len(missing) == 0
	}, func() string { return fmt.Sprintf("missing %q in %v", missing, all) })
}

// eventuallySo is eventually with a description that is made at the end.
func eventuallySo(t *testing.T, done func() bool, what func() string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Log(what())
		}
	}()
	eventually(t, patience, "the records come", done)
}

// has reports whether each field begins as a text such as `user=eva cause=refused: x` says.
func (e event) has(text string) bool {
	for text != "" {
		key, rest, _ := strings.Cut(text, "=")
		value, next := rest, ""
		for i := range rest {
			if word, _, ok := strings.Cut(rest[i:], "="); ok && i > 0 && rest[i-1] == ' ' && slices.Contains(fieldNames, word) {
				value, next = rest[:i-1], rest[i:]
				break
			}
		}
		if !strings.HasPrefix(e.text(key), value) || value == "" && e.text(key) != "" {
			return false
		}
		text = next
	}
	return true
}

var fieldNames = []string{"user", "path", "method", "entry", "change", "cause", "use"}

// logrotate moves the files away and sends HUP, while sessions go on.
func TestRotatedRecordsGoOn(t *testing.T) {
	t.Parallel()
	w := withAudit(t, "command: whole")
	w.finish(w.as("eva", "echo first"))
	w.sessions(w.atAgent, 1)
	w.sessions(w.atBroker, 1)
	for _, each := range []struct {
		p    *process
		file string
	}{{w.broker, w.atBroker}, {w.agent, w.atAgent}} {
		if err := os.Rename(each.file, each.file+".1"); err != nil {
			t.Fatal(err)
		}
		each.p.signal(t, syscall.SIGHUP)
		eventually(t, patience, "the file is made again", func() bool { _, err := os.Stat(each.file); return err == nil })
	}
	w.finish(w.as("eva", "echo second"))
	for _, file := range []string{w.atBroker, w.atAgent} {
		for name, want := range map[string]string{file + ".1": "echo first", file: "echo second"} {
			all := w.sessions(name, 1)
			if len(all) != 2 || all[0].text("command") != want {
				t.Errorf("%s: %v", name, all)
			}
		}
	}
	expectEvents(t, w.atBroker, "reload")
}

// A kill at any moment leaves at most half a line, and the next start begins a new one.
func TestRecordsSurviveAKill(t *testing.T) {
	t.Parallel()
	w := withAudit(t, "command: whole")
	w.awaitReadyLine(w.as("eva", "echo ready; sleep 1000"))
	w.kill(w.agent)
	w.kill(w.broker)
	<-w.agent.Ended
	<-w.broker.Ended
	for _, file := range []string{w.atBroker, w.atAgent} {
		if all := w.sessionsNow(file); len(all) != 1 || all[0].text("event") != "session.start" {
			t.Errorf("%s: %v", file, all)
		}
		text, _ := os.ReadFile(file)
		if err := os.WriteFile(file, append(text, `{"time":"half`...), 0o600); err != nil { // as a full disk leaves it
			t.Fatal(err)
		}
	}
	w.restartConfigured(filepath.Join(w.dir, "shvbroker.yaml"))
	w.startAgent()
	w.finish(w.as("eva", "echo again"))
	for _, file := range []string{w.atBroker, w.atAgent} {
		all := w.sessions(file, 1)
		_, broken := events(t, file)
		if len(all) != 3 || broken != 1 {
			t.Errorf("%s: %v, %d broken", file, all, broken)
		}
	}
}

// On a full disk sessions go on with a warning, or are refused with the reason, as it is configured. With
// space they are recorded again.
func TestFullDiskWarnsOrRefuses(t *testing.T) {
	for _, mode := range []string{"warn", "refuse"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			disk := t.TempDir()
			w := newWorld(t)
			w.configuredBroker(configured)
			file := w.newFile("shvagent.yaml")
			w.configure(file, "audit: {file: "+disk+"/audit, unwritable: "+mode+"}\n")
			// The rest of the disk is filled by the agent's own commands.
			w.setup = setup{
				under:        withMounts(t, "mount -t tmpfs -o size=64k tmpfs "+disk),
				agentOptions: []string{"--user", "device", "--config", file},
				agentEnv:     []string{"SHV_PASSWORD=pw-device"},
			}
			w.startAgent()
			if r := w.finish(w.as("eva", "cat /dev/zero > "+disk+"/full; true")); r.code != 0 {
				t.Fatalf("filling it: %d %s", r.code, r.all())
			}
			command := "echo runs " + strings.Repeat("x", 5000) // what is left of the last page does not hold it
			for range 3 {
				r := w.finish(w.as("eva", command))
				if refused := strings.Contains(r.all(),
					"refused: this session cannot be recorded"); refused != (mode == "refuse") ||
					strings.Contains(string(r.stdout), "runs") == refused {
					t.Errorf("%s: %d %s", mode, r.code, r.all()[:min(300, len(r.all()))])
				}
			}
			w.agent.says(t, "audit: write failed", "no space left on device")
			if strings.Contains(w.agent.log.String(), "panic") {
				t.Error("the agent panics")
			}
			// Only the agent sees the disk, so it has to make space by itself: rotation truncates the file that fills it.
			w.truncate(disk + "/full")
			if r := w.finish(w.as("eva", "cat "+disk+"/audit")); mode == "warn" && !strings.Contains(string(r.stdout),
				"records.lost") {
				t.Errorf("after that: %s", r.all())
			} else if r.code != 0 {
				t.Errorf("after that: %d %s", r.code, r.all())
			}
			w.agent.says(t, "audit: writing again")
		})
	}
}

// truncate makes a file that only the agent sees empty.
func (w *world) truncate(file string) {
	w.t.Helper()
	if err := os.Truncate(fmt.Sprintf("/proc/%d/root%s", w.agent.pid(), file), 0); err != nil {
		w.t.Fatal(err)
	}
}

func TestCheckConfigFindsRecordsThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for mode, code := range map[string]int{"warn": 0, "refuse": 1} {
		for _, program := range []string{"shvbroker", "shvagent"} {
			file := w.newFile(program + mode + ".yaml")
			w.configure(file, "audit: {file: /nonexistent/audit, unwritable: "+mode+"}\n")
			if program == "shvbroker" {
				w.configure(file, configured+"audit: {file: /nonexistent/audit, unwritable: "+mode+"}\n")
			}
			r := w.use(w.program(program), "--config", file, "--check-config")
			if r.code != code || !strings.Contains(r.all(), "audit.file: ") {
				t.Errorf("%s %s: %d %s", program, mode, r.code, r.all())
			}
		}
	}
}

// Who reads "closed by the peer" looks at the device. The broker says when it was itself.
func TestLogSaysWhoClosedAConnection(t *testing.T) {
	t.Parallel()
	w := setup{}.start(t)
	w.broker.signal(t, syscall.SIGTERM)
	w.broker.says(t, "client gone", `cause="shutting down"`, "closedBy=broker", "mount="+device)
}
