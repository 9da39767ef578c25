//go:build !race

// The race detector takes things out of pools at random.

package core

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"shvtools/internal/broker/auth"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/shv/shvpath"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// iot is a store of one user.
func iot() *auth.Store {
	return auth.NewStore(auth.NewDirectory(&auth.User{
		Name: "iot", Mounts: []shvpath.Pattern{shvpath.MustPattern("test/**")},
		Rules: []auth.Rule{auth.MustRule("test/**", rpc.AccessSuper), auth.MustRule("**", rpc.AccessBrowse)},
	}))
}

// unread is a session of a peer, or of a parent broker, that takes nothing of what is queued
// for it.
func unread(t *testing.T, b *Broker, up *parentBroker) *session {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	s := b.newSession(link.New(ours, link.Options{QueueBytes: 64 << 20}), transport.Peer{}, nil, nil, up)
	if up != nil {
		s.link.Share(64 << 20)
		return s
	}
	s.stopDeadline()
	s.login.done = true
	s.user.Store(b.opts.Users.Load().User("iot"))
	return s
}

// What a broker does all day: requests, their responses, and heartbeats.
func TestCallsAllocateNothing(t *testing.T) {
	b := New(Options{Users: iot()})
	caller, device := unread(t, b, nil), unread(t, b, nil)
	parent := unread(t, b, &parentBroker{ParentOptions{Root: "test"}})
	if refused := device.mount(&auth.Claim{User: "iot", Path: "test/a"}, func() {}); refused != nil {
		t.Fatal(refused)
	}
	for _, tt := range []struct {
		name     string
		from, to *session
		message  string
	}{
		{"request", caller, device, `<1:1,8:3,9:"test/a/b",10:"get">i{1:5}`},
		{"request with a level", caller, device, `<1:1,8:3,9:"test/a",10:"get",17:8>i{}`},
		{"response", device, caller, fmt.Sprintf(`<1:1,8:3,11:%d>i{2:5}`, caller.id)},
		{"request from above", parent, device, `<1:1,8:3,9:"a/b",10:"get",17:8>i{1:5}`},
		{"response to above", device, parent, fmt.Sprintf(`<1:1,8:3,11:%d>i{2:5}`, parent.id)},
		{"ping", caller, caller, `<1:1,8:3,9:".app",10:"ping">i{}`},
		{"ping of SHV 2", caller, caller, `<1:1,8:3,9:".broker/app",10:"ping">i{1:null}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := cpon.Parse([]byte(tt.message), chainpack.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			message := chainpack.Append(nil, v)
			const before, runs = 40, 200 // at first, rings and buffers fill
			frames := make([]*link.Frame, before+runs+1)
			for i := range frames {
				frames[i] = link.NewMessage(message) // reading is the link's matter
			}
			var m rpc.Message
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
			for range before {
				pass()
			}
			queued := tt.to.link.Queued()
			if n := testing.AllocsPerRun(runs, pass); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if each := (tt.to.link.Queued() - queued) / (runs + 1); each < 8 || each > len(message)+40 {
				t.Errorf("%d bytes for each message were passed on", each)
			}
		})
	}
	if s := b.Stats(); s.Forged+s.Late+s.Bad > 0 {
		t.Errorf("%+v", s)
	}
}

// Each call has another id, and the broker remembers as many as it may.
func TestCallsWithManyIDsAllocateNothing(t *testing.T) {
	b := New(Options{Users: iot()})
	parent := &parentBroker{ParentOptions{Root: "test"}}
	for name, caller := range map[string]*session{"client": unread(t, b, nil), "broker": unread(t, b, parent)} {
		t.Run(name, func(t *testing.T) {
			device := unread(t, b, nil)
			path := "test/" + name
			if refused := device.mount(&auth.Claim{User: "iot", Path: path}, func() {}); refused != nil {
				t.Fatal(refused)
			}
			asked, limit := path, replyroutes.MaxIDs
			if caller.parent != nil {
				asked, limit = name, replyroutes.MaxIDsOfBroker // below the exported root
			}
			id, callers := int64(0), rpc.CallerIDs{caller.id}
			for ; id < int64(limit); id++ {
				device.routes.Open(callers, replyroutes.Call{ID: id + 1, Path: []byte(path)}, caller.opener())
				device.routes.MayAnswer(callers, id+1)
			}
			const runs, before = 300, 40 // at first, rings and buffers fill
			var frames [2 * (before + runs + 1)]*link.Frame
			for i := range frames {
				message := rpc.AppendRequest(nil, id+int64(i/2), asked, "get", chainpack.Null())
				if i%2 == 1 {
					message = rpc.AppendResult(nil, rpc.Address{ID: id + int64(i/2), Callers: callers}, chainpack.Null())
				}
				frames[i] = link.NewMessage(message)
			}
			var m rpc.Message
			next := 0
			call := func() {
				for _, from := range []*session{caller, device} {
					f := frames[next]
					next++
					if err := m.Parse(f.Message()); err != nil {
						t.Fatal(err)
					}
					m.SetAccess(rpc.AccessSuper) // as from a parent
					from.message(&m, f)
					f.Release()
				}
			}
			for range before {
				call()
			}
			if n := testing.AllocsPerRun(runs, call); n != 0 {
				t.Errorf("%v allocations", n)
			}
			if s := b.Stats(); s.Misplaced+s.Forged+s.Bad+s.RequestsDenied > 0 || s.Responses%(before+runs+1) != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// The zero allocations of the issue: a data frame of a tunnel, each way.
func TestForwardingTunnelDataDoesNotAllocate(t *testing.T) {
	b := New(Options{Users: iot()})
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

func TestLevelOfARequestIsFoundWithoutAllocating(t *testing.T) {
	b := New(Options{Users: iot()})
	s := &session{broker: b}
	s.user.Store(b.opts.Users.Load().User("iot"))
	to := new(session)
	path, method := []byte("test/agent/sys/fs"), []byte("launchRexec")
	callers := rpc.CallerIDs{7}
	ask := func() {
		level := s.Level(path, method)
		to.routes.Open(callers, replyroutes.Call{ID: 5, Path: path, Method: method, Level: level}, s.opener())
	}
	for range replyroutes.MaxAsked {
		ask()
	}
	if n := testing.AllocsPerRun(100, ask); n != 0 {
		t.Errorf("%v allocations", n)
	}
	with, ok := to.routes.WasAsked(callers, 5)
	if !ok || with.Path != string(path) || with.Method != string(method) || with.Level != rpc.AccessSuper {
		t.Errorf("kept %+v, %v", with, ok)
	}
	long := make([]byte, replyroutes.MaxCallText)
	to.routes.Open(callers, replyroutes.Call{ID: 6, Path: long, Method: method}, s.opener())
	if with, ok := to.routes.WasAsked(callers, 6); !ok || with.Path != "" || with.HeldBy(s.user.Load()) {
		t.Errorf("kept %+v, %v", with, ok)
	}
}
