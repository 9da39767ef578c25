package core

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shvtools/internal/broker/internal/topics"
	"shvtools/internal/shv/rpc"
)

// ask calls a method and gives the body of the answer in CPON.
func (r *remote) ask(path, method, param string) string {
	r.t.Helper()
	body := "i{}"
	if param != "" {
		body = "i{1:" + param + "}"
	}
	r.send(`<1:1,8:80,9:"%s",10:"%s">%s`, path, method, body)
	text, ok := strings.CutPrefix(r.text(), "<1:1,8:80>i")
	if !ok {
		r.t.Fatalf("%s:%s answered %s", path, method, text)
	}
	return text
}

// subscribe subscribes as V3 clients do; the param is CPON.
func (r *remote) subscribe(param string) *remote {
	r.t.Helper()
	if got := r.ask(".broker/currentClient", "subscribe", param); got != "{2:true}" {
		r.t.Fatalf("subscribe %s: %s", param, got)
	}
	return r
}

// mounted logs a user in, with the device that options describe.
func (w *world) mounted(user, mountPoint string) *remote {
	w.t.Helper()
	options := `{}`
	if mountPoint != "" {
		options = fmt.Sprintf(`{"device":{"mountPoint":"%s"}}`, mountPoint)
	}
	return w.connect().login(user, password, options)
}

func TestWhoGetsASignal(t *testing.T) {
	for _, tt := range []struct {
		name, subscribe, old, signal, want string
	}{
		{"all below", `"test/**:*:*"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"all that there is", `"**"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"leading slash of C++ clients", `"/**:*:*"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"glob of a name", `"test/*/v:get:ch*"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"exact", `"test/a/v:get:chng"`, "", `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"deeper than the index", `"test/a/1/2/3/4/5/6/7/8/9:*:chng"`, "", `<9:"1/2/3/4/5/6/7/8/9",10:"chng">i{}`, `<9:"test/a/1/2/3/4/5/6/7/8/9",10:"chng">i{}`},
		{"another name", `"test/*/v:get:alarm"`, "", `<9:"v",10:"chng">i{1:1}`, ``},
		{"another path", `"test/ab/**:*:*"`, "", `<9:"v",10:"chng">i{1:1}`, ``},
		{"another source", `"test/**:set:*"`, "", `<9:"v",10:"chng">i{1:1}`, ``},
		{"its source", `"test/**:log:*"`, "", `<9:"v",10:"chng",19:"log">i{1:1}`, `<9:"test/a/v",10:"chng",19:"log">i{1:1}`},
		{"of the root of the mount", `"test/a:*:*"`, "", `<9:"",10:"chng">i{1:1}`, `<9:"test/a",10:"chng">i{1:1}`},
		{"without a path", `"test/a:*:*"`, "", `<10:"chng">i{1:1}`, `<9:"test/a",10:"chng">i{1:1}`},
		{"stray slashes", `"test/a/b:*:*"`, "", `<9:"//b/",10:"chng">i{1:1}`, `<9:"test/a/b",10:"chng">i{1:1}`},
		{"dots are names", `"test/a/../b:*:*"`, "", `<9:"../b",10:"chng">i{1:1}`, `<9:"test/a/../b",10:"chng">i{1:1}`},
		{"without a name", `"test/**:get:chng"`, "", `<9:"v">i{1:1}`, `<9:"test/a/v">i{1:1}`},
		{"unknown tags and a body of any kind", `"**:*:*"`, "", `<1:1,9:"v",10:"chng",18:5,77:"x">[1,<1:2>{"a":null}]`, `<1:1,9:"test/a/v",10:"chng",18:5,77:"x">[1,<1:2>{"a":null}]`},
		{"level that is granted", `"**"`, "", `<9:"v",10:"chng",17:63>i{}`, `<9:"test/a/v",10:"chng",17:63>i{}`},
		{"SHV 2", "", `{"path":"test","method":"chng"}`, `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, the path itself", "", `{"paths":"test/a/v","methods":""}`, `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, everything", "", `{}`, `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, a source", "", `{"path":"","source":"get"}`, `<9:"v",10:"chng">i{1:1}`, `<9:"test/a/v",10:"chng">i{1:1}`},
		{"SHV 2, a neighbour", "", `{"path":"test/a/v"}`, `<9:"vv",10:"chng">i{1:1}`, ``},
		{"SHV 2, names are no globs", "", `{"path":"test/*"}`, `<9:"v",10:"chng">i{1:1}`, ``},
		{"SHV 2, a name like a glob", "", `{"path":"test/a/[x]*"}`, `<9:"[x]*",10:"chng">i{1:1}`, `<9:"test/a/[x]*",10:"chng">i{1:1}`},
		{"SHV 2, another method", "", `{"path":"test","signal":"alarm"}`, `<9:"v",10:"chng">i{1:1}`, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubbled(t, Options{}, func(t *testing.T, w *world) {
				device, user, idle := w.device("test/a"), w.client(), w.client()
				if tt.subscribe != "" {
					user.subscribe(tt.subscribe)
				} else if got := user.ask(".broker/app", "subscribe", tt.old); got != "{2:true}" {
					t.Fatalf("subscribe: %s", got)
				}
				device.send("%s", tt.signal)
				if tt.want != "" {
					user.expect("%s", tt.want)
				}
				device.fence()
				user.fence()
				idle.fence()
			})
		})
	}
}

func TestSignalComesOnceAndInOrder(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		device, user := w.device("test/a"), w.client()
		user.subscribe(`"**"`).subscribe(`"test/**:*:*"`).subscribe(`"test/a:*:chng"`).subscribe(`"**:get:*"`)
		device.subscribe(`"**:*:chng"`) // its own come back to it, too
		for i := range 100 {
			device.send(`<10:"chng">i{1:%d}`, i)
			device.expect(`<9:"test/a",10:"chng">i{1:%d}`, i)
		}
		for i := range 100 {
			user.expect(`<9:"test/a",10:"chng">i{1:%d}`, i)
		}
		user.fence()
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
			bubbled(t, Options{}, func(t *testing.T, w *world) {
				device, user := w.mounted("root", tt.path), w.mounted(tt.user, "").subscribe(`"**:*:chng"`)
				device.send(`<10:"chng"%s>i{1:1}`, tt.tags)
				device.fence()
				if tt.want {
					if m := user.next(); string(m.Path()) != tt.path || m.Kind() != rpc.Signal {
						t.Errorf("got %s at %s", m.Method(), m.Path())
					}
				}
				user.fence()
			})
		})
	}
}

func TestSignalsThatGoNowhere(t *testing.T) {
	bubbled(t, tunnelling, func(t *testing.T, w *world) {
		root := w.mounted("root", "").subscribe(`"**:*:*"`)
		p := w.pair(41, 3)
		synctest.Wait()
		root.next() // lsmod
		root.next() // mntchng
		p.user.send(`<9:"test/agent",10:"chng">i{1:1}`)
		p.helper.send(`<9:"test/agent",10:"chng">i{1:1}`)
		p.agent.send(`<9:"%s",10:"chng">i{1:1}`, strings.Repeat("n", maxSignalPath))
		p.user.fence()
		p.helper.fence()
		p.agent.fence()
		root.fence()
		if s := w.Stats(); s.Unmounted != 2 || s.Bad != 1 || s.Signals != 0 {
			t.Errorf("%+v", s)
		}
		p.agent.send(`<9:"%s",10:"chng">i{1:1}`, strings.Repeat("/", 64<<10))
		root.expect(`<9:"test/agent",10:"chng">i{1:1}`)
	})
}

func TestSubscriptionsOfBothGenerations(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		user := w.client()
		own := func(method, param, want string) {
			t.Helper()
			if got := user.ask(".broker/currentClient", method, param); got != want {
				t.Errorf("%s %s: %s, want %s", method, param, got, want)
			}
		}
		own("subscribe", `"test/**:*:chng"`, "{2:true}")
		own("subscribe", `"/test//**:*:chng"`, "{2:false}")
		own("subscribe", `["a:get",60]`, "{2:true}")
		own("subscribe", `["b",null]`, "{2:true}")
		own("subscriptions", "", `{2:{"a:get":60,"b":null,"test/**:*:chng":null}}`)
		time.Sleep(50 * time.Second)
		user.fence()
		own("subscriptions", "", `{2:{"a:get":10,"b":null,"test/**:*:chng":null}}`)
		own("subscribe", `["a:get",30]`, "{2:false}")
		own("subscriptions", "", `{2:{"a:get":30,"b":null,"test/**:*:chng":null}}`)
		time.Sleep(31 * time.Second)
		user.fence()
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
			if got := user.ask(".broker/app", step[0], step[1]); got != step[2] {
				t.Errorf("%s: %s", step, got)
			}
		}
		own("subscriptions", "", `{2:{}}`)
		if n := w.topics.Topics() + w.topics.Len(); n != 0 {
			t.Errorf("%d topics and subscriptions are left", n)
		}
	})
}

func TestSubscriptionEnds(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		device, user, leaver := w.device("test/a"), w.client(), w.client()
		user.subscribe(`["test/**",10]`)
		leaver.subscribe(`"test/**"`)
		_ = leaver.conn.Close()
		synctest.Wait()
		device.send(`<10:"chng">i{1:1}`)
		user.expect(`<9:"test/a",10:"chng">i{1:1}`)
		time.Sleep(10 * time.Second)
		device.send(`<10:"chng">i{1:2}`)
		device.fence()
		user.fence()
		w.topics.RemoveAll(w.session(user))
		if n := w.topics.Topics() + w.topics.Len(); n != 0 {
			t.Errorf("%d topics and subscriptions are left", n)
		}
	})
}

func TestSubscriptionsAreBounded(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		user, other := w.client(), w.client()
		for i := range topics.MaxPerClient {
			user.subscribe(fmt.Sprintf(`"n%d"`, i))
		}
		user.send(`<1:1,8:5,9:".broker/currentClient",10:"subscribe">i{1:"one more"}`)
		user.expectError(5, rpc.CodeException, "more than 1000 subscriptions")
		other.subscribe(`"one more"`)
		user.send(`<1:1,8:6,9:".broker/currentClient",10:"subscribe">i{1:"%s"}`, strings.Repeat("n", topics.MaxText+1))
		user.expectError(6, rpc.CodeInvalidParam, "513 bytes")
	})
}

// A subscriber that stops reading misses signals, which is counted, and still
// gets its answers; nobody else notices.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	bubbled(t, Options{Limits: Limits{QueueBytes: 64 << 10}}, func(t *testing.T, w *world) {
		device, lazy, user := w.device("test/a"), w.client(), w.client()
		lazy.subscribe(`"test/**"`)
		user.subscribe(`"test/**"`)
		text := strings.Repeat("x", 1000)
		const signals = 200
		for i := range signals {
			device.send(`<10:"chng">i{1:[%d,"%s"]}`, i, text)
			user.expect(`<9:"test/a",10:"chng">i{1:[%d,"%s"]}`, i, text)
		}
		missed := w.session(lazy).missed.Load()
		if missed == 0 || missed >= signals || w.Stats().Missed != missed || w.session(user).missed.Load() != 0 {
			t.Errorf("missed %d, in all %d", missed, w.Stats().Missed)
		}
		if waiting := w.session(lazy).link.Queued(); waiting > 32<<10 {
			t.Errorf("signals fill %d bytes of the queue, more than half", waiting)
		}
		for i := range signals - missed {
			lazy.expect(`<9:"test/a",10:"chng">i{1:[%d,"%s"]}`, i, text)
		}
		lazy.fence()
		// Who keeps up gets a signal that is longer than half of a queue.
		synctest.Wait() // the last write is counted
		long := strings.Repeat("x", 40<<10)
		device.send(`<10:"chng">i{1:"%s"}`, long)
		user.expect(`<9:"test/a",10:"chng">i{1:"%s"}`, long)
		lazy.expect(`<9:"test/a",10:"chng">i{1:"%s"}`, long)
		if got := lazy.ask(".broker/currentClient", "info", ""); !strings.Contains(got, fmt.Sprintf(`"signalsMissed":%d`, missed)) {
			t.Errorf("info: %s", got)
		}
	})
}

func TestMountsAreTold(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		user := w.mounted("root", "").subscribe(`"**:*:*"`)
		old := w.mounted("root", "")
		old.ask(".broker/app", "subscribe", `{"path":"test","method":"mntchng"}`)
		denied := w.mounted("eve", "").subscribe(`"**:*:*"`)
		told := func(parent, name, path string, there bool) {
			t.Helper()
			if name != "" {
				user.expect(`<1:1,9:"%s",10:"lsmod",17:1,19:"ls">i{1:{"%s":%v}}`, parent, name, there)
			}
			user.expect(`<1:1,9:"%s",10:"mntchng",17:1,19:"ls">i{1:%v}`, path, there)
			old.expect(`<1:1,9:"%s",10:"mntchng",17:1,19:"ls">i{1:%v}`, path, there)
		}
		first := w.device("test/closed/a/b")
		told("", "test", "test/closed/a/b", true)
		second := w.device("test/closed/a/b") // takes over
		third := w.device("test/closed/a/c/d")
		told("test/closed/a", "c", "test/closed/a/c/d", true)
		inner := w.device("test/closed/a/b/inner") // inside another
		told("test/closed/a/b", "inner", "test/closed/a/b/inner", true)
		outer := w.device("test/closed/a") // is there already, as a node
		told("", "", "test/closed/a", true)

		gone := func(r *remote) {
			_ = r.conn.Close()
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
		user.fence()
		old.fence()
		denied.fence()
	})
}

// Of two devices on one mount point both are heard, of one inside another each
// for its own part.
func TestDevicesDoNotSignalForOthers(t *testing.T) {
	bubbled(t, Options{}, func(t *testing.T, w *world) {
		outer, inner := w.device("test/a"), w.device("test/a/b")
		newer := w.device("test/a/b")
		user := w.client().subscribe(`"**:*:chng"`)
		for _, tt := range []struct {
			from *remote
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
			tt.from.send(`<9:"%s",10:"chng">i{1:1}`, tt.path)
			if tt.want != "" {
				user.expect(`<9:"%s",10:"chng">i{1:1}`, tt.want)
			}
			tt.from.fence()
			user.fence()
		}
		if n := w.Stats().Forged; n != 2 {
			t.Errorf("%d forged", n)
		}
		_ = inner.conn.Close()
		_ = newer.conn.Close()
		synctest.Wait()
		outer.send(`<9:"b/x",10:"chng">i{1:1}`) // nobody stands there any more
		user.expect(`<9:"test/a/b/x",10:"chng">i{1:1}`)
	})
}
