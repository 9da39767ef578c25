//go:build !race

// The race detector takes things out of pools at random.

package core

import (
	"fmt"
	"net"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// What a broker does all day: requests, their responses, and heartbeats.
func TestCallsAllocateNothing(t *testing.T) {
	b := New(Options{Users: users()})
	unread := func(up *above) *session { // nobody takes what is queued for it
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
	caller, device := unread(nil), unread(nil)
	parent := unread(&above{ParentOptions{Root: "test"}})
	if refused := device.mount("test/a", "", func() {}); refused != nil {
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
