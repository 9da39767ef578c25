package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"shvtools/internal/test/nstest"
)

// lookups answers the look-ups of this test, and nobody else's. Each look-up of a name takes the
// next of its answers; the last one stays.
func lookups(t *testing.T, answers map[string][]string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
	ended := make(chan struct{})
	t.Cleanup(func() {
		net.DefaultResolver = was
		_ = server.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		asked := make(map[string]int) // for IPv4; Go asks for IPv6 at the same time
		b := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(answer53(b[:n], answers, asked), from)
		}
	}()
}

// answer53 answers a DNS query (RFC 1035 4.1).
func answer53(query []byte, answers map[string][]string, asked map[string]int) []byte {
	const head, typeA = 12, 1
	var labels []string
	at := head
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	question := query[head : at+5]
	name, kind := strings.Join(labels, "."), binary.BigEndian.Uint16(query[at+1:])
	reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	steps := answers[name]
	if len(steps) == 0 {
		reply[3] |= 3 // no such name
		return reply
	}
	step := min(asked[name], len(steps)-1)
	if kind == typeA {
		asked[name]++
	}
	for text := range strings.FieldsSeq(steps[step]) {
		addr := netip.MustParseAddr(text)
		if addr.Is4() != (kind == typeA) {
			continue
		}
		reply[7]++
		reply = append(reply, 0xc0, head, question[len(question)-4], question[len(question)-3], 0, 1, 0, 0, 0, 0, 0,
			byte(addr.BitLen()/8))
		reply = append(reply, addr.AsSlice()...)
	}
	return reply
}

// dialTo reports how a connection to u went: to an address, "refused", or "tried". It does not wait
// long where that is wanted: what is tried may wait for an answer that never comes.
func dialTo(u URL, want string, dial func(context.Context, URL, time.Duration) (net.Conn, error)) string {
	wait := 5 * time.Second
	if want == "tried" {
		wait = 50 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	conn, err := dial(ctx, u, 0)
	var refused *PlaintextError
	switch {
	case errors.As(err, &refused):
		return "refused"
	case err != nil:
		return "tried"
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
	return host
}

// What is not encrypted stays on this machine: whoever answers a look-up decides nothing.
func TestPlaintextStaysOnThisMachine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	lookups(t, map[string][]string{
		"here.test": {"127.0.0.1"}, "away.test": {"192.0.2.1"}, "both.test": {"192.0.2.1 127.0.0.1"},
		"other.test": {"127.0.0.1 192.0.2.1 2001:db8::1"}, "six.test": {"2001:db8::1"}, "private.test": {"10.0.0.1 fe80::1"},
		"zero.test": {"0.0.0.0"}, "mapped.test": {"::ffff:192.0.2.1"},
	})
	for _, tt := range []struct{ host, want, allowed string }{
		{"127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"[::ffff:127.0.0.1]", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.2", "tried", "tried"}, // nobody listens there
		{"localhost", "127.0.0.1", "127.0.0.1"},
		{"192.0.2.1", "refused", "tried"},
		{"[2001:db8::1]", "refused", "tried"},
		{"[fe80::1%25lo]", "refused", "tried"},
		{"0.0.0.0", "refused", "127.0.0.1"}, // Linux means this machine, but who knows
		{"[::ffff:192.0.2.1]", "refused", "tried"},
		{"here.test", "127.0.0.1", "127.0.0.1"},
		{"away.test", "refused", "tried"},
		{"both.test", "127.0.0.1", ""},
		{"other.test", "127.0.0.1", ""},
		{"six.test", "refused", "tried"},
		{"private.test", "refused", ""},
		{"zero.test", "refused", ""},
		{"mapped.test", "refused", "tried"},
		{"unknown.test", "tried", "tried"},
	} {
		for _, scheme := range []string{TCP, TCPS, WS} {
			u, err := ParseURL(scheme + "://" + tt.host + ":" + port)
			if err != nil {
				t.Fatal(err)
			}
			want, allowed := tt.want, tt.allowed
			if scheme == WS { // the listener does not answer
				if !strings.HasPrefix(want, "refused") {
					want = "tried"
				}
				allowed = "tried"
			}
			if got := dialTo(u, want, Dial); got != want {
				t.Errorf("%s: %s, want %s", u, got, want)
			}
			if got := dialTo(u, want, DialBlocking); got != want {
				t.Errorf("%s, blocking: %s, want %s", u, got, want)
			}
			if tt.allowed == "" {
				continue
			}
			u.AllowPlaintext = true
			if got := dialTo(u, allowed, Dial); got != allowed {
				t.Errorf("%s, allowed: %s, want %s", u, got, allowed)
			}
			u.AllowPlaintext, u.Unjudged = false, true
			if got := dialTo(u, allowed, Dial); got != allowed {
				t.Errorf("%s, not judged: %s, want %s", u, got, allowed)
			}
		}
		for _, scheme := range []string{SSL, WSS} {
			u, err := ParseURL(scheme + "://" + tt.host + ":" + port)
			if got := dialTo(u, "tried", Dial); err != nil || got != "tried" {
				t.Errorf("%s: %s, %v", u, got, err)
			}
		}
	}
}

// The machine's own other addresses are not loopback: packets to them may have come from outside.
func TestOwnAddressesAreNotLoopback(t *testing.T) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		own, ok := a.(*net.IPNet)
		if !ok || own.IP.IsLoopback() || own.IP.To4() == nil {
			continue
		}
		u := URL{Scheme: TCP, Host: own.IP.String(), Port: "1"}
		if got := dialTo(u, "refused", Dial); got != "refused" {
			t.Errorf("%s: %s", u, got)
		}
	}
}

// A name that was this machine's at first is judged again each time.
func TestANameIsJudgedByEachAddressThatItLeadsTo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	lookups(t, map[string][]string{"broker.test": {"127.0.0.1", "192.0.2.1", "127.0.0.1"}})
	u := URL{Scheme: TCP, Host: "broker.test", Port: port}
	for i, want := range []string{"127.0.0.1", "refused", "127.0.0.1"} {
		if got := dialTo(u, want, Dial); got != want {
			t.Errorf("connection %d: %s, want %s", i+1, got, want)
		}
	}
}

// A broker on this machine that is down is no reason to give up, whatever else its name leads to.
func TestLostLoopbackIsNotARefusal(t *testing.T) {
	lookups(t, map[string][]string{"broker.test": {"192.0.2.1 127.0.0.1"}})
	_, err := Dial(context.Background(), URL{Scheme: TCP, Host: "broker.test", Port: "1"}, 0)
	var refused *PlaintextError
	if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}

func TestWhatIsKnownToBeRefusedIsSaidBefore(t *testing.T) {
	for text, want := range map[string][2]bool{ // refused, may leave the machine
		"tcp://10.0.0.1": {true, true}, "ws://[2001:db8::1]": {true, true}, "tcps://0.0.0.0": {true, true},
		"tcp://127.0.0.1": {}, "tcp://localhost": {}, "ws://[::1]": {}, "unix:/s": {}, "ssl://10.0.0.1": {},
		"wss://10.0.0.1": {}, "tcp://broker": {false, true},
	} {
		u, err := ParseURL(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckPlaintext(u); (err != nil) != want[0] || u.MayLeave() != want[1] {
			t.Errorf("%s: %v, %v, want %v", text, err, u.MayLeave(), want)
		}
		u.AllowPlaintext = true
		if err := CheckPlaintext(u); err != nil {
			t.Errorf("%s, allowed: %v", text, err)
		}
	}
}

// A user who can put a socket where the broker's should be must not get a login.
func TestSocketOfAnotherUserIsRefused(t *testing.T) {
	const stranger = 54321 // has no account
	dir, err := os.MkdirTemp("", "socket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	theirs, ours := filepath.Join(dir, "theirs"), filepath.Join(dir, "ours")
	listen := func(path string) {
		l, err := net.Listen("unix", path)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = l.Close() })
	}
	listen(ours)
	nstest.AsUser(t, stranger, func() { listen(theirs) })
	for _, tt := range []struct{ path, owner, want string }{
		{ours, "", ""},
		{ours, "nobody", ""},
		{theirs, "", "uid 54321 listens there (want root)"},
		{theirs, "nobody", "uid 54321 listens there (want root or nobody)"},
		{theirs, "no-such-user", `there is no user "no-such-user" on this machine`},
		{theirs, strconv.Itoa(stranger), ""},
	} {
		u := URL{Scheme: Unix, Path: tt.path, Owner: tt.owner}
		for _, dial := range []func(context.Context, URL, time.Duration) (net.Conn, error){Dial, DialBlocking} {
			conn, err := dial(context.Background(), u, 0)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, owner %q: %v, want %q", tt.path, tt.owner, err, tt.want)
			}
			if conn != nil {
				_ = conn.Close()
			}
		}
	}
	// A helper of an older agent goes where that sends it.
	conn, err := Dial(context.Background(), URL{Scheme: Unix, Path: theirs, Unjudged: true}, 0)
	if err != nil {
		t.Error(err)
	} else {
		_ = conn.Close()
	}
	if err := CheckDial(URL{Scheme: Unix, Path: ours, Owner: "no-such-user"}); err == nil {
		t.Error("an owner that does not exist was not reported")
	}
}
