package transport

import (
	"strings"
	"testing"
)

func TestURLForms(t *testing.T) {
	for text, want := range map[string]URL{
		"tcp://host":                {Scheme: "tcp", Host: "host", Port: "3755"},
		"host":                      {Scheme: "ssl", Host: "host", Port: "3756"},
		"host:77":                   {Scheme: "ssl", Host: "host", Port: "77"},
		"eva@127.0.0.9":             {Scheme: "tcp", Host: "127.0.0.9", Port: "3755", User: "eva", HasUser: true},
		"LocalHost:77":              {Scheme: "tcp", Host: "LocalHost", Port: "77"},
		"[::1]":                     {Scheme: "tcp", Host: "::1", Port: "3755"},
		"127.0.0.1.example":         {Scheme: "ssl", Host: "127.0.0.1.example", Port: "3756"},
		"[2001:db8::1]":             {Scheme: "ssl", Host: "2001:db8::1", Port: "3756"},
		"tcp:":                      {Scheme: "tcp", Host: "localhost", Port: "3755"},
		"ssl:?ca=c":                 {Scheme: "ssl", Host: "localhost", Port: "3756", CA: "c"},
		"tcp://root@:17755":         {Scheme: "tcp", Host: "localhost", Port: "17755", User: "root", HasUser: true},
		"unix:run/b.sock":           {Scheme: "unix", Path: "run/b.sock"},
		"unix:b?owner=shvbroker":    {Scheme: "unix", Path: "b", Owner: "shvbroker"},
		"tcp://[fe80::1%25eth0]:77": {Scheme: "tcp", Host: "fe80::1%eth0", Port: "77"},
		"tcp://[::1]:0":             {Scheme: "tcp", Host: "::1", Port: "0"},
		"tcp://eva@host/":           {Scheme: "tcp", Host: "host", Port: "3755", User: "eva", HasUser: true},
		"tcp://h?user=e@x&password=a%26": {Scheme: "tcp", Host: "h", Port: "3755", User: "e@x", HasUser: true,
			Password: "a&", HasPassword: true},
		"ssl://host":                    {Scheme: "ssl", Host: "host", Port: "3756"},
		"ssl://h:1?ca=/c.pem&verify=0":  {Scheme: "ssl", Host: "h", Port: "1", CA: "/c.pem", NoVerify: true},
		"ssl://h?cert=c&key=k&verify=1": {Scheme: "ssl", Host: "h", Port: "3756", Cert: "c", Key: "k"},
		"tcps://host":                   {Scheme: "tcps", Host: "host", Port: "3765"},
		"ws://host?origin=https://a&origin=http://b:1": {Scheme: "ws", Host: "host", Port: "8755", Path: "/",
			Origins: "https://a,http://b:1"},
		"wss://eva@[::1]/shv%20x/?ca=c": {Scheme: "wss", Host: "::1", Port: "8766", Path: "/shv x/",
			User: "eva", HasUser: true, CA: "c"},
		"unix:///run/a%20b.sock": {Scheme: "unix", Path: "/run/a b.sock"},
		"unix:/run/s?mode=660&user=e": {Scheme: "unix", Path: "/run/s", Mode: 0o660, User: "e",
			HasUser: true},
		"h?shapass=ab&token=t": {Scheme: "ssl", Host: "h", Port: "3756", ShaPass: "ab", Token: "t"},
		"h?devid=d&devmount=a/b": {Scheme: "ssl", Host: "h", Port: "3756", DeviceID: "d",
			MountPoint: "a/b"},
	} {
		got, err := ParseURL(text)
		if err != nil || got != want {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestBadURLIsRefusedWithoutShowingItsPassword(t *testing.T) {
	for _, text := range []string{"wxs://eva:secret@host", "ws://eva:secret@h?origin=x",
		"unix://host/path?password=secret",
		"ssl://h?password=secret&verify=perhaps", "ssl://h?password=secret&crl=", "unix:/a?password=secret&mode=8",
		"unix:/a?password=secret&mode=0",
		"tcp://h?password=secret&x=%zz", "tcp://eva:secret@host:port",
		"tcp://eva:secret@2001:db8::5:1", "tcp://eva:secret@::1", "tcp://%zz?password=secret",
		"tcp://eva:se?cret@h", "tcp://eva?secret@h", "eva:secret?x@h", "tcp://eva:1/secret@h", "ws://eva:1/secret@h",
		"tcp://eva:secret@h/p", "tcp://eva:secret@h#f", "tty:/dev/x?password=secret", "eva:secret@", ":1", "", "unix:"} {
		if _, err := ParseClientURL(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := ParseURL(text); err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// Each of these would otherwise be a connection to something else than was meant.
func TestURLsThatMeanSomethingElseAreRefused(t *testing.T) {
	const device = "; the path of a device is an argument of its own"
	for text, want := range map[string]string{
		"unixs:/x":                       `URL unixs:/x: scheme "unixs" is not supported`,
		"tty:/dev/ttyS0":                 `URL tty:/dev/ttyS0: scheme "tty" is not supported`,
		"tty:///dev/ttyS0":               `URL tty:///dev/ttyS0: scheme "tty" is not supported`,
		"serial:ttyS0":                   `scheme "serial" is not supported`,
		"can:can0":                       `scheme "can" is not supported`,
		"ssls:h":                         `scheme "ssls" is not supported`,
		"ssls://h":                       `scheme "ssls" is not supported`,
		"localsocket:/x":                 `scheme "localsocket" is not supported`,
		"tcp:h":                          `no // after the scheme (want tcp://host)`,
		"SSL:h":                          `no // after the scheme (want ssl://host)`,
		"tcp://127.0.0.1/test/agent":     `URL tcp://127.0.0.1/test/agent: a path, which tcp does not have` + device,
		"ssl://h/test/agent":             `a path, which ssl does not have` + device,
		"h/test/agent":                   `a path, which ssl does not have` + device,
		"tcps://h/x":                     `a path, which tcps does not have` + device,
		"unix://run/b.sock":              `a socket is a path without a host`,
		"ssl://h#?ca=c":                  `no fragment`,
		"ssl://h?owner=root":             `option owner is for unix: only, not for ssl`,
		"unix:/s?owner=":                 `option owner names no user`,
		"ssl://eva:17/secret@h?verify=1": `an @ in the path`,
	} {
		if u, err := ParseClientURL(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %s", text, u, err, want)
		}
	}
	for text, want := range map[string]string{
		"ssl://0.0.0.0:3756/foo": "URL ssl://0.0.0.0:3756/foo: a path, which ssl does not have",
		"tcp:":                   "URL tcp:: no host", "tcp://:3755": "URL tcp://:3755: no host",
		"unix:/s?owner=root": `unknown option "owner" of a listener`,
	} {
		if u, err := ParseListenURL(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %s", text, u, err, want)
		}
	}
}

func TestMistypedOptionOfAListenerIsRefused(t *testing.T) {
	for text, name := range map[string]string{
		"ssl://h?require-client-certt=true&client-ca=/a": "require-client-certt",
		"ssl://h?clientca=/a":                            "clientca",
		"wss://h?ca=/a":                                  "ca", // a client's: client-ca is meant
		"tcp://h?password=secret":                        "password",
	} {
		_, err := ParseListenURL(text)
		if err == nil || !strings.Contains(err.Error(), `unknown option "`+name+`"`) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	const all = "ssl://h?cert=c&key=k&client-ca=a&crl=l&require-client-cert=true&socket=s&origin=*&mode=660"
	if u, err := ParseListenURL(all); err != nil || !u.RequireClientCert || u.ClientCA != "a" {
		t.Errorf("%s: %+v, %v", all, u, err)
	}
}

func TestMistypedOptionOfAClientIsRefused(t *testing.T) {
	for text, name := range map[string]string{
		"ssl://h?clr=/a":               "clr",
		"ssl://h?password=secret&CA=a": "CA",
		"ssl://h?crlfile=a":            "crlfile", // pyshv's
		"wss://h?client-ca=/a":         "client-ca",
		"unix:/run/s?mode=660":         "mode",
	} {
		_, err := ParseClientURL(text)
		if err == nil || !strings.Contains(err.Error(), `unknown option "`+name+`" of a client`) ||
			strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
	const all = "ssl://h?user=u&password=p&shapass=s&token=t&devid=d&devmount=m&ca=a&crl=l" +
		"&cert=c&key=k&verify=false&session=true&workflow=x"
	if u, err := ParseClientURL(all); err != nil || u.CRL != "l" || u.CA != "a" {
		t.Errorf("%s: %+v, %v", all, u, err)
	}
}

func TestOptionsThatAreThereTwiceAreRefused(t *testing.T) {
	for _, tt := range []struct {
		text  string
		parse func(string) (URL, error)
		want  string // "": it may be
	}{
		{"unix:/run/s?mode=600&mode=666", ParseListenURL, `URL unix:/run/s: option "mode" is there twice`},
		{"ssl://h?crl=/a&crl=/b", ParseClientURL, `URL ssl://h: option "crl" is there twice`},
		{"ws://h?origin=http://a&origin=http://b", ParseListenURL, ""},
		{"ssl://h?clientca=/a", ParseListenURL, `URL ssl://h: unknown option "clientca" of a listener (want cert, ` +
			`client-ca, crl, key, mode, origin, require-client-cert or socket)`},
	} {
		if _, err := tt.parse(tt.text); (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%s: %v; want %s", tt.text, err, tt.want)
		}
	}
}

func TestPortsAreInRange(t *testing.T) {
	for _, text := range []string{"tcp://h:65536", "ssl://h:99999999999999999999", "ws://[::1]:70000/x"} {
		if u, err := ParseURL(text); err == nil || !strings.Contains(err.Error(), "is out of range (want 0 to 65535)") {
			t.Errorf("%s: %v, %v", text, u, err)
		}
	}
	for _, text := range []string{"tcp://h:0", "tcp://h:65535", "tcp://h:", "unix:/s"} {
		if _, err := ParseURL(text); err != nil {
			t.Error(err)
		}
	}
}

// A host that is wrongly taken for loopback would get the development password.
func TestOnlyThisMachineIsLoopback(t *testing.T) {
	for text, want := range map[string]bool{
		"tcp://127.0.0.1:3755":        true,
		"tcp://127.255.0.9":           true,
		"tcp://[::1]:3755":            true,
		"tcp://[::ffff:127.0.0.1]":    true,
		"tcp://LocalHost.:3755":       true,
		"tcp://0.0.0.0":               false,
		"tcp://127.0.0.1.example":     false,
		"tcp://localhost.example":     false,
		"tcp://localhost@evil.com":    false,
		"tcp://127.1":                 false,
		"tcp://broker.example":        false,
		"tcp://evil.com/?h=127.0.0.1": false,
	} {
		u, err := ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.isLoopback(); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

func TestURLTextIsReadAgain(t *testing.T) {
	for _, text := range []string{"tcp://h:1", "ssl://[::1]:3756", "tcp://[fe80::1%25eth0]:77", "ws://h:1",
		"wss://h:1/a%20b/", "unix:///run/a%20b%3Fc.sock", "unix:run/a%20b"} {
		u, err := ParseURL(text)
		if err != nil || u.String() != text {
			t.Errorf("%s became %s, %v", text, u, err)
		}
	}
}

// Only a peer that has shown its identity may get a password.
func TestWhoIsTrusted(t *testing.T) {
	for text, want := range map[string][3]bool{ // local, encrypted, trusted
		"tcp://127.0.0.1":            {true, false, false},
		"tcp://h":                    {false, false, false},
		"tcps://h":                   {false, false, false},
		"ws://h":                     {false, false, false},
		"ws://localhost":             {true, false, false},
		"wss://h":                    {false, true, true},
		"wss://h?verify=false":       {false, true, false},
		"ssl://h":                    {false, true, true},
		"ssl://localhost":            {true, true, true},
		"ssl://h?verify=false":       {false, true, false},
		"unix:/run/s":                {true, false, true},
		"unix:///run/s?verify=false": {true, false, true},
	} {
		u, err := ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]bool{u.IsLocal(), u.IsEncrypted(), u.IsTrusted()}; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// FuzzParseURL checks that a parsed URL has the fields of its scheme, shows no password, and parses
// again from its text.
func FuzzParseURL(f *testing.F) {
	for _, text := range []string{"tcp://eva:secret@h:1?password=secret", "ssl://[::1]?ca=/c&verify=0",
		"unix:/run/s?mode=660", "wss://h/a/?origin=*", "ws://h", "h", "unix://h/p", "ssl://h?crl=1",
		"ssl://h?client-ca=/a&require-client-cert=1", "%",
		"tcp:", "tty:/x", "unix:a", "unix:a?owner=b", "tcp://h/p", "h#", "tcp://u:p?p@h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseURL(text)
		if err != nil {
			return
		}
		socket := u.Scheme == Unix
		if (socket || kinds[u.Scheme].web) != (u.Path != "") || socket == (u.Host != "" && u.Port != "") {
			t.Fatalf("%q: %+v", text, u)
		}
		again, err := ParseURL(u.String())
		if err != nil || again.Scheme != u.Scheme || again.Host != u.Host || again.Port != u.Port || again.Path != u.Path {
			t.Fatalf("%q: %s became %+v, %v", text, u, again, err)
		}
	})
}
