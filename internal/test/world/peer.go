package world

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
)

// Peer is one end of a connection, usually the client's. It sends and expects messages
// written as CPON, and does nothing by itself. A method that fails ends the test, except
// Read, which any goroutine may call.
type Peer struct {
	Conn    net.Conn
	In      *bufio.Reader // of Conn
	ID      int64         // the client id that its login was answered with
	Vouched bool          // the broker promised a helper to report the loss of its client
	// Lives makes the peer answer the ping with which the broker asks a device that is taken
	// over whether it lives. Otherwise it passes that over.
	Lives bool

	t      testing.TB
	fences int64
}

// NewPeer returns a Peer on a connection, which the end of the test closes.
func NewPeer(t testing.TB, conn net.Conn) *Peer {
	t.Cleanup(func() { _ = conn.Close() })
	return &Peer{Conn: conn, In: bufio.NewReader(conn), t: t}
}

// Close closes the connection.
func (r *Peer) Close() { _ = r.Conn.Close() }

// Send sends a message in CPON.
func (r *Peer) Send(format string, args ...any) {
	r.t.Helper()
	r.SendRaw(Frame(chainpack.Append(nil, Value(r.t, fmt.Sprintf(format, args...)))))
}

// SendRaw sends bytes.
func (r *Peer) SendRaw(b []byte) {
	r.t.Helper()
	_ = r.Conn.SetWriteDeadline(time.Now().Add(Patience))
	if _, err := r.Conn.Write(b); err != nil {
		r.t.Fatalf("send: %v", err)
	}
}

// Read returns the next message without its protocol byte. An error is the end of the
// connection.
func (r *Peer) Read() ([]byte, error) {
	for {
		b, err := r.readMessage()
		var m rpc.Message
		if err != nil || m.Parse(b) != nil || !isTakeoverPing(&m) {
			return b, err
		}
		if !r.Lives {
			continue
		}
		if _, err := r.Conn.Write(Frame(rpc.AppendResult(nil, m.Address(), chainpack.Null()))); err != nil {
			return nil, err
		}
	}
}

// isTakeoverPing reports whether a message is the ping of a broker to a device whose mount
// point another one takes. Its id is above those of all other messages of a test.
func isTakeoverPing(m *rpc.Message) bool {
	return m.Kind() == rpc.Request && m.ID() >= 1<<30 && string(m.Path()) == ".app" && string(m.Method()) == "ping"
}

func (r *Peer) readMessage() ([]byte, error) {
	_ = r.Conn.SetReadDeadline(time.Now().Add(Patience))
	head, err := r.In.Peek(1)
	for n := 2; err == nil; n++ {
		length, used, bad := chainpack.UIntData(head)
		if bad == nil {
			_, _ = r.In.Discard(used)
			payload := make([]byte, length)
			_, err = io.ReadFull(r.In, payload)
			return payload[min(1, len(payload)):], err
		}
		head, err = r.In.Peek(n)
	}
	return nil, err
}

func (r *Peer) read() []byte {
	r.t.Helper()
	b, err := r.Read()
	if err != nil {
		r.t.Fatalf("no message: %v", err)
	}
	return b
}

// Next returns the next message.
func (r *Peer) Next() *rpc.Message {
	r.t.Helper()
	b := r.read()
	m := new(rpc.Message)
	if err := m.Parse(b); err != nil {
		r.t.Fatalf("message %x: %v", b, err)
	}
	return m
}

// Value returns the next message as a value.
func (r *Peer) Value() chainpack.Value {
	r.t.Helper()
	b := r.read()
	v, _, err := chainpack.Decode(b, chainpack.Limits{})
	if err != nil {
		r.t.Fatalf("message %x: %v", b, err)
	}
	return v
}

// Text returns the next message in CPON.
func (r *Peer) Text() string {
	r.t.Helper()
	return cpon.String(r.Value())
}

// Expect fails unless the next message is this one, in CPON.
func (r *Peer) Expect(format string, args ...any) {
	r.t.Helper()
	want := fmt.Sprintf(format, args...)
	if got := r.Text(); got != want {
		r.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// ExpectError fails unless the next message is an error response with an id, a code and
// a part of its text.
func (r *Peer) ExpectError(id int64, code rpc.Code, part string) *rpc.Message {
	r.t.Helper()
	m := r.Next()
	content, err := m.Content()
	e := content.Error
	if err != nil || e == nil || m.ID() != id || e.Code != code || !strings.Contains(e.Message, part) {
		r.t.Fatalf("got id %d, %+v (%v), want id %d and error %d with %q", m.ID(), e, err, id, code, part)
	}
	return m
}

// Fence pings the broker. When it returns, the broker has handled all that was sent
// before. It fails if any other message comes first.
func (r *Peer) Fence() {
	r.t.Helper()
	r.fences++
	id := 1_000_000 + r.fences
	r.Send(`<1:1,8:%d,9:".app",10:"ping">i{}`, id)
	r.Expect(`<1:1,8:%d>i{2:null}`, id)
}

// Gone waits until the other end closes the connection. It drops what comes before.
func (r *Peer) Gone() {
	r.t.Helper()
	for {
		_, err := r.Read()
		switch {
		case err == nil:
		case os.IsTimeout(err):
			r.t.Fatal("the broker did not close the connection")
		default:
			return
		}
	}
}

// Nonce says hello and returns the nonce of the answer.
func (r *Peer) Nonce() string {
	r.t.Helper()
	r.Send(`<1:1,8:1,10:"hello">i{}`)
	content, err := r.Next().Content()
	nonce, _ := content.Value.Get("nonce")
	text, ok := nonce.AsString()
	if err != nil || !ok {
		r.t.Fatalf("hello: %v, no nonce", err)
	}
	return text
}

// SendLogin sends a login of a kind such as PLAIN, with options in CPON.
func (r *Peer) SendLogin(id int, kind, user, password, options string) {
	r.t.Helper()
	r.Send(`<1:1,8:%d,10:"login">i{1:{"login":{"password":"%s","type":"%s","user":"%s"},"options":%s}}`,
		id, password, kind, user, options)
}

// Login logs in by SHA1, after a hello, with options in CPON.
func (r *Peer) Login(user, password, options string) *Peer {
	r.t.Helper()
	r.SendLogin(2, "SHA1", user, login.Hash(r.Nonce(), password), options)
	return r.LoggedIn()
}

// LoggedIn reads the answer to a login, which must have been accepted.
func (r *Peer) LoggedIn() *Peer {
	r.t.Helper()
	content, err := r.Next().Content()
	id, _ := content.Value.Get("clientId")
	ext, _ := content.Value.Get("ext")
	vouches, _ := ext.Get("vouches")
	var ok bool
	if r.ID, ok = id.AsInt(); err != nil || !ok {
		r.t.Fatalf("login: %v %v", err, content.Error)
	}
	r.Vouched, _ = vouches.AsBool()
	return r
}

// Ask calls a method with a param in CPON, "" for none, and returns the body of the
// answer.
func (r *Peer) Ask(path, method, param string) string {
	r.t.Helper()
	body := "i{}"
	if param != "" {
		body = "i{1:" + param + "}"
	}
	r.Send(`<1:1,8:80,9:"%s",10:"%s">%s`, path, method, body)
	text, ok := strings.CutPrefix(r.Text(), "<1:1,8:80>i")
	if !ok {
		r.t.Fatalf("%s:%s answered %s", path, method, text)
	}
	return text
}

// Ls returns the body of the answer to ls at a path.
func (r *Peer) Ls(path string) string {
	r.t.Helper()
	return r.Ask(path, "ls", "")
}

// Subscribe subscribes as clients of SHV 3 do, with a param in CPON.
func (r *Peer) Subscribe(param string) *Peer {
	r.t.Helper()
	if got := r.Ask(".broker/currentClient", "subscribe", param); got != "{2:true}" {
		r.t.Fatalf("subscribe %s: %s", param, got)
	}
	return r
}

// Reaches fails unless a request for path arrives at a device as one for rest with all
// rights, and its answer comes back.
func (r *Peer) Reaches(path string, device *Peer, rest string) {
	r.t.Helper()
	r.Send(`<1:1,8:91,9:"%s",10:"x">i{1:7}`, path)
	device.Expect(`<1:1,8:91,9:"%s",10:"x",11:%d,14:"su",17:63>i{1:7}`, rest, r.ID)
	device.Send(`<1:1,8:91,11:%d>i{2:8}`, r.ID)
	r.Expect(`<1:1,8:91>i{2:8}`)
}

// Frame puts the length and the protocol byte before a message.
func Frame(message []byte) []byte {
	b := chainpack.AppendUIntData(nil, uint64(len(message)+1))
	return append(append(b, 1), message...)
}

// Value parses CPON.
func Value(t testing.TB, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatalf("test message %s: %v", text, err)
	}
	return v
}

// Text returns a message in CPON.
func Text(t testing.TB, message []byte) string {
	t.Helper()
	v, _, err := chainpack.Decode(message, chainpack.Limits{})
	if err != nil {
		t.Fatalf("message %x: %v", message, err)
	}
	return cpon.String(v)
}
