package rpc_test

import (
	"testing"

	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
)

// What each program sends, and its form after a broker has written it again.
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

func TestOfferCountsWithItsSecretAlone(t *testing.T) {
	for ctl, want := range map[string]string{
		`i{1:2,4:"s",7:["ssl://h:1","s"]}`:     "ssl://h:1",
		`i{1:2,4:"s",7:["ssl://h:1","s",1]}`:   "ssl://h:1",
		`i{1:2,4:"s",7:["ssl://h:1","other"]}`: "", // keys 2 to 4 were written over
		`i{1:2,4:"s",7:["ssl://h:1"]}`:         "",
		`i{1:2,4:"",7:["ssl://h:1",""]}`:       "",
		`i{1:2,7:["ssl://h:1",null]}`:          "",
		`i{1:2,4:"s",7:[1,"s"]}`:               "",
		`i{1:2,4:"s",7:"ssl://h:1"}`:           "",
		`i{1:2,4:"s",7:{"0":"ssl://h:1"}}`:     "",
		`i{1:2,4:"s"}`:                         "",
	} {
		if got := parse(t, `<8:3,15:`+ctl+`>i{}`).Tunnel().Offered(); got != want {
			t.Errorf("%s: %q, want %q", ctl, got, want)
		}
	}
}

func TestOfferIsWrittenAndForgotten(t *testing.T) {
	received := parse(t, `<8:3,15:i{1:1,8:["ssl",5,"unix"],99:1}>i{}`).Tunnel()
	if got := received.Schemes(); len(got) != 2 || got[0] != "ssl" || got[1] != "unix" {
		t.Errorf("schemes %q", got)
	}
	ctl := rpc.TunnelCtl{State: rpc.FindTunnelResponse, Host: "h", Port: 1, Secret: "s"}
	ctl.Accept("tcp")
	ctl.Accept("ssl", "unix")
	ctl.Offer("ssl://h:2")
	if got := cpon.String(ctl.Value()); got != `<1:3>i{1:2,2:"h",3:1,4:"s",8:["ssl","unix"],7:["ssl://h:2","s"]}` {
		t.Errorf("got %s", got)
	}
	kept := ctl
	ctl.Forget()
	if got := cpon.String(ctl.Value()); got != `<1:3>i{1:2,2:"h",3:1,4:"",8:["ssl","unix"]}` {
		t.Errorf("got %s", got)
	}
	if kept.Offered() != "ssl://h:2" {
		t.Error("a copy has lost its offer")
	}
}
