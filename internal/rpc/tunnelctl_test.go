package rpc_test

import (
	"testing"

	"shvtools/internal/cpon"
	"shvtools/internal/rpc"
)

// What each program sends, and what it becomes where a broker writes it anew.
func TestTunnelCtlRoundTrip(t *testing.T) {
	for in, want := range map[string]string{
		`<1:3>i{1:1}`: "",
		`<1:3>i{1:2,2:"10.0.3.93",3:3755,4:"ef9b3cd47426dfbfb295a63df5e0e8bf57ffafae",6:2}`:     "",
		`<1:3>i{1:3,2:"10.0.3.93",3:3755,4:"ef9b3cd47426dfbfb295a63df5e0e8bf57ffafae",5:3,6:2}`: "",
		`<1:3>i{1:3,2:"h",3:1,4:"",5:3,6:[2,4]}`:                                                "",
		`<1:3>i{1:4}`:                                                                           "",
		`<1:3>i{1:5}`:                                                                           "",
		`<1:3>i{1:1,8:["tcp","ssl"],99:<5:1>{}}`:                                                "",
		`<1:3>i{1:99}`:                                                                          "",
		`i{1:5}`:                                                                                `<1:3>i{1:5}`,
		`<1:3>i{1:5u,5:7u}`:                                                                     `<1:3>i{1:5,5:7}`,
		`<1:3>i{8:1,1:1}`:                                                                       `<1:3>i{1:1,8:1}`,
		`<1:3>i{1:2}`:                                                                           `<1:3>i{1:2,2:"",3:0,4:""}`,
		`<1:3>i{1:1,6:[]}`:                                                                      `<1:3>i{1:1}`,
		`<1:3>i{1:1,6:[2]}`:                                                                     `<1:3>i{1:1,6:2}`,
		`<1:3>i{1:1,6:[2,"x"]}`:                                                                 `<1:3>i{1:1}`,
		`<1:3>i{1:"5",2:1}`:                                                                     `<1:3>i{1:0}`,
		`<1:3>i{}`:                                                                              `<1:3>i{1:0}`,
		`<1:3>{"State":5}`:                                                                      `<1:3>i{1:0}`,
		`null`:                                                                                  `<1:3>i{1:0}`,
		`[1,5]`:                                                                                 `<1:3>i{1:0}`,
	} {
		if want == "" {
			want = in
		}
		m := parse(t, `<8:3,15:`+in+`>i{}`)
		if got := text(t, m); got != `<8:3,15:`+in+`>i{}` {
			t.Errorf("unchanged: %s became %s", in, got)
		}
		ctl := *m.Tunnel()
		if got := cpon.String(ctl.Value()); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		m.SetTunnel(ctl)
		if got := text(t, m); got != `<8:3,15:`+want+`>i{}` {
			t.Errorf("set: %s became %s", in, got)
		}
	}
}

func TestUnreadableTunnelStateIsNoTunnel(t *testing.T) {
	for _, ctl := range []string{`null`, `5`, `"5"`, `i{1:"5"}`, `i{1:null}`, `i{2:5}`, `{"1":5}`} {
		m := parse(t, `<8:3,15:`+ctl+`>i{}`)
		if m.Tunnel().State != rpc.NoTunnel || !m.Has(rpc.TagTunnelCtl) {
			t.Errorf("%s: state %d", ctl, m.Tunnel().State)
		}
	}
}
