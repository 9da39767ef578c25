package replay

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/device/agent"
	"shvtools/internal/device/fsnode"
	"shvtools/internal/device/helperline"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

// runAgent runs our agent with a program as its helper.
func runAgent(t *testing.T, s *server, helper string, environ ...string) {
	start(t, func(ctx context.Context) error {
		return agent.Run(ctx, agent.Options{
			Brokers:    []agent.Broker{{URL: s.url, User: "iot", Password: "lub42DUB"}},
			MountPoint: "test/agent",
			Helper:     helper,
			Environ:    environ,
			Log:        zerolog.Nop(),
		})
	})
}

// ourCmdlog returns a recorded cmdlog signal as our agent sends it: with any time, and
// with what may be secret masked (spec.md 9.4).
func ourCmdlog(v chainpack.Value) (chainpack.Value, bool) {
	method, _ := tag(v, 10)
	if name, _ := method.AsString(); name != "cmdlog" {
		return v, true
	}
	entry, _ := v.GetInt(1)
	entries := entry.Entries()
	for _, key := range []string{"epochMsec", "timestamp", "value"} {
		entries = replaced(entries, chainpack.StringKey(key), always(chainpack.String("*")))
	}
	entry = chainpack.Map(entries...).WithMeta(entry.Meta()...)
	return chainpack.IMap(chainpack.N(1, entry)).WithMeta(v.Meta()...), true
}

// lines receives the line that the agent wrote to each helper of a test.
type lines struct {
	t        *testing.T
	listener *net.UnixListener
	path     string
}

func listenForLines(t *testing.T) *lines {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lines")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return &lines{t, l.(*net.UnixListener), path}
}

func (l *lines) next() []byte {
	l.t.Helper()
	_ = l.listener.SetDeadline(time.Now().Add(deadline))
	c, err := l.listener.Accept()
	if err != nil {
		l.t.Fatalf("no helper was started: %v", err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(deadline))
	line, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		l.t.Fatalf("the agent's line: %v", err)
	}
	return line
}

// For each recorded launchRexec, whatever the form of its param, our agent sends the
// recorded FindTunnelRequest. For each recorded FindTunnelResponse, it writes the line
// that the C++ agent writes to its helper (spec.md 8.3).
func TestAgentSendsTheRecordedFindTunnelRequestAndHelperLine(t *testing.T) {
	for _, tt := range []struct {
		scenario string
		launches int
	}{{"b_rsh_session", 1}, {"h_tunnel_raw", 9}} {
		t.Run(tt.scenario, func(t *testing.T) {
			t.Parallel()
			s, lines := serve(t), listenForLines(t)
			runAgent(t, s, os.Args[0], helperEnv+"="+lines.path,
				"GORACE=atexit_sleep_ms=0") // otherwise each helper takes a second under -race
			p := s.accept(tt.scenario, "agent")
			p.ours = ourCmdlog
			p.play(4) // login
			for range tt.launches {
				call, _ := message(p.events[0].frames[0])
				p.play(3) // call, cmdlog, FindTunnelRequest
				found, _ := message(p.events[0].frames[0])
				p.play(1)
				checkLine(t, lines.next(), call, found)
			}
			if len(p.events) != 0 {
				t.Errorf("%d recorded messages were not played", len(p.events))
			}
		})
	}
}

func checkLine(t *testing.T, line []byte, call, found chainpack.Value) {
	t.Helper()
	id, _ := tag(call, 8)
	ctl, _ := tag(found, 15)
	want := lineOfCpp(ctl, id, at(call, 1))
	got := parse(t, string(line))
	find, _ := got.Get("findTunnelResponse")
	wantFind, _ := want.Get("findTunnelResponse")
	if !find.Equal(wantFind) {
		t.Errorf("findTunnelResponse:\n got %s\nwant %s", cpon.String(find), cpon.String(wantFind))
	}
	onConnected, _ := got.Get("onConnectedCall")
	for _, key := range []string{"method", "params"} {
		// Without a param, the C++ line has Null and ours an empty Map. The C++ helper
		// treats both as an unknown call.
		is, _ := onConnected.Get(key)
		was, present := at(call, 1).Get(key)
		if empty, _ := is.AsString(); !is.Equal(was) && (present || empty != "") {
			t.Errorf("%s: got %s, want %s", key, cpon.String(is), cpon.String(was))
		}
	}
	for _, e := range got.Entries() {
		switch e.Key.Str() {
		case "findTunnelResponse", "onConnectedCall", "policy", "caller", "session", "trust":
		default:
			t.Errorf("key %s in the line", e.Key.Str())
		}
	}
	again, err := helperline.ParseLine(line)
	if err != nil || !again.Find.Value().Equal(wantFind) {
		t.Errorf("our own helper reads %v, %v", again, err)
	}
}

// lineOfCpp returns the line of the C++ agent as a value.
func lineOfCpp(ctl, id, param chainpack.Value) chainpack.Value {
	var entries []chainpack.Entry
	for _, e := range ctl.Entries() {
		if e.Key == chainpack.IntKey(1) {
			e.Value = chainpack.Int(2)
		}
		if e.Key == chainpack.IntKey(5) {
			continue
		}
		if e.Key == chainpack.IntKey(6) {
			entries = append(entries, chainpack.N(5, id))
		}
		entries = append(entries, e)
	}
	return chainpack.Map(
		chainpack.F("findTunnelResponse", chainpack.IMap(entries...).WithMeta(ctl.Meta()...)),
		chainpack.F("onConnectedCall", param),
	)
}

// Without a helper, the C++ agent does not answer; ours reports an error (spec.md 8.3).
func TestAgentWithoutHelperAnswersTheRecordedCall(t *testing.T) {
	t.Parallel()
	s := serve(t)
	runAgent(t, s, filepath.Join(t.TempDir(), "shvrexec"))
	p := s.accept("f2_rexec_missing_or_unreachable", "agent")
	p.ours = ourCmdlog
	p.play(8)
	p.expect(parse(t, `<1:1,8:3,11:3>i{3:i{1:8,2:"*"}}`))
}

// Our agent refuses the recorded requests of a guest with the text of the C++ agent,
// except for the path, which is empty here.
func TestAgentRefusesRecordedGuest(t *testing.T) {
	t.Parallel()
	s := serve(t)
	runAgent(t, s, filepath.Join(t.TempDir(), "shvrexec"))
	p := s.accept("f_rsh_no_mount", "agent")
	recorded := []string{
		"Method: 'nosuch' on path '/' doesn't exist",
		"Call method: 'launchRexec' on path '/' permission denied, grant: bws required: cmd",
	}
	p.ours = func(v chainpack.Value) (chainpack.Value, bool) {
		failed, ok := v.GetInt(3)
		if !ok {
			return v, true
		}
		text, _ := failed.GetInt(2)
		was, _ := text.AsString()
		code, _ := failed.GetInt(1)
		if !slices.Contains(recorded, was) {
			t.Errorf("unknown recorded text %q", was)
		}
		text = chainpack.String(strings.Replace(was, "'/'", "''", 1))
		failed = chainpack.IMap(chainpack.N(1, code), chainpack.N(2, text))
		return chainpack.IMap(chainpack.N(3, failed)).WithMeta(v.Meta()...), true
	}
	p.play(len(p.events))
}

// Of dir, only names, flags and levels are compared. The form of dir and the children of
// the root differ because of what only our agent has (spec.md 7.10, 9.7).
func TestAgentAnswersRecordedCalls(t *testing.T) {
	t.Parallel()
	s := serve(t)
	exported := t.TempDir()
	if err := os.Mkdir(filepath.Join(exported, "broker"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(exported, "empty.conf"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) error {
		return agent.Run(ctx, agent.Options{
			Brokers: []agent.Broker{{URL: s.url, User: "iot", Password: "lub42DUB"}}, MountPoint: "test/agent",
			Environ:   []string{"PATH=" + os.Getenv("PATH")},
			Version:   "0.0.2",
			GitCommit: "N/A",
			ScriptDir: filepath.Join(t.TempDir(), "scripts"),
			Files:     fsnode.Options{Dir: exported},
			Log:       zerolog.Nop(),
		})
	})
	p := s.accept("c_calls", "agent")
	p.ours = func(v chainpack.Value) (chainpack.Value, bool) {
		result, ok := v.GetInt(2)
		if !ok {
			return ourCmdlog(v)
		}
		return chainpack.IMap(chainpack.N(2, ourResult(result))).WithMeta(v.Meta()...), true
	}
	p.play(4) // login
	played := make(map[string]int)
	for len(p.events) > 0 {
		v, _ := message(p.events[0].frames[0])
		method, _ := tag(v, 10)
		path, _ := tag(v, 9)
		name, _ := method.AsString()
		at, _ := path.AsString()
		param, _ := v.GetInt(1)
		switch {
		case name == "dir" && param.IsNull():
			p.tell(v)
			p.due()
			checkDir(t, p.next(), p.due().frames[0])
		case name == "dir", name == "ls" && at == "" && param.IsNull():
			p.due()
			p.due()
			continue
		case cpon.String(param) == `["sleep",["8"]]`: // its caller did not wait for the answer
			p.due()
			p.due()
			continue
		case name == "runCmd", name == "runScript":
			p.play(3) // call, cmdlog, result
		default:
			p.play(2)
		}
		played[name]++
	}
	for name, want := range map[string]int{"runCmd": 9, "runScript": 3, "appVersion": 1, "shvVersion": 1, "ls": 4} {
		if played[name] != want {
			t.Errorf("%d calls of %s, want %d", played[name], name, want)
		}
	}
}

// checkDir checks that our dir has each recorded method, with its flags and level.
func checkDir(t *testing.T, ours chainpack.Value, recorded []byte) {
	t.Helper()
	const name, flags, level = 1, 2, 5
	key := func(method chainpack.Value, key int64) string {
		v, _ := method.GetInt(key)
		return strings.TrimSuffix(cpon.String(v), "u") // ours is an Int, the recorded one a UInt
	}
	describe := func(v chainpack.Value) map[string]string {
		methods := make(map[string]string)
		result, _ := v.GetInt(2)
		for _, m := range result.Items() {
			methods[key(m, name)] = "flags " + key(m, flags) + ", level " + key(m, level)
		}
		return methods
	}
	v, _ := message(recorded)
	theirs, got := describe(v), describe(ours)
	if len(theirs) != 12 {
		t.Errorf("%d methods were recorded", len(theirs))
	}
	for method, want := range theirs {
		if got[method] != want {
			t.Errorf("%s: %q, want %q", method, got[method], want)
		}
	}
}

// ourResult returns a recorded result as our agent sends it: with any text instead of
// output that depends on the machine, and with the script's argument, which the C++
// agent loses.
func ourResult(v chainpack.Value) chainpack.Value {
	text, ok := v.AsString()
	switch {
	case cpon.String(v) == `[4,"\n"]`:
		return chainpack.List(chainpack.Int(4), chainpack.String("argA\n"))
	case ok && (strings.HasPrefix(text, "total ") || strings.HasPrefix(text, "apt.log") ||
		strings.HasSuffix(text, "/opt/device\n")):
		return chainpack.String("*")
	case v.Kind() != chainpack.KindList:
		return v
	}
	items := make([]chainpack.Value, v.Len())
	for i, item := range v.Items() {
		items[i] = ourResult(item)
	}
	return chainpack.List(items...)
}
