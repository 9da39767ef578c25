package core

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"shvtools/internal/broker/auth"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/login"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
)

// patience is the deadline of every wait, in virtual time where that runs.
const patience = 90 * time.Second

// remote is a raw peer of the broker: it sends and expects messages written as
// CPON, and does nothing by itself.
type remote struct {
	t      testing.TB
	conn   net.Conn
	in     *bufio.Reader
	id     int64 // that its login was answered with
	lastID int64 // of a fence
}

// send sends a message in CPON.
func (r *remote) send(format string, args ...any) {
	r.t.Helper()
	v, err := cpon.Parse(fmt.Appendf(nil, format, args...), chainpack.Limits{})
	if err != nil {
		r.t.Fatalf("test message %s: %v", fmt.Sprintf(format, args...), err)
	}
	r.sendRaw(frame(chainpack.Append(nil, v)))
}

// sendRaw sends bytes.
func (r *remote) sendRaw(b []byte) {
	r.t.Helper()
	_ = r.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatalf("send: %v", err)
	}
}

// frame puts length and protocol byte before a message.
func frame(message []byte) []byte {
	b := chainpack.AppendUIntData(nil, uint64(len(message)+1))
	return append(append(b, 1), message...)
}

// read gives the next message; an error is the end of the connection.
func (r *remote) read() ([]byte, error) {
	_ = r.conn.SetReadDeadline(time.Now().Add(patience))
	head, err := r.in.Peek(1)
	for n := 2; err == nil; n++ {
		length, used, bad := chainpack.UIntData(head)
		if bad == nil {
			_, _ = r.in.Discard(used)
			payload := make([]byte, length)
			_, err = io.ReadFull(r.in, payload)
			return payload[min(1, len(payload)):], err
		}
		head, err = r.in.Peek(n)
	}
	return nil, err
}

// next gives the next message.
func (r *remote) next() *rpc.Message {
	r.t.Helper()
	b, err := r.read()
	if err != nil {
		r.t.Fatalf("no message: %v", err)
	}
	m := new(rpc.Message)
	if err := m.Parse(b); err != nil {
		r.t.Fatalf("message %x: %v", b, err)
	}
	return m
}

// text gives the next message in CPON.
func (r *remote) text() string {
	r.t.Helper()
	b, err := r.read()
	if err != nil {
		r.t.Fatalf("no message: %v", err)
	}
	return asText(r.t, b)
}

func asText(t testing.TB, message []byte) string {
	t.Helper()
	v, _, err := chainpack.Decode(message, chainpack.Limits{})
	if err != nil {
		t.Fatalf("message %x: %v", message, err)
	}
	return cpon.String(v)
}

// expect compares the next message with one in CPON.
func (r *remote) expect(format string, args ...any) {
	r.t.Helper()
	want := fmt.Sprintf(format, args...)
	if got := r.text(); got != want {
		r.t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// expectError takes the next message for an error with the code and a part of
// the text.
func (r *remote) expectError(id int64, code rpc.Code, part string) *rpc.Message {
	r.t.Helper()
	m := r.next()
	content, err := m.Content()
	if err != nil || content.Error == nil || m.ID() != id || content.Error.Code != code || !strings.Contains(content.Error.Message, part) {
		r.t.Fatalf("got id %d, %+v (%v), want id %d and error %d with %q", m.ID(), content.Error, err, id, code, part)
	}
	return m
}

// fence makes sure that all that was sent is done, and that nothing but the
// answer to it comes.
func (r *remote) fence() {
	r.t.Helper()
	r.lastID++
	id := 1_000_000 + r.lastID
	r.send(`<1:1,8:%d,9:".app",10:"ping">i{}`, id)
	r.expect(`<1:1,8:%d>i{2:null}`, id)
}

// gone waits until the broker has closed the connection.
func (r *remote) gone() {
	r.t.Helper()
	for {
		_, err := r.read()
		switch {
		case err == nil:
		case os.IsTimeout(err):
			r.t.Fatal("the broker did not close the connection")
		default:
			return
		}
	}
}

// hello and login.

func (r *remote) nonce() string {
	r.t.Helper()
	r.send(`<1:1,8:1,10:"hello">i{}`)
	content, err := r.next().Content()
	nonce, _ := content.Value.Get("nonce")
	text, ok := nonce.AsString()
	if err != nil || !ok {
		r.t.Fatalf("hello: %v, no nonce", err)
	}
	return text
}

// login logs in with options in CPON.
func (r *remote) login(user, password, options string) *remote {
	r.t.Helper()
	hash := login.Hash(r.nonce(), password)
	r.send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"%s","type":"SHA1","user":"%s"},"options":%s}}`, hash, user, options)
	content, err := r.next().Content()
	id, _ := content.Value.Get("clientId")
	var ok bool
	if r.id, ok = id.AsInt(); err != nil || !ok {
		r.t.Fatalf("login: %v %v", err, content.Error)
	}
	return r
}

// memory is a listener without a network.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *memory) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memory) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "memory"} }

// world is a broker that serves connections in memory.
type world struct {
	*Broker
	t testing.TB
	l *memory
}

// The users of a world.
const (
	password = login.DevelopmentPassword
	uncommon = "nobody knows it" // of ann, who may log in from elsewhere
)

func users() *auth.Store {
	secret := auth.PlainPassword(password)
	mounts := func(pattern string) []shvpath.Pattern { return []shvpath.Pattern{shvpath.MustPattern(pattern)} }
	rule := auth.MustRule
	return auth.NewStore(auth.NewDirectory(
		&auth.User{Name: "iot", Password: secret, Mounts: mounts("test/**"), Rules: []auth.Rule{
			rule("test/**", rpc.AccessSuper), rule(".broker/**", rpc.AccessRead), rule("**", rpc.AccessBrowse)}},
		&auth.User{Name: "eve", Password: secret, Mounts: mounts("**"), Rules: []auth.Rule{
			rule("test/closed/**", rpc.AccessNone), rule("test/**", rpc.AccessRead), rule(".app", rpc.AccessBrowse)}},
		&auth.User{Name: "ann", Password: auth.PlainPassword(uncommon), Mounts: mounts("test/**"), Rules: []auth.Rule{rule("**", rpc.AccessSuper)}},
		&auth.User{Name: "child", Password: secret, Roles: []string{"broker"}, Mounts: mounts("**"), Rules: []auth.Rule{rule("**", rpc.AccessRead)}},
		&auth.User{Name: "root", Password: secret, Roles: []string{"admin"}, Mounts: mounts("**"), Rules: []auth.Rule{rule("**", rpc.AccessSuper)}},
	))
}

// serve starts a broker. In a synctest bubble its time is virtual.
func serve(t testing.TB, o Options) *world {
	t.Helper()
	if o.Users == nil {
		o.Users = users()
	}
	w := &world{Broker: New(o), t: t, l: &memory{make(chan net.Conn), make(chan struct{})}}
	done := make(chan error, 1)
	go func() { done <- w.Serve(w.l) }()
	t.Cleanup(func() {
		w.Close()
		if err := <-done; err != ErrClosed {
			t.Errorf("Serve: %v", err)
		}
	})
	return w
}

// connect gives a peer that is not logged in.
func (w *world) connect() *remote {
	w.t.Helper()
	return w.connectFrom("")
}

// addressed is a connection from an address.
type addressed struct {
	net.Conn
	from string
}

func (c addressed) RemoteAddr() net.Addr {
	addr, _ := net.ResolveTCPAddr("tcp", c.from)
	return addr
}

// connectFrom is connect from an address, "" for none.
func (w *world) connectFrom(address string) *remote {
	w.t.Helper()
	ours, theirs := net.Pipe()
	if address != "" {
		theirs = addressed{theirs, address}
	}
	select {
	case w.l.conns <- theirs:
	case <-time.After(patience):
		w.t.Fatal("the broker does not accept")
	}
	w.t.Cleanup(func() { _ = ours.Close() })
	return &remote{t: w.t, conn: ours, in: bufio.NewReader(ours)}
}

// client logs the user iot in, without a device.
func (w *world) client() *remote {
	w.t.Helper()
	return w.connect().login("iot", password, `{}`)
}

// broker is a broker below that is mounted at a path, and is not asked for signals.
func (w *world) broker(mount string) *remote {
	w.t.Helper()
	r := w.connect().login("child", password, fmt.Sprintf(`{"broker":{},"device":{"mountPoint":%q}}`, mount))
	r.expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
	r.send(`<1:1,8:1>i{2:["client"]}`)
	return r
}

// device logs the user iot in and mounts at a path.
func (w *world) device(path string) *remote {
	w.t.Helper()
	r := w.connect().login("iot", password, fmt.Sprintf(`{"device":{"mountPoint":"%s"}}`, path))
	r.fence() // everybody has been told of it
	return r
}
