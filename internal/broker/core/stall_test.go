package core_test

import (
	"crypto/sha256"
	"hash"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

// stalling returns options of a broker with small queues.
func stalling() core.Options {
	o := tunnelling
	o.Limits.QueueBytes = 256 << 10
	return o
}

// flood sends data frames of a size to the user until n bytes are sent or the connection
// has ended. It returns how many were sent.
func flood(p *world.Tunnel, n, size int, sum hash.Hash) (sent int) {
	data := make([]byte, size)
	for sent < n {
		for i := range data {
			data[i] = byte(sent>>15) ^ byte(i)
		}
		b := rpc.AppendResponseHead(nil, rpc.Address{ID: p.Call, Callers: rpc.CallerIDs{p.User.ID}}, rpc.Meta{})
		b = append(b, chainpack.ByteIMap, 0x42, chainpack.ByteList, 0x41)
		b = append(chainpack.AppendStringHeader(b, len(data)), data...)
		b = append(b, chainpack.ByteTerm, chainpack.ByteTerm)
		_ = p.Helper.Conn.SetWriteDeadline(time.Now().Add(time.Hour))
		if _, err := p.Helper.Conn.Write(world.Frame(b)); err != nil {
			return sent
		}
		sum.Write(data)
		sent += len(data)
	}
	return sent
}

// The broker does not read from a helper while its user does not read: no connection is
// closed, memory is bounded, and nothing is lost.
func TestHelperWaitsForItsUser(t *testing.T) {
	const total = 64 << 20
	world.Run(t, stalling(), func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		before := heap()
		sent, got := sha256.New(), sha256.New()
		done := make(chan int, 1)
		go func() { done <- flood(p, total, 32<<10, sent) }()
		time.Sleep(defaultIdle * 2 / 3) // no watchdog runs meanwhile
		if n := w.Stats().Clients; n != 3 {
			t.Fatalf("%d clients", n)
		}
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("the broker holds %d bytes", grown)
		}
		for n := 0; n < total; {
			m := p.User.Next()
			content, err := m.Content()
			if err != nil || content.Error != nil {
				t.Fatalf("after %d bytes: %v %v", n, err, content.Error)
			}
			text, _ := content.Value.At(1).AsString()
			got.Write([]byte(text))
			n += len(text)
		}
		if n := <-done; n != total {
			t.Fatalf("%d bytes sent", n)
		}
		if string(got.Sum(nil)) != string(sent.Sum(nil)) {
			t.Error("other bytes came than were sent")
		}
		p.Works()
	})
}

// heap returns the bytes of heap in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools keep what they have for one more
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestHelperThatIsNotReadEndsWithEitherSide(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(p *world.Tunnel)
		left int
	}{
		{"user", func(p *world.Tunnel) { p.User.Close() }, 1},
		{"helper", func(p *world.Tunnel) { p.Helper.Close() }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world.Run(t, stalling(), func(t *testing.T, w *world.World) {
				p := w.NewTunnel(41, 3)
				done := make(chan int, 1)
				go func() { done <- flood(p, 4<<20, 64, sha256.New()) }()
				synctest.Wait()
				tt.end(p)
				<-done
				time.Sleep(2 * core.Lingering)
				if tt.name == "helper" {
					// What waits arrives, and then the end: its user is slow, not bad.
					// Nothing but a read shows that the helper is gone.
					last := p.User.Next()
					for last.Tunnel().State != rpc.CloseTunnel {
						last = p.User.Next()
					}
					p.User.Fence()
				}
				if n := w.Stats().Clients; n != tt.left {
					t.Errorf("%d clients left, want %d", n, tt.left)
				}
				if n := w.Stats().Tunnels; n != 0 {
					t.Errorf("%d tunnels", n)
				}
			})
		})
	}
}

// In the other direction the user's link carries other calls too, so the broker goes on
// reading: it closes the tunnel rather than drop one of its frames.
func TestTunnelIsClosedWhenItsHelperStalls(t *testing.T) {
	world.Run(t, stalling(), func(t *testing.T, w *world.World) {
		p := w.NewTunnel(41, 3)
		filling := strings.Repeat("x", 32<<10)
		for n := 0; w.Stats().Tunnels == 1; n++ {
			if n > 100 {
				t.Fatal("never full")
			}
			p.ToHelper(filling)
			synctest.Wait()
		}
		p.User.Expect(`<1:1,8:41,15:<1:3>i{1:5}>i{3:i{1:8,2:"the other end does not keep up"}}`)
		p.User.Fence()
		p.ToHelper("straggler")
		p.User.Fence()
		p.Helper.Gone()
		p.Agent.Fence()
	})
}
