package core

import (
	"crypto/sha256"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
)

// patiently logs a user in whose silence is no reason to end its link.
func (w *world) patiently(options string) *remote {
	w.t.Helper()
	return w.connect().login("iot", password, `{"idleWatchDogTimeOut":0`+options+`}`)
}

func TestPeerThatTakesNothingIsEnded(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		user, stuck := w.patiently(""), w.patiently(`,"device":{"mountPoint":"test/a"}`)
		idle := w.patiently("")
		user.send(`<1:1,8:3,9:"test/a",10:"x">i{}`)
		began := time.Now()
		time.Sleep(DefaultWriteStall - time.Second)
		if n := w.ended(link.WriteStalled); n != 0 {
			t.Fatal("ended too early")
		}
		time.Sleep(DefaultFrameStall)
		if n := w.ended(link.WriteStalled); n != 1 {
			t.Errorf("%d ended after %v", n, time.Since(began))
		}
		stuck.gone()
		user.fence()
		idle.fence() // who is owed nothing may be silent
		synctest.Wait()
		if n := w.Stats().Queued; n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
}

// A peer on a slow line takes a little now and then.
func TestSlowPeerLives(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		user, slow := w.patiently(""), w.patiently(`,"device":{"mountPoint":"test/a"}`)
		user.send(`<1:1,8:3,9:"test/a",10:"x">i{1:"%s"}`, strings.Repeat("x", 8*piece))
		_ = slow.conn.SetReadDeadline(time.Time{})
		b := make([]byte, piece)
		for n := 0; n < 7*piece; {
			time.Sleep(DefaultWriteStall - 3*time.Second)
			for part := 0; part < piece; {
				m, err := slow.conn.Read(b[part:])
				if err != nil {
					t.Fatalf("after %d bytes: %v", n, err)
				}
				part += m
			}
			n += piece
		}
	})
}

// piece is the link's: what it writes at once.
const piece = 64 << 10

// A suspended shvrsh reads nothing for hours, and its session lives; the last
// words of a session that ends meanwhile are there when it comes back.
func TestUserOfATunnelMayBeAwayForHours(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.patiently(""), w.patiently(`,"device":{"mountPoint":"test/agent"}`)
		p := w.tunnel(user, agent, 41, 3)
		const window = 128 << 10
		p.flood(window, 32<<10, sha256.New())
		time.Sleep(3 * time.Hour)
		if s := w.Stats(); s.Clients != 3 || s.Tunnels != 1 {
			t.Fatalf("while it is away: %+v", s)
		}
		_ = p.helper.conn.Close()
		time.Sleep(3 * time.Hour)
		if s := w.Stats(); s.Clients != 2 || s.Tunnels != 0 {
			t.Fatalf("after the session ended: %+v", s)
		}
		for m := user.next(); m.Tunnel().State != rpc.CloseTunnel; {
			m = user.next()
		}
		user.fence()
		// From then on it is a client like others.
		user.send(`<1:1,8:5,9:".app",10:"ping">i{}`)
		time.Sleep(2 * DefaultWriteStall)
		if n := w.ended(link.WriteStalled); n != 1 {
			t.Errorf("%d ended", n)
		}
	})
}

// A bulk upload is suspended in the middle of a frame more often than not.
func TestUserOfATunnelMayStopWithinAFrame(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		user, agent := w.patiently(""), w.patiently(`,"device":{"mountPoint":"test/agent"}`)
		p := w.tunnel(user, agent, 41, 3)
		begun := frame(rpc.AppendResult(nil, rpc.Address{ID: 3, Callers: rpc.CallerIDs{p.helper.id}}, cponValue(t, `[0,"typed"]`)))
		user.sendRaw(begun[:7])
		time.Sleep(3 * time.Hour)
		user.sendRaw(begun[7:])
		p.helper.expect(`<1:1,8:3>i{2:[0,"typed"]}`)
		// Nor does it matter that the session ends meanwhile.
		user.sendRaw(begun[:7])
		_ = p.helper.conn.Close()
		m := user.next()
		for m.Tunnel().State != rpc.CloseTunnel {
			m = user.next()
		}
		time.Sleep(3 * time.Hour)
		user.sendRaw(begun[7:])
		user.fence()
		user.sendRaw(begun[:7])
		user.gone()
		if n := w.ended(link.FrameStalled); n != 1 {
			t.Errorf("%d ended", n)
		}
	})
}

// The end of a helper of the base protocol, which keeps to no window, is not read
// while its user is away.
func TestHelperOfAUserWhoIsAwayIsNotEnded(t *testing.T) {
	bubbled(t, stalling(), func(t *testing.T, w *world) {
		user, agent := w.patiently(""), w.patiently(`,"device":{"mountPoint":"test/agent"}`)
		p := w.tunnel(user, agent, 41, 3)
		done := make(chan int, 1)
		go func() { done <- p.flood(1<<20, 32<<10, sha256.New()) }()
		time.Sleep(3 * time.Hour)
		if s := w.Stats(); s.Clients != 3 || s.Tunnels != 1 {
			t.Fatalf("%+v", s)
		}
		_ = user.conn.Close()
		<-done
	})
}

func TestFrameThatIsNeverFinishedEndsItsLink(t *testing.T) {
	half := frame([]byte(`<1:1,8:1,9:".app",10:"ping">i{} or so`))
	for name, begun := range map[string][]byte{
		"length":      {0xf0, 0},
		"first bytes": half[:5],
		"large":       append(declared(1<<20), make([]byte, 300<<10)...),
	} {
		t.Run(name, func(t *testing.T) {
			bubbled(t, Options{}, func(t *testing.T, w *world) {
				other, bad := w.patiently(""), w.patiently("")
				bad.sendRaw(begun)
				began := time.Now()
				bad.gone()
				if took := time.Since(began); took < DefaultFrameStall || took > DefaultFrameStall*(looks+2)/looks {
					t.Errorf("ended after %v", took)
				}
				if n := w.ended(link.FrameStalled); n != 1 {
					t.Errorf("%d ended", n)
				}
				other.fence()
			})
		})
	}
}

func TestFrameThatComesSlowlyIsTaken(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		slow := w.patiently("")
		ping := frame(rpc.AppendRequest(nil, 7, ".app", "ping", cponValue(t, "null")))
		for _, b := range ping {
			time.Sleep(DefaultFrameStall - 3*time.Second)
			slow.sendRaw([]byte{b})
		}
		if m := slow.next(); m.ID() != 7 {
			t.Errorf("id %d", m.ID())
		}
		time.Sleep(time.Hour)
		slow.fence()
	})
}

func TestTooLongFramesAreCounted(t *testing.T) {
	limits := Limits{MaxFrame: 1 << 20, LoginFrame: 1 << 10}
	bubbled(t, Options{Limits: limits}, func(t *testing.T, w *world) {
		in, out := w.client(), w.connect()
		in.send(`<1:1,8:3,9:"none",10:"x">i{1:"%s"}`, strings.Repeat("x", 512<<10))
		in.expectError(3, rpc.CodeMethodNotFound, "none")
		go func() { _, _ = in.conn.Write(declared(1<<20 + 1)) }()
		in.gone()
		go func() { _, _ = out.conn.Write(declared(1<<10 + 1)) }()
		out.gone()
		if n := w.ended(link.FrameTooLong); n != 2 {
			t.Errorf("%d ended", n)
		}
	})
}

// Many peers that do not read must not fill the memory together. What waits for
// them is kept, what would make it more is refused, and all is well when they
// read.
func TestBytesQueuedInAllAreBounded(t *testing.T) {
	limits := Limits{QueueTotal: 256 << 10, QueueBytes: 1 << 20}
	bubbled(t, Options{Limits: limits}, func(t *testing.T, w *world) {
		user, stuck, good := w.client(), w.device("test/a"), w.device("test/b")
		filling := strings.Repeat("x", 100<<10)
		for id := range 3 {
			user.send(`<1:1,8:%d,9:"test/a",10:"x">i{1:"%s"}`, id+3, filling)
		}
		synctest.Wait()
		user.send(`<1:1,8:9,9:"test/b",10:"x">i{}`)
		user.expectError(9, rpc.CodeTryAgainLater, "overloaded")
		user.fence() // the broker itself answers
		late := w.connect()
		late.send(plainLogin, 1, password, "PLAIN", "iot")
		late.expectError(1, rpc.CodeTryAgainLater, "overloaded")
		if s := w.Stats(); s.RequestsRefused != 1 || s.Logins[LoginOverloaded] != 1 || s.Queued < 300<<10 || s.Requests != 3 {
			t.Errorf("%+v", s)
		}
		for range 3 {
			stuck.next()
		}
		late.login("iot", password, "{}").fence()
		user.calls("test/b", good, "")
		synctest.Wait()
		if n := w.Stats().Queued; n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
}
