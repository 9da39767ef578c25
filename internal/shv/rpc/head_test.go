package rpc_test

import (
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/rpc"
)

// A broker makes these changes to a head, and nothing else in it may change.
func TestRewrittenHeads(t *testing.T) {
	push := func(id int64) func(*rpc.Message) { return func(m *rpc.Message) { m.PushCaller(id) } }
	pushRev := func(id int64) func(*rpc.Message) { return func(m *rpc.Message) { m.PushRevCaller(id) } }
	pop := func(m *rpc.Message) { m.PopCaller() }
	grant := func(level rpc.Access) func(*rpc.Message) { return func(m *rpc.Message) { m.SetAccess(level) } }
	path := func(s string) func(*rpc.Message) { return func(m *rpc.Message) { m.SetPath([]byte(s)) } }
	user := func(v chainpack.Value) func(*rpc.Message) { return func(m *rpc.Message) { m.SetUserID(v) } }
	for _, test := range []struct {
		name, in string
		change   func(*rpc.Message)
		want     string
	}{
		{"order of tags", `<10:"m",8:3,1:1,9:"p">`, path("q"), `<10:"m",8:3,1:1,9:"q">`},
		{"unknown tags", `<8:3,99:[1,"x"],"k":{"a":null},10:"m",0:1,-7:2>`, push(5),
			`<8:3,11:5,99:[1,"x"],"k":{"a":null},10:"m",0:1,-7:2>`},
		{"old protocol tag", `<8:3,12:1u,10:"m">`, push(5), `<8:3,11:5,12:1u,10:"m">`},
		{"new tags in their places", `<1:1,8:3,10:"m",16:"u",20:true>`,
			func(m *rpc.Message) { m.PushCaller(2); m.SetAccess(24); m.SetPath(nil) },
			`<1:1,8:3,9:"",10:"m",11:2,14:"cmd",16:"u",17:24,20:true>`},
		{"new tags at the end", `<8:3>`,
			func(m *rpc.Message) { m.SetTunnel(rpc.TunnelCtl{State: 5}); m.PushRevCaller(7) },
			`<8:3,13:7,15:<1:3>i{1:5}>`},

		{"cid absent, push", `<8:3>`, push(5), `<8:3,11:5>`},
		{"cid Null, push", `<8:3,11:null>`, push(5), `<8:3,11:5>`},
		{"cid [], push", `<8:3,11:[]>`, push(5), `<8:3,11:5>`},
		{"cid Int, push", `<8:3,11:4>`, push(5), `<8:3,11:[4,5]>`},
		{"cid UInt, push", `<8:3,11:4u>`, push(5), `<8:3,11:[4,5]>`},
		{"cid List, push", `<8:3,11:[4,2u]>`, push(5), `<8:3,11:[4,2,5]>`},
		{"cid 0 is an id", `<8:3,11:0>`, push(5), `<8:3,11:[0,5]>`},
		{"cid absent, pop", `<8:3>`, pop, `<8:3>`},
		{"cid Null, pop", `<8:3,11:null>`, pop, `<8:3,11:null>`},
		{"cid [], pop", `<8:3,11:[]>`, pop, `<8:3,11:[]>`},
		{"cid Int, pop", `<8:3,11:4,12:1u>`, pop, `<8:3,12:1u>`},
		{"cid UInt, pop", `<8:3,11:4u>`, pop, `<8:3>`},
		{"cid List of one, pop", `<8:3,11:[4]>`, pop, `<8:3>`},
		{"cid List of two, pop", `<8:3,11:[4,5]>`, pop, `<8:3,11:4>`},
		{"cid List of three, pop", `<8:3,11:[4,5,6]>`, pop, `<8:3,11:[4,5]>`},
		{"cid, pop and push", `<11:4,8:3>`, func(m *rpc.Message) { m.PopCaller(); m.PushCaller(6) }, `<11:6,8:3>`},
		{"cid, push and pop", `<8:3>`, func(m *rpc.Message) { m.PushCaller(6); m.PopCaller() }, `<8:3>`},

		{"rcid Null, push", `<8:3,13:null>`, pushRev(5), `<8:3,13:5>`},
		{"rcid Int, push", `<8:3,13:1>`, pushRev(5), `<8:3,13:[1,5]>`},
		{"rcid List, push", `<8:3,13:[1,2]>`, pushRev(5), `<8:3,13:[1,2,5]>`},

		{"access tags of a client", `<8:3,14:"su",10:"m",17:63>`, grant(rpc.AccessRead), `<8:3,14:"rd",10:"m",17:8>`},
		{"access tags taken away", `<8:3,14:"su",10:"m",17:63>`, grant(rpc.AccessNone), `<8:3,10:"m">`},
		{"access between two names", `<8:3>`, grant(20), `<8:3,14:"wr",17:20>`},
		{"user id", `<8:3,16:{"shvUser":"a"}>`, user(chainpack.String("a;b")), `<8:3,16:"a;b">`},
		{"user id taken away", `<8:3,16:"a">`, user(chainpack.Null()), `<8:3>`},

		{"duplicate tag", `<8:1,9:"a",9:"b",8:2>`, func(*rpc.Message) {}, `<9:"b",8:2>`},
		{"duplicate access tag", `<14:"rd",17:8,14:"su",17:63>`, grant(rpc.AccessBrowse), `<14:"bws",17:1>`},
		{"duplicate cid", `<11:[1,2],11:3>`, push(4), `<11:[3,4]>`},
		{"duplicate tag that is unknown", `<77:1,77:2,"k":1,"k":2>`, func(*rpc.Message) {}, `<77:1,77:2,"k":1,"k":2>`},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := parse(t, test.in+"i{1:[2]}")
			test.change(m)
			if got, want := text(t, m), test.want+"i{1:[2]}"; got != want {
				t.Errorf("%s\n got %s\nwant %s", test.in, got, want)
			}
		})
	}
}

func TestPopGivesTheNewestCaller(t *testing.T) {
	m := parse(t, `<8:3,11:[7,0,2147483647]>i{}`)
	for _, want := range []int64{2147483647, 0, 7} {
		if id, ok := m.PopCaller(); !ok || id != want {
			t.Errorf("got %d, %v, want %d", id, ok, want)
		}
	}
	if id, ok := m.PopCaller(); ok {
		t.Errorf("got %d of an empty stack", id)
	}
}

func TestSeveralMetasBecomeOne(t *testing.T) {
	b := unhex(t, "8b 48 41 49 86 01 61 ff 8b ff 8b 48 42 4a 86 01 6d ff 8a ff")
	m := parseBytes(t, b)
	m.PushCaller(5)
	if got, want := text(t, m), `<9:"a",8:2,10:"m",11:5>i{}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// An Address outlives the message that it belongs to.
func TestAddressIsACopy(t *testing.T) {
	m := parse(t, `<8:3,11:[1,2]>i{}`)
	to := m.Address()
	m.PopCaller()
	m.PushCaller(9)
	if got, want := decoded(t, rpc.AppendResult(nil, to, chainpack.Null())), `<1:1,8:3,11:[1,2]>i{2:null}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEqualStacksHaveEqualKeysAndOthersNot(t *testing.T) {
	stacks := []rpc.CallerIDs{nil, {0}, {0, 0}, {1}, {1, 2}, {2, 1},
		{127}, {128}, {129}, {128, 1}, {1, 128}, {16384}, {2147483647}}
	seen := map[string]int{}
	for i, c := range stacks {
		key := string(c.AppendKey(nil))
		if j, ok := seen[key]; ok {
			t.Errorf("%v and %v have one key", stacks[j], c)
		}
		seen[key] = i
	}
	for _, form := range []string{"5", "5u", "[5]", "[5u]"} {
		m := parse(t, `<8:1,11:`+form+`>i{}`)
		if got, want := string(m.Callers().AppendKey(nil)), string(rpc.CallerIDs{5}.AppendKey(nil)); got != want {
			t.Errorf("%s: key %x, want %x", form, got, want)
		}
	}
}

// A broker forwards a keystroke like this.
func TestForwardingADataFrameAllocatesNothing(t *testing.T) {
	b := encode(t, `<1:1,8:3,11:[2,7]>i{2:[1,"x"]}`)
	var m rpc.Message
	head := make([]byte, 0, 64)
	n := testing.AllocsPerRun(1000, func() {
		if err := m.Parse(b); err != nil {
			t.Fatal(err)
		}
		m.PopCaller()
		head = m.AppendMeta(head[:0])
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
