package core_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/limits"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// scarce are limits that a test fills: what waits for one link is a quarter of all.
func scarce() core.Options {
	o := tunnelling
	o.Limits = core.Limits{QueueTotal: 1 << 20, QueueBytes: 256 << 10, FramesTotal: 1 << 20}
	return o
}

// ann logs in the user ann, who has all rights.
func ann(w *world.World) *world.Peer { return w.Connect().Login("ann", world.FarPassword, `{}`) }

// echoes asks for count answers of size bytes and reads none of them.
func echoes(r *world.Peer, count, size int) {
	filling := strings.Repeat("x", size)
	for id := range count {
		_ = r.Conn.SetWriteDeadline(time.Now().Add(world.Patience))
		call := rpc.AppendRequest(nil, int64(id+100), ".broker/app", "echo", chainpack.String(filling))
		if _, err := r.Conn.Write(world.Frame(call)); err != nil {
			return
		}
	}
}

// Many connections of one user that read nothing used to keep out everybody else.
func TestUserWhoseAnswersFillTheMemoryKeepsNobodyOut(t *testing.T) {
	world.Run(t, scarce(), func(t *testing.T, w *world.World) {
		device, shell := w.Mounted("root", "test/a"), w.Tunnel(ann(w), w.Device("test/agent"), 41, 3)
		for range 20 {
			echoes(w.Client(), 4, 50<<10)
		}
		synctest.Wait()
		if s := w.Stats(); s.Queued < 700<<10 || s.Queued > 1<<20 {
			t.Fatalf("%d bytes wait", s.Queued)
		}
		low := w.Client()
		low.Send(`<1:1,8:9,9:"test/a",10:"x">i{}`)
		low.ExpectError(9, rpc.CodeTryAgainLater, "user iot has more than an even part")
		low.Fence()

		w.Admin().Reaches("test/a", device, "")
		again := w.Mounted("root", "test/a") // it comes back
		w.Admin().Reaches("test/a", again, "")
		shell.Works()
		late := w.As("child", `{}`).Subscribe(`"test/**:*:*"`)
		again.Send(`<1:1,9:"v",10:"chng">i{1:1}`)
		late.Expect(`<1:1,9:"test/a/v",10:"chng">i{1:1}`)
		if n := w.Stats().Ended[link.TooMuchQueued]; n != 0 {
			t.Errorf("%d connections were closed", n)
		}
	})
}

// Answers that are under way cannot be refused. If they exceed the total, the user with the
// most loses their largest connection, and nobody else does.
func TestUserWithTheMostLosesTheLargestConnection(t *testing.T) {
	world.Run(t, scarce(), func(t *testing.T, w *world.World) {
		device, eve := w.Device("test/a"), w.As("eve", `{}`)
		var callers []*world.Peer
		answer := func(r *world.Peer, size int) {
			r.Send(`<1:1,8:3,9:"test/a",10:"get">i{}`)
			device.Next()
			callers = append(callers, r)
		}
		answer(eve, 0)
		for range 8 {
			answer(w.Client(), 0)
		}
		for i, r := range callers {
			size := 190 << 10
			if i == 4 {
				size = 250 << 10
			}
			device.Send(`<1:1,8:3,11:%d>i{2:"%s"}`, r.ID, strings.Repeat("x", size))
			synctest.Wait()
			time.Sleep(time.Second) // for the watch
		}
		if n := w.Ended(link.TooMuchQueued); n < 1 || n > 4 {
			t.Errorf("%d connections were closed", n)
		}
		if n := w.Stats().Queued; n > 1<<20 {
			t.Errorf("%d bytes wait", n)
		}
		callers[4].Gone()
		if m := eve.Next(); m.ID() != 3 || !isResult(m) {
			t.Error("another user lost an answer")
		}
		device.Fence()
	})
}

// Bytes of a tunnel are the user's, at both ends: not the device's, nor those of its owner.
func TestWhatWaitsForAHelperIsItsUsers(t *testing.T) {
	o := scarce()
	o.Limits.QueueBytes = 1 << 20
	world.Run(t, o, func(t *testing.T, w *world.World) {
		agent := w.Device("test/agent")
		p := w.Tunnel(ann(w), agent, 41, 3)
		for range 9 {
			p.ToHelper(strings.Repeat("x", 100<<10))
		}
		synctest.Wait()
		p.User.Send(`<1:1,8:9,9:"test/agent",10:"x">i{}`)
		p.User.ExpectError(9, rpc.CodeTryAgainLater, "user ann")
		w.Client().Reaches("test/agent", agent, "")
	})
}

func TestSubscriberAboveTheirShareMissesSignals(t *testing.T) {
	world.Run(t, scarce(), func(t *testing.T, w *world.World) {
		device := w.Device("test/a")
		low, eve := w.Client().Subscribe(`"test/**:*:*"`), w.As("eve", `{}`).Subscribe(`"test/**:*:*"`)
		for range 20 {
			echoes(w.Client(), 4, 50<<10)
		}
		synctest.Wait()
		echoes(low, 1, 1<<10)
		device.Send(`<1:1,9:"v",10:"chng">i{1:1}`)
		device.Send(`<1:1,9:"v",10:"chng">i{1:2}`)
		for i := range 2 {
			eve.Expect(`<1:1,9:"test/a/v",10:"chng">i{1:%d}`, i+1)
		}
		synctest.Wait()
		if n := w.Stats().Missed; n != 2 {
			t.Errorf("%d were missed", n)
		}
	})
}

// begin sends the beginning of a message of 1 MiB.
func begin(r *world.Peer, size int) {
	part := chainpack.AppendUIntData(nil, 1<<20)
	part = append(append(part, 1), make([]byte, size)...)
	_ = r.Conn.SetWriteDeadline(time.Now().Add(world.Patience))
	_, _ = r.Conn.Write(part) // the broker may end it
}

func TestMessagesThatNeverEndTakeTheMemoryOfOneShare(t *testing.T) {
	world.Run(t, scarce(), func(t *testing.T, w *world.World) {
		device, user := w.Device("test/a"), w.Admin()
		for range 100 {
			r := w.Client()
			go begin(r, 20<<10)
		}
		synctest.Wait()
		if n := w.Stats().Begun; n > 800<<10 {
			t.Errorf("%d bytes are held", n)
		}
		if n := w.Ended(link.TooMuchBegun); n < 70 {
			t.Errorf("%d were ended", n)
		}
		filling := strings.Repeat("x", 200<<10)
		user.Send(`<1:1,8:3,9:"test/a",10:"x">i{1:"%s"}`, filling)
		if m := device.Next(); m.ID() != 3 || len(m.Body()) < len(filling) {
			t.Error("a large message of another user does not arrive")
		}
		w.Client() // the attacker has rights still
		time.Sleep(limits.DefaultFrameStall * 2)
		synctest.Wait()
		if n := w.Stats().Begun; n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
}

// Before the login nobody is anybody, but has an address.
func TestMessagesThatNeverEndBeforeALogin(t *testing.T) {
	o := scarce()
	o.Limits.FramesTotal = 512 << 10
	world.Run(t, o, func(t *testing.T, w *world.World) {
		for i := range 100 {
			r := w.ConnectFrom(fmt.Sprintf("10.0.0.1:%d", i+1))
			part := append(chainpack.AppendUIntData(nil, 60<<10), 1, 0)
			go func() { _, _ = r.Conn.Write(part) }()
		}
		synctest.Wait()
		if n := w.Stats().Begun; n > 450<<10 || n < 300<<10 {
			t.Errorf("%d bytes are held", n)
		}
		r := w.ConnectFrom("10.0.0.2:1").Login("ann", world.FarPassword, `{}`)
		r.Fence()
	})
}

// Comparing signals of everybody with the subscriptions of one user has a budget.
func TestCostlySubscriptionsOfOneUserAreTheirsAlone(t *testing.T) {
	var text bytes.Buffer
	o := core.Options{Log: zerolog.New(zerolog.SyncWriter(&text))}
	o.Limits = core.Limits{Work: 1_000_000, WorkPerUser: 100_000}
	world.Run(t, o, func(t *testing.T, w *world.World) {
		device, mal, eve := w.Device("test/a"), ann(w), w.As("eve", `{}`)
		for i := range 300 {
			mal.Subscribe(fmt.Sprintf(`"**/*[!%s]Z%d:*:*"`, strings.Repeat("b", 380), i))
		}
		mal.Subscribe(`"**:*:chng"`)
		eve.Subscribe(`"**/*:*:chng"`)
		for i := range 5 {
			device.Send(`<1:1,9:"%s",10:"chng">i{1:%d}`, strings.Repeat("a", 100), i)
			eve.Expect(`<1:1,9:"test/a/%s",10:"chng">i{1:%d}`, strings.Repeat("a", 100), i)
		}
		synctest.Wait()
		if n := w.Stats().Skipped; n < 4 {
			t.Errorf("%d signals were skipped", n)
		}
		time.Sleep(time.Second)
		device.Send(`<1:1,9:"v",10:"chng">i{}`) // short, so that the budget is enough
		eve.Expect(`<1:1,9:"test/a/v",10:"chng">i{}`)
	})
	if n := strings.Count(text.String(), "signals not delivered"); n == 0 || n > 6 {
		t.Errorf("%d lines about it in %s", n, &text)
	}
	if !strings.Contains(text.String(), `"user":"ann"`) {
		t.Errorf("no name in %s", &text)
	}
}

// Rules are patterns, and are compared with what anybody calls.
func TestLongPathsAndMethodsAreRefusedBeforeTheirRules(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user, device := w.Client(), w.Device("test/a")
		long := strings.Repeat("x", maxSignalPath+1)
		for _, call := range []string{`9:"%s",10:"x"`, `9:"test/a",10:"%s"`} {
			user.Send(`<1:1,8:3,`+call+`>i{}`, long)
			user.ExpectError(3, rpc.CodeInvalidRequest, "more than 4096 bytes in a path or method")
		}
		rest := strings.Repeat("x", maxSignalPath-len("test/a/"))
		user.Reaches("test/a/"+rest, device, rest)
	})
}
