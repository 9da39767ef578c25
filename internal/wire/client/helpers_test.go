package client

import (
	"context"
	"net"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/test/world"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs f in virtual time. It fails goroutines that are blocked at the end.
func bubble(t *testing.T, f func(*testing.T)) { synctest.Test(t, f) }

const (
	hello       = `<1:1,8:1,10:"hello">i{}`
	helloAnswer = `<1:1,8:1>i{2:{"nonce":"1437608631"}}`
)

// dialled is the result of a login.
type dialled struct {
	client *Client
	err    error
}

// dial begins to log in at a broker.
func dial(t *testing.T, ctx context.Context, o Options) (*world.Peer, <-chan dialled) {
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
	return world.NewPeer(t, theirs), done
}

// loggedIn returns a client that is logged in. Its next request id is 3.
func loggedIn(t *testing.T, o Options) (*world.Peer, *Client) {
	t.Helper()
	b, done := dial(t, t.Context(), o)
	b.Expect(hello)
	b.Send(helloAnswer)
	b.Text()
	b.Send(`<1:1,8:2>i{2:{"clientId":7}}`)
	d := <-done
	if d.err != nil {
		t.Fatal(d.err)
	}
	t.Cleanup(d.client.Close)
	return b, d.client
}

// called is the result of a call.
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
