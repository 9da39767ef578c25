package core_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/core"
	"shvtools/internal/broker/internal/topics"
	"shvtools/internal/shv/rpc"
	"shvtools/internal/test/world"
)

func TestWhoGetsASignal(t *testing.T) {
	for _, tt := range []struct {
		name, subscribe, old, signal, want string
	}{
		{"all below", `"test/**:*:*"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"all that there is", `"**"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"leading slash of C++ clients", `"/**:*:*"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"glob of a name", `"test/*/v:get:ch*"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"exact", `"test/a/v:get:chng"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"deeper than the index", `"test/a/1/2/3/4/5/6/7/8/9:*:chng"`, "",
			`<9:"1/2/3/4/5/6/7/8/9",10:"chng">i{}`, `<9:"test/a/1/2/3/4/5/6/7/8/9",10:"chng">i{}`},
		{"another name", `"test/*/v:get:alarm"`, "", `<9:"v",10:"chng">i{1:1}`, ``},
		{"another path", `"test/ab/**:*:*"`, "", `<9:"v",10:"chng">i{1:1}`, ``},
		{"another source", `"test/**:set:*"`, "", `<9:"v",10:"chng">i{1:1}`, ``},
		{"its source", `"test/**:log:*"`, "",
			`<9:"v",10:"chng",19:"log">i{1:1}`, `<9:"test/a/v",10:"chng",19:"log">i{1:1}`},
		{"of the root of the mount", `"test/a:*:*"`, "", `<9:"",10:"chng">i{1:1}`, `<9:"test/a",10:"chng">i{1:1}`},
		{"without a path", `"test/a:*:*"`, "", `<10:"chng">i{1:1}`, `<9:"test/a",10:"chng">i{1:1}`},
		{"stray slashes", `"test/a/b:*:*"`, "", `<9:"//b/",10:"chng">i{1:1}`, `<9:"test/a/b",10:"chng">i{1:1}`},
		{"dots are names", `"test/a/../b:*:*"`, "", `<9:"../b",10:"chng">i{1:1}`, `<9:"test/a/../b",10:"chng">i{1:1}`},
		{"without a name", `"test/**:get:chng"`, "", `<9:"v">i{1:1}`, `<9:"test/a/v">i{1:1}`},
		{"unknown tags and a body of any kind", `"**:*:*"`, "",
			`<1:1,9:"v",10:"chng",18:5,77:"x">[1,<1:2>{"a":null}]`,
			`<1:1,9:"test/a/v",10:"chng",18:5,77:"x">[1,<1:2>{"a":null}]`},
		{"level that is granted", `"**"`, "", `<9:"v",10:"chng",17:63>i{}`, `<9:"test/a/v",10:"chng",17:63>i{}`},
		{"SHV 2", "", `{"path":"test","method":"chng"}`, `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, the path itself", "", `{"paths":"test/a/v","methods":""}`,
			`<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, everything", "", `{}`, `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, a source", "", `{"path":"","source":"get"}`,
			`<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, a neighbour", "", `{"path":"test/a/v"}`, `<9:"vv",10:"chng">i{1:1}`, ``},
		{"SHV 2, names are no globs", "", `{"path":"test/*"}`, `<9:"v",10:"chng">i{1:1}`, ``},
		{"SHV 2, a name like a glob", "", `{"path":"test/a/[x]*"}`,
			`<9:"[x]*",10:"chng">i{1:1}`, `<9:"test/a/[x]*",10:"chng">i{1:1}`},
		{"SHV 2, another method", "", `{"path":"test","signal":"alarm"}`, `<9:"v",10:"chng">i{1:1}`, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
				device, user, idle := w.Device("test/a"), w.Client(), w.Client()
				if tt.subscribe != "" {
					user.Subscribe(tt.subscribe)
				} else if got := user.Ask(".broker/app", "subscribe", tt.old); got != "{2:true}" {
					t.Fatalf("subscribe: %s", got)
				}
				device.Send("%s", tt.signal)
				if tt.want != "" {
					user.Expect("%s", tt.want)
				}
				device.Fence()
				user.Fence()
				idle.Fence()
			})
		})
	}
}

func TestSignalComesOnceAndInOrder(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		device, user := w.Device("test/a"), w.Client()
		user.Subscribe(`"**"`).Subscribe(`"test/**:*:*"`).Subscribe(`"test/a:*:chng"`).Subscribe(`"**:get:*"`)
		device.Subscribe(`"**:*:chng"`) // its own come back to it, too
		for i := range 100 {
			device.Send(`<10:"chng">i{1:%d}`, i)
			device.Expect(`<9:"test/a",10:"chng">i{1:%d}`, i)
		}
		for i := range 100 {
			user.Expect(`<9:"test/a",10:"chng">i{1:%d}`, i)
		}
		user.Fence()
	})
}

func TestSignalNeedsTheLevelOfItsReaders(t *testing.T) {
	for _, tt := range []struct {
		user, path, tags string
		want             bool
	}{
		{"eve", "test/a", ``, true}, // rd
		{"eve", "test/a", `,17:8`, true},
		{"eve", "test/a", `,17:1`, true},
		{"eve", "test/a", `,17:16`, false},
		{"eve", "test/a", `,14:"wr"`, false},
		{"eve", "test/a", `,17:-5`, true}, // no level: the default one
		{"eve", "test/closed/a", `,17:1`, false},
		{"iot", "test/closed/a", `,17:63`, true},
		{"iot", "prod/a", ``, false}, // bws
		{"iot", "prod/a", `,17:1`, true},
	} {
		t.Run(tt.user+" "+tt.path+tt.tags, func(t *testing.T) {
			world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
				device, user := w.Mounted("root", tt.path), w.Mounted(tt.user, "").Subscribe(`"**:*:chng"`)
				device.Send(`<10:"chng"%s>i{1:1}`, tt.tags)
				device.Fence()
				if tt.want {
					if m := user.Next(); string(m.Path()) != tt.path || m.Kind() != rpc.Signal {
						t.Errorf("got %s at %s", m.Method(), m.Path())
					}
				}
				user.Fence()
			})
		})
	}
}

func TestSignalsThatGoNowhere(t *testing.T) {
	world.Run(t, tunnelling, func(t *testing.T, w *world.World) {
		root := w.Mounted("root", "").Subscribe(`"**:*:*"`)
		p := w.NewTunnel(41, 3)
		synctest.Wait()
		root.Next() // lsmod
		root.Next() // mntchng
		p.User.Send(`<9:"test/agent",10:"chng">i{1:1}`)
		p.Helper.Send(`<9:"test/agent",10:"chng">i{1:1}`)
		p.Agent.Send(`<9:"%s",10:"chng">i{1:1}`, strings.Repeat("n", maxSignalPath))
		p.User.Fence()
		p.Helper.Fence()
		p.Agent.Fence()
		root.Fence()
		if s := w.Stats(); s.Unmounted != 2 || s.Bad != 1 || s.Signals != 0 {
			t.Errorf("%+v", s)
		}
		p.Agent.Send(`<9:"%s",10:"chng">i{1:1}`, strings.Repeat("/", 64<<10))
		root.Expect(`<9:"test/agent",10:"chng">i{1:1}`)
	})
}

func TestSubscriptionsOfBothGenerations(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user := w.Client()
		own := func(method, param, want string) {
			t.Helper()
			if got := user.Ask(".broker/currentClient", method, param); got != want {
				t.Errorf("%s %s: %s, want %s", method, param, got, want)
			}
		}
		own("subscribe", `"test/**:*:chng"`, "{2:true}")
		own("subscribe", `"/test//**:*:chng"`, "{2:false}")
		own("subscribe", `["a:get",60]`, "{2:true}")
		own("subscribe", `["b",null]`, "{2:true}")
		own("subscriptions", "", `{2:{"a:get":60,"b":null,"test/**:*:chng":null}}`)
		time.Sleep(50 * time.Second)
		user.Fence()
		own("subscriptions", "", `{2:{"a:get":10,"b":null,"test/**:*:chng":null}}`)
		own("subscribe", `["a:get",30]`, "{2:false}")
		own("subscriptions", "", `{2:{"a:get":30,"b":null,"test/**:*:chng":null}}`)
		time.Sleep(31 * time.Second)
		user.Fence()
		own("subscriptions", "", `{2:{"b":null,"test/**:*:chng":null}}`)
		own("unsubscribe", `"a:get"`, "{2:false}")
		own("unsubscribe", `"b"`, "{2:true}")
		own("unsubscribe", `"b"`, "{2:false}")
		for _, step := range [][3]string{
			{"subscribe", `{"path":"x","method":"m","source":"s"}`, "{2:true}"},
			{"subscribe", `{"path":"x","method":"m","source":"s"}`, "{2:true}"},
			{"unsubscribe", `{"path":"x","method":"m"}`, "{2:false}"},
			{"unsubscribe", `{"path":"x","method":"m","source":"s"}`, "{2:true}"},
			{"rejectNotSubscribed", `{"path":"y/z","method":"chng"}`, "{2:false}"},
			{"rejectNotSubscribed", `{"path":"test/z","method":"chng"}`, "{2:true}"},
		} {
			if got := user.Ask(".broker/app", step[0], step[1]); got != step[2] {
				t.Errorf("%s: %s", step, got)
			}
		}
		own("subscriptions", "", `{2:{}}`)
		if n, _ := w.Topics(); n+w.Stats().Subscriptions != 0 {
			t.Errorf("%d topics and %d subscriptions are left", n, w.Stats().Subscriptions)
		}
	})
}

func TestSubscriptionEnds(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		device, user, leaver := w.Device("test/a"), w.Client(), w.Client()
		user.Subscribe(`["test/**",10]`)
		leaver.Subscribe(`"test/**"`)
		leaver.Close()
		synctest.Wait()
		device.Send(`<10:"chng">i{1:1}`)
		user.Expect(`<9:"test/a",10:"chng">i{1:1}`)
		time.Sleep(10 * time.Second)
		device.Send(`<10:"chng">i{1:2}`)
		device.Fence()
		user.Fence()
		user.Close()
		synctest.Wait()
		if n, _ := w.Topics(); n+w.Stats().Subscriptions != 0 {
			t.Errorf("%d topics and %d subscriptions are left", n, w.Stats().Subscriptions)
		}
	})
}

func TestSubscriptionsAreBounded(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user, other := w.Client(), w.Client()
		for i := range topics.MaxPerClient {
			user.Subscribe(fmt.Sprintf(`"n%d"`, i))
		}
		user.Send(`<1:1,8:5,9:".broker/currentClient",10:"subscribe">i{1:"one more"}`)
		user.ExpectError(5, rpc.CodeException, "more than 1000 subscriptions")
		other.Subscribe(`"one more"`)
		user.Send(`<1:1,8:6,9:".broker/currentClient",10:"subscribe">i{1:"%s"}`, strings.Repeat("n", topics.MaxText+1))
		user.ExpectError(6, rpc.CodeInvalidParam, "513 bytes")
	})
}

// A subscriber that stops reading misses signals, which are counted, but still gets its
// answers. Other subscribers are not affected.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	world.Run(t, core.Options{Limits: core.Limits{QueueBytes: 64 << 10}}, func(t *testing.T, w *world.World) {
		device, lazy, user := w.Device("test/a"), w.Client(), w.Client()
		lazy.Subscribe(`"test/**"`)
		user.Subscribe(`"test/**"`)
		text := strings.Repeat("x", 1000)
		const signals = 200
		for i := range signals {
			device.Send(`<10:"chng">i{1:[%d,"%s"]}`, i, text)
			user.Expect(`<9:"test/a",10:"chng">i{1:[%d,"%s"]}`, i, text)
		}
		missed := w.Stats().Missed
		if missed == 0 || missed >= signals || !strings.Contains(user.Ask(ownNode, "info", ""), `"signalsMissed":0`) {
			t.Errorf("missed %d, and not by one alone", missed)
		}
		synctest.Wait()
		if waiting := w.Stats().Queued; waiting > 32<<10 { // for the one that does not read
			t.Errorf("signals fill %d bytes of the queue, more than half", waiting)
		}
		for i := range signals - missed {
			lazy.Expect(`<9:"test/a",10:"chng">i{1:[%d,"%s"]}`, i, text)
		}
		lazy.Fence()
		// Who keeps up gets a signal that is longer than half of a queue.
		synctest.Wait() // the last write is counted
		long := strings.Repeat("x", 40<<10)
		device.Send(`<10:"chng">i{1:"%s"}`, long)
		user.Expect(`<9:"test/a",10:"chng">i{1:"%s"}`, long)
		lazy.Expect(`<9:"test/a",10:"chng">i{1:"%s"}`, long)
		got := lazy.Ask(ownNode, "info", "")
		if !strings.Contains(got, fmt.Sprintf(`"signalsMissed":%d`, missed)) {
			t.Errorf("info: %s", got)
		}
	})
}

func TestMountsAreTold(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		user := w.Mounted("root", "").Subscribe(`"**:*:*"`)
		old := w.Mounted("root", "")
		old.Ask(".broker/app", "subscribe", `{"path":"test","method":"mntchng"}`)
		denied := w.Mounted("eve", "").Subscribe(`"**:*:*"`)
		told := func(parent, name, path string, there bool) {
			t.Helper()
			if name != "" {
				user.Expect(`<1:1,9:"%s",10:"lsmod",17:1,19:"ls">i{1:{"%s":%v}}`, parent, name, there)
			}
			user.Expect(`<1:1,9:"%s",10:"mntchng",17:1,19:"ls">i{1:%v}`, path, there)
			old.Expect(`<1:1,9:"%s",10:"mntchng",17:1,19:"ls">i{1:%v}`, path, there)
		}
		first := w.Device("test/closed/a/b")
		told("", "test", "test/closed/a/b", true)
		second := w.Device("test/closed/a/b") // takes over
		third := w.Device("test/closed/a/c/d")
		told("test/closed/a", "c", "test/closed/a/c/d", true)
		inner := w.Device("test/closed/a/b/inner") // inside another
		told("test/closed/a/b", "inner", "test/closed/a/b/inner", true)
		outer := w.Device("test/closed/a") // is there already, as a node
		told("", "", "test/closed/a", true)

		gone := func(r *world.Peer) {
			r.Close()
			synctest.Wait()
		}
		gone(outer)
		told("", "", "test/closed/a", false)
		gone(second) // the first is called again
		gone(first)
		told("", "", "test/closed/a/b", false) // still leads to inner
		gone(inner)
		told("test/closed/a", "b", "test/closed/a/b/inner", false)
		gone(third)
		told("", "test", "test/closed/a/c/d", false)
		user.Fence()
		old.Fence()
		denied.Fence()
	})
}

// Two devices at one mount point may both signal. Of two devices inside each other each
// may signal for its own part.
func TestDevicesDoNotSignalForOthers(t *testing.T) {
	world.Run(t, core.Options{}, func(t *testing.T, w *world.World) {
		outer, inner := w.Device("test/a"), w.Device("test/a/b")
		newer := w.Device("test/a/b")
		user := w.Client().Subscribe(`"**:*:chng"`)
		for _, tt := range []struct {
			from *world.Peer
			path string
			want string
		}{
			{outer, "x", "test/a/x"},
			{outer, "b", ""},
			{outer, "b/x", ""},
			{outer, "bb/x", "test/a/bb/x"},
			{inner, "x", "test/a/b/x"},
			{newer, "x", "test/a/b/x"},
			{inner, "../x", "test/a/b/../x"},
		} {
			tt.from.Send(`<9:"%s",10:"chng">i{1:1}`, tt.path)
			if tt.want != "" {
				user.Expect(`<9:"%s",10:"chng">i{1:1}`, tt.want)
			}
			tt.from.Fence()
			user.Fence()
		}
		if n := w.Stats().Forged; n != 2 {
			t.Errorf("%d forged", n)
		}
		inner.Close()
		newer.Close()
		synctest.Wait()
		outer.Send(`<9:"b/x",10:"chng">i{1:1}`) // nobody stands there any more
		user.Expect(`<9:"test/a/b/x",10:"chng">i{1:1}`)
	})
}
