package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"testing/synctest"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

func TestHowATunnelEnds(t *testing.T) {
	for _, tt := range []struct {
		name, meta, body string
		client           bool
		want             string // of a Closing, "" not ended
	}{
		{"exit", ",15:<1:3>i{1:5}", `2:{"exit":3,"sent":i{1:4}}`, true, "exit 3"},
		{"null", ",15:<1:3>i{1:5}", `2:null`, true, "nothing"},
		{"empty", ",15:<1:3>i{1:5}", ``, true, "nothing"},
		{"of another kind", ",15:<1:3>i{1:5}", `2:[1,2]`, true, "nothing"},
		{"error", ",15:<1:3>i{1:5}", `3:i{1:8,2:"lost"}`, true, "error lost"},
		{"error without text", ",15:<1:3>i{1:5}", `3:null`, true, "error RPC error 8"},
		{"error at a helper", ",15:<1:3>i{1:5}", `3:i{1:8,2:"lost"}`, false, "error lost"},
		{"error without State 5", "", `3:i{1:8,2:"refused"}`, true, "error refused"},
		{"error without State 5 at a helper", "", `3:i{1:8,2:"refused"}`, false, ""},
		{"delay", "", `4:0.5`, true, ""},
		{"another state", ",15:<1:3>i{1:4}", `2:null`, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := helper(true)
			if tt.client {
				o = client(true)
			}
			bubbled(t, o, func(t *testing.T, r *raw) {
				r.data(Stdout, []byte("before"))
				r.send(`<8:7%s>i{%s}`, tt.meta, tt.body)
				synctest.Wait()
				got := ""
				select {
				case <-r.Closed():
					got = describe(r.Closing())
				default:
				}
				if got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if tt.client && tt.want != "" { // all that came before is there
					var out bytes.Buffer
					if err := r.WriteTo(Stdout, &out); err != nil || out.String() != "before" {
						t.Errorf("%q, %v", out.String(), err)
					}
				}
			})
		})
	}
}

func describe(c Closing) string {
	switch {
	case c.Err != nil:
		return "error " + c.Err.Error()
	case c.Exit != nil:
		return fmt.Sprint("exit ", c.Exit.Code)
	}
	return "nothing"
}

func TestUnreadableCloseIsAnError(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		m := rpc.AppendResponseHead(nil, rpc.Address{ID: 7}, rpc.Meta{Tunnel: &rpc.TunnelCtl{State: rpc.CloseTunnel}})
		r.sendMessage(append(m, chainpack.ByteIMap, 0x42, 0xfc))
		if c := r.Closing(); c.Err == nil || c.Exit != nil {
			t.Errorf("%+v", c)
		}
	})
}

func TestLostLinkEndsTheTunnel(t *testing.T) {
	bubbled(t, client(true), func(t *testing.T, r *raw) {
		_ = r.conn.Close()
		var end *link.EndError
		if c := r.Closing(); !errors.As(c.Err, &end) || end.Cause != link.PeerClosed {
			t.Errorf("%+v", c)
		}
		r.Close(Closing{}) // the first one stays
		if r.Closing().Err == nil {
			t.Error("the first cause is gone")
		}
		if err := r.ReadFrom(Stdin, endless{}); err != ErrClosed {
			t.Errorf("ReadFrom: %v", err)
		}
		if err := r.SendEOF(Stdin); err == nil {
			t.Error("SendEOF on a lost link")
		}
	})
}

func TestExitReports(t *testing.T) {
	for _, tt := range []struct {
		exit Exit
		wire string
	}{
		{Exit{Code: 0, Sent: map[int64]int64{1: 0}}, `{"exit":0,"sent":i{1:0}}`},
		{Exit{Code: 3, Sent: map[int64]int64{1: 5, 2: 6}}, `{"exit":3,"sent":i{1:5,2:6}}`},
		{Exit{Signal: "TERM", Sent: map[int64]int64{2: 6}}, `{"signal":"TERM","sent":i{2:6}}`},
		{Exit{Code: 127, Message: "no such program", Sent: map[int64]int64{}},
			`{"exit":127,"message":"no such program","sent":i{}}`},
	} {
		if got := cpon.String(tt.exit.value()); got != tt.wire {
			t.Errorf("got %s, want %s", got, tt.wire)
		}
		if got, ok := exitFromValue(parse(t, tt.wire)); !ok || !reflect.DeepEqual(got, tt.exit) {
			t.Errorf("%s: got %+v %v", tt.wire, got, ok)
		}
	}
	for _, none := range []string{`null`, `{}`, `[1]`, `5`, `{"sent":i{1:1}}`,
		`{"exit":"0"}`, `{"signal":9}`, `{"message":"x"}`} {
		if got, ok := exitFromValue(parse(t, none)); ok {
			t.Errorf("%s was taken for %+v", none, got)
		}
	}
	got, ok := exitFromValue(parse(t, `{"exit":1u,"sent":{"1":2},"new":3}`))
	if !ok || got.Code != 1 || len(got.Sent) != 0 {
		t.Errorf("got %+v %v", got, ok)
	}
}

func parse(t *testing.T, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCloseMessages(t *testing.T) {
	to := rpc.Address{ID: 41, Callers: rpc.CallerIDs{2, 3}}
	for _, tt := range []struct {
		message []byte
		want    string
	}{
		{CloseSilently(to), `<1:1,8:41,11:[2,3],15:<1:3>i{1:5}>i{2:null}`},
		{CloseWithExit(to, Exit{Code: 1}), `<1:1,8:41,11:[2,3],15:<1:3>i{1:5}>i{2:{"exit":1,"sent":i{}}}`},
		{CloseWithError(to, errors.New("why")), `<1:1,8:41,11:[2,3],15:<1:3>i{1:5}>i{3:i{1:8,2:"why"}}`},
		{CloseWithError(to, rpc.Errorf(rpc.CodeTimeout, "late")), `<1:1,8:41,11:[2,3],15:<1:3>i{1:5}>i{3:i{1:6,2:"late"}}`},
	} {
		v, _, err := chainpack.Decode(tt.message, chainpack.Limits{})
		if got := cpon.String(v); err != nil || got != tt.want {
			t.Errorf("got %s (%v), want %s", got, err, tt.want)
		}
	}
}

func TestOffers(t *testing.T) {
	for _, tt := range []struct {
		ext  Ext
		wire string
	}{
		{Ext{Version: 1}, `{"version":1}`},
		{Ext{Version: 1, Window: 5000, Run: Run{RunShell, ""}}, `{"version":1,"window":5000,"run":{"shell":null}}`},
		{Ext{Version: 1, Run: Run{RunShell, "/bin/zsh"}}, `{"version":1,"run":{"shell":"/bin/zsh"}}`},
		{Ext{Version: 1, Run: Run{RunExec, "ls -l"}, Env: []EnvVar{{"TERM", "xterm"}, {"LANG", "C"}}},
			`{"version":1,"run":{"exec":"ls -l"},"env":{"TERM":"xterm","LANG":"C"}}`},
		{Ext{Version: 1, Features: []string{"inband", "new"}}, `{"version":1,"features":["inband","new"]}`},
		{Ext{Version: 1, Run: Run{RunSubsystem, "sftp"}, Session: "s1"},
			`{"version":1,"run":{"subsystem":"sftp"},"session":"s1"}`},
	} {
		if got := cpon.String(tt.ext.Value()); got != tt.wire {
			t.Errorf("got %s, want %s", got, tt.wire)
		}
		if got, ok := ExtOf(parse(t, `{"ext":`+tt.wire+`}`)); !ok || !reflect.DeepEqual(got, tt.ext) {
			t.Errorf("%s: got %+v %v", tt.wire, got, ok)
		}
	}
	for wire, window := range map[string]int64{
		`{"version":1,"window":1}`:             4096,
		`{"version":1,"window":-7}`:            4096,
		`{"version":1,"window":"x"}`:           4096,
		`{"version":1,"window":4097}`:          4097,
		`{"version":2}`:                        0,
		`{"version":1u,"run":5,"env":[1,"x"]}`: 0,
	} {
		if got, ok := extFromValue(parse(t, wire)); !ok || got.Window != window {
			t.Errorf("%s: got %+v %v", wire, got, ok)
		}
	}
	for _, none := range []string{`null`, `{}`, `{"version":0}`, `{"version":-1}`,
		`{"version":"1"}`, `[]`, `{"version":null}`} {
		if got, ok := extFromValue(parse(t, none)); ok {
			t.Errorf("%s was taken for %+v", none, got)
		}
	}
	if _, ok := ExtOf(parse(t, `{"method":"runCmd"}`)); ok {
		t.Error("an offer out of nothing")
	}
}
