package agent

import (
	"strings"
	"testing"

	"shvtools/internal/device/helperline"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/transport"
)

func parseURL(t *testing.T, text string) transport.URL {
	t.Helper()
	u, err := transport.ParseURL(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Nothing new goes to a broker over plain TCP, which may be of any age.
func TestRequestsAskForTheAgentsOwnTransport(t *testing.T) {
	for url, want := range map[string]string{
		"tcp://h": `<1:3>i{1:1}`, "ssl://h": `<1:3>i{1:1,8:["ssl"]}`, "unix:/s": `<1:3>i{1:1,8:["unix"]}`,
		"wss://h/x": `<1:3>i{1:1,8:["wss"]}`, "ws://h": `<1:3>i{1:1,8:["ws"]}`, "tcps://h": `<1:3>i{1:1,8:["tcps"]}`,
	} {
		if got := cpon.String(request(parseURL(t, url)).Value()); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}

// A session of an agent on TLS must never go in the clear, whatever is answered.
func TestAnswersThatAnAgentActsOn(t *testing.T) {
	for _, tt := range []struct {
		own, find string
		ok        bool
	}{
		{"tcp://h", `i{1:2,2:"h",3:1,4:"s"}`, true}, // the helper judges names
		{"tcp://h", `i{1:2,2:"127.0.0.1",3:1,4:"s"}`, true},
		{"tcp://127.0.0.1", `i{1:2,2:"10.0.0.1",3:1,4:"s"}`, false},
		{"tcp://127.0.0.1", `i{1:2,2:"2001:db8::1",3:1,4:"s"}`, false},
		{"tcp://10.0.0.1 allowed", `i{1:2,2:"10.0.0.1",3:1,4:"s"}`, true},
		{"tcps://127.0.0.1", `i{1:2,2:"h",3:1,4:"s",7:["tcps://10.0.0.1:1","s"]}`, false},
		{"ws://127.0.0.1", `i{1:2,2:"h",3:1,4:"s",7:["ws://10.0.0.1:1","s"]}`, false},
		{"ws://10.0.0.1 allowed", `i{1:2,2:"h",3:1,4:"s",7:["ws://10.0.0.1:1","s"]}`, true},
		{"ssl://127.0.0.1", `i{1:2,2:"h",3:1,4:"s",7:["ssl://10.0.0.1:1","s"]}`, true},
		// An agent on tcp asks for no other transport: it must not be led to a socket of the device.
		{"tcp://127.0.0.1", `i{1:2,2:"127.0.0.1",3:1,4:"s",7:["unix:///run/x","s"]}`, false},
		{"tcp://127.0.0.1", `i{1:2,2:"127.0.0.1",3:1,4:"s",7:["ssl://h:1","s"]}`, false},
		{"ssl://h", `i{1:2,2:"h",3:1,4:"s"}`, false},
		{"ssl://h", `i{1:2,2:"h",3:1,4:"s",7:["ssl://h:1","s"]}`, true},
		{"ssl://h", `i{1:2,2:"h",3:1,4:"s",7:["ssl://h:1","x"]}`, false},
		{"ssl://h", `i{1:2,2:"h",3:1,4:"s",7:["tcp://h:1","s"]}`, false},
		{"ssl://h", `i{1:2,2:"h",3:1,4:"s",7:["h:1","s"]}`, true},    // which is ssl
		{"ssl://h", `i{1:2,2:"h",3:1,4:"s",7:["ssl://","s"]}`, true}, // on this machine
		{"ssl://h", `i{1:2,2:"h",3:1,4:"s",7:["unix:/s","s"]}`, false},
		{"wss://h", `i{1:2,2:"h",3:1,4:"s",7:["wss://h:1/x","s"]}`, true},
		{"wss://h", `i{1:2,2:"h",3:1,4:"s",7:["ws://h:1","s"]}`, false},
		{"wss://h", `i{1:2,2:"h",3:1,4:"s"}`, false},
		{"tcps://h", `i{1:2,2:"h",3:1,4:"s",7:["tcps://h:1","s"]}`, true},
		{"unix:/s", `i{1:2,2:"h",3:1,4:"s",7:["unix:///other","s"]}`, true},
		{"unix:/s", `i{1:2,2:"h",3:1,4:"s"}`, false},
	} {
		v, err := cpon.Parse([]byte(tt.find), chainpack.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		text, allowed := strings.CutSuffix(tt.own, " allowed")
		own := parseURL(t, text)
		own.AllowPlaintext = allowed
		if err := judge(own, rpc.TunnelCtlFromValue(v)); (err == nil) != tt.ok {
			t.Errorf("%s, %s: %v", tt.own, tt.find, err)
		}
	}
}

func TestTrustIsTheAgentsOwn(t *testing.T) {
	for url, want := range map[string]helperline.Trust{
		"tcp://h?ca=x":                     {},
		"ssl://h?ca=/x":                    {CA: "/x", Name: "h"},
		"ssl://h?verify=0":                 {NoVerify: true, Name: "h"},
		"ssl://h?crl=/l&cert=/c&key=/k":    {CRL: "/l", Cert: "/c", Key: "/k", Name: "h"},
		"wss://h/x?ca=/x&cert=/c&key=/k":   {CA: "/x", Cert: "/c", Key: "/k", Name: "h"},
		"ws://h?ca=/x":                     {},
		"unix:/s":                          {Socket: "/s"},
		"unix:/s?owner=shvbroker":          {Socket: "/s", Owner: "shvbroker"},
		"ssl://eva:secret@h?password=p&ca": {Name: "h"},
	} {
		if got := trust(parseURL(t, url)); got != want {
			t.Errorf("%s: %+v, want %+v", url, got, want)
		}
	}
	allowed := parseURL(t, "tcp://h")
	allowed.AllowPlaintext = true
	if got := trust(allowed); got != (helperline.Trust{Plaintext: true}) {
		t.Errorf("%s, allowed: %+v", allowed, got)
	}
}
