package rexec

import (
	"testing"

	"shvtools/internal/device/helperline"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/transport"
)

func TestWhereAHelperConnects(t *testing.T) {
	trust := helperline.Trust{CA: "/ca", Name: "broker.example", Socket: "/run/ours"}
	for _, tt := range []struct {
		offer string // "": none
		trust helperline.Trust
		want  transport.URL
	}{
		{"", trust, transport.URL{Scheme: "tcp", Host: "10.0.0.1", Port: "3755"}},
		{"ssl://10.0.0.1:77", trust,
			transport.URL{Scheme: "ssl", Host: "10.0.0.1", Port: "77", CA: "/ca", ServerName: "broker.example"}},
		{"ssl://[::1]", helperline.Trust{NoVerify: true},
			transport.URL{Scheme: "ssl", Host: "::1", Port: "3756", NoVerify: true}},
		// The name in an offer is the one to be proved.
		{"ssl://other.example", trust, transport.URL{Scheme: "ssl", Host: "other.example", Port: "3756", CA: "/ca"}},
		// The broker does not decide whom to trust.
		{"ssl://u:p@h:1?verify=false&ca=/theirs&token=t&shapass=s", trust,
			transport.URL{Scheme: "ssl", Host: "h", Port: "1", CA: "/ca"}},
		{"unix:///run/theirs?mode=777", trust, transport.URL{Scheme: "unix", Path: "/run/ours"}},
		{"unix:///run/theirs", helperline.Trust{}, transport.URL{Scheme: "unix", Path: "/run/theirs"}},
		{"wss://10.0.0.1:77/shv?verify=false&ca=/theirs", trust,
			transport.URL{Scheme: "wss", Host: "10.0.0.1", Port: "77", Path: "/shv", CA: "/ca", ServerName: "broker.example"}},
		{"ws://h", trust, transport.URL{Scheme: "ws", Host: "h", Port: "8755", Path: "/"}},
		{"tcps://h:1", trust, transport.URL{Scheme: "tcps", Host: "h", Port: "1"}},
		{"tcp://h", trust, transport.URL{Scheme: "tcp", Host: "h", Port: "3755"}},
	} {
		find := rpc.TunnelCtl{Host: "10.0.0.1", Secret: "s"}
		if tt.offer != "" {
			find.Offer(tt.offer)
		}
		got, err := address(helperline.Line{Find: find, Trust: tt.trust})
		if err != nil || got != tt.want {
			t.Errorf("%q: got %+v, %v, want %+v", tt.offer, got, err, tt.want)
		}
	}
	// What the agent allows, and whether it says so at all, is judged where the helper connects.
	for _, offer := range []string{"", "tcp://h", "ws://h", "tcps://h", "unix:///run/theirs"} {
		find := rpc.TunnelCtl{Host: "h", Secret: "s"}
		if offer != "" {
			find.Offer(offer)
		}
		for _, told := range []helperline.Trust{{}, {Plaintext: true, Owner: "o"}, {Untold: true}} {
			u, err := address(helperline.Line{Find: find, Trust: told})
			want := told
			if want.Owner = ""; u.Scheme == transport.Unix {
				want.Owner, want.Plaintext = told.Owner, false
			}
			got := helperline.Trust{Plaintext: u.AllowPlaintext, Owner: u.Owner, Untold: u.Unjudged}
			if err != nil || got != want {
				t.Errorf("%q, %+v: got %+v, %v", offer, told, got, err)
			}
		}
	}
	find := rpc.TunnelCtl{Host: "h", Port: 1, Secret: "s"}
	find.Offer("gopher://h")
	if u, err := address(helperline.Line{Find: find}); err == nil {
		t.Errorf("got %+v", u)
	}
}
