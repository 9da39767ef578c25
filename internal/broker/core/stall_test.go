package core

import (
	"crypto/sha256"
	"hash"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// stalling are options of a broker with small queues.
func stalling() Options {
	o := tunnelling
	o.Limits.QueueBytes = 256 << 10
	return o
}

// flood sends data frames of a size to the user until n bytes are out or the connection
// is gone, and tells how far it came.
func (p *pair) flood(n, size int, sum hash.Hash) (sent int) {
	data := make([]byte, size)
	for sent < n {
		for i := range data {
			data[i] = byte(sent>>15) ^ byte(i)
		}
		b := rpc.AppendResponseHead(nil, rpc.Address{ID: p.call, Callers: rpc.CallerIDs{p.user.id}}, rpc.Meta{})
		b = append(b, chainpack.ByteIMap, 0x42, chainpack.ByteList, 0x41)
		b = append(chainpack.AppendStringHeader(b, len(data)), data...)
		b = append(b, chainpack.ByteTerm, chainpack.ByteTerm)
		_ = p.helper.conn.SetWriteDeadline(time.Now().Add(time.Hour))
		if _, err := p.helper.conn.Write(frame(b)); err != nil {
			return sent
		}
		sum.Write(data)
		sent += len(data)
	}
	return sent
}

// A helper is not read while its user does not read: nobody is closed, the
// memory is bounded, and nothing is lost.
func TestHelperWaitsForItsUser(t *testing.T) {
	const total = 64 << 20
	bubbled(t, stalling(), func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		before := heap()
		sent, got := sha256.New(), sha256.New()
		done := make(chan int, 1)
		go func() { done <- p.flood(total, 32<<10, sent) }()
		time.Sleep(defaultIdle * 2 / 3) // no watchdog runs meanwhile
		if n := w.Stats().Clients; n != 3 {
			t.Fatalf("%d clients", n)
		}
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("the broker holds %d bytes", grown)
		}
		for n := 0; n < total; {
			m := p.user.next()
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
		p.works()
	})
}

// heap is how much memory is in use.
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
		end  func(p *pair)
		left int
	}{
		{"user", func(p *pair) { _ = p.user.conn.Close() }, 1},
		{"helper", func(p *pair) { _ = p.helper.conn.Close() }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbled(t, stalling(), func(t *testing.T, w *world) {
				p := w.pair(41, 3)
				done := make(chan int, 1)
				go func() { done <- p.flood(4<<20, 64, sha256.New()) }()
				synctest.Wait()
				tt.end(p)
				<-done
				time.Sleep(2 * lingering)
				if tt.name == "helper" {
					// What waits arrives, and then the end: its user is slow, not bad.
					// Nothing but a read shows that the helper is gone.
					last := p.user.next()
					for last.Tunnel().State != rpc.CloseTunnel {
						last = p.user.next()
					}
					p.user.fence()
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

// The other way the user's link is shared with its other calls, so it is read
// on: the tunnel is given up as a whole, rather than a frame of it.
func TestTunnelIsClosedWhenItsHelperStalls(t *testing.T) {
	bubbled(t, stalling(), func(t *testing.T, w *world) {
		p := w.pair(41, 3)
		filling := strings.Repeat("x", 32<<10)
		for n := 0; w.Stats().Tunnels == 1; n++ {
			if n > 100 {
				t.Fatal("never full")
			}
			p.toHelper(filling)
			synctest.Wait()
		}
		p.user.expect(`<1:1,8:41,15:<1:3>i{1:5}>i{3:i{1:8,2:"the other end does not keep up"}}`)
		p.user.fence()
		p.toHelper("straggler")
		p.user.fence()
		p.helper.gone()
		p.agent.fence()
	})
}

// The zero allocations of the issue: a data frame of a tunnel, each way.
func TestForwardingTunnelDataDoesNotAllocate(t *testing.T) {
	b := New(Options{Users: users()})
	newcomer := func() *session {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
		l := link.New(ours, link.Options{QueueBytes: 64 << 20})
		s := b.newSession(l, transport.Peer{}, nil, nil, nil)
		s.deadline.Stop()
		s.login.done = true
		return s
	}
	user, helper := newcomer(), newcomer()
	user.user.Store(b.opts.Users.Load().User("iot"))
	helper.ticket = &ticket{caller: user.id, id: 41, asked: rpc.CallerIDs{user.id}, tunnelled: true}
	tun := &tunnel{client: tunnelEnd{user, 41, nil}, helper: tunnelEnd{helper, 3, nil}}
	for _, end := range []tunnelEnd{tun.client, tun.helper} {
		b.tunnels[end.key()] = tun
		end.session.tunnels[tun] = struct{}{}
		end.session.routes.Pin(tun.replyRoute(end))
	}
	for _, tt := range []struct {
		name     string
		from, to *session
		id       int64
		size     int
	}{
		{"keystroke", user, helper, 3, 1},
		{"echo", helper, user, 41, 1},
		{"block", helper, user, 41, 16 << 10},
		{"full block", helper, user, 41, 32 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := rpc.AppendResult(nil, rpc.Address{ID: tt.id, Callers: rpc.CallerIDs{tt.to.id}},
				chainpack.List(chainpack.Int(1), chainpack.String(strings.Repeat("x", tt.size))))
			var m rpc.Message
			const runs = 200
			frames := make([]*link.Frame, runs+2) // reading is the link's matter
			for i := range frames {
				frames[i] = link.NewMessage(data)
			}
			next := 0
			pass := func() {
				f := frames[next]
				next++
				if err := m.Parse(f.Message()); err != nil {
					t.Fatal(err)
				}
				tt.from.message(&m, f)
				f.Release()
			}
			before := tt.to.link.Queued()
			pass()
			if n := testing.AllocsPerRun(runs, pass); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if tt.to.link.Queued() <= before {
				t.Error("nothing was passed on")
			}
		})
	}
	if s := b.Stats(); s.Forged+s.Late > 0 {
		t.Errorf("%+v", s)
	}
}
