package core_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/certtest"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// hurried is a LoginDeadline that a test can wait for, and that whoever logs in at
// once keeps on a busy machine too.
const hurried = 3 * time.Second

// doors is a broker with a listener of each scheme.
type doors struct {
	*core.Broker
	t    *testing.T
	urls map[string]transport.URL
}

func openDoors(t *testing.T, o core.Options) *doors {
	t.Helper()
	o.Users = world.Users()
	c := certtest.Write(t, t.TempDir(), "c", "127.0.0.1")
	d := &doors{Broker: core.New(o), t: t, urls: make(map[string]transport.URL)}
	t.Cleanup(d.Close)
	for _, u := range []transport.URL{
		{Scheme: "tcp", Host: "127.0.0.1", Port: "0"},
		{Scheme: "ssl", Host: "127.0.0.1", Port: "0", Cert: c.Cert, Key: c.Key},
		{Scheme: "ws", Host: "127.0.0.1", Port: "0"},
		{Scheme: "wss", Host: "127.0.0.1", Port: "0", Cert: c.Cert, Key: c.Key},
		{Scheme: "unix", Path: filepath.Join(t.TempDir(), "s")},
	} {
		l, err := transport.Listen(t.Context(), u, transport.ListenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = d.Serve(l) }()
		at := l.URL()
		at.Cert, at.Key, at.CA = "", "", c.Cert
		d.urls[u.Scheme] = at
	}
	return d
}

func (d *doors) connect(scheme string) *world.Peer {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), world.Patience)
	defer cancel()
	conn, err := transport.Dial(ctx, d.urls[scheme], 0)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() })
	if ws, ok := conn.(*transport.WSConn); ok {
		conn = &blockConn{WSConn: ws}
	}
	return world.NewPeer(d.t, conn)
}

// blockConn gives the frames of a WebSocket the block framing.
type blockConn struct {
	*transport.WSConn
	left []byte // of the last frame
}

func (c *blockConn) Read(b []byte) (int, error) {
	if len(c.left) == 0 {
		r, err := c.NextFrame()
		if err != nil {
			return 0, err
		}
		payload, err := io.ReadAll(r)
		if err != nil {
			return 0, err
		}
		c.left = append(chainpack.AppendUIntData(nil, uint64(len(payload))), payload...)
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

// Write takes one frame.
func (c *blockConn) Write(b []byte) (int, error) {
	_, payload, err := chainpack.UIntData(b)
	if err == nil {
		err = c.WriteFrame(b, payload)
	}
	return len(b), err
}

// eventually waits for something that no message tells of.
func (d *doors) eventually(what string, f func() bool) {
	d.t.Helper()
	for began := time.Now(); !f(); time.Sleep(time.Millisecond) {
		if time.Since(began) > world.Patience {
			d.t.Fatalf("never: %s; %+v", what, d.Stats())
		}
	}
}

func TestClientsOfAllSchemesMeet(t *testing.T) {
	d := openDoors(t, core.Options{})
	schemes := []string{"tcp", "ssl", "ws", "wss", "unix"}
	for _, device := range schemes {
		agent := d.connect(device).Login("iot", world.Password, fmt.Sprintf(`{"device":{"mountPoint":"test/%s"}}`, device))
		for _, user := range schemes {
			r := d.connect(user).Login("iot", world.Password, "{}")
			r.Reaches("test/"+device+"/below", agent, "below")
			r.Close()
		}
	}
}

// The secret of a session that was promised TLS must open nothing in the clear;
// who asks for nothing gets what the base protocol has: the plain listener.
func TestOffersAndWhereTheirSecretsAreGood(t *testing.T) {
	d := openDoors(t, core.Options{Limits: core.Limits{LoginPenalty: time.Millisecond}})
	port := func(scheme string) string { return d.urls[scheme].Port }
	for _, tt := range []struct {
		agent, accepts string
		offer          string // "": none
		good, bad      []string
	}{
		{"tcp", ``, "", []string{"tcp", "ssl", "unix"}, nil},
		{"tcp", `,8:["ssl"]`, "ssl://127.0.0.1:" + port("ssl"), []string{"ssl"}, []string{"tcp", "unix"}},
		{"tcp", `,8:["tcp"]`, "tcp://127.0.0.1:" + port("tcp"), []string{"tcp"}, nil},
		{"ssl", ``, "", []string{"tcp", "ssl"}, nil},
		{"ssl", `,8:["ssl"]`, "ssl://127.0.0.1:" + port("ssl"), []string{"ssl"}, []string{"tcp", "unix"}},
		{"ssl", `,8:["can",7,"unix","ssl"]`, "ssl://127.0.0.1:" + port("ssl"), []string{"ssl"}, []string{"tcp"}},
		{"ssl", `,8:["unix"]`, "", []string{"tcp"}, nil},
		{"ws", `,8:["ws"]`, "ws://127.0.0.1:" + port("ws"), []string{"ws"}, nil},
		{"wss", `,8:["wss"]`, "wss://127.0.0.1:" + port("wss"), []string{"wss", "ssl"}, []string{"ws", "tcp", "unix"}},
		{"wss", ``, "", []string{"tcp", "wss"}, nil},
		{"unix", `,8:["unix"]`, d.urls["unix"].String(), []string{"unix"}, []string{"tcp", "ssl"}},
		{"unix", `,8:"unix"`, "", []string{"unix"}, nil},
	} {
		t.Run(tt.agent+tt.accepts, func(t *testing.T) {
			agent := d.connect(tt.agent).Login("iot", world.Password, `{"device":{"mountPoint":"test/agent"}}`)
			defer agent.Close()
			for i, scheme := range append(tt.good, tt.bad...) {
				user := d.connect("tcp").Login("iot", world.Password, "{}")
				user.Launch(agent, 3)
				agent.Send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:1%s}>i{}`, user.ID, tt.accepts)
				found := *agent.Next().Tunnel()
				if found.Offered() != tt.offer {
					t.Fatalf("offered %q, want %q", found.Offered(), tt.offer)
				}
				if wantPort := port("tcp"); tt.agent != "unix" && fmt.Sprint(found.Host, found.Port) != "127.0.0.1"+wantPort {
					t.Errorf("keys 2 and 3: %s, %d, want the plain listener", found.Host, found.Port)
				}
				helper := d.connect(scheme)
				helper.Send(`<1:1,8:1,10:"login">i{1:{"options":{"tunnel":{"secret":"%s"}}}}`, found.Secret)
				m := helper.Next()
				if in := isResult(m); in != (i < len(tt.good)) {
					t.Errorf("by %s: let in: %v", scheme, in)
				}
				if i >= len(tt.good) {
					// It was seen on the way, so it is void, and the caller is told.
					user.ExpectError(3, rpc.CodeException, "did not come the way")
					again := d.connect("ssl")
					again.Send(`<1:1,8:1,10:"login">i{1:{"options":{"tunnel":{"secret":"%s"}}}}`, found.Secret)
					again.ExpectError(1, rpc.CodeException, "unknown, used")
				}
				user.Close()
				helper.Close()
			}
		})
	}
}

func TestAdvertisedURLsGoBeforeOurOwn(t *testing.T) {
	public := transport.URL{Scheme: "ssl", Host: "broker.example", Port: "3756"}
	d := openDoors(t, core.Options{AdvertiseURLs: []transport.URL{public}})
	user := d.connect("tcp").Login("iot", world.Password, "{}")
	agent := d.connect("ssl").Login("iot", world.Password, `{"device":{"mountPoint":"test/agent"}}`)
	user.Launch(agent, 3)
	agent.Send(`<1:1,8:3,11:%d,13:null,15:<1:3>i{1:1,8:["ssl"]}>i{}`, user.ID)
	if got := agent.Next().Tunnel().Offered(); got != "ssl://broker.example:3756" {
		t.Errorf("offered %q", got)
	}
}

// What is no TLS, and who never says anything, ends with a cause of its own and
// keeps nobody out.
func TestHandshakesThatFail(t *testing.T) {
	t.Parallel()
	d := openDoors(t, core.Options{Limits: core.Limits{LoginDeadline: hurried, Handshakes: 1}})
	at := d.urls["ssl"].Address()
	dial := func(first string) net.Conn {
		conn, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_, _ = conn.Write([]byte(first))
		return conn
	}
	for range 50 {
		dial("")
	}
	d.connect("ssl").Login("iot", world.Password, "{}").Fence()
	dial("GET / HTTP/1.1\r\n\r\n")
	// One that shook hands and says nothing is late too.
	conn, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d.eventually("ends", func() bool {
		s := d.Stats()
		return s.Ended[link.HandshakeFailed] == 1 && s.Ended[link.LoginTimeout] == 51 && s.Unauthenticated == 0
	})
}

// Handshakes that find no slot wait, for as long as a login may take, and say so.
func TestTooManyHandshakesHaveACauseOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := openDoors(t, core.Options{Limits: core.Limits{LoginDeadline: hurried, Handshakes: 1}})
	d.Handshakes() <- struct{}{} // somebody computes all the time
	if conn, err := tls.Dial("tcp", d.urls["ssl"].Address(), &tls.Config{InsecureSkipVerify: true}); err == nil {
		_ = conn.Close()
		t.Error("it shook hands")
	}
	d.eventually("a late handshake", func() bool { return d.Stats().Ended[link.HandshakeLate] == 1 })
	<-d.Handshakes()
	d.connect("ssl").Login("iot", world.Password, "{}").Fence()
}

// Hundreds at once, each of whom has a slot in the end.
func TestManyHandshakesAtOnce(t *testing.T) {
	d := openDoors(t, core.Options{Limits: core.Limits{UnauthenticatedPerSource: 500, LoginDeadline: world.Patience}})
	const many = 150
	done := make(chan error, many)
	for range many {
		go func() {
			conn, err := tls.Dial("tcp", d.urls["ssl"].Address(), &tls.Config{InsecureSkipVerify: true})
			if err == nil {
				defer conn.Close()
				_, err = conn.Write(world.Frame(rpc.AppendRequest(nil, 1, "", "hello", world.Value(t, "null"))))
			}
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			done <- err
		}()
	}
	for range many {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
