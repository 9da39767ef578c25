package core_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/door"
	"shvtools/internal/broker/internal/own"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
)

// nested returns a message whose meta or body is 200 Lists deep.
func nested(meta bool) []byte {
	tower := bytes.Repeat([]byte{chainpack.ByteList}, 200)
	tower = append(append(tower, 0x40), bytes.Repeat([]byte{chainpack.ByteTerm}, 200)...)
	b := []byte{chainpack.ByteMetaMap, 0x48, 0x41, 0x4a, 0x86, 2, 'l', 's'}
	if meta {
		b = append(append(b, 0x80-64+25), tower...)
		return append(b, chainpack.ByteTerm, chainpack.ByteIMap, chainpack.ByteTerm)
	}
	b = append(b, chainpack.ByteTerm, chainpack.ByteIMap, 0x41)
	return append(append(b, tower...), chainpack.ByteTerm)
}

// declared returns the length prefix and the protocol byte of a frame.
func declared(n uint64) []byte { return append(chainpack.AppendUIntData(nil, n), 1) }

func TestBadFramesEndTheirLinkAlone(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes []byte
		limit bool // depends on the login
	}{
		{"garbage", []byte("GET / HTTP/1.1\r\nHost: broker.example.org\r\n\r\n" +
			"and some more of that, until the frame is full"), false},
		{"empty frame", []byte{0}, false},
		{"unknown protocol", []byte{3, 2, 0x8a, 0xff}, false},
		{"no meta", world.Frame([]byte{0x8a, 0xff}), false},
		{"truncated meta", world.Frame([]byte{0x8b, 0x48, 0x41, 0x4a, 0x86}), false},
		{"nothing but the protocol", []byte{1, 1}, false},
		{"reserved length", []byte{0xfe}, false},
		{"endless length", bytes.Repeat([]byte{0xff}, 20), false},
		{"length of 64 bits", declared(1 << 63), false},
		{"above the limit", declared(link.DefaultMaxFrame + 1), false},
		{"above the limit before login", declared(link.LoginMaxFrame + 1), true},
		{"nested meta", world.Frame(nested(true)), false},
		{"negative caller id", world.Frame([]byte{0x8b, 0x48, 0x41, 0x4b, 0x82, 0x41, 0xff, 0x8a, 0xff}), false},
	} {
		for _, in := range []bool{false, true} {
			if in && tt.limit {
				continue
			}
			t.Run(fmt.Sprintf("%s/login %v", tt.name, in), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := world.New(t, core.Options{})
					other := w.Client()
					bad := w.Connect()
					if in {
						bad.Login("iot", world.Password, "{}")
					}
					go func() { _, _ = bad.Conn.Write(tt.bytes) }() // what is not read blocks
					bad.Gone()
					other.Fence()
				})
			})
		}
	}
}

func TestTruncatedFrameEndsWithItsLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		r := w.Connect()
		r.SendRaw([]byte{20, 1, 0x8b})
		r.Gone() // by the login deadline
		r = w.Client()
		r.SendRaw([]byte{20, 1, 0x8b})
		r.Close()
		synctest.Wait()
		if n := w.Stats().Clients; n != 0 {
			t.Errorf("%d clients left", n)
		}
	})
}

func TestBodiesAreNobodysBusiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, agent := w.Client(), w.Device("test/a")
		head := []byte{0x8b, 0x48, 0x43, 0x49, 0x86, 6, 't', 'e', 's', 't', '/', 'a', 0x4a, 0x86, 1, 'x', 0xff}
		body := []byte{0xfc, 0xfc, 0x00, 0xff}
		user.SendRaw(world.Frame(append(head, body...)))
		if m := agent.Next(); !bytes.Equal(m.Body(), body) {
			t.Errorf("body %x", m.Body())
		}
		user.SendRaw(world.Frame(nested(false))) // for the broker itself
		user.ExpectError(1, rpc.CodeInvalidParam, "unreadable")
		user.Fence()
	})
}

// A decoded value takes many times its encoded size: 40 clients with messages of a million
// values each once made the broker use 5 GB. A login is kept until it is answered.
func TestValuesWithoutNumberAreNotDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		many := func(n int) string { return "[" + strings.Repeat("1,", n) + "1]" }
		stranger := w.Connect()
		stranger.SendLogin(3, "SHA1", "iot", "x", fmt.Sprintf(`{"device":%s}`, many(door.MaxItems)))
		stranger.ExpectError(3, rpc.CodeInvalidParam, "unreadable login")
		user, agent := w.Client(), w.Device("test/a")
		user.Send(`<1:1,8:4,9:".broker/app",10:"echo">i{1:%s}`, many(own.MaxParamItems))
		user.ExpectError(4, rpc.CodeInvalidParam, "unreadable request")
		if got := user.Ask(".broker/app", "echo", many(own.MaxParamItems/2)); len(got) < own.MaxParamItems {
			t.Errorf("echo of fewer: %.100s", got)
		}
		// What is not decoded must not reach a device as somebody's name.
		user.Send(`<1:1,8:5,9:"test/a",10:"x",16:{"shvUser":"eva","x":%s}>i{}`, many(2000))
		v, err := agent.Next().MetaValue(rpc.TagUserID)
		if name, _ := v.AsString(); err != nil || name != "iot:broker.local" {
			t.Errorf("the user is %.100q, %v", name, err)
		}
		user.Send(`<1:1,8:6,11:7,15:i{1:2,9:%s}>i{}`, many(2000))
		user.Gone()
		agent.Fence()
	})
}

func TestLargestFramesPassAndNoLargerOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, agent := w.Client(), w.Device("test/a")
		request := func(size int) []byte {
			b := []byte{0x8b, 0x48, 0x43, 0x49, 0x86, 6, 't', 'e', 's', 't', '/', 'a', 0x4a, 0x86, 1, 'x', 0xff, 0x8a, 0x41}
			n := size - len(b) - 1 - 1 - 1 - 5 // protocol byte, end, String and its length
			b = chainpack.AppendStringHeader(b, n)
			b = append(b, make([]byte, n)...)
			return world.Frame(append(b, chainpack.ByteTerm))
		}
		go user.SendRaw(request(link.DefaultMaxFrame - 100))
		if m := agent.Next(); len(m.Body()) < link.DefaultMaxFrame-200 {
			t.Errorf("%d bytes of body", len(m.Body()))
		}
		// With our caller id it is more than the device would take from us: once
		// that ended the device's link.
		go user.SendRaw(request(link.DefaultMaxFrame))
		user.ExpectError(3, rpc.CodeException, "too big")
		user.Fence()
		agent.Fence()
	})
}

// A broker adds to a request on its way. If that made it longer than its device takes,
// any caller could disconnect any device.
func TestNoRequestIsLongerThanDevicesTake(t *testing.T) {
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("7,", n), ",") + "]" }
	tags := func(n int) (text string) {
		for i := range n {
			text += fmt.Sprintf(",%d:1", 100+i)
		}
		return text
	}
	for _, tt := range []struct {
		name, meta string
		ok         bool
	}{
		{"caller ids", ",11:" + list(maxStack-1), true}, // with ours, the answer may have as many
		{"caller ids that leave no reply route", ",11:" + list(maxStack), false},
		{"too many caller ids", ",11:" + list(maxStack+1), false},
		{"64 caller ids", ",11:" + list(64), false},
		{"too many reverse ids", ",13:" + list(maxStack+1), false},
		{"tags", tags(80), true},
		{"too many tags", tags(maxTags), false},
		{"124 tags", tags(124), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, core.Options{})
				user, agent := w.Client(), w.Device("test/a")
				user.Send(`<1:1,8:3,9:"test/a",10:"x"%s>i{}`, tt.meta)
				if tt.ok {
					agent.Next()
					return
				}
				if content, _ := user.Next().Content(); content.Error == nil {
					t.Error("not refused")
				}
				agent.Fence()
			})
		})
	}
}

func TestResponseWithTooManyReverseIDsIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, agent := w.Client(), w.Device("test/a")
		user.Send(`<1:1,8:3,9:"test/a",10:"x">i{}`)
		agent.Next()
		agent.Send(`<1:1,8:3,11:1,13:[%s1]>i{2:1}`, strings.Repeat("1,", 63))
		agent.Fence()
		user.Fence()
	})
}

func TestMadeUpCallerIDsCostABoundedAmount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user, other, agent := w.Client(), w.Client(), w.Device("test/a")
		for i := range replyroutes.MaxRoutes {
			user.Send(`<1:1,8:3,9:"test/a",10:"x",11:%d>i{}`, i+1)
			agent.Next()
		}
		user.Send(`<1:1,8:3,9:"test/a",10:"x",11:%d>i{}`, replyroutes.MaxRoutes+1)
		user.ExpectError(3, rpc.CodeTryAgainLater, "too many")
		user.Send(`<1:1,8:3,9:"test/a",10:"x",11:1>i{}`) // a known one
		agent.Next()
		other.Send(`<1:1,8:3,9:"test/a",10:"x">i{}`)
		agent.Next()
	})
}

// A client that makes caller ids up and reconnects leaves nothing that grows. Each such
// connection once left 10 MiB at every device that it had called, for an hour.
func TestMadeUpCallerIDsOfClientsThatComeAgainAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		agent := w.Device("test/a")
		go func() { _, _ = io.Copy(io.Discard, agent.Conn) }()
		for range 20 {
			user := w.Client()
			for i := range 300 {
				user.Send(`<1:1,8:3,9:"test/a",10:"x",11:%d>i{}`, i+1)
			}
			user.Fence()
			user.Close()
			synctest.Wait()
		}
		all, live := w.Routes(agent.ID)
		if live > 300 {
			t.Errorf("%d reply routes of clients that are there", live)
		}
		if all > replyroutes.SweepFrom {
			t.Errorf("%d reply routes, of clients that are gone", all)
		}
	})
}

func TestPanicEndsItsLinkAlone(t *testing.T) {
	rights := map[string]core.RightsTable{".broker/access/users": panics{}}
	world.Run(t, core.Options{Rights: rights}, func(t *testing.T, w *world.World) {
		other, r := w.Client(), w.Admin()
		r.Send(`<1:1,8:3,9:".broker/access/users",10:"ls">i{}`)
		r.Gone()
		if w.Ended(link.Bug) != 1 {
			t.Errorf("causes %v", w.Stats().Ended)
		}
		other.Fence()
	})
}

// panics is a RightsTable with a bug.
type panics struct{ core.RightsTable }

func (panics) Names() []string { panic("a bug") }

func TestCloseEndsEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		in, out := w.Client(), w.Connect()
		w.Close()
		in.Gone()
		out.Gone()
		if err := w.Serve(world.NewListener(nil)); err != core.ErrClosed {
			t.Errorf("Serve after Close: %v", err)
		}
	})
}
