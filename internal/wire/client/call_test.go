package client

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

const request = `<1:1,8:3,9:"a",10:"m">i{}`

func TestOutcomesOfACall(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers []string
		want    string // value, or error
	}{
		{"result", []string{`<8:3>i{2:[1]}`}, `[1]`},
		{"empty body", []string{`<8:3>i{}`}, `null`},
		{"delays", []string{`<8:3>i{4:0.5}`, `<8:3>i{4:null}`, `<8:3>i{2:1}`}, `1`},
		{"error", []string{`<8:3>i{3:i{1:2,2:"no such"}}`}, `no such`},
		{"unreadable", []string{`<8:3>{}`}, `unreadable response: rpc: body is not an IMap`},
		{"two answers", []string{`<8:3>i{2:1}`, `<8:3>i{2:2}`}, `1`},
		{"answers to others", []string{`<8:4>i{2:9}`, `<8:2>i{2:9}`, `<8:0>i{2:9}`,
			`<9:"a",10:"chng">i{1:9}`, `<1:1>i{}`, `<8:3>i{2:1}`}, `1`},
		{"caller ids left over", []string{`<8:3,11:[]>i{2:1}`}, `1`},
		{"tunnel state where none is wanted", []string{`<8:3,15:<1:3>i{1:2}>i{2:1}`}, `1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, c := loggedIn(t, Options{})
				done := call(t.Context(), c)
				b.Expect(request)
				for _, answer := range test.answers {
					b.Send("%s", answer)
				}
				got := <-done
				text := cpon.String(got.value)
				if got.err != nil {
					text = got.err.Error()
				}
				if text != test.want {
					t.Errorf("got %s, want %s", text, test.want)
				}
			})
		})
	}
}

func TestErrorOfAPeerKeepsItsCode(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := loggedIn(t, Options{})
		done := call(t.Context(), c)
		b.Text()
		b.Send(`<8:3>i{3:i{1:33,2:"x",3:[1]}}`)
		var e *rpc.Error
		if got := <-done; !errors.As(got.err, &e) || e.Code != 33 || cpon.String(e.Data) != "[1]" {
			t.Errorf("got %v", got.err)
		}
	})
}

func TestCallEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := loggedIn(t, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		done := call(ctx, c)
		b.Text()
		if got := <-done; !errors.Is(got.err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", got.err, time.Since(began))
		}
		b.Send(`<8:3>i{2:"late"}`) // is nobody's
		done = call(t.Context(), c)
		b.Expect(`<1:1,8:4,9:"a",10:"m">i{}`)
		b.Send(`<8:4>i{2:"in time"}`)
		if got := <-done; cpon.String(got.value) != `"in time"` {
			t.Errorf("got %v, %v", got.value, got.err)
		}
	})
}

func TestCallEndsWithItsConnection(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(*world.Peer, *Client)
		cause link.Cause
	}{
		"closed by the broker": {func(b *world.Peer, _ *Client) { b.Close() }, link.PeerClosed},
		"reset by the broker":  {func(b *world.Peer, _ *Client) { _, _ = b.Conn.Write([]byte{1, 0}) }, link.PeerClosed},
		"bad frame":            {func(b *world.Peer, _ *Client) { _, _ = b.Conn.Write([]byte{0}) }, link.ProtocolError},
		"closed by ourselves":  {func(_ *world.Peer, c *Client) { c.Close() }, link.Done},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b, c := loggedIn(t, Options{})
				done := call(t.Context(), c)
				b.Text()
				test.end(b, c)
				var end *link.EndError
				if got := <-done; !errors.As(got.err, &end) || end.Cause != test.cause {
					t.Errorf("during the call: %v", got.err)
				}
				<-c.Done()
				if _, err := c.Call(t.Context(), "a", "m", chainpack.Null()); !errors.As(err, &end) || end.Cause != test.cause {
					t.Errorf("after it: %v", err)
				}
			})
		})
	}
}

// A FindTunnelResponse carries the id of somebody else's call, which may equal that of our ping
// (spec.md 8.2).
func TestTunnelAnswerIsNotTakenForThatOfAPing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var found []rpc.TunnelCtl
		b, c := loggedIn(t, Options{Tunnel: func(m *rpc.Message) { found = append(found, *m.Tunnel()) }})
		done := call(t.Context(), c)
		b.Expect(request)
		b.Send(`<8:3,15:<1:3>i{1:2,2:"h",3:1,4:"s",6:2}>i{}`)
		synctest.Wait()
		if len(done) > 0 || len(found) != 1 || found[0].State != rpc.FindTunnelResponse || found[0].Host != "h" {
			t.Errorf("call ended: %v, found %+v", len(done) > 0, found)
		}
		b.Send(`<8:3,15:null>i{2:true}`) // says nothing of a tunnel
		if got := <-done; cpon.String(got.value) != "true" {
			t.Errorf("got %v, %v", got.value, got.err)
		}
	})
}

func TestExpectTakesAllUntilForget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, c := loggedIn(t, Options{})
		var got []string
		id := c.NewID()
		c.Expect(id, func(m *rpc.Message, _ *link.Frame) { got = append(got, string(m.Body())) })
		b.Send(`<8:3>i{2:1}`)
		b.Send(`<8:3>i{3:i{}}`)
		synctest.Wait()
		c.Forget(id)
		b.Send(`<8:3>i{2:2}`)
		synctest.Wait()
		if len(got) != 2 {
			t.Errorf("got %q", got)
		}
	})
}

func TestRequestsAreServed(t *testing.T) {
	tree := new(node.Tree)
	tree.Add("", node.Constant("name", "s", rpc.AccessBrowse, chainpack.String("n")),
		node.Constant("secret", "s", rpc.AccessRead, chainpack.String("s")))
	for in, want := range map[string]string{
		`<8:9,9:"",10:"name",11:[4,2],17:8>i{}`: `<1:1,8:9,11:[4,2]>i{2:"n"}`,
		`<8:9,10:"name">i{}`:                    `<1:1,8:9>i{2:"n"}`, // no grant is browse
		`<8:9,10:"secret",14:"rd">i{}`:          `<1:1,8:9>i{2:"s"}`,
		`<8:9,10:"secret">i{}`: `<1:1,8:9>i{3:i{1:8,2:` +
			`"Call method: 'secret' on path '' permission denied, grant: bws required: rd"}}`,
		`<8:9,10:"nosuch">i{}`: `<1:1,8:9>i{3:i{1:2,2:"Method: 'nosuch' on path '' doesn't exist"}}`,
	} {
		bubble(t, func(t *testing.T) {
			b, _ := loggedIn(t, Options{Serve: tree})
			b.Send("%s", in)
			b.Expect("%s", want)
		})
	}
	bubble(t, func(t *testing.T) {
		b, _ := loggedIn(t, Options{})
		b.Send(`<8:9,9:"a",10:"name">i{}`)
		b.Expect(`<1:1,8:9>i{3:i{1:2,2:"Method: 'name' on path 'a' doesn't exist"}}`)
	})
}

// An answer that finds no queue space must not get lost silently.
func TestBrokerThatTakesNoAnswersIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tree := new(node.Tree)
		tree.Add("", node.Constant("much", "s", rpc.AccessBrowse, chainpack.String(strings.Repeat("x", 1<<20))))
		b, c := loggedIn(t, Options{Serve: tree})
		for range link.DefaultQueueBytes >> 20 { // each a little more than 1 MiB
			b.Send(`<8:9,10:"much">i{}`)
		}
		<-c.Done()
		if cause := c.Link().Cause(); cause != link.SlowPeer {
			t.Errorf("cause %v", cause)
		}
	})
}

func TestRequestIDsWrapToOne(t *testing.T) {
	c := &Client{lastID: math.MaxInt32 - 1}
	if a, b := c.NewID(), c.NewID(); a != math.MaxInt32 || b != 1 {
		t.Errorf("%d, then %d", a, b)
	}
}
