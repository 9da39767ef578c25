package client

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f with virtual time; goroutines that are stuck at its end fail it.
func bubble(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }

// broker is the other end of a client's connection. Messages are CPON.
type broker struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// next gives the next message of the client.
func (b *broker) next() string {
	b.t.Helper()
	length, err := b.in.ReadByte() // all that is read here is short, or two bytes tell
	size := int(length)
	if length >= 0x80 && err == nil {
		var low byte
		low, err = b.in.ReadByte()
		size = int(length&0x3f)<<8 | int(low)
	}
	frame := make([]byte, size)
	if err == nil {
		_, err = io.ReadFull(b.in, frame)
	}
	if err != nil {
		b.t.Fatalf("no message of the client: %v", err)
	}
	v, _, err := chainpack.Decode(frame[1:], chainpack.Limits{})
	if err != nil {
		b.t.Fatal(err)
	}
	return cpon.String(v)
}

// expect wants a message of the client.
func (b *broker) expect(want string) {
	b.t.Helper()
	if got := b.next(); got != want {
		b.t.Errorf("the client sent\n     %s\nwant %s", got, want)
	}
}

// send sends a message to the client.
func (b *broker) send(message string) {
	b.t.Helper()
	v, err := cpon.Parse([]byte(message), chainpack.Limits{})
	if err != nil {
		b.t.Fatalf("%s: %v", message, err)
	}
	b.write(chainpack.Append(nil, v))
}

func (b *broker) write(message []byte) {
	b.t.Helper()
	frame := append(chainpack.AppendUIntData(nil, uint64(len(message)+1)), 1)
	if _, err := b.conn.Write(append(frame, message...)); err != nil {
		b.t.Fatalf("%q: %v", message, err)
	}
}

const (
	hello       = `<1:1,8:1,10:"hello">i{}`
	helloAnswer = `<1:1,8:1>i{2:{"nonce":"1437608631"}}`
)

// dialled is what came of a login.
type dialled struct {
	client *Client
	err    error
}

// dial begins a login at a broker.
func dial(t *testing.T, ctx context.Context, o Options) (*broker, <-chan dialled) {
	ours, theirs := net.Pipe()
	done := make(chan dialled, 1)
	var running sync.WaitGroup
	running.Go(func() {
		c, err := start(ctx, ours, o)
		done <- dialled{c, err}
	})
	t.Cleanup(func() {
		_ = theirs.Close()
		running.Wait()
	})
	return &broker{t: t, conn: theirs, in: bufio.NewReader(theirs)}, done
}

// loggedIn gives a client that is logged in. Its next request id is 3.
func loggedIn(t *testing.T, o Options) (*broker, *Client) {
	t.Helper()
	b, done := dial(t, t.Context(), o)
	b.expect(hello)
	b.send(helloAnswer)
	b.next()
	b.send(`<1:1,8:2>i{2:{"clientId":7}}`)
	d := <-done
	if d.err != nil {
		t.Fatal(d.err)
	}
	t.Cleanup(d.client.Close)
	return b, d.client
}

// called is what came of a call.
type called struct {
	value chainpack.Value
	err   error
}

// call calls "a:m" in the background.
func call(ctx context.Context, c *Client) <-chan called {
	done := make(chan called, 1)
	go func() {
		v, err := c.Call(ctx, "a", "m", chainpack.Null())
		done <- called{v, err}
	}()
	return done
}
