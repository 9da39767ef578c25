package core_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"path/filepath"
	"testing"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// hurried is a LoginDeadline that is short enough for a test to wait for, and long enough
// for a login on a busy machine.
const hurried = 3 * time.Second

// doors is a world with a listener of each scheme.
type doors struct {
	*world.World
	t    *testing.T
	urls map[string]transport.URL
}

func openDoors(t *testing.T, o core.Options) *doors {
	t.Helper()
	d := &doors{world.New(t, o), t, make(map[string]transport.URL)}
	for _, scheme := range []string{"tcp", "ssl", "ws", "wss"} {
		d.urls[scheme] = d.Listen(scheme + "://127.0.0.1:0")
	}
	d.urls["unix"] = d.Listen("unix:" + filepath.Join(t.TempDir(), "s"))
	return d
}

// connect returns a peer that is not logged in.
func (d *doors) connect(scheme string) *world.Peer { return d.Dial(d.urls[scheme]) }

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

// The secret of a session that was promised TLS is not valid over plain TCP. An agent that
// asks for nothing gets the plain listener, as in the base protocol.
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
					user.ExpectError(3, rpc.CodeException, "connected by another way")
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

// A peer that does not speak TLS, and one that sends nothing, each end with a cause of
// their own and keep nobody out.
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
	d.Eventually("ends", func() bool {
		s := d.Stats()
		return s.Ended[link.HandshakeFailed] == 1 && s.Ended[link.LoginTimeout] == 51 && s.Unauthenticated == 0
	})
}

// A handshake without a slot waits for as long as a login may take. Then the connection
// ends with a cause of its own.
func TestTooManyHandshakesHaveACauseOfTheirOwn(t *testing.T) {
	t.Parallel()
	d := openDoors(t, core.Options{Limits: core.Limits{LoginDeadline: hurried, Handshakes: 1}})
	d.Handshakes() <- struct{}{} // somebody computes all the time
	if conn, err := tls.Dial("tcp", d.urls["ssl"].Address(), &tls.Config{InsecureSkipVerify: true}); err == nil {
		_ = conn.Close()
		t.Error("it shook hands")
	}
	d.Eventually("a late handshake", func() bool { return d.Stats().Ended[link.HandshakeLate] == 1 })
	<-d.Handshakes()
	d.connect("ssl").Login("iot", world.Password, "{}").Fence()
}

// Of many handshakes at once each gets a slot at the end.
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

// While an answer is held back nothing reads the connection. Its end is seen all the same,
// over each scheme, so that places are not taken by who is gone.
func TestPlaceOfAGuesserWhoLeavesIsFreeAtOnce(t *testing.T) {
	d := openDoors(t, core.Options{Limits: core.Limits{LoginPenalty: time.Hour}})
	refused := uint64(0)
	for scheme := range d.urls {
		r := d.connect(scheme)
		r.Send(plainLogin, 1, "guess", "PLAIN", "ann"+scheme)
		refused++
		d.Eventually("the login is refused over "+scheme,
			func() bool { return d.Stats().Logins[door.Invalid] == refused })
		if n := d.Stats().Unauthenticated; n != 1 {
			t.Errorf("%s: %d are there", scheme, n)
		}
		r.Close()
		d.Eventually("the place is free over "+scheme, func() bool { return d.Stats().Unauthenticated == 0 })
	}
}
