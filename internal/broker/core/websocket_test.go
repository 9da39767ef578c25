package core_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// web connects by a WebSocket library that is not ours.
func (d *doors) web(o *websocket.DialOptions) *websocket.Conn {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), world.Patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, d.urls["ws"].String(), o)
	if err != nil {
		d.t.Fatal(err)
	}
	c.SetReadLimit(-1)
	d.t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

var shv3 = &websocket.DialOptions{Subprotocols: []string{"shv3"}}

// payload encodes a message in CPON, with its protocol byte.
func payload(t *testing.T, text string) []byte {
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return chainpack.Append([]byte{1}, v)
}

// toldWhy reads until the connection ends, and returns the reason.
func toldWhy(c *websocket.Conn) string {
	for {
		if _, _, err := c.Read(context.Background()); err != nil {
			var closed websocket.CloseError
			if errors.As(err, &closed) {
				return closed.Reason
			}
			return err.Error()
		}
	}
}

// Both forms of spec.md 4.3 work with another library.
func TestWebSocketsOfBothForms(t *testing.T) {
	d := openDoors(t, core.Options{})
	login := fmt.Sprintf(plainLogin, 2, world.Password, "PLAIN", "iot")
	for name, tt := range map[string]struct {
		o      *websocket.DialOptions
		prefix func([]byte) []byte
	}{
		"shv3":  {shv3, func(b []byte) []byte { return b }},
		"older": {nil, func(b []byte) []byte { return append(chainpack.AppendUIntData(nil, uint64(len(b))), b...) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := d.web(tt.o)
			for i, text := range []string{`<1:1,8:1,10:"hello">i{}`, login} {
				_ = c.Write(t.Context(), websocket.MessageBinary, tt.prefix(payload(t, text)))
				_, got, err := c.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				bare := got[len(tt.prefix(nil)):] // both are short
				var m rpc.Message
				if !bytes.Equal(got, tt.prefix(bare)) || m.Parse(bare[1:]) != nil || m.ID() != int64(i+1) {
					t.Fatalf("answer % x", got)
				}
			}
			d.Eventually("it is logged in", func() bool { return d.Stats().Unauthenticated == 0 })
			_ = c.CloseNow()
		})
	}
}

// Each fault ends its own connection only, with a named cause that the client receives.
func TestWebSocketFaultsHaveACause(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		send  func(*websocket.Conn) error
		cause link.Cause
		told  string
	}{
		"text": {func(c *websocket.Conn) error {
			return c.Write(context.Background(), websocket.MessageText, []byte("{}"))
		}, link.ProtocolError, "protocol error: text message"},
		"over the limit": {func(c *websocket.Conn) error {
			return c.Write(context.Background(), websocket.MessageBinary, make([]byte, 70<<10))
		}, link.FrameTooLong, ""},
		"over the limit in fragments": {func(c *websocket.Conn) error {
			w, err := c.Writer(context.Background(), websocket.MessageBinary)
			for err == nil {
				_, err = w.Write(make([]byte, 1000))
			}
			return nil
		}, link.FrameTooLong, ""},
		"empty": {func(c *websocket.Conn) error {
			return c.Write(context.Background(), websocket.MessageBinary, nil)
		}, link.ProtocolError, "empty frame"},
		"pings": {func(c *websocket.Conn) error {
			for c.Ping(context.Background()) == nil {
			}
			return nil
		}, link.ProtocolError, "pings and pongs per second"},
		"nothing": {func(*websocket.Conn) error { return nil }, link.LoginTimeout, "no login in time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bounds := core.Limits{}
			if tt.cause == link.LoginTimeout {
				bounds.LoginDeadline = hurried
			}
			d := openDoors(t, core.Options{Limits: bounds})
			other := d.connect("ws").Login("iot", world.Password, "{}")
			c := d.web(shv3)
			told := make(chan string, 1)
			go func() { told <- toldWhy(c) }()
			go func() { _ = tt.send(c) }() // it may fail when the broker has closed
			d.Eventually("it has ended", func() bool { return d.Stats().Ended[tt.cause] == 1 })
			if got := <-told; !strings.Contains(got, tt.told) {
				t.Errorf("the client was told %q", got)
			}
			other.Fence()
		})
	}
}

// The limit after the login is higher.
func TestWebSocketTakesLargeFramesAfterTheLogin(t *testing.T) {
	d := openDoors(t, core.Options{Limits: core.Limits{MaxFrame: 1 << 20}})
	r := d.connect("ws").Login("iot", world.Password, "{}")
	large := func(size int) []byte {
		return world.Frame(rpc.AppendRequest(nil, 9, ".broker/app", "echo", chainpack.String(strings.Repeat("x", size))))
	}
	r.SendRaw(large(500 << 10))
	if m := r.Next(); m.ID() != 9 || len(m.Body()) < 500<<10 {
		t.Fatalf("id %d, %d bytes", m.ID(), len(m.Body()))
	}
	go func() { _, _ = r.Conn.Write(large(1 << 20)) }()
	d.Eventually("it has ended", func() bool { return d.Stats().Ended[link.FrameTooLong] == 1 })
}

// The login deadline and the bound for one source hold before the HTTP handshake is
// complete, too.
func TestWebSocketHandshakesAreLateAndCounted(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"ws", "wss"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			d := openDoors(t, core.Options{Limits: core.Limits{LoginDeadline: hurried, UnauthenticatedPerSource: 20}})
			for i := range 30 {
				conn, err := net.Dial("tcp", d.urls[scheme].Address())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if i%2 == 0 {
					_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n"[:(i/2)%2*25])
				}
			}
			d.Eventually("all have ended", func() bool {
				s := d.Stats()
				late := s.Ended[link.LoginTimeout] + s.Ended[link.HandshakeFailed]
				refused := s.Ended[link.TooManyFromSource] // 10, or less where the machine is slow
				return refused > 0 && refused+late == 30 && s.Unauthenticated == 0
			})
			d.connect(scheme).Login("iot", world.Password, "{}").Fence()
		})
	}
}

func TestWhatIsNoWebSocketIsToldSo(t *testing.T) {
	d := openDoors(t, core.Options{})
	conn, err := net.Dial("tcp", d.urls["ws"].Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got, err := io.ReadAll(conn); !strings.HasPrefix(string(got), "HTTP/1.1 426 ") {
		t.Errorf("answer %q, %v", got, err)
	}
	d.Eventually("it has ended", func() bool { return d.Stats().Ended[link.HandshakeFailed] == 1 })
	// A page in a browser of this machine.
	evil := map[string][]string{"Origin": {"http://evil.example"}}
	o := &websocket.DialOptions{Subprotocols: []string{"shv3"}, HTTPHeader: evil}
	if c, _, err := websocket.Dial(t.Context(), d.urls["ws"].String(), o); err == nil {
		_ = c.CloseNow()
		t.Error("a web page was let in")
	}
}

// WebSocket pings do not keep a connection alive.
func TestWebSocketPingsAreNoMessages(t *testing.T) {
	t.Parallel()
	ping := func(c *websocket.Conn) {
		go func() { _ = toldWhy(c) }()
		for c.Ping(context.Background()) == nil {
			time.Sleep(20 * time.Millisecond) // the hazard: fewer pings in a second than the bound, for ever
		}
	}
	t.Run("without a login", func(t *testing.T) {
		t.Parallel()
		d := openDoors(t, core.Options{Limits: core.Limits{LoginDeadline: hurried}})
		go ping(d.web(shv3))
		d.Eventually("no login", func() bool { return d.Stats().Ended[link.LoginTimeout] == 1 })
	})
	t.Run("within a frame", func(t *testing.T) {
		t.Parallel()
		d := openDoors(t, core.Options{Limits: core.Limits{FrameStall: 300 * time.Millisecond}})
		c := d.web(shv3)
		w, err := c.Writer(t.Context(), websocket.MessageBinary)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(make([]byte, 5000))
		_, _ = w.Write(make([]byte, 5000))
		go ping(c)
		d.Eventually("half a frame", func() bool { return d.Stats().Ended[link.FrameStalled] == 1 })
	})
}
