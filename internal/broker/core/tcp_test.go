package core

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/journal"
)

// listen serves a broker on loopback, for what memory has not: addresses.
func listen(t *testing.T, b *Broker) func() *remote {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- b.Serve(l) }()
	t.Cleanup(func() {
		b.Close()
		if err := <-done; err != ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return func() *remote {
		conn, err := net.DialTimeout("tcp", l.Addr().String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return &remote{t: t, conn: conn, in: bufio.NewReader(conn)}
	}
}

// Byte for byte message 4 of spec.md 8.1, but for address and secret.
func TestHelpersAreSentWhereTheirAgentConnected(t *testing.T) {
	connect := listen(t, New(Options{Users: users()}))
	user := connect().login("iot", password, `{}`)
	agent := connect().login("iot", password, `{"device":{"mountPoint":"test/agent"}}`)
	user.launch(agent, 3)
	agent.find(user.id, 3)
	got, err := agent.read()
	if err != nil {
		t.Fatal(err)
	}
	const secret = 40
	at := bytes.Index(got, []byte{0x44, 0x86, secret}) + 3
	address := agent.conn.RemoteAddr().(*net.TCPAddr)
	want, _ := hex.DecodeString("8b414148434f8b4143ff8a41424286093132372e302e302e314382" + portBytes(address.Port) + "448628")
	want = append(want, got[at:at+secret]...)
	want = append(want, 0x46, 0x40+byte(user.id), 0xff, 0xff, 0x8a, 0xff)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// portBytes is an ephemeral port as Int data, in hex.
func portBytes(port int) string {
	return hex.EncodeToString([]byte{0xc0 | byte(port>>16), byte(port >> 8), byte(port)})
}

// flaky is a listener that fails for a while.
type flaky struct {
	net.Listener
	failures int
}

func (l *flaky) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, errors.New("too many open files")
	}
	return l.Listener.Accept()
}

func TestAcceptIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := New(Options{Users: users()})
	done := make(chan error, 1)
	go func() { done <- b.Serve(&flaky{l, 3}) }()
	conn, err := net.DialTimeout("tcp", l.Addr().String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := &remote{t: t, conn: conn, in: bufio.NewReader(conn)}
	r.login("iot", password, "{}").fence()
	_ = l.Close()
	select {
	case err := <-done:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(patience):
		t.Error("Serve did not end with its listener")
	}
	b.Close()
}

func TestJournalHidesWhatIsTypedAndWhatIsSecret(t *testing.T) {
	var out bytes.Buffer
	o := tunnelling
	o.Journal = journal.New(&out, false)
	bubbled(t, o, func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		p.toUser("PROMPT")
		p.user.next()
		p.toHelper("TYPED")
		p.helper.next()
		p.helper.send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:null}`, p.user.id)
		p.user.next()
		// What is typed while the tunnel ends is no less secret.
		p.toHelper("TYPED late")
		p.user.fence()
		p.helper.gone()
		p.toHelper("TYPED later")
		p.user.fence()
		w.Close()
	})
	journal := out.String()
	for _, secret := range []string{"PROMPT", "TYPED", "some secret"} {
		if strings.Contains(journal, secret) {
			t.Errorf("the journal shows %q:\n%s", secret, journal)
		}
	}
	for _, line := range []string{
		`2 ==> <T:RpcMessage,id:41,tctl:<T:TunnelCtl>i{State:2,Host:"10.0.3.93",Port:3755,Secret:"***",CallerIds:1}>i{}`,
		`1 ==> <T:RpcMessage,id:41>" ... 14 bytes of data ... "`,
		`3 ==> <T:RpcMessage,id:3>" ... 13 bytes of data ... "`,
		`1 <== <T:RpcMessage,id:3,cid:3>" ... 13 bytes of data ... "`,
		`3 <== <T:RpcMessage,id:41,cid:1>" ... 14 bytes of data ... "`,
	} {
		if !strings.Contains(journal, line) {
			t.Errorf("no line %s in\n%s", line, journal)
		}
	}
}
