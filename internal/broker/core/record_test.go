package core_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/sys/audit"
	"shvtools/internal/test/world"
)

// audited returns options of a broker whose records are in a file.
func audited(t *testing.T, s audit.Settings) (o core.Options, file string) {
	t.Helper()
	s.File = filepath.Join(t.TempDir(), "audit")
	trail, err := audit.Open(audit.Options{Settings: s, Program: "shvbroker"})
	if err != nil {
		t.Fatal(err)
	}
	o = tunnelling
	o.Audit = trail
	return o, s.File
}

func recorded(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// However a session ends, it has one start and one end in the record, and the end says why.
func TestEachEndOfATunnelIsRecorded(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(w *world.World, p *world.Tunnel)
		cause string
	}{
		"the program ends": {func(_ *world.World, p *world.Tunnel) {
			p.Helper.Send(`<1:1,8:41,11:%d,15:<1:3>i{1:5}>i{2:{"exit":3}}`, p.User.ID)
		}, `"exit":3,"bytesIn":12,"bytesOut":25,`},
		"the user hangs up": {func(_ *world.World, p *world.Tunnel) {
			p.User.Send(`<1:1,8:3,11:%d,15:<1:3>i{1:5}>i{2:null}`, p.Helper.ID)
		}, `"cause":"closed by the user"`},
		"the user is lost": {func(_ *world.World, p *world.Tunnel) { p.User.Close() },
			`"cause":"the user has gone: connection closed by the peer"`},
		"the session is lost": {func(_ *world.World, p *world.Tunnel) { p.Helper.Close() },
			`"cause":"the device restarted or lost its connection: connection closed by the peer"`},
		"by hand": {func(w *world.World, _ *world.Tunnel) {
			w.Mounted("root", "").Ask(".broker/tunnels", "close", `[1,"enough"]`)
		}, `"cause":"closed by root: enough"`},
		"the broker stops": {func(w *world.World, _ *world.Tunnel) {
			w.Drain(context.Background(), core.Drain{})
		}, `"cause":"the broker is stopping"`},
		"the broker is closed": {func(w *world.World, _ *world.Tunnel) { w.Broker.Close() },
			`"cause":"the broker is stopping"`},
	} {
		t.Run(name, func(t *testing.T) {
			o, file := audited(t, audit.Settings{})
			world.Run(t, o, func(t *testing.T, w *world.World) {
				p := w.NewTunnel(41, 3)
				time.Sleep(time.Minute)
				tt.end(w, p)
				synctest.Wait()
				o.Audit.Close()
				var start, end []string
				for line := range strings.Lines(recorded(t, file)) {
					switch {
					case strings.Contains(line, `"event":"session.start"`):
						start = append(start, line)
					case strings.Contains(line, `"event":"session.end"`):
						end = append(end, line)
					}
				}
				const of = `"path":"test/agent","method":"launchRexec","session":"s-`
				if len(start) != 1 || len(end) != 1 || !strings.Contains(start[0], of) || !strings.Contains(end[0], of) ||
					!strings.Contains(end[0], tt.cause) || !strings.Contains(end[0], `"seconds":60`) {
					t.Errorf("start %s, end %s, want %s", start, end, tt.cause)
				}
			})
		})
	}
}

func TestTunnelWithoutItsRecordIsNotMade(t *testing.T) {
	o, file := audited(t, audit.Settings{Refuse: true})
	world.Run(t, o, func(t *testing.T, w *world.World) {
		w.NewTunnel(41, 3)
		user, agent := w.Client(), w.Device("test/agent")
		user.Launch(agent, 42)
		p := &world.Tunnel{User: user, Agent: agent, Call: 42, Read: 4, Helper: w.Redeem(agent.Secret(user.ID, 42))}
		o.Audit.Close() // nothing can be written any more
		p.Create()
		m := user.Next()
		content, err := m.Content()
		if err != nil || content.Error == nil || !strings.Contains(content.Error.Message, "cannot be recorded") {
			t.Errorf("%+v, %v", content, err)
		}
		if s := w.Stats(); s.Tunnels != 1 {
			t.Errorf("%d tunnels", s.Tunnels)
		}
		user.Send(`<1:1,8:43,9:"test/agent",10:"runCmd">i{1:"x"}`)
		user.ExpectError(43, rpc.CodeException, "cannot be recorded")
		agent.Fence()
		if got := strings.Count(recorded(t, file), `"session.start"`); got != 1 {
			t.Errorf("%d sessions", got)
		}
	})
}

// The number of records must not depend on the number of calls that are no sessions.
func TestOrdinaryCallsAreNotRecorded(t *testing.T) {
	o, file := audited(t, audit.Settings{})
	world.Run(t, o, func(t *testing.T, w *world.World) {
		user, agent := w.Client(), w.Device("test/agent")
		for n := range 20 {
			user.Send(`<1:1,8:%d,9:"test/agent",10:"get">i{}`, n+5)
			agent.Next()
			agent.Send(`<1:1,8:%d,11:%d>i{2:1}`, n+5, user.ID)
			user.Next()
		}
		user.Send(`<1:1,8:50,9:"test/agent",10:"runCmd">i{1:"x"}`)
		agent.Next()
		agent.Close()
		synctest.Wait()
		o.Audit.Close()
		text := recorded(t, file)
		want := fmt.Sprintf(`"client":%d,"path":"test/agent","method":"runCmd","session":"c%d-50","use":"commands"`,
			user.ID, user.ID)
		if strings.Count(text, want) != 2 || strings.Contains(text, `"get"`) ||
			!strings.Contains(text, `"cause":"the device disconnected: connection closed by the peer"`) ||
			strings.Count(text, `"login"`) != 2 || strings.Count(text, `"mount"`) != 1 || strings.Count(text, `"unmount"`) != 1 {
			t.Errorf("got %s", text)
		}
	})
}
