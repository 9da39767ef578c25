package uplink_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/core"
	"shvtools/internal/broker/uplink"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/client"
	"shvtools/internal/wire/transport"
)

// patience is the deadline of every wait.
const patience = 30 * time.Second

// anyPort is of an address that nobody else uses: a port that a broker has left, and
// comes back to, is not somebody else's meanwhile.
const anyPort = "127.3.0.1:0"

// running is a broker that listens.
type running struct {
	*core.Broker
	url transport.URL
}

func start(t *testing.T, name, listen string) *running {
	t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	users := auth.NewStore(auth.NewDirectory(&auth.User{
		Name: "kid", Password: auth.PlainPassword("uncommon"), Roles: []string{"broker"},
		Mounts: []shvpath.Pattern{shvpath.MustPattern("**")}, Rules: []auth.Rule{auth.MustRule("**", rpc.AccessRead)},
	}))
	b := core.New(core.Options{Users: users, Name: name, Log: zerolog.Nop()})
	var serving sync.WaitGroup
	serving.Go(func() { _ = b.Serve(l) })
	t.Cleanup(func() {
		b.Close()
		serving.Wait()
	})
	u, err := transport.ParseURL("tcp://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return &running{b, u}
}

// connect keeps a broker connected to another one, and gives its log.
func connect(t *testing.T, b *running, to transport.URL, root, password string) *log {
	t.Helper()
	text := new(log)
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		uplink.Run(ctx, uplink.Options{
			Name: "up", URL: to, User: "kid", Password: password, MountPoint: "c",
			Heartbeat: 2 * time.Second, LongestWait: 100 * time.Millisecond, BrokerID: b.ID(), Link: b.LinkOptions(), Log: zerolog.New(text),
			Attach: func(c *client.Client) (uplink.Session, error) {
				p, err := b.AddParent(c.Link(), transport.Peer{}, core.ParentOptions{Name: "up", Root: root, Call: c.Call})
				if err != nil {
					return nil, err
				}
				return p, nil
			},
		})
	})
	t.Cleanup(func() {
		cancel()
		keeping.Wait()
	})
	return text
}

// log is text that two goroutines use.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s", what)
		}
	}
}

// nameOf asks a broker for the name of the one that is mounted at c.
func nameOf(t *testing.T, b *running) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{URL: b.url, Login: client.Login{User: "kid", Password: "uncommon"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Call(ctx, "c/.broker", "name", chainpack.Null())
	if err != nil {
		return err.Error()
	}
	name, _ := v.AsString()
	return name
}

func TestConnectionComesBack(t *testing.T) {
	child := start(t, "child", anyPort)
	parent := start(t, "parent", anyPort)
	connect(t, child, parent.url, "", "uncommon")
	found := func() bool { return nameOf(t, parent) == "child" }
	eventually(t, "connected", found)
	address := parent.url.Address()
	parent.Close()
	parent = start(t, "parent", address)
	eventually(t, "connected again", found)
}

func TestWhyThereIsNoConnectionIsTold(t *testing.T) {
	child, parent := start(t, "child", anyPort), start(t, "parent", anyPort)
	wrong := connect(t, child, parent.url, "", "wrong")
	gone := start(t, "gone", anyPort)
	gone.Close()
	nobody := connect(t, child, gone.url, "", "uncommon")
	itself := connect(t, child, child.url, "", "uncommon")
	eventually(t, "refused", func() bool { return strings.Contains(wrong.String(), "login refused") })
	eventually(t, "without a peer", func() bool { return strings.Contains(nobody.String(), "cannot connect") })
	eventually(t, "a loop of one", func() bool { return strings.Contains(itself.String(), uplink.ErrLoop.Error()) })
	if strings.Contains(wrong.String()+nobody.String()+itself.String(), "uncommon") {
		t.Error("the log shows a password")
	}
}

// A circle may be closed further up, by whoever connects last.
func TestLoopOfThreeIsFound(t *testing.T) {
	var ring [3]*running
	for i := range ring {
		ring[i] = start(t, string(rune('a'+i)), anyPort)
	}
	var logs []*log
	for i, b := range ring {
		logs = append(logs, connect(t, b, ring[(i+1)%3].url, "", "uncommon"))
	}
	eventually(t, "found", func() bool {
		for _, l := range logs {
			if strings.Contains(l.String(), uplink.ErrLoop.Error()) {
				return true
			}
		}
		return false
	})
}
