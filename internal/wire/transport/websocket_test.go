package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// pair returns a client of another library and the connection that our listener makes of it.
func pair(t *testing.T, subprotocols ...string) (client *websocket.Conn, ours *WSConn) {
	t.Helper()
	l := listen(t, "ws://127.0.0.1:0", ListenOptions{})
	t.Cleanup(func() { _ = l.Close() })
	accepted := acceptOne(l)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, _, err := websocket.Dial(ctx, l.URL().String(), &websocket.DialOptions{Subprotocols: subprotocols})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.CloseNow() })
	ours = <-accepted
	if ours == nil {
		t.Fatal("no handshake")
	}
	t.Cleanup(func() { _ = ours.Close() })
	_ = ours.SetDeadline(time.Now().Add(patience))
	return client, ours
}

// acceptOne accepts a connection and performs its handshake. It sends nil if that fails.
func acceptOne(l net.Listener) <-chan *WSConn {
	accepted := make(chan *WSConn, 1)
	go func() {
		defer close(accepted)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		c := conn.(*WSConn)
		if c.Handshake(NewSlots(1)) != nil {
			_ = c.Close()
			return
		}
		accepted <- c
	}()
	return accepted
}

// wantFrame reads a frame.
func wantFrame(t *testing.T, c *WSConn, want string) {
	t.Helper()
	r, err := c.NextFrame()
	if err != nil {
		t.Fatalf("no frame: %v", err)
	}
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Fatalf("got %d bytes %.40q, %v, want %d", len(got), got, err, len(want))
	}
}

func write(t *testing.T, c *websocket.Conn, b string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageBinary, []byte(b)); err != nil {
		t.Fatal(err)
	}
}

func TestWebSocketTakesFragments(t *testing.T) {
	client, ours := pair(t, subprotocol)
	w, err := client.Writer(t.Context(), websocket.MessageBinary)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for _, part := range []string{"a", "", "bc", strings.Repeat("d", 5000)} {
			_, _ = io.WriteString(w, part)
			_ = client.Ping(t.Context()) // a control frame may stand between them
		}
		_ = w.Close()
		_ = client.Write(t.Context(), websocket.MessageBinary, []byte("next"))
	}()
	go func() { _, _, _ = client.Read(t.Context()) }() // the pongs
	wantFrame(t, ours, "abc"+strings.Repeat("d", 5000))
	wantFrame(t, ours, "next")
}

// The older form is a stream: it does not matter where it is cut. We send one frame per message.
func TestWebSocketOfTheOlderForm(t *testing.T) {
	client, ours := pair(t)
	stream := "\x03abc\x80\x02de" + "\x81\x00" + strings.Repeat("f", 256) + "\x01g"
	for len(stream) > 0 {
		n := min(len(stream), 7)
		write(t, client, stream[:n])
		write(t, client, "")
		stream = stream[n:]
	}
	for _, want := range []string{"abc", "de", strings.Repeat("f", 256), "g"} {
		wantFrame(t, ours, want)
	}
	for _, wire := range []string{"\x03abc", "\x01d"} {
		if err := ours.WriteFrame([]byte(wire), 1); err != nil {
			t.Fatal(err)
		}
		if _, b, err := client.Read(t.Context()); string(b) != wire {
			t.Errorf("got %q, %v, want %q", b, err, wire)
		}
	}
}

func TestWebSocketStreamThatEndsWithinAFrame(t *testing.T) {
	for _, sent := range []string{"\x05ab", "\x80"} {
		client, ours := pair(t)
		write(t, client, sent)
		go func() { _ = client.Close(websocket.StatusNormalClosure, "") }()
		r, err := ours.NextFrame()
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", sent, err)
		}
	}
}

// A message that was cut off must not count as a whole one.
func TestWebSocketLostWithinAMessage(t *testing.T) {
	for name, sent := range map[string]string{
		"between fragments":   "\x02\x83\x00\x00\x00\x00abc",
		"before its content":  "\x82\x83\x00\x00\x00\x00",
		"within its content":  "\x82\x83\x00\x00\x00\x00ab",
		"within the next one": "\x02\x83\x00\x00\x00\x00abc\x80",
	} {
		conn, ours := rawPair(t, sent)
		_ = conn.CloseWrite()
		r, err := ours.NextFrame()
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Neither unsolicited pongs nor empty fragments may keep a reader busy for ever.
func TestWebSocketFloodsThatBringNothing(t *testing.T) {
	for name, tt := range map[string]struct{ begin, flood, want string }{
		"pongs":           {"", "\x8a\x80\x00\x00\x00\x00", "per second"},
		"empty fragments": {"\x02\x81\x00\x00\x00\x00a", "\x00\x80\x00\x00\x00\x00", "empty fragments"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, ours := rawPair(t, tt.begin)
			go func() {
				for flood := strings.Repeat(tt.flood, 1000); ; {
					if _, err := io.WriteString(conn, flood); err != nil {
						return
					}
				}
			}()
			r, err := ours.NextFrame()
			if err == nil {
				_, err = io.ReadAll(r)
			}
			var v *violation
			if !errors.As(err, &v) || !strings.Contains(v.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A peer that takes long for a frame and pings meanwhile is not at fault: its pong follows the
// frame.
func TestWebSocketPongWaitsBehindAFrame(t *testing.T) {
	conn, ours := rawPair(t, "\x89\x82\x00\x00\x00\x00hi")
	ours.writing.Lock() // as while a frame goes out
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		_, _ = ours.NextFrame()
	}()
	for end := time.Now().Add(patience); ours.pendingPing.Load() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the ping was not noted")
		}
	}
	ours.writing.Unlock()
	if err := ours.WriteFrame([]byte("abc"), 0); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	<-reading
	_ = ours.Close()
	got, err := io.ReadAll(conn)
	if _, frames, _ := strings.Cut(string(got), "\r\n\r\n"); frames != "\x82\x03abc\x8a\x02hi" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A frame is passed on in parts as it arrives. Otherwise a slow peer would look like a silent one.
func TestWebSocketGivesPartsOfAFrame(t *testing.T) {
	size := "\x00\x01\x00\x00" // 64 KiB
	_, ours := rawPair(t, "\x82\xff\x00\x00\x00\x00"+size+"\x00\x00\x00\x00"+strings.Repeat("a", readSize))
	r, err := ours.NextFrame()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Read(make([]byte, 64<<10)); n != readSize || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

// rawPair returns a client that sends bytes which no library would, after its request, and the
// connection that our listener makes of it.
func rawPair(t *testing.T, sent string) (client *net.TCPConn, ours *WSConn) {
	t.Helper()
	l := listen(t, "ws://127.0.0.1:0", ListenOptions{})
	t.Cleanup(func() { _ = l.Close() })
	accepted := acceptOne(l)
	conn, err := net.Dial("tcp", l.URL().Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(conn, upgradeHead+"Sec-WebSocket-Protocol: shv3\r\n\r\n"+sent)
	if ours = <-accepted; ours == nil {
		t.Fatal("no handshake")
	}
	t.Cleanup(func() { _ = ours.Close() })
	_ = ours.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn), ours
}

// What is not SHV is refused, and the client gets the reason.
func TestWebSocketRefusesWhatBreaksTheRules(t *testing.T) {
	for name, tt := range map[string]struct {
		send func(context.Context, *websocket.Conn) error
		want string
	}{
		"text": {func(ctx context.Context, c *websocket.Conn) error {
			return c.Write(ctx, websocket.MessageText, []byte("{}"))
		}, "text message"},
		"a flood of pings": {func(ctx context.Context, c *websocket.Conn) error {
			for {
				if err := c.Ping(ctx); err != nil {
					return nil
				}
			}
		}, "pings and pongs per second"},
	} {
		t.Run(name, func(t *testing.T) {
			client, ours := pair(t, subprotocol)
			told := make(chan error, 1)
			go func() {
				_, _, err := client.Read(t.Context())
				told <- err
			}()
			go func() { _ = tt.send(t.Context(), client) }()
			_, err := ours.NextFrame()
			var v *violation
			if !errors.As(err, &v) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v", err)
			}
			_ = ours.CloseFor(1008, v.Error())
			var closed websocket.CloseError
			if err := <-told; !errors.As(err, &closed) || !strings.Contains(closed.Reason, tt.want) {
				t.Errorf("the client was told %v", err)
			}
		})
	}
}

// Every peer may send some pings.
func TestWebSocketAnswersPings(t *testing.T) {
	client, ours := pair(t, subprotocol)
	go func() { _, _ = ours.NextFrame() }()
	go func() { _, _, _ = client.Read(t.Context()) }()
	for range maxPings {
		if err := client.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// raw sends bytes that no library would to a listener, and returns the first line of the answer.
func raw(t *testing.T, url string, send string) string {
	t.Helper()
	l := listen(t, url, ListenOptions{})
	defer l.Close()
	accepted := acceptOne(l)
	conn, err := net.Dial("tcp", l.URL().Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	go func() { _, _ = io.WriteString(conn, send) }()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	_ = conn.Close()
	if c := <-accepted; c != nil {
		_ = c.Close()
	}
	return strings.TrimSpace(line)
}

const upgradeHead = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

// A web page must not reach a broker on its reader's machine, even if the page's site has given its
// own name the address of that machine.
func TestWebSocketIsForWebPagesThatAreNamed(t *testing.T) {
	const yes, no = "HTTP/1.1 101 Switching Protocols", "HTTP/1.1 403 Forbidden"
	for _, tt := range []struct{ option, headers, want string }{
		{"", "", yes},
		{"", "Origin: http://127.0.0.1\r\n", no},
		{"", "Origin: http://evil.example\r\n", no},
		{"", "Origin: null\r\n", no},
		{"", "Origin:\r\n", no},
		{"?origin=https://shv.example", "Origin: https://shv.example\r\n", yes},
		{"?origin=https://shv.example", "Origin: HTTPS://SHV.example\r\n", yes},
		{"?origin=https://shv.example", "Origin: http://shv.example\r\n", no},
		{"?origin=https://shv.example", "Origin: https://shv.example.evil.example\r\n", no},
		{"?origin=https://shv.example", "Origin: https://shv.example\r\nOrigin: http://evil.example\r\n", no},
		{"?origin=https://a.example,http://b.example:81&origin=http://c.example", "Origin: http://b.example:81\r\n", yes},
		{"?origin=*", "Origin: http://evil.example\r\n", yes},
	} {
		if got := raw(t, "ws://127.0.0.1:0"+tt.option, upgradeHead+tt.headers+"\r\n"); got != tt.want {
			t.Errorf("%q with %q: %s, want %s", tt.headers, tt.option, got, tt.want)
		}
	}
}

func TestWebSocketRequestsThatAreNone(t *testing.T) {
	for send, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n":                 "HTTP/1.1 426 Upgrade Required",
		strings.Replace(upgradeHead, "13", "8", 1) + "\r\n": "HTTP/1.1 400 Bad Request",
		"\x10\x01\x8b\n": "",
		upgradeHead + "X: " + strings.Repeat("x", 2*maxHead):     "",
		upgradeHead + strings.Repeat("Cookie: x\r\n", maxHead/9): "",
	} {
		if got := raw(t, "ws://127.0.0.1:0", send); got != want {
			t.Errorf("%.60q: %q, want %q", send, got, want)
		}
	}
}

// dialTest connects our client to a server.
func dialTest(t *testing.T, address string) (*WSConn, error) {
	t.Helper()
	u, err := ParseURL("ws://eva:secret@" + address + "/shv/x?password=secret")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := Dial(ctx, u, 0)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*WSConn), nil
}

// Whatever a server answers, our client goes nowhere else and names the cause. The URL's options
// and password belong to SHV and must not be sent in HTTP.
func TestWebSocketClientAndOtherServers(t *testing.T) {
	for name, tt := range map[string]struct {
		serve http.HandlerFunc
		want  string // part of the error
	}{
		"not found": {http.NotFound, `404 Not Found: "404 page not found"`},
		"redirection": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, "302 Found"},
		"no answer": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "cannot open a WebSocket"},
		"another subprotocol": {func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Sec-WebSocket-Protocol", "mqtt")
			if c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"mqtt"}}); err == nil {
				_ = c.CloseNow()
			}
		}, "unexpected Sec-WebSocket-Protocol"},
		"a head without end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 2*maxHead))
		}, "cannot open a WebSocket"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(tt.serve)
			defer s.Close()
			if _, err := dialTest(t, s.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestWebSocketClientOfAnOlderServer(t *testing.T) {
	asked := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.RequestURI + " " + r.Header.Get("Authorization") + r.Header.Get("Origin")
		c, err := websocket.Accept(w, r, nil) // it knows no subprotocol
		if err != nil {
			return
		}
		_, b, _ := c.Read(r.Context())
		_ = c.Write(r.Context(), websocket.MessageBinary, append(b, 1))
		_ = c.Write(r.Context(), websocket.MessageBinary, []byte("x"))
		_ = c.Close(websocket.StatusPolicyViolation, "enough")
	}))
	defer s.Close()
	c, err := dialTest(t, s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := <-asked; got != "/shv/x " {
		t.Errorf("it asked for %q", got)
	}
	if err := c.WriteFrame([]byte("\x02ab"), 1); err != nil {
		t.Fatal(err)
	}
	wantFrame(t, c, "ab")
	wantFrame(t, c, "x")
	if _, err := c.NextFrame(); !errors.Is(err, io.EOF) || err.Error() != "enough" {
		t.Errorf("the end: %v", err)
	}
}

// A silent server delays no client for longer than it wants to wait.
func TestWebSocketDialEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	u, _ := ParseURL("ws://" + l.Addr().String())
	if _, err := Dial(ctx, u, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// Close ends a pending read, and a pending write to a peer that does not read.
func TestWebSocketCloseEndsReadsAndWrites(t *testing.T) {
	_, ours := pair(t, subprotocol)
	ended := make(chan error, 2)
	go func() {
		_, err := ours.NextFrame()
		ended <- err
	}()
	go func() { ended <- ours.WriteFrame(make([]byte, 64<<20), 0) }()
	for before := uint64(0); ours.Written() == 0 || ours.Written() != before; time.Sleep(20 * time.Millisecond) {
		before = ours.Written()
	}
	began := time.Now()
	_ = ours.CloseFor(1001, "shutting down")
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	}
	if took := time.Since(began); took > patience/2 { // without it, their deadline
		t.Errorf("it took %v", took)
	}
}
