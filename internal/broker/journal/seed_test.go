package journal_test

import (
	"bytes"
	"strings"
	"testing"

	"shvtools/internal/broker/journal"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

const (
	received = true
	sent     = false
)

// note is one message at the broker.
type note struct {
	link    int64
	in      bool
	message []byte
}

func login(hash, user string, options ...chainpack.Entry) chainpack.Value {
	return chainpack.Map(
		chainpack.F("login", chainpack.Map(
			chainpack.F("password", chainpack.String(hash)),
			chainpack.F("type", chainpack.String("SHA1")),
			chainpack.F("user", chainpack.String(user)))),
		chainpack.F("options", chainpack.Map(options...)))
}

// logins are hello and login of one of the clients.
func logins(link int64, nonce string, param chainpack.Value) []note {
	result := func(id int64, v chainpack.Entry) []byte {
		return rpc.AppendResult(nil, rpc.Address{ID: id}, chainpack.Map(v))
	}
	return []note{
		{link, received, rpc.AppendRequest(nil, 1, "", "hello", chainpack.Null())},
		{link, sent, result(1, chainpack.F("nonce", chainpack.String(nonce)))},
		{link, received, rpc.AppendRequest(nil, 2, "", "login", param)},
		{link, sent, result(2, chainpack.F("clientId", chainpack.Int(link)))},
	}
}

// data is a data frame from one end and what the broker of the seed made of it.
func data(t *testing.T, from, to, channel int64, text string) []note {
	b := rpc.AppendResult(nil, rpc.Address{ID: 3, Callers: rpc.CallerIDs{to}},
		chainpack.List(chainpack.Int(channel), chainpack.String(text)))
	var m rpc.Message
	if err := m.Parse(b); err != nil {
		t.Fatal(err)
	}
	head := bytes.TrimSuffix(message(t, `<1:1,8:3,12:1u>i{}`), []byte{chainpack.ByteIMap, chainpack.ByteTerm})
	return []note{{from, received, b}, {to, sent, append(head, m.Body()...)}}
}

func seedSession(t *testing.T) (notes []note) {
	const secret = "ef9b3cd47426dfbfb295a63df5e0e8bf57ffafae"
	watchdog := func(n int64) chainpack.Entry { return chainpack.F("idleWatchDogTimeOut", chainpack.Int(n)) }
	field := func(outer, inner, text string) chainpack.Entry {
		return chainpack.F(outer, chainpack.Map(chainpack.F(inner, chainpack.String(text))))
	}
	tunnel := func(callers int64, rev bool, ctl rpc.TunnelCtl) []byte {
		to := rpc.Address{ID: 3}
		if callers > 0 {
			to.Callers = rpc.CallerIDs{callers}
		}
		return rpc.AppendTunnel(nil, to, rpc.Meta{WantRevCallers: rev, Tunnel: &ctl}, 0, chainpack.Null())
	}
	found := rpc.TunnelCtl{State: rpc.FindTunnelResponse, Host: "10.0.3.93", Port: 3755, Secret: secret, CallerIDs: rpc.CallerIDs{2}}
	create := found
	create.State, create.RequestID = rpc.CreateTunnelRequest, 3
	const forwarded = `15:<1:3>i{1:3,2:"10.0.3.93",3:3755,4:"` + secret + `",5:3,6:2}>i{}`
	const param = `i{1:{"method":"runPtyCmd","params":["/bin/bash",123,34]}}`
	const prompt = "fanda@tecka:~/proj/_build/shv/bin$ "

	notes = append(notes, logins(1, "1437608631", login("73f422e5fb395a0ad8af042402e835b73d9218a7", "iot", field("device", "mountPoint", "test/agent"), watchdog(180)))...)
	notes = append(notes, logins(2, "1336980497", login("d622fa9568f5dda56ea22bd25526b4c7b778e13d", "iot", watchdog(0)))...)
	notes = append(notes,
		note{2, received, message(t, `<1:1,8:3,9:"test/agent",10:"launchRexec">`+param)},
		note{1, sent, message(t, `<1:1,8:3,9:"",10:"launchRexec",11:2,12:1u,14:"rd">`+param)},
		note{1, received, tunnel(2, true, rpc.TunnelCtl{State: rpc.FindTunnelRequest})},
		note{1, sent, tunnel(0, false, found)})
	notes = append(notes, logins(3, "1524437174", login("6299fa3137d1615cbc93a7de35edd3b6de0bfaea", "", watchdog(0), field("tunnel", "secret", secret)))...)
	notes = append(notes,
		note{3, received, tunnel(2, true, create)},
		note{2, sent, message(t, `<1:1,8:3,12:1u,13:3,`+forwarded)},
		note{2, received, tunnel(3, true, rpc.TunnelCtl{State: rpc.CreateTunnelResponse})},
		note{3, sent, message(t, `<1:1,8:3,12:1u,13:2,15:<1:3>i{1:4}>i{}`)})
	notes = append(notes, data(t, 3, 2, 1, prompt)...)
	for _, key := range []struct{ typed, echo string }{{"l", "l"}, {"s", "s"}, {"\r", "\r\n"}} {
		notes = append(notes, data(t, 2, 3, 0, key.typed)...)
		notes = append(notes, data(t, 3, 2, 1, key.echo)...)
	}
	const around = 9 // bytes of a body around such a text
	notes = append(notes, data(t, 3, 2, 1, strings.Repeat("x", 362-around))...)
	notes = append(notes, data(t, 3, 2, 1, strings.Repeat("x", 766-around))...)
	return append(notes, data(t, 3, 2, 1, prompt)...)
}

// Line for line as in the client's document. It shows secrets, so the journal is
// an unsafe one, but for the bodies that the document itself abbreviates.
func TestSessionOfTheSeedIsPrintedAsThere(t *testing.T) {
	want := seedLines(t)
	notes := seedSession(t)
	if len(notes) != len(want) {
		t.Fatalf("%d messages, the seed has %d", len(notes), len(want))
	}
	for i, n := range notes {
		var out bytes.Buffer
		j := journal.New(&out, !strings.Contains(want[i], "bytes of data"))
		if n.in {
			j.Received(n.link, n.message, false)
		} else {
			j.Sent(n.link, n.message, false)
		}
		if got := strings.TrimSuffix(out.String(), "\n"); got != want[i] {
			t.Errorf("line %d\n got %s\nwant %s", i+1, got, want[i])
		}
	}
}

func TestSafeJournalOfTheSeedHoldsNoSecret(t *testing.T) {
	var out bytes.Buffer
	j := journal.New(&out, false)
	for _, n := range seedSession(t) {
		j.Received(n.link, n.message, bytes.Contains(n.message, []byte{0x8a, 0x42, 0x88}))
	}
	for _, secret := range []string{"73f422", "d622fa", "6299fa", "ef9b3c", "fanda@tecka"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is in\n%s", secret, out.String())
		}
	}
	if want := `" ... 43 bytes of data ... "`; !strings.Contains(out.String(), want) {
		t.Errorf("%s is not in\n%s", want, out.String())
	}
}
