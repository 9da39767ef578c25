package node_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/cpon"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

func value(t *testing.T, text string) chainpack.Value {
	t.Helper()
	v, err := cpon.Parse([]byte(text), chainpack.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// answer returns the tree's answer to a request, both as CPON; "" for none.
func answer(t *testing.T, tree *node.Tree, request string, level rpc.Access) string {
	t.Helper()
	var m rpc.Message
	if err := m.Parse(chainpack.Append(nil, value(t, request))); err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	b := node.Answer(tree, &m, level, nil)
	if b == nil {
		return ""
	}
	v, _, err := chainpack.Decode(b, chainpack.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return cpon.String(v)
}

// device returns a tree like that of an agent, with mounts like those of a broker.
func device() *node.Tree {
	tree := new(node.Tree)
	tree.Add("", node.Constant("deviceId", "s", rpc.AccessBrowse, chainpack.String("d1")))
	tree.Add("sys/fs", node.Method{Name: "run", Flags: node.FlagLongCalls, Param: "s", Access: rpc.AccessCommand,
		Call: func(r *node.Request) (chainpack.Value, error) { return r.Param, nil }},
		node.Method{Name: "later", Access: rpc.AccessBrowse,
			Call: func(*node.Request) (chainpack.Value, error) { return chainpack.Value{}, node.ErrLater }})
	tree.More = func(path string) ([]string, bool) {
		switch path {
		case "":
			return []string{"mount", "sys"}, true
		case "mount":
			return []string{"b", "a"}, true
		}
		return nil, false
	}
	return tree
}

const (
	dirEntry = `i{1:"dir",2:0,3:"n|b|s",4:"[!dir]|b",5:1,6:{}}`
	lsEntry  = `i{1:"ls",2:0,3:"s|n",4:"[s]|b",5:1,6:{"lsmod":null}}`
)

func TestAnswers(t *testing.T) {
	tree := device()
	for _, test := range []struct{ name, request, want string }{
		{"ls of the root", `<8:3,10:"ls">i{}`, `i{2:["mount","sys"]}`},
		{"ls with Null", `<8:3,10:"ls">i{1:null}`, `i{2:["mount","sys"]}`},
		{"ls with a body of Null", `<8:3,10:"ls">null`, `i{2:["mount","sys"]}`},
		{"ls of 2022", `<8:3,10:"ls">i{1:["",1]}`, `i{2:[["mount",true],["sys",true]]}`},
		{"ls of 2022 of one", `<8:3,10:"ls">i{1:["sys",1]}`, `i{2:[["sys",true]]}`},
		{"ls of 2022 of leaves", `<8:3,9:"sys",10:"ls">i{1:["",1]}`, `i{2:[["fs",false]]}`},
		{"ls of 2022 of what others serve", `<8:3,9:"mount",10:"ls">i{1:[null,1]}`, `i{2:[["a",null],["b",null]]}`},
		{"ls of 2022 without a mask", `<8:3,10:"ls">i{1:["",0]}`, `i{2:["mount","sys"]}`},
		{"ls with another List", `<8:3,10:"ls">i{1:[1,2,3]}`, `i{2:["mount","sys"]}`},
		{"is there", `<8:3,10:"ls">i{1:"sys"}`, `i{2:true}`},
		{"is not there", `<8:3,10:"ls">i{1:"fs"}`, `i{2:false}`},
		{"ls of a node between", `<8:3,9:"sys",10:"ls">i{}`, `i{2:["fs"]}`},
		{"ls of a leaf", `<8:3,9:"sys/fs",10:"ls">i{}`, `i{2:[]}`},
		{"ls of a path with slashes", `<8:3,9:"//sys/",10:"ls">i{}`, `i{2:["fs"]}`},
		{"ls of what More knows", `<8:3,9:"mount",10:"ls">i{}`, `i{2:["a","b"]}`},
		{"ls of nothing", `<8:3,9:"nosuch",10:"ls">i{}`, `i{3:i{1:2,2:"Method: 'ls' on path 'nosuch' doesn't exist"}}`},
		{"dir of nothing", `<8:3,9:"sys/fs/x",10:"dir">i{}`,
			`i{3:i{1:2,2:"Method: 'dir' on path 'sys/fs/x' doesn't exist"}}`},
		{"dir", `<8:3,10:"dir">i{}`, `i{2:[` + dirEntry + `,` + lsEntry + `,i{1:"deviceId",2:2,3:"",4:"s",5:1,6:{}}]}`},
		{"dir of a node between", `<8:3,9:"sys",10:"dir">i{}`, `i{2:[` + dirEntry + `,` + lsEntry + `]}`},
		{"dir with true", `<8:3,9:"sys",10:"dir">i{1:true}`, `i{2:[` + dirEntry + `,` + lsEntry + `]}`},
		{"dir of shvspy", `<8:3,9:"sys",10:"dir">i{1:["",true]}`, `i{2:[` + dirEntry + `,` + lsEntry + `]}`},
		{"dir with another List", `<8:3,9:"sys",10:"dir">i{1:[[],{}]}`, `i{2:[` + dirEntry + `,` + lsEntry + `]}`},
		{"dir of 2022", `<8:3,9:"sys",10:"dir">i{1:["",127]}`, `i{2:[["dir",3u,0u,"bws","",{}],["ls",3u,0u,"bws","",{}]]}`},
		{"dir of 2022, names", `<8:3,9:"sys",10:"dir">i{1:["",0]}`, `i{2:["dir","ls"]}`},
		{"dir of 2022, some bits of one", `<8:3,10:"dir">i{1:["deviceId",7]}`, `i{2:[["deviceId",2u,2u,"bws"]]}`},
		{"dir of 2022 of nothing", `<8:3,10:"dir">i{1:["nosuch",1]}`, `i{2:[]}`},
		{"method is there", `<8:3,9:"sys/fs",10:"dir">i{1:"run"}`, `i{2:true}`},
		{"ls is there", `<8:3,9:"sys/fs",10:"dir">i{1:"ls"}`, `i{2:true}`},
		{"method is not there", `<8:3,9:"sys/fs",10:"dir">i{1:"nosuch"}`, `i{2:false}`},
		{"getter", `<8:3,10:"deviceId">i{}`, `i{2:"d1"}`},
		{"unknown method", `<8:3,9:"sys",10:"run">i{}`, `i{3:i{1:2,2:"Method: 'run' on path 'sys' doesn't exist"}}`},
		{"level too low", `<8:3,9:"sys/fs",10:"run">i{1:"x"}`,
			`i{3:i{1:8,2:"Call method: 'run' on path 'sys/fs' permission denied, grant: rd required: cmd"}}`},
		{"answered later", `<8:3,9:"sys/fs",10:"later">i{}`, ``},
		{"unreadable body", `<8:3,10:"ls">[1]`, `i{3:i{1:3,2:"unreadable request: rpc: body is not an IMap"}}`},
		{"query of a call", `<8:3,9:"sys/fs",10:"later">i{5:false}`, `i{3:i{1:14,2:"no such request is running"}}`},
		{"abort of a call", `<8:3,10:"deviceId">i{5:true}`, `i{3:i{1:14,2:"no such request is running"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := test.want
			if want != "" {
				want = "<1:1,8:3>" + want
			}
			if got := answer(t, tree, test.request, rpc.AccessRead); got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestAnswerGoesBackTheWayOfTheRequest(t *testing.T) {
	got := answer(t, device(), `<8:3,10:"deviceId",11:[4,2],12:1u,14:"su",16:"u">i{}`, rpc.AccessBrowse)
	if want := `<1:1,8:3,11:[4,2]>i{2:"d1"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAccessIsJudgedBeforeTheMethodRuns(t *testing.T) {
	for level, want := range map[rpc.Access]bool{
		rpc.AccessNone: false, rpc.AccessWrite: false, 23: false, rpc.AccessCommand: true, rpc.AccessSuper: true} {
		ran := false
		tree := new(node.Tree)
		tree.Add("a", node.Method{Name: "m", Access: rpc.AccessCommand,
			Call: func(*node.Request) (chainpack.Value, error) { ran = true; return chainpack.Value{}, nil }})
		if answer(t, tree, `<8:3,9:"a",10:"m">i{}`, level); ran != want {
			t.Errorf("level %d: ran is %v", level, ran)
		}
		ran = false
		if answer(t, tree, `<8:3,9:"a",10:"m">i{5:true}`, level); ran {
			t.Errorf("level %d: ran on an abort", level)
		}
	}
	if got := answer(t, device(), `<8:3,10:"ls">i{}`, rpc.AccessNone); got == `<1:1,8:3>i{2:["mount","sys"]}` {
		t.Error("ls without any access")
	}
}

func TestMethodSeesTheWholeRequest(t *testing.T) {
	var got *node.Request
	tree := new(node.Tree)
	tree.Add("a/b", node.Method{Name: "m", Call: func(r *node.Request) (chainpack.Value, error) {
		got = r
		return r.Param, nil
	}})
	answer(t, tree, `<8:7,9:"/a//b",10:"m",11:[1,2],16:{"shvUser":"iot"}>i{1:"p"}`, rpc.AccessRead)
	if got == nil || got.Path != "a/b" || got.Method != "m" ||
		cpon.String(got.Param) != `"p"` || got.Access != rpc.AccessRead ||
		got.From.ID != 7 || len(got.From.Callers) != 2 || cpon.String(got.UserID) != `{"shvUser":"iot"}` {
		t.Errorf("%+v", got)
	}
}

func TestAppTellsWhatItIs(t *testing.T) {
	tree := new(node.Tree)
	now := time.Date(2018, 2, 2, 0, 0, 0, 0, time.UTC)
	tree.Add(".app", node.App("shvagent", "1.2", func() time.Time { return now })...)
	for method, want := range map[string]string{
		"name": `"shvagent"`, "version": `"1.2"`, "ping": "null", "shvVersionMajor": "3", "shvVersionMinor": "0",
		"date": `d"2018-02-02T00:00:00Z"`,
	} {
		got := answer(t, tree, `<8:1,9:".app",10:"`+method+`">i{}`, rpc.AccessBrowse)
		if cpon.String(value(t, got)) != cpon.String(value(t, "<1:1,8:1>i{2:"+want+"}")) {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
}

// Nodes that come and go are listed, described and called like others.
func TestDynamicNodes(t *testing.T) {
	alive := map[string]bool{"7": true}
	tree := new(node.Tree)
	tree.Hidden = map[string]bool{"hidden": true}
	tree.Add("hidden", node.Constant("x", "i", rpc.AccessBrowse, chainpack.Int(1)))
	tree.Add("clients", node.Constant("count", "i", rpc.AccessBrowse, chainpack.Int(1)))
	tree.AddDynamic("clients", func(rest string) (methods []node.Method, children []string, ok bool) {
		switch {
		case rest == "" && alive["7"]:
			return nil, []string{"7"}, true
		case rest == "7" && alive["7"]:
			return []node.Method{{Name: "name", Result: "s", Access: rpc.AccessRead, Description: "who it is",
				Call: func(r *node.Request) (chainpack.Value, error) {
					return chainpack.String(r.Path), nil
				}}}, []string{"app"}, true
		case rest == "7/app":
			return nil, nil, alive["7"]
		}
		return nil, nil, rest == ""
	})
	gone := func(method, path string) string {
		return `i{3:i{1:2,2:"Method: '` + method + `' on path '` + path + `' doesn't exist"}}`
	}
	for _, test := range []struct{ request, alive, dead string }{
		{`<8:3,10:"ls">i{}`, `i{2:["clients"]}`, `i{2:["clients"]}`},
		{`<8:3,10:"ls">i{1:"hidden"}`, `i{2:true}`, `i{2:true}`},
		{`<8:3,9:"hidden",10:"x">i{}`, `i{2:1}`, `i{2:1}`},
		{`<8:3,9:"clients",10:"count">i{}`, `i{2:1}`, `i{2:1}`},
		{`<8:3,9:"clients",10:"ls">i{}`, `i{2:["7"]}`, `i{2:[]}`},
		{`<8:3,9:"clients/7",10:"ls">i{1:["",1]}`, `i{2:[["app",null]]}`, gone("ls", "clients/7")},
		{`<8:3,9:"clients/7",10:"name">i{}`, `i{2:"clients/7"}`, gone("name", "clients/7")},
		{`<8:3,9:"clients/7",10:"dir">i{1:["name",31]}`,
			`i{2:[["name",2u,0u,"rd","who it is",{}]]}`, gone("dir", "clients/7")},
		{`<8:3,9:"clients/7/x",10:"ls">i{}`, gone("ls", "clients/7/x"), gone("ls", "clients/7/x")},
	} {
		for _, want := range []string{test.alive, test.dead} {
			if got := answer(t, tree, test.request, rpc.AccessRead); got != "<1:1,8:3>"+want {
				t.Errorf("%s: got  %s\nwant %s", test.request, got, want)
			}
			alive["7"] = false
		}
		alive["7"] = true
	}
}

// One call that panics must not end the connection, on which all other calls come.
func TestCallThatPanicsIsAnsweredByAnError(t *testing.T) {
	tree := &node.Tree{}
	boom := func(*node.Request) (chainpack.Value, error) { panic("a bug") }
	tree.Add("a", node.Method{Name: "boom", Access: rpc.AccessBrowse, Call: boom})
	tree.AddServer("b", func(r *node.Request, _ string) (chainpack.Value, error) { return boom(r) })
	tree.AddDynamic("c", func(string) ([]node.Method, []string, bool) { panic("a bug") })
	var told []string
	tree.Panicked = func(r *node.Request, cause any, stack []byte) {
		told = append(told, fmt.Sprintf("%s:%s %v %v", r.Path, r.Method, cause, strings.Contains(string(stack), "node_test")))
	}
	for _, path := range []string{"a", "b", "c"} {
		got := answer(t, tree, `<8:3,9:"`+path+`",10:"boom">i{}`, rpc.AccessSuper)
		if !strings.Contains(got, "3:i{1:4,2:\"internal error") {
			t.Errorf("%s: %q", path, got)
		}
	}
	if want := "a:boom a bug true,b:boom a bug true,c:boom a bug true"; strings.Join(told, ",") != want {
		t.Errorf("told %q", told)
	}
	tree.Panicked = nil
	defer func() {
		if recover() == nil {
			t.Error("nobody is told of the panic")
		}
	}()
	answer(t, tree, `<8:3,9:"a",10:"boom">i{}`, rpc.AccessSuper)
}
