package core_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/childbroker"
	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// buffered is a connection with a reader that has read ahead.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// upward passes the messages of a link to a Parent.
type upward struct {
	*core.Parent
	link *link.Link
}

func (u upward) Reset() { u.link.Close(link.PeerClosed) }

// asParent lets the broker at the other end of a connection that is logged in be a parent
// of w. ask answers which brokers are above that one; nil answers nothing.
func asParent(t testing.TB, w *world.World, r *world.Peer, root string, ask func([]string) []string) upward {
	t.Helper()
	_ = r.Conn.SetDeadline(time.Time{})
	l := link.New(buffered{r.Conn, r.In}, w.LinkOptions())
	p, err := w.AddParent(l, transport.Peer{}, core.ParentOptions{Name: "up", Root: root,
		Call: func(_ context.Context, path, method string, param chainpack.Value) (chainpack.Value, error) {
			if ask == nil || path != ownNode || method != "brokersAbove" {
				return chainpack.Null(), errors.New("not there")
			}
			var items []chainpack.Value
			var asked []string
			for _, id := range param.Items() {
				text, _ := id.AsString()
				asked = append(asked, text)
			}
			for _, id := range ask(asked) {
				items = append(items, chainpack.String(id))
			}
			return chainpack.List(items...), nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	p.Ready()
	u := upward{p, l}
	go func() {
		l.Run(u)
		p.End()
	}()
	return u
}

// under connects a broker to a parent broker, and mounts it there.
func under(t testing.TB, w, top *world.World, mount, root string) upward {
	t.Helper()
	r := top.As("child", fmt.Sprintf(`{"broker":{},"device":{"mountPoint":"%s"}}`, mount))
	return asParent(t, w, r, root, nil)
}

// tree is three brokers: bottom is mounted at s of middle, and middle at m of top.
type tree struct {
	top, middle, bottom *world.World
	high, low           upward // the links
}

func newTree(t *testing.T, options ...core.Options) *tree {
	t.Helper()
	options = append(options, core.Options{}, core.Options{}, core.Options{})
	tr := &tree{top: world.New(t, options[0]), middle: world.New(t, options[1]), bottom: world.New(t, options[2])}
	tr.high = under(t, tr.middle, tr.top, "m", "")
	tr.low = under(t, tr.bottom, tr.middle, "s", "")
	synctest.Wait()
	return tr
}

func inTree(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestCallsPassThreeLevels(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		device, user := tr.bottom.Device("test/a"), tr.top.Admin()
		user.Send(`<1:1,8:7,9:"m/s/test/a/b",10:"get",16:"x">i{1:5}`)
		m := device.Next()
		if string(m.Path()) != "b" || m.Access() != rpc.AccessSuper || len(m.Callers()) != 3 || m.ID() != 7 {
			t.Fatalf("path %s, level %d, caller ids %v, id %d", m.Path(), m.Access(), m.Callers(), m.ID())
		}
		v, err := m.MetaValue(rpc.TagUserID)
		if text, _ := v.AsString(); err != nil || text != "x"+strings.Repeat(";root:broker.local", 3) {
			t.Errorf("users %q, %v", text, err)
		}
		stack := m.Callers().Value()
		ids := stack.Items()
		for range 2 { // several answers to a call are normal
			device.Send(`<1:1,8:7,11:[%v,%v,%v]>i{2:6}`, mustInt(ids[0]), mustInt(ids[1]), mustInt(ids[2]))
			user.Expect(`<1:1,8:7>i{2:6}`)
		}
		if got := user.Ask("m/s", "ls", ""); got != `{2:[".app",".broker","test"]}` {
			t.Errorf("ls below: %s", got)
		}
		if got := user.Ask("m/s/.broker", "name", ""); got != `{2:"broker.local"}` {
			t.Errorf("name below: %s", got)
		}
		// A user without rights there has none below either.
		eve := tr.top.As("eve", `{}`)
		eve.Send(`<1:1,8:3,9:"m/s/test/a",10:"get">i{}`)
		eve.ExpectError(3, rpc.CodeException, "not granted")
	})
}

func mustInt(v chainpack.Value) int64 {
	n, _ := v.AsInt()
	return n
}

// Whatever user names a caller sends, the last name of the chain is the user whose login
// the broker has checked: the caller's, or that of the child broker that it is behind.
func TestNobodyIsSomebodyElseInATree(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		far, near := tr.bottom.Device("test/a"), tr.top.Device("test/a")
		user, below := tr.top.Admin(), tr.top.As("child", `{"broker":{},"device":{"mountPoint":"other"}}`)
		below.Next()
		below.Send(`<1:1,8:1>i{2:["client"]}`)
		for _, caller := range []struct {
			from, at *world.Peer
			path     string
			name     string
		}{
			{user, far, "m/s/test/a", "root"}, {user, near, "test/a", "root"},
			{below, near, "test/a", "child"}, {below, far, "m/s/test/a", "child"},
		} {
			for _, forged := range []string{
				`16:"eva"`, `16:""`, `16:"eva;"`, `16:"child;eva"`,
				`16:{"shvUser":"eva"}`, `16:{"shvUser":"eva","brokerId":"b"}`, `16:["eva"]`,
				`16:"x",16:{"shvUser":"eva"}`, `16:{"shvUser":"eva"},16:"x"`, `16:b"eva"`,
			} {
				caller.from.Send(`<1:1,8:7,9:"%s",10:"get",11:[3,4],%s>i{}`, caller.path, forged)
				m := caller.at.Next()
				v, err := m.MetaValue(rpc.TagUserID)
				if name := rpc.UserOf(v); err != nil || name != caller.name {
					t.Errorf("%s becomes %q at %s, %v", forged, name, caller.path, err)
				}
			}
			for _, nobody := range []string{`14:"su"`, `16:null`, `16:{}`, `16:1`, `16:i{1:"eva"},16:null`} {
				caller.from.Send(`<1:1,8:7,9:"%s",10:"get",%s>i{}`, caller.path, nobody)
				v, err := caller.at.Next().MetaValue(rpc.TagUserID)
				if name := rpc.UserOf(v); err != nil || name != "" && name != caller.name {
					t.Errorf("%s becomes %q at %s, %v", nobody, name, caller.path, err)
				}
			}
		}
	})
}

// A request of a parent broker has the level that the parent grants, and reaches only
// what is exported to it.
func TestRequestsFromAbove(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		ours, theirs := net.Pipe()
		parent, up := world.NewPeer(t, ours), asParent(t, w, world.NewPeer(t, theirs), "test", nil)
		device, outside := w.Device("test/a"), w.As("root", `{"device":{"mountPoint":"x"}}`)
		parent.Send(`<1:1,8:3,9:"a",10:"get">i{}`)
		parent.ExpectError(3, rpc.CodeException, "not granted")
		// What it wants to know of us for itself takes none.
		for _, own := range []string{`9:".broker",10:"ls"`, `9:".broker/currentClient",10:"subscribe"`, `9:"",10:"ls"`} {
			parent.Send(`<1:1,8:3,%s,11:7>i{1:"a:get:chng"}`, own)
			parent.ExpectError(3, rpc.CodeException, "not granted")
			parent.Send(`<1:1,8:3,%s,17:0>i{1:"a:get:chng"}`, own)
			parent.ExpectError(3, rpc.CodeException, "not granted")
		}
		parent.Send(`<1:1,8:3,9:".broker/currentClient",10:"subscribe">i{1:"a/x:get:chng"}`)
		parent.Expect(`<1:1,8:3>i{2:true}`)
		parent.Send(`<1:1,8:3,9:".broker/currentClient",10:"unsubscribe">i{1:"a/x:get:chng"}`)
		parent.Expect(`<1:1,8:3>i{2:true}`)
		parent.Send(`<1:1,8:3,9:".broker",10:"clients">i{}`)
		parent.ExpectError(3, rpc.CodeMethodNotFound, "clients")
		parent.Send(`<1:1,8:4,9:"a",10:"get",17:8>i{}`)
		device.Expect(`<1:1,8:4,9:"",10:"get",11:%d,14:"rd",17:8>i{}`, up.ID())
		device.Send(`<1:1,8:4,11:%d>i{2:1}`, up.ID())
		parent.Expect(`<1:1,8:4>i{2:1}`)
		for id, path := range map[int]string{5: "x", 6: "../x", 7: "test/a"} {
			parent.Send(`<1:1,8:%d,9:"%s",10:"get",17:63>i{}`, id, path)
			parent.ExpectError(int64(id), rpc.CodeMethodNotFound, path)
		}
		outside.Fence()
		parent.Send(`<1:1,8:8,9:".broker/app",10:"ping",17:1>i{}`)
		parent.Expect(`<1:1,8:8>i{2:true}`)
		parent.Send(`<1:1,8:9,9:"",10:"ls",17:1>i{}`)
		parent.Expect(`<1:1,8:9>i{2:[".app",".broker","a"]}`)
		// Nobody reaches the parent through its link, but with answers.
		user := w.Admin()
		if got := user.Ask(".broker/client", "ls", ""); strings.Contains(got, fmt.Sprintf(`"%d"`, up.ID())) {
			t.Errorf("the parent is a client: %s", got)
		}
		user.Send(`<1:1,8:3,9:".broker/client/%d/x",10:"get">i{}`, up.ID())
		user.ExpectError(3, rpc.CodeMethodNotFound, "")
		// Signals go where they were asked for, from what is exported.
		parent.Send(`<1:1,8:10,9:".broker/app",10:"subscribe",17:8>i{1:{"path":"a","method":"chng"}}`)
		parent.Expect(`<1:1,8:10>i{2:true}`)
		parent.Send(`<1:1,8:11,9:".broker/currentClient",10:"subscribe",17:8>i{1:"**:*:far"}`)
		parent.Expect(`<1:1,8:11>i{2:true}`)
		outside.Send(`<1:1,9:"y",10:"far">i{1:0}`)
		device.Send(`<1:1,9:"y",10:"chng">i{1:1}`)
		parent.Expect(`<1:1,9:"a/y",10:"chng">i{1:1}`)
		device.Send(`<1:1,9:"",10:"far">i{1:2}`)
		parent.Expect(`<1:1,9:"a",10:"far">i{1:2}`)
		parent.Send(`<1:1,8:12,9:".broker/app",10:"rejectNotSubscribed",17:8>i{1:{"path":"a/y","method":"chng"}}`)
		parent.Expect(`<1:1,8:12>i{2:true}`)
		device.Send(`<1:1,9:"y",10:"chng">i{1:3}`)
		parent.Send(`<1:1,8:13,9:".broker/currentClient",10:"unsubscribe",17:8>i{1:"**:*:far"}`)
		parent.Expect(`<1:1,8:13>i{2:true}`)
		device.Send(`<1:1,9:"",10:"far">i{1:4}`)
		parent.Send(`<1:1,9:"a",10:"chng">i{1:5}`) // signals of a parent are for nobody
		device.Fence()
		parent.Send(`<1:1,8:14,9:".app",10:"ping",17:1>i{}`)
		parent.Expect(`<1:1,8:14>i{2:null}`)
	})
}

func TestSignalsPassThreeLevels(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		device, user := tr.bottom.Device("test/a"), tr.top.Admin()
		device.Send(`<1:1,9:"x",10:"chng">i{1:0}`)
		for _, ri := range []string{"m/s/test/**:*:chng", "**:*:chng", "other/**"} {
			user.Subscribe(fmt.Sprintf("%q", ri))
		}
		settle()
		device.Send(`<1:1,9:"x",10:"chng">i{1:1}`)
		user.Expect(`<1:1,9:"m/s/test/a/x",10:"chng">i{1:1}`)
		if n := wishes(tr.bottom); n != 2 {
			t.Errorf("%d subscriptions below, want 2", n)
		}
		// The link comes back: all is asked for anew.
		tr.low.link.Close(link.Done)
		synctest.Wait()
		if n := wishes(tr.bottom); n != 0 {
			t.Errorf("%d subscriptions of a parent that is gone", n)
		}
		tr.low = under(t, tr.bottom, tr.middle, "s", "")
		settle()
		device.Send(`<1:1,9:"x",10:"chng">i{1:2}`)
		user.Expect(`<1:1,9:"m/s/test/a/x",10:"chng">i{1:2}`)
		// Nobody wants it any more.
		for _, ri := range []string{"m/s/test/**:*:chng", "**:*:chng"} {
			user.Ask(ownNode, "unsubscribe", fmt.Sprintf("%q", ri))
		}
		settle()
		if n := wishes(tr.bottom) + wishes(tr.middle); n != 0 {
			t.Errorf("%d subscriptions that nobody wants", n)
		}
		user.Subscribe(`["m/s/**",5]`) // for five seconds
		settle()
		if n := wishes(tr.bottom); n != 1 {
			t.Errorf("%d subscriptions below, want 1", n)
		}
		time.Sleep(2*childbroker.Refresh + time.Second)
		user.Fence() // it is pruned when its session is looked at, or not at all
		settle()
		if n := wishes(tr.bottom); n != 0 {
			t.Errorf("%d subscriptions whose time is over", n)
		}
	})
}

// The signal with which a broker disconnects a peer is for that peer only. Passed on from
// below, it would disconnect a parent broker or its clients.
func TestNobodyIsSentAwayFromBelow(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		device, user, near := tr.bottom.Device("test/a"), tr.top.Admin(), tr.bottom.Admin()
		for _, r := range []*world.Peer{user, near} {
			r.Subscribe(`"**:*:*"`)
		}
		settle()
		for _, form := range []string{
			`<1:1,9:"",10:"disconnectbybroker">i{1:"go"}`,
			`<1:1,9:"x",10:"disconnectbybroker">i{}`,
			`<1:1,10:"disconnectbybroker",17:63>i{}`,
		} {
			device.Send("%s", form)
		}
		device.Fence()
		user.Fence()
		near.Fence()
		if n := tr.bottom.Stats().Forged; n != 3 {
			t.Errorf("%d signals were dropped", n)
		}
		// What stops below is no end of those above.
		tr.bottom.Drain(t.Context(), core.Drain{})
		synctest.Wait()
		for m := user.Next(); string(m.Method()) != "lsmod"; m = user.Next() {
			if string(m.Method()) == "disconnectbybroker" {
				t.Fatalf("the user above is sent away: %s %x", m.Path(), m.Body())
			}
		}
		if n := tr.middle.Stats().Forged; n != 0 {
			t.Errorf("the broker that stops sent its own above away")
		}
	})
}

// wishes counts the distinct topics that somebody is subscribed to at a broker.
func wishes(w *world.World) int {
	n, _ := w.Topics()
	return n
}

// settle lets subscriptions reach the child brokers.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// A child broker of SHV 2 is subscribed to in the form of SHV 2.
func TestChildOfSHV2IsSubscribed(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.Admin()
		child := w.As("child", `{"broker":{},"device":{"mountPoint":"c/d"}}`)
		child.Expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
		child.Send(`<1:1,8:1>i{2:["app","clients","currentClient"]}`)
		user.Subscribe(`"c/*/x/[ab]:get:chng"`)
		child.Expect(`<1:1,8:2,9:".broker/app",10:"subscribe",14:"su",17:63>i{1:{"method":"chng","path":"x","source":"get"}}`)
		child.Send(`<1:1,8:2>i{3:i{1:8,2:"not now"}}`)
		child.Expect(`<1:1,8:3,9:".broker/app",10:"subscribe",14:"su",17:63>i{1:{"method":"chng","path":"x","source":"get"}}`)
		child.Send(`<1:1,8:3>i{2:true}`)
		child.Send(`<1:1,9:"x/a",10:"chng">i{1:1}`)
		user.Expect(`<1:1,9:"c/d/x/a",10:"chng">i{1:1}`)
		child.Send(`<1:1,9:"x/c",10:"chng">i{1:1}`) // more than was asked for
		user.Ask(ownNode, "unsubscribe", `"c/*/x/[ab]:get:chng"`)
		child.Expect(`<1:1,8:4,9:".broker/app",10:"unsubscribe",14:"su",17:63>` +
			`i{1:{"method":"chng","path":"x","source":"get"}}`)
		child.Send(`<1:1,8:4>i{2:true}`)
		child.Fence()
		user.Fence()
	})
}

// A client without the role of a broker is a device, and nothing is asked of it.
func TestBrokersNeedARole(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.Client()
		user.Subscribe(`"**"`)
		device := w.As("iot", `{"broker":{},"device":{"mountPoint":"test/c"}}`)
		settle()
		device.Fence()
	})
}

// The Rust and the Python broker do not say in their login that they are brokers.
func TestBrokerThatLogsInAsADeviceIsSubscribed(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		user := w.Admin()
		user.Subscribe(`"**:get:chng"`)
		child := w.As("child", `{"device":{"mountPoint":"c"}}`)
		child.Expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
		child.Send(`<1:1,8:1>i{2:["client","currentClient"]}`)
		child.Expect(`<1:1,8:2,9:".broker/currentClient",10:"subscribe",14:"su",17:63>i{1:"**:get:chng"}`)
		device := w.As("child", `{"device":{"mountPoint":"d"}}`)
		device.Expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
		device.Send(`<1:1,8:1>i{3:i{1:2}}`)
		settle()
		time.Sleep(2 * childbroker.Refresh)
		device.Fence() // it is asked nothing more
	})
}

func TestFlappingChildLeavesNothing(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		user := tr.top.Admin()
		user.Subscribe(`"m/s/**:*:chng"`)
		device := tr.bottom.Device("test/a")
		for range 100 {
			tr.low.link.Close(link.Done)
			tr.low = under(t, tr.bottom, tr.middle, "s", "")
		}
		settle()
		device.Send(`<1:1,9:"x",10:"chng">i{1:2}`)
		user.Expect(`<1:1,9:"m/s/test/a/x",10:"chng">i{1:2}`)
		if got := user.Ask("m/s/test", "ls", ""); got != `{2:["a"]}` {
			t.Errorf("ls: %s", got)
		}
		_, children := tr.middle.Topics()
		if n := tr.middle.Stats().Clients; n != 2 || children != 1 {
			t.Errorf("%d clients, %d children", n, children)
		}
		if n := tr.bottom.Stats().Clients; n != 2 {
			t.Errorf("%d clients below", n)
		}
	})
}

func TestTwoChildrenOnOneMountPoint(t *testing.T) {
	inTree(t, func(t *testing.T) {
		named := func(name string) *world.World { return world.New(t, core.Options{Name: name}) }
		top, first, second := named("top"), named("first"), named("second")
		user := top.Admin()
		under(t, first, top, "c", "")
		settle()
		link2 := under(t, second, top, "c", "")
		settle()
		if got := user.Ask("c/.broker", "name", ""); got != `{2:"second"}` {
			t.Errorf("the newest is not called: %s", got)
		}
		link2.link.Close(link.Done)
		settle()
		if got := user.Ask("c/.broker", "name", ""); got != `{2:"first"}` {
			t.Errorf("the older one is not called again: %s", got)
		}
		r := top.Connect()
		r.Nonce()
		r.SendLogin(2, "PLAIN", "root", world.Password, `{"broker":{},"device":{"mountPoint":"c"}}`)
		r.ExpectError(2, rpc.CodeException, "taken by another user")
	})
}

// All clients of a parent broker come through one link, and are many callers.
func TestManyCallersFromAbove(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := world.New(t, core.Options{})
		parent, _ := newOldParent(t, w)
		device := w.Device("test/a")
		for id := range 2 * replyroutes.MaxRoutes {
			parent.Send(`<1:1,8:3,9:"test/a",10:"get",11:%d,17:8>i{}`, id+1)
			device.Send(`<1:1,8:3,11:%s>i{2:1}`, ids(device.Next().Callers()))
			parent.Expect(`<1:1,8:3,11:%d>i{2:1}`, id+1)
		}
	})
}
