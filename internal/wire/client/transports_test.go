package client_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// patience is the deadline of every wait.
const patience = 30 * time.Second

// place is a broker that listens at one URL.
type place struct {
	*world.World
	t   *testing.T
	url transport.URL // for clients
}

// openPlace listens at a URL; port 0 means any free port.
func openPlace(t *testing.T, url string) *place {
	t.Helper()
	w := world.New(t, world.Options{})
	return &place{w, t, w.Listen(url)}
}

// connect logs a client in.
func (p *place) connect(o client.Options) *client.Client {
	p.t.Helper()
	o.URL, o.Timeout = p.url, patience
	o.Login.User, o.Login.Password = "root", world.Password
	c, err := client.Dial(p.t.Context(), o)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Close)
	return c
}

// call calls a method and expects a result.
func (p *place) call(c *client.Client, path, method string, param chainpack.Value) chainpack.Value {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	v, err := c.Call(ctx, path, method, param)
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// ended waits until a connection to the broker has ended with a cause.
func (p *place) ended(cause link.Cause, count uint64) {
	p.t.Helper()
	p.Eventually(fmt.Sprint(count, " times ", cause), func() bool { return p.Stats().Ended[cause] == count })
}

// echo is a device that returns what it is given.
func echo() *node.Tree {
	t := new(node.Tree)
	t.Add("", node.Method{Name: "echo", Access: rpc.AccessBrowse,
		Call: func(r *node.Request) (chainpack.Value, error) { return r.Param, nil }})
	return t
}

// allBytes returns a string of some size with every byte in it, also those with a meaning for a
// framing.
func allBytes(size int) string {
	b := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for i := range min(256, len(b)) {
		b[i] = byte(i)
	}
	return string(b)
}

// Messages mean the same, whatever transport carries them.
func TestAllTransportsBehaveAlike(t *testing.T) {
	urls := map[string]string{
		"tcp":       "tcp://127.0.0.1:0",
		"tcp IPv6":  "tcp://[::1]:0",
		"ssl":       "ssl://127.0.0.1:0",
		"ssl IPv6":  "ssl://[::1]:0",
		"tcps":      "tcps://127.0.0.1:0",
		"tcps IPv6": "tcps://[::1]:0",
		"ws":        "ws://127.0.0.1:0",
		"ws IPv6":   "ws://[::1]:0",
		"wss":       "wss://127.0.0.1:0",
		"wss IPv6":  "wss://[::1]:0",
		"unix":      "unix:SOCKET",
	}
	for name, url := range urls {
		for _, blocking := range []bool{false, true} {
			if blocking {
				if name != "tcp" && name != "tcps" && name != "unix" {
					continue // the same as without, or with another address
				}
				name += ", blocking"
			}
			t.Run(name, func(t *testing.T) {
				if l, err := net.Listen("tcp", "[::1]:0"); err != nil && strings.Contains(url, "[::1]") {
					t.Skip("no IPv6 here: ", err)
				} else if err == nil {
					_ = l.Close()
				}
				t.Parallel()
				behave(t, strings.Replace(url, "SOCKET", filepath.Join(t.TempDir(), "s"), 1), blocking)
			})
		}
	}
}

// behave tests what each transport has to do.
func behave(t *testing.T, url string, blocking bool) {
	p := openPlace(t, url)
	device := p.connect(client.Options{Blocking: blocking, Serve: echo(), Login: client.Login{MountPoint: "d"}})
	signals := make(chan string, 5000)
	user := p.connect(client.Options{Blocking: blocking, Signal: func(m *rpc.Message) {
		content, _ := m.Content()
		text, _ := content.Value.AsString()
		signals <- text
	}})

	// A call, and a big one each way.
	for _, size := range []int{0, 256, 70 << 10, 3 << 20} {
		want := allBytes(size)
		if got, _ := p.call(user, "d", "echo", chainpack.String(want)).AsString(); got != want {
			t.Fatalf("%d bytes came back as %d, or others", size, len(got))
		}
	}

	// Signals, many at once, in their order.
	p.call(user, ".broker/currentClient", "subscribe", chainpack.String("d/**:*:*"))
	const many = 1000
	for i := range many {
		value := chainpack.String(fmt.Sprint(i, allBytes(256)))
		if err := device.SendNow(rpc.AppendSignal(nil, "x", "chng", "get", rpc.AccessRead, value)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range many {
		select {
		case got := <-signals:
			if want := fmt.Sprint(i, allBytes(256)); got != want {
				t.Fatalf("signal %d: %q", i, got)
			}
		case <-time.After(patience):
			t.Fatalf("%d of %d signals came", i, many)
		}
	}

	// Calls, many at once.
	var calling sync.WaitGroup
	for i := range 20 {
		calling.Go(func() {
			for j := range many / 20 {
				want := fmt.Sprint(i, " ", j)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				v, err := user.Call(ctx, "d", "echo", chainpack.String(want))
				cancel()
				if got, _ := v.AsString(); got != want || err != nil {
					t.Errorf("%q came back as %q, %v", want, got, err)
					return
				}
			}
		})
	}
	calling.Wait()

	// Closed by the client, in good order and at once.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	user.Finish(ctx)
	p.ended(link.PeerClosed, 1)
	p.connect(client.Options{Blocking: blocking}).Close()
	p.ended(link.PeerClosed, 2)

	// Closed by the broker.
	user = p.connect(client.Options{Blocking: blocking})
	p.call(user, ".broker", "disconnectClient", chainpack.Int(device.ID()))
	select {
	case <-device.Done():
	case <-time.After(patience):
		t.Fatal("the device goes on")
	}
	if got := device.Link().Cause(); got != link.PeerClosed {
		t.Errorf("the device's connection: %v", device.Err())
	}
	p.ended(link.Dropped, 1)
}

// A TLS port closes a connection that begins without TLS, and gives no reason.
func TestClearHelloAtAPortForTLSSaysSo(t *testing.T) {
	p := openPlace(t, "ssl://127.0.0.1:0")
	for _, scheme := range []string{transport.TCP, transport.TCPS} {
		u := transport.URL{Scheme: scheme, Host: p.url.Host, Port: p.url.Port}
		_, err := client.Dial(t.Context(), client.Options{URL: u, Timeout: patience})
		if err == nil || !strings.Contains(err.Error(), "broker's "+scheme+" port? A TLS port needs ssl://") {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}
