package core_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/limits"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// patiently logs a user in without a watchdog.
func patiently(w *world.World, options string) *world.Peer {
	return w.As("iot", `{"idleWatchDogTimeOut":0`+options+`}`)
}

func TestPeerThatTakesNothingIsEnded(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user, stuck := patiently(w, ""), patiently(w, `,"device":{"mountPoint":"test/a"}`)
		idle := patiently(w, "")
		user.Send(`<1:1,8:3,9:"test/a",10:"x">i{}`)
		began := time.Now()
		time.Sleep(limits.DefaultWriteStall - time.Second)
		if n := w.Ended(link.WriteStalled); n != 0 {
			t.Fatal("ended too early")
		}
		time.Sleep(limits.DefaultFrameStall)
		if n := w.Ended(link.WriteStalled); n != 1 {
			t.Errorf("%d ended after %v", n, time.Since(began))
		}
		stuck.Gone()
		user.Fence()
		idle.Fence() // who is owed nothing may be silent
		synctest.Wait()
		if n := w.Stats().Queued; n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
}

// A peer on a slow line reads a little now and then.
func TestSlowPeerLives(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user, slow := patiently(w, ""), patiently(w, `,"device":{"mountPoint":"test/a"}`)
		user.Send(`<1:1,8:3,9:"test/a",10:"x">i{1:"%s"}`, strings.Repeat("x", 8*piece))
		_ = slow.Conn.SetReadDeadline(time.Time{})
		b := make([]byte, piece)
		for n := 0; n < 7*piece; {
			time.Sleep(limits.DefaultWriteStall - 3*time.Second)
			for part := 0; part < piece; {
				m, err := slow.Conn.Read(b[part:])
				if err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				part += m
			}
			n += piece
		}
	})
}

// piece is the most that a link writes at once, in bytes.
const piece = 64 << 10

// A suspended shvrsh reads nothing for hours, and its session lives. If the session ends
// meanwhile, its last output is there when shvrsh continues.
func TestUserOfATunnelMayBeAwayForHours(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := patiently(w, ""), patiently(w, `,"device":{"mountPoint":"test/agent"}`)
		p := w.Tunnel(user, agent, 41, 3)
		const window = 128 << 10
		flood(p, window, 32<<10, sha256.New())
		time.Sleep(3 * time.Hour)
		if s := w.Stats(); s.Clients != 3 || s.Tunnels != 1 {
			t.Fatalf("while it is away: %+v", s)
		}
		p.Helper.Close()
		time.Sleep(3 * time.Hour)
		if s := w.Stats(); s.Clients != 2 || s.Tunnels != 0 {
			t.Fatalf("after the session ended: %+v", s)
		}
		for m := user.Next(); m.Tunnel().State != rpc.CloseTunnel; {
			m = user.Next()
		}
		user.Fence()
		// From then on it is a client like others.
		user.Send(`<1:1,8:5,9:".app",10:"ping">i{}`)
		time.Sleep(2 * limits.DefaultWriteStall)
		if n := w.Ended(link.WriteStalled); n != 1 {
			t.Errorf("%d ended", n)
		}
	})
}

// A bulk upload is usually suspended in the middle of a frame.
func TestUserOfATunnelMayStopWithinAFrame(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		user, agent := patiently(w, ""), patiently(w, `,"device":{"mountPoint":"test/agent"}`)
		p := w.Tunnel(user, agent, 41, 3)
		to := rpc.Address{ID: 3, Callers: rpc.CallerIDs{p.Helper.ID}}
		begun := world.Frame(rpc.AppendResult(nil, to, world.Value(t, `[0,"typed"]`)))
		user.SendRaw(begun[:7])
		time.Sleep(3 * time.Hour)
		user.SendRaw(begun[7:])
		p.Helper.Expect(`<1:1,8:3>i{2:[0,"typed"]}`)
		// Nor does it matter that the session ends meanwhile.
		user.SendRaw(begun[:7])
		p.Helper.Close()
		m := user.Next()
		for m.Tunnel().State != rpc.CloseTunnel {
			m = user.Next()
		}
		time.Sleep(3 * time.Hour)
		user.SendRaw(begun[7:])
		user.Fence()
		user.SendRaw(begun[:7])
		user.Gone()
		if n := w.Ended(link.FrameStalled); n != 1 {
			t.Errorf("%d ended", n)
		}
	})
}

// The broker does not read from a helper of the base protocol, which has no windows,
// while its user is suspended.
func TestHelperOfAUserWhoIsAwayIsNotEnded(t *testing.T) {
	world.Run(t, stalling(), func(t *testing.T, w *world.World) {
		user, agent := patiently(w, ""), patiently(w, `,"device":{"mountPoint":"test/agent"}`)
		p := w.Tunnel(user, agent, 41, 3)
		done := make(chan int, 1)
		go func() { done <- flood(p, 1<<20, 32<<10, sha256.New()) }()
		time.Sleep(3 * time.Hour)
		if s := w.Stats(); s.Clients != 3 || s.Tunnels != 1 {
			t.Fatalf("%+v", s)
		}
		user.Close()
		<-done
	})
}

func TestFrameThatIsNeverFinishedEndsItsLink(t *testing.T) {
	half := world.Frame([]byte(`<1:1,8:1,9:".app",10:"ping">i{} or so`))
	for name, begun := range map[string][]byte{
		"length":      {0xf0, 0},
		"first bytes": half[:5],
		"large":       append(declared(1<<20), make([]byte, 300<<10)...),
	} {
		t.Run(name, func(t *testing.T) {
			world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
				other, bad := patiently(w, ""), patiently(w, "")
				bad.SendRaw(begun)
				began := time.Now()
				bad.Gone()
				const most = limits.DefaultFrameStall * (core.Looks + 2) / core.Looks
				if took := time.Since(began); took < limits.DefaultFrameStall || took > most {
					t.Errorf("ended after %v", took)
				}
				if n := w.Ended(link.FrameStalled); n != 1 {
					t.Errorf("%d ended", n)
				}
				other.Fence()
			})
		})
	}
}

func TestFrameThatComesSlowlyIsTaken(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		slow := patiently(w, "")
		ping := world.Frame(rpc.AppendRequest(nil, 7, ".app", "ping", world.Value(t, "null")))
		for _, b := range ping {
			time.Sleep(limits.DefaultFrameStall - 3*time.Second)
			slow.SendRaw([]byte{b})
		}
		if m := slow.Next(); m.ID() != 7 {
			t.Errorf("id %d", m.ID())
		}
		time.Sleep(time.Hour)
		slow.Fence()
	})
}

func TestTooLongFramesAreCounted(t *testing.T) {
	bounds := core.Limits{MaxFrame: 1 << 20, LoginFrame: 1 << 10}
	world.Run(t, core.Options{Limits: bounds}, func(t *testing.T, w *world.World) {
		in, out := w.Client(), w.Connect()
		in.Send(`<1:1,8:3,9:"none",10:"x">i{1:"%s"}`, strings.Repeat("x", 512<<10))
		in.ExpectError(3, rpc.CodeMethodNotFound, "none")
		go func() { _, _ = in.Conn.Write(declared(1<<20 + 1)) }()
		in.Gone()
		go func() { _, _ = out.Conn.Write(declared(1<<10 + 1)) }()
		out.Gone()
		if n := w.Ended(link.FrameTooLong); n != 2 {
			t.Errorf("%d ended", n)
		}
	})
}

// Many peers that do not read must not fill the memory together. The broker keeps what
// waits for them, refuses more to who caused it, and recovers when they read.
func TestBytesQueuedInAllAreBounded(t *testing.T) {
	bounds := core.Limits{QueueTotal: 256 << 10, QueueBytes: 1 << 20}
	world.Run(t, core.Options{Limits: bounds}, func(t *testing.T, w *world.World) {
		user, stuck, good := w.Client(), w.Device("test/a"), w.Device("test/b")
		filling := strings.Repeat("x", 100<<10)
		for id := range 2 {
			user.Send(`<1:1,8:%d,9:"test/a",10:"x">i{1:"%s"}`, id+3, filling)
		}
		synctest.Wait()
		for _, path := range []string{"test/b", ".broker"} {
			user.Send(`<1:1,8:9,9:"%s",10:"ls">i{}`, path)
			user.ExpectError(9, rpc.CodeTryAgainLater, "user iot has more than an even part")
		}
		user.Fence()                          // it is not idle
		w.Client().Fence()                    // it may log in, and see why
		w.Admin().Reaches("test/b", good, "") // others go on
		w.Device("test/a").Fence()            // a device comes back
		if s := w.Stats(); s.RequestsRefused != 2 || s.Queued < 200<<10 {
			t.Errorf("%+v", s)
		}
		for range 2 {
			stuck.Next()
		}
		user.Reaches("test/b", good, "")
		synctest.Wait()
		if n := w.Stats().Queued; n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
}
