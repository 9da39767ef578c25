package uplink_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/uplink"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/test/world"
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
	*world.World
	url transport.URL
}

func start(t *testing.T, name, listen string) *running {
	t.Helper()
	w := world.New(t, world.Options{Name: name})
	return &running{w, w.Listen("tcp://" + listen)}
}

// connect keeps a broker connected to another one, and returns its log.
func connect(t *testing.T, b *running, to transport.URL, root, password string) *log {
	t.Helper()
	text := new(log)
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		uplink.Run(ctx, uplink.Options{
			Name: "up", URL: to, User: "child", Password: password, MountPoint: "c",
			Heartbeat: 2 * time.Second, LongestWait: 100 * time.Millisecond,
			BrokerID: b.ID(), Link: b.LinkOptions(), Log: zerolog.New(text),
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

// nameOf asks a broker for the name of the one that is mounted at c.
func nameOf(t *testing.T, b *running) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{URL: b.url, Login: client.Login{User: "child", Password: world.Password}})
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
	connect(t, child, parent.url, "", world.Password)
	found := func() bool { return nameOf(t, parent) == "child" }
	world.Eventually(t, "connected", found)
	address := parent.url.Address()
	parent.Close()
	parent = start(t, "parent", address)
	world.Eventually(t, "connected again", found)
}

func TestWhyThereIsNoConnectionIsTold(t *testing.T) {
	child, parent := start(t, "child", anyPort), start(t, "parent", anyPort)
	wrong := connect(t, child, parent.url, "", "wrong")
	gone := start(t, "gone", anyPort)
	gone.Close()
	nobody := connect(t, child, gone.url, "", world.Password)
	itself := connect(t, child, child.url, "", world.Password)
	world.Eventually(t, "refused", func() bool { return strings.Contains(wrong.String(), "login refused") })
	world.Eventually(t, "without a peer", func() bool { return strings.Contains(nobody.String(), "cannot connect") })
	world.Eventually(t, "a loop of one", func() bool { return strings.Contains(itself.String(), uplink.ErrLoop.Error()) })
	if strings.Contains(wrong.String()+nobody.String()+itself.String(), world.Password) {
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
		logs = append(logs, connect(t, b, ring[(i+1)%3].url, "", world.Password))
	}
	world.Eventually(t, "found", func() bool {
		for _, l := range logs {
			if strings.Contains(l.String(), uplink.ErrLoop.Error()) {
				return true
			}
		}
		return false
	})
}

// A broker goes on serving its own devices when it must not connect upwards.
func TestParentOnAnotherMachineIsRefusedWithoutEncryption(t *testing.T) {
	child := start(t, "child", anyPort)
	u, err := transport.ParseURL("tcp://192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	text := connect(t, child, u, "", "secret")
	const refused = "tcp is not encrypted, and 192.0.2.1 is not on this machine"
	for end := time.Now().Add(patience); strings.Count(text.String(), refused) < 2; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("log: %s", text)
		}
	}
}
