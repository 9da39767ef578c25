package helperline_test

import (
	"strings"
	"testing"

	"shvtools/internal/device/helperline"
	"shvtools/internal/device/policy"
	"shvtools/internal/session/tunnel"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

const cppLine = `{"findTunnelResponse":<1:3>i{1:2,2:"127.0.0.1",3:3755,4:"8e2f",5:41,6:3},` +
	`"onConnectedCall":{"method":"runPtyCmd","params":["/bin/bash",80u,24u]}}`

func parse(t *testing.T, text string) helperline.Line {
	t.Helper()
	l, err := helperline.ParseLine([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return l
}

// The line of the C++ agent (spec.md 8.3).
func TestLineOfTheCppAgent(t *testing.T) {
	for _, text := range []string{cppLine, cppLine + "\n", " " + cppLine + " \r\n"} {
		l := parse(t, text)
		f := l.Find
		if f.State != rpc.FindTunnelResponse || f.Host != "127.0.0.1" || f.Port != 3755 || f.Secret != "8e2f" ||
			f.RequestID != 41 ||
			len(f.CallerIDs) != 1 || f.CallerIDs[0] != 3 {
			t.Errorf("find %+v", f)
		}
		if l.Call.Method != "runPtyCmd" || cpon.String(l.Call.Params) != `["/bin/bash",80u,24u]` || l.Call.Extended {
			t.Errorf("call %+v", l.Call)
		}
		if len(l.Policy.Env) > 0 || l.User != "" {
			t.Errorf("policy %+v, user %q", l.Policy, l.User)
		}
	}
}

// Nothing that a C++ helper looks at may change its place or form.
func TestOurLineStartsAsTheCppAgents(t *testing.T) {
	line := string(parse(t, cppLine).Append(nil))
	if start := strings.TrimSuffix(cppLine, "}"); !strings.HasPrefix(line, start+",") ||
		strings.Index(line, "\n") != len(line)-1 {
		t.Errorf("got %s", line)
	}
}

func TestLineRoundTrip(t *testing.T) {
	ext := tunnel.Ext{Version: 1, Window: 1 << 20, Run: tunnel.Run{Kind: tunnel.RunExec, Text: "echo \"a\n\x00\xff\""},
		Env:      []tunnel.EnvVar{{Name: "TERM", Value: "xterm"}, {Name: "LANG", Value: "cs\nCZ"}},
		Features: []string{"inband", "x"}}
	lines := []helperline.Line{
		{Find: rpc.TunnelCtl{State: rpc.FindTunnelResponse, Host: "::1", Port: 1, Secret: "s", RequestID: 3,
			CallerIDs: rpc.CallerIDs{2, 4}}},
		{
			Find: rpc.TunnelCtl{State: rpc.FindTunnelResponse,
				Extra: []chainpack.Entry{chainpack.N(7, chainpack.List(chainpack.String("u")))}},
			Call:   helperline.Call{Method: "runCmd", Params: chainpack.String("a\nb"), Ext: ext, Extended: true},
			Policy: policy.Grant{Limits: policy.Limits{Env: []string{"TERM", "LC_*"}}}, User: "iot:\"broker\"\n", InBand: true,
			Trust: helperline.Trust{CA: "/etc/c a.pem", CRL: "/l", Cert: "/c", Key: "/k", NoVerify: true, Name: "broker.example",
				Socket: "/run/\"s", Owner: "shvbroker"},
		},
		{Find: rpc.TunnelCtl{State: rpc.FindTunnelResponse}, Trust: helperline.Trust{Plaintext: true}},
		{Find: rpc.TunnelCtl{State: rpc.FindTunnelResponse}, Trust: helperline.Trust{Name: "h"}},
	}
	for _, l := range lines {
		text := l.Append(nil)
		if strings.Count(string(text), "\n") != 1 {
			t.Errorf("more than a line: %s", text)
		}
		again := parse(t, string(text))
		if got := again.Append(nil); string(got) != string(text) {
			t.Errorf("%s became %s", text, got)
		}
		if again.Trust != l.Trust || again.InBand != l.InBand || again.User != l.User ||
			len(again.Policy.Env) != len(l.Policy.Env) || again.Call.Method != l.Call.Method ||
			!again.Call.Ext.Value().Equal(l.Call.Ext.Value()) && l.Call.Extended {
			t.Errorf("%+v became %+v", l, again)
		}
	}
}

// A key that a client could put into its param must not become the agent's own.
func TestClientCannotWritePolicy(t *testing.T) {
	param, _ := cpon.Parse([]byte(`{"method":"m","params":1,"policy":{"env":["LD_*"]},"caller":{"user":"root"},`+
		`"trust":{"verify":false},"findTunnelResponse":i{1:2},"x":1}`), chainpack.Limits{})
	l := helperline.Line{Find: rpc.TunnelCtl{State: rpc.FindTunnelResponse}, Call: helperline.CallFromParam(param)}
	if text := string(l.Append(nil)); strings.Contains(text, "LD_") || strings.Contains(text, "root") ||
		strings.Contains(text, `"verify":false`) || strings.Contains(text, `"x"`) {
		t.Errorf("got %s", text)
	}
}

func TestBadLines(t *testing.T) {
	for _, text := range []string{
		"", "\n", "null", "[]", "{}", "i{1:2}", `"findTunnelResponse"`, cppLine[:len(cppLine)-1], cppLine + "x",
		cppLine + cppLine,
		`{"onConnectedCall":{}}`,
		`{"findTunnelResponse":null}`,
		`{"findTunnelResponse":{"State":2}}`,
		`{"findTunnelResponse":<1:3>i{1:1}}`,
		`{"findTunnelResponse":<1:3>i{1:"2"}}`,
		strings.Repeat("[", 1000),
	} {
		if l, err := helperline.ParseLine([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, l)
		}
	}
}

func TestCallThatCannotBeReadStaysEmpty(t *testing.T) {
	for _, call := range []string{`null`, `1`, `[]`, `{}`, `{"method":1}`} {
		l := parse(t, `{"findTunnelResponse":<1:3>i{1:2},"onConnectedCall":`+call+`,"policy":1,"caller":[]}`)
		if l.Call.Method != "" || !l.Call.Params.IsNull() || l.Call.Extended {
			t.Errorf("%s: %+v", call, l.Call)
		}
	}
}

// An unreadable line must not extend trust.
func TestUnreadableTrustTrustsNobodyMore(t *testing.T) {
	for trust, untold := range map[string]bool{`null`: false, `1`: false, `[]`: false, `{"plaintext":null}`: false,
		`{"plaintext":1}`: false, `{"plaintext":"true"}`: false, `{"plaintext":false,"owner":1}`: false,
		// Agents of earlier releases do not say it.
		`{}`: true, `{"verify":null}`: true, `{"verify":"false"}`: true, `{"verify":0}`: true,
		`{"ca":1,"name":[],"socket":null}`: true} {
		l := parse(t, `{"findTunnelResponse":<1:3>i{1:2},"trust":`+trust+`}`)
		if l.Trust != (helperline.Trust{Untold: untold}) {
			t.Errorf("%s: %+v", trust, l.Trust)
		}
	}
	if l := parse(t, cppLine); l.Trust != (helperline.Trust{Untold: true}) {
		t.Errorf("C++: %+v", l.Trust)
	}
}

// A wrong number here is a signal to somebody else's processes.
func TestStartedNamesAProcessGroup(t *testing.T) {
	if got := string(helperline.AppendStarted(nil, 4711)); got != "{\"processGroup\":4711}\n" {
		t.Errorf("got %q", got)
	}
	for text, want := range map[string]int{
		"{\"processGroup\":4711}\n":        4711,
		`{"processGroup":4711u,"x":1}`:     4711,
		`{"processGroup":1}`:               0,
		`{"processGroup":0}`:               0,
		`{"processGroup":-1}`:              0,
		`{"processGroup":4294967298}`:      0,
		`{"processGroup":-4294967294}`:     0,
		`{"processGroup":"4711"}`:          0,
		`{}`:                               0,
		``:                                 0,
		`some text that a library printed`: 0,
	} {
		if got, ok := helperline.ParseStarted([]byte(text)); got != want || ok != (want != 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, ok, want)
		}
	}
}
