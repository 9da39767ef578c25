package core

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

	"shvtools/internal/broker/internal/replyroutes"
	"shvtools/internal/device/policy"
	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/wire/link"
	"shvtools/internal/wire/transport"
)

// buffered is a connection of which something was read ahead.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// upward hands a link's messages to a Parent.
type upward struct {
	*Parent
	link *link.Link
}

func (u upward) Reset() { u.link.Close(link.PeerClosed) }

// asParent hands a connection over that is logged in.
func (w *world) asParent(r *remote, root string, ask func([]string) []string) upward {
	w.t.Helper()
	_ = r.conn.SetDeadline(time.Time{})
	l := link.New(buffered{r.conn, r.in}, w.LinkOptions())
	p, err := w.AddParent(l, transport.Peer{}, ParentOptions{Name: "up", Root: root,
		Call: func(_ context.Context, path, method string, param chainpack.Value) (chainpack.Value, error) {
			if ask == nil || path != ownNode || method != "brokersAbove" {
				return chainpack.Null(), errors.New("not there")
			}
			var items []chainpack.Value
			for _, id := range ask(texts(param)) {
				items = append(items, chainpack.String(id))
			}
			return chainpack.List(items...), nil
		}})
	if err != nil {
		w.t.Fatal(err)
	}
	p.Ready()
	u := upward{p, l}
	go func() {
		l.Run(u)
		p.End()
	}()
	return u
}

// under connects a broker to another one, where it is mounted.
func (w *world) under(top *world, mount, root string) upward {
	w.t.Helper()
	r := top.connect().login("child", password, fmt.Sprintf(`{"broker":{},"device":{"mountPoint":"%s"}}`, mount))
	return w.asParent(r, root, nil)
}

// tree is three brokers, the one below mounted at s of the middle, that at m of the
// one on top.
type tree struct {
	top, middle, bottom *world
	high, low           upward // the links
}

func newTree(t *testing.T, options ...Options) *tree {
	t.Helper()
	options = append(options, Options{}, Options{}, Options{})
	tr := &tree{top: serve(t, options[0]), middle: serve(t, options[1]), bottom: serve(t, options[2])}
	tr.high = tr.middle.under(tr.top, "m", "")
	tr.low = tr.bottom.under(tr.middle, "s", "")
	synctest.Wait()
	return tr
}

func inTree(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func (w *world) root() *remote {
	w.t.Helper()
	return w.connect().login("root", password, `{}`)
}

func TestCallsPassThreeLevels(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		device, user := tr.bottom.device("test/a"), tr.top.root()
		user.send(`<1:1,8:7,9:"m/s/test/a/b",10:"get",16:"x">i{1:5}`)
		m := device.next()
		if string(m.Path()) != "b" || m.Access() != rpc.AccessSuper || len(m.Callers()) != 3 || m.ID() != 7 {
			t.Fatalf("path %s, level %d, caller ids %v, id %d", m.Path(), m.Access(), m.Callers(), m.ID())
		}
		v, err := m.MetaValue(rpc.TagUserID)
		if text, _ := v.AsString(); err != nil || text != "x;root" {
			t.Errorf("users %q, %v", text, err)
		}
		stack := m.Callers().Value()
		ids := stack.Items()
		for range 2 { // several answers to a call are normal
			device.send(`<1:1,8:7,11:[%v,%v,%v]>i{2:6}`, mustInt(ids[0]), mustInt(ids[1]), mustInt(ids[2]))
			user.expect(`<1:1,8:7>i{2:6}`)
		}
		if got := user.ask("m/s", "ls", ""); got != `{2:[".app",".broker","test"]}` {
			t.Errorf("ls below: %s", got)
		}
		if got := user.ask("m/s/.broker", "name", ""); got != `{2:"broker.local"}` {
			t.Errorf("name below: %s", got)
		}
		// A user without rights there has none below either.
		eve := tr.top.connect().login("eve", password, `{}`)
		eve.send(`<1:1,8:3,9:"m/s/test/a",10:"get">i{}`)
		eve.expectError(3, rpc.CodeException, "not granted")
	})
}

func mustInt(v chainpack.Value) int64 {
	n, _ := v.AsInt()
	return n
}

// Whatever a caller writes about himself, the last name of the chain is that of his
// login with the broker where he is, and the one of a broker below for what comes
// from there.
func TestNobodyIsSomebodyElseInATree(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		far, near := tr.bottom.device("test/a"), tr.top.device("test/a")
		user, below := tr.top.root(), tr.top.connect().login("child", password, `{"broker":{},"device":{"mountPoint":"other"}}`)
		below.next()
		below.send(`<1:1,8:1>i{2:["client"]}`)
		for _, caller := range []struct {
			from, at *remote
			path     string
			name     string
		}{{user, far, "m/s/test/a", "root"}, {user, near, "test/a", "root"}, {below, near, "test/a", "child"}, {below, far, "m/s/test/a", "child"}} {
			for _, forged := range []string{
				`16:"eva"`, `16:""`, `16:"eva;"`, `16:"child;eva"`, `16:{"shvUser":"eva"}`, `16:{"shvUser":"eva","brokerId":"b"}`, `16:["eva"]`,
				`16:"x",16:{"shvUser":"eva"}`, `16:{"shvUser":"eva"},16:"x"`, `16:b"eva"`,
			} {
				caller.from.send(`<1:1,8:7,9:"%s",10:"get",11:[3,4],%s>i{}`, caller.path, forged)
				m := caller.at.next()
				v, err := m.MetaValue(rpc.TagUserID)
				if name := policy.UserOf(v); err != nil || name != caller.name {
					t.Errorf("%s becomes %q at %s, %v", forged, name, caller.path, err)
				}
			}
			for _, nobody := range []string{`14:"su"`, `16:null`, `16:{}`, `16:1`, `16:i{1:"eva"},16:null`} {
				caller.from.send(`<1:1,8:7,9:"%s",10:"get",%s>i{}`, caller.path, nobody)
				v, err := caller.at.next().MetaValue(rpc.TagUserID)
				if name := policy.UserOf(v); err != nil || name != "" && name != caller.name {
					t.Errorf("%s becomes %q at %s, %v", nobody, name, caller.path, err)
				}
			}
		}
	})
}

// What a parent asks for is judged by what it grants, and lies below what it may
// see.
func TestRequestsFromAbove(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := serve(t, Options{})
		ours, theirs := net.Pipe()
		up := w.asParent(&remote{t: t, conn: theirs, in: bufio.NewReader(theirs)}, "test", nil)
		parent := &remote{t: t, conn: ours, in: bufio.NewReader(ours)}
		defer ours.Close()
		device, outside := w.device("test/a"), w.connect().login("root", password, `{"device":{"mountPoint":"x"}}`)
		parent.send(`<1:1,8:3,9:"a",10:"get">i{}`)
		parent.expectError(3, rpc.CodeException, "not granted")
		// What it wants to know of us for itself takes none.
		for _, own := range []string{`9:".broker",10:"ls"`, `9:".broker/currentClient",10:"subscribe"`, `9:"",10:"ls"`} {
			parent.send(`<1:1,8:3,%s,11:7>i{1:"a:get:chng"}`, own)
			parent.expectError(3, rpc.CodeException, "not granted")
			parent.send(`<1:1,8:3,%s,17:0>i{1:"a:get:chng"}`, own)
			parent.expectError(3, rpc.CodeException, "not granted")
		}
		parent.send(`<1:1,8:3,9:".broker/currentClient",10:"subscribe">i{1:"a/x:get:chng"}`)
		parent.expect(`<1:1,8:3>i{2:true}`)
		parent.send(`<1:1,8:3,9:".broker/currentClient",10:"unsubscribe">i{1:"a/x:get:chng"}`)
		parent.expect(`<1:1,8:3>i{2:true}`)
		parent.send(`<1:1,8:3,9:".broker",10:"clients">i{}`)
		parent.expectError(3, rpc.CodeException, "grant: bws")
		parent.send(`<1:1,8:4,9:"a",10:"get",17:8>i{}`)
		device.expect(`<1:1,8:4,9:"",10:"get",11:%d,14:"rd",17:8>i{}`, up.ID())
		device.send(`<1:1,8:4,11:%d>i{2:1}`, up.ID())
		parent.expect(`<1:1,8:4>i{2:1}`)
		for id, path := range map[int]string{5: "x", 6: "../x", 7: "test/a"} {
			parent.send(`<1:1,8:%d,9:"%s",10:"get",17:63>i{}`, id, path)
			parent.expectError(int64(id), rpc.CodeMethodNotFound, "test/"+path)
		}
		outside.fence()
		parent.send(`<1:1,8:8,9:".broker/app",10:"ping",17:1>i{}`)
		parent.expect(`<1:1,8:8>i{2:true}`)
		parent.send(`<1:1,8:9,9:"",10:"ls",17:1>i{}`)
		parent.expect(`<1:1,8:9>i{2:["a"]}`)
		// Nobody reaches the parent through its link, but with answers.
		user := w.root()
		if got := user.ask(".broker/client", "ls", ""); strings.Contains(got, fmt.Sprintf(`"%d"`, up.ID())) {
			t.Errorf("the parent is a client: %s", got)
		}
		user.send(`<1:1,8:3,9:".broker/client/%d/x",10:"get">i{}`, up.ID())
		user.expectError(3, rpc.CodeMethodNotFound, "")
		// Signals go where they were asked for, from what is exported.
		parent.send(`<1:1,8:10,9:".broker/app",10:"subscribe",17:8>i{1:{"path":"a","method":"chng"}}`)
		parent.expect(`<1:1,8:10>i{2:true}`)
		parent.send(`<1:1,8:11,9:".broker/currentClient",10:"subscribe",17:8>i{1:"**:*:far"}`)
		parent.expect(`<1:1,8:11>i{2:true}`)
		outside.send(`<1:1,9:"y",10:"far">i{1:0}`)
		device.send(`<1:1,9:"y",10:"chng">i{1:1}`)
		parent.expect(`<1:1,9:"a/y",10:"chng">i{1:1}`)
		device.send(`<1:1,9:"",10:"far">i{1:2}`)
		parent.expect(`<1:1,9:"a",10:"far">i{1:2}`)
		parent.send(`<1:1,8:12,9:".broker/app",10:"rejectNotSubscribed",17:8>i{1:{"path":"a/y","method":"chng"}}`)
		parent.expect(`<1:1,8:12>i{2:true}`)
		device.send(`<1:1,9:"y",10:"chng">i{1:3}`)
		parent.send(`<1:1,8:13,9:".broker/currentClient",10:"unsubscribe",17:8>i{1:"**:*:far"}`)
		parent.expect(`<1:1,8:13>i{2:true}`)
		device.send(`<1:1,9:"",10:"far">i{1:4}`)
		parent.send(`<1:1,9:"a",10:"chng">i{1:5}`) // signals of a parent are for nobody
		device.fence()
		parent.send(`<1:1,8:14,9:".app",10:"ping",17:1>i{}`)
		parent.expectError(14, rpc.CodeMethodNotFound, "test/.app")
	})
}

func TestSignalsPassThreeLevels(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		device, user := tr.bottom.device("test/a"), tr.top.root()
		device.send(`<1:1,9:"x",10:"chng">i{1:0}`)
		for _, ri := range []string{"m/s/test/**:*:chng", "**:*:chng", "other/**"} {
			user.subscribe(fmt.Sprintf("%q", ri))
		}
		settle()
		device.send(`<1:1,9:"x",10:"chng">i{1:1}`)
		user.expect(`<1:1,9:"m/s/test/a/x",10:"chng">i{1:1}`)
		if n := tr.bottom.topics.Topics(); n != 2 {
			t.Errorf("%d subscriptions below, want 2", n)
		}
		// The link comes back: all is asked for anew.
		tr.low.link.Close(link.Done)
		synctest.Wait()
		if n := tr.bottom.topics.Topics(); n != 0 {
			t.Errorf("%d subscriptions of a parent that is gone", n)
		}
		tr.low = tr.bottom.under(tr.middle, "s", "")
		settle()
		device.send(`<1:1,9:"x",10:"chng">i{1:2}`)
		user.expect(`<1:1,9:"m/s/test/a/x",10:"chng">i{1:2}`)
		// Nobody wants it any more.
		for _, ri := range []string{"m/s/test/**:*:chng", "**:*:chng"} {
			user.ask(ownNode, "unsubscribe", fmt.Sprintf("%q", ri))
		}
		settle()
		if n := tr.bottom.topics.Topics() + tr.middle.topics.Topics(); n != 0 {
			t.Errorf("%d subscriptions that nobody wants", n)
		}
		user.subscribe(`["m/s/**",5]`) // for five seconds
		settle()
		if n := tr.bottom.topics.Topics(); n != 1 {
			t.Errorf("%d subscriptions below, want 1", n)
		}
		time.Sleep(2*refresh + time.Second)
		user.fence() // it is pruned when its session is looked at, or not at all
		settle()
		if n := tr.bottom.topics.Topics(); n != 0 {
			t.Errorf("%d subscriptions whose time is over", n)
		}
	})
}

// The word with which a broker sends a peer away is for that peer: from below it
// would send away whoever stands above, or his clients.
func TestNobodyIsSentAwayFromBelow(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		device, user, near := tr.bottom.device("test/a"), tr.top.root(), tr.bottom.root()
		for _, r := range []*remote{user, near} {
			r.subscribe(`"**:*:*"`)
		}
		settle()
		for _, form := range []string{`<1:1,9:"",10:"disconnectbybroker">i{1:"go"}`, `<1:1,9:"x",10:"disconnectbybroker">i{}`, `<1:1,10:"disconnectbybroker",17:63>i{}`} {
			device.send("%s", form)
		}
		device.fence()
		user.fence()
		near.fence()
		if n := tr.bottom.Stats().Forged; n != 3 {
			t.Errorf("%d signals were dropped", n)
		}
		// What stops below is no end of those above.
		tr.bottom.Drain(t.Context(), Drain{})
		synctest.Wait()
		for m := user.next(); string(m.Method()) != "lsmod"; m = user.next() {
			if string(m.Method()) == disconnectSignal {
				t.Fatalf("the user above is sent away: %s %x", m.Path(), m.Body())
			}
		}
		if n := tr.middle.Stats().Forged; n != 0 {
			t.Errorf("the broker that stops sent its own above away")
		}
	})
}

// settle lets wishes reach the brokers below.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// A broker of SHV 2 is asked in its own words.
func TestChildOfSHV2IsSubscribed(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := serve(t, Options{})
		user := w.root()
		child := w.connect().login("child", password, `{"broker":{},"device":{"mountPoint":"c/d"}}`)
		child.expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
		child.send(`<1:1,8:1>i{2:["app","clients","currentClient"]}`)
		user.subscribe(`"c/*/x/[ab]:get:chng"`)
		child.expect(`<1:1,8:2,9:".broker/app",10:"subscribe",14:"su",17:63>i{1:{"method":"chng","path":"x","source":"get"}}`)
		child.send(`<1:1,8:2>i{3:i{1:8,2:"not now"}}`)
		child.expect(`<1:1,8:3,9:".broker/app",10:"subscribe",14:"su",17:63>i{1:{"method":"chng","path":"x","source":"get"}}`)
		child.send(`<1:1,8:3>i{2:true}`)
		child.send(`<1:1,9:"x/a",10:"chng">i{1:1}`)
		user.expect(`<1:1,9:"c/d/x/a",10:"chng">i{1:1}`)
		child.send(`<1:1,9:"x/c",10:"chng">i{1:1}`) // more than was asked for
		user.ask(ownNode, "unsubscribe", `"c/*/x/[ab]:get:chng"`)
		child.expect(`<1:1,8:4,9:".broker/app",10:"unsubscribe",14:"su",17:63>i{1:{"method":"chng","path":"x","source":"get"}}`)
		child.send(`<1:1,8:4>i{2:true}`)
		child.fence()
		user.fence()
	})
}

// Who has no role for it is a device, and is asked for nothing.
func TestBrokersNeedARole(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := serve(t, Options{})
		user := w.client()
		user.subscribe(`"**"`)
		device := w.connect().login("iot", password, `{"broker":{},"device":{"mountPoint":"test/c"}}`)
		settle()
		device.fence()
	})
}

// The Rust broker and the Python one do not say that they are brokers.
func TestBrokerThatLogsInAsADeviceIsSubscribed(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := serve(t, Options{})
		user := w.root()
		user.subscribe(`"**:get:chng"`)
		child := w.connect().login("child", password, `{"device":{"mountPoint":"c"}}`)
		child.expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
		child.send(`<1:1,8:1>i{2:["client","currentClient"]}`)
		child.expect(`<1:1,8:2,9:".broker/currentClient",10:"subscribe",14:"su",17:63>i{1:"**:get:chng"}`)
		device := w.connect().login("child", password, `{"device":{"mountPoint":"d"}}`)
		device.expect(`<1:1,8:1,9:".broker",10:"ls",14:"su",17:63>i{}`)
		device.send(`<1:1,8:1>i{3:i{1:2}}`)
		settle()
		time.Sleep(2 * refresh)
		device.fence() // it is asked nothing more
	})
}

func TestFlappingChildLeavesNothing(t *testing.T) {
	inTree(t, func(t *testing.T) {
		tr := newTree(t)
		user := tr.top.root()
		user.subscribe(`"m/s/**:*:chng"`)
		device := tr.bottom.device("test/a")
		for range 100 {
			tr.low.link.Close(link.Done)
			tr.low = tr.bottom.under(tr.middle, "s", "")
		}
		settle()
		device.send(`<1:1,9:"x",10:"chng">i{1:2}`)
		user.expect(`<1:1,9:"m/s/test/a/x",10:"chng">i{1:2}`)
		if got := user.ask("m/s/test", "ls", ""); got != `{2:["a"]}` {
			t.Errorf("ls: %s", got)
		}
		children := tr.middle.topics.Watchers()
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
		top, first, second := serve(t, Options{Name: "top"}), serve(t, Options{Name: "first"}), serve(t, Options{Name: "second"})
		user := top.root()
		first.under(top, "c", "")
		settle()
		link2 := second.under(top, "c", "")
		settle()
		if got := user.ask("c/.broker", "name", ""); got != `{2:"second"}` {
			t.Errorf("the newest is not called: %s", got)
		}
		link2.link.Close(link.Done)
		settle()
		if got := user.ask("c/.broker", "name", ""); got != `{2:"first"}` {
			t.Errorf("the older one is not called again: %s", got)
		}
		r := top.connect()
		r.nonce()
		r.send(`<1:1,8:2,10:"login">i{1:{"login":{"password":"%s","type":"PLAIN","user":"root"},"options":{"broker":{},"device":{"mountPoint":"c"}}}}`, password)
		r.expectError(2, rpc.CodeException, "taken by another user")
	})
}

// All clients above come through one link: they are more than one caller.
func TestManyCallersFromAbove(t *testing.T) {
	inTree(t, func(t *testing.T) {
		w := serve(t, Options{})
		ours, theirs := net.Pipe()
		w.asParent(&remote{t: t, conn: theirs, in: bufio.NewReader(theirs)}, "", nil)
		parent := &remote{t: t, conn: ours, in: bufio.NewReader(ours)}
		defer ours.Close()
		device := w.device("test/a")
		for id := range 2 * replyroutes.MaxRoutes {
			parent.send(`<1:1,8:3,9:"test/a",10:"get",11:%d,17:8>i{}`, id+1)
			device.send(`<1:1,8:3,11:%s>i{2:1}`, ids(device.next().Callers()))
			parent.expect(`<1:1,8:3,11:%d>i{2:1}`, id+1)
		}
	})
}
