package core_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/journal"
	"shvtools/internal/test/world"
)

// The answer is message 4 of spec.md 8.1 byte for byte, except for address and secret.
func TestHelpersAreSentWhereTheirAgentConnected(t *testing.T) {
	w := world.New(t, core.Options{})
	at := w.Listen("tcp://127.0.0.1:0")
	user := w.Dial(at).Login("iot", world.Password, `{}`)
	agent := w.Dial(at).Login("iot", world.Password, `{"device":{"mountPoint":"test/agent"}}`)
	user.Launch(agent, 3)
	agent.FindTunnel(user.ID, 3)
	got, err := agent.Read()
	if err != nil {
		t.Fatal(err)
	}
	const secret = 40
	place := bytes.Index(got, []byte{0x44, 0x86, secret}) + 3
	address := agent.Conn.RemoteAddr().(*net.TCPAddr)
	const head = "8b414148434f8b4143ff8a41424286093132372e302e302e314382"
	want, _ := hex.DecodeString(head + portBytes(address.Port) + "448628")
	want = append(want, got[place:place+secret]...)
	want = append(want, 0x46, 0x40+byte(user.ID), 0xff, 0xff, 0x8a, 0xff)
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

// portBytes returns an ephemeral port as Int data, in hex.
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
	b := core.New(core.Options{Users: world.Users()})
	done := make(chan error, 1)
	go func() { done <- b.Serve(&flaky{l, 3}) }()
	conn, err := net.DialTimeout("tcp", l.Addr().String(), world.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := world.NewPeer(t, conn)
	r.Login("iot", world.Password, "{}").Fence()
	_ = l.Close()
	select {
	case err := <-done:
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(world.Patience):
		t.Error("Serve did not end with its listener")
	}
	b.Close()
}

func TestJournalHidesWhatIsTypedAndWhatIsSecret(t *testing.T) {
	var out bytes.Buffer
	o := tunnelling
	o.Journal = journal.New(&out, false)
	world.Run(t, o, func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		p.ToUser("PROMPT")
		p.User.Next()
		p.ToHelper("TYPED")
		p.Helper.Next()
		p.Helper.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:null}`, p.User.ID)
		p.User.Next()
		// What is typed while the tunnel ends is no less secret.
		p.ToHelper("TYPED late")
		p.User.Fence()
		p.Helper.Gone()
		p.ToHelper("TYPED later")
		p.User.Fence()
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
