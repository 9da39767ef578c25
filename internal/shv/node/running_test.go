package node_test

import (
	"slices"
	"testing"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

// one is a running call with the id 3, and the ids that were aborted.
type one struct{ aborted []int64 }

func (o *one) Progress(from rpc.Address) (float64, bool) { return 0.5, from.ID == 3 }
func (o *one) Abort(from rpc.Address)                    { o.aborted = append(o.aborted, from.ID) }

func TestRunningCallsAreKnown(t *testing.T) {
	const delay, noSuch = `<1:1,8:3>i{4:0x1.p-1}`, `i{3:i{1:14,2:"no such request is running"}}`
	for _, test := range []struct {
		name, request, want string
		aborted             []int64
	}{
		{"query", `<8:3,9:"a",10:"m">i{5:false}`, delay, nil},
		{"query of another", `<8:4,9:"a",10:"m">i{5:false}`, `<1:1,8:4>` + noSuch, nil},
		{"the call again", `<8:3,9:"a",10:"m">i{1:5}`, delay, nil},
		{"the call again, with another param", `<8:3,9:"a",10:"m">i{}`, delay, nil},
		{"abort", `<8:3,9:"a",10:"m">i{5:true}`, `<1:1,8:3>` + noSuch, []int64{3}},
		{"abort of another", `<8:4,9:"a",10:"m">i{5:true}`, `<1:1,8:4>` + noSuch, []int64{4}},
		{"neither", `<8:4,9:"a",10:"m">i{5:null}`, `<1:1,8:4>` + noSuch, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			running := new(one)
			tree := &node.Tree{Running: running}
			tree.Add("a", node.Method{Name: "m", Access: rpc.AccessBrowse, Call: func(*node.Request) (chainpack.Value, error) {
				t.Error("it ran")
				return chainpack.Null(), nil
			}})
			if got := answer(t, tree, test.request, rpc.AccessRead); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if !slices.Equal(running.aborted, test.aborted) {
				t.Errorf("aborted %v", running.aborted)
			}
		})
	}
}

func TestServerGetsAllBelowItsPath(t *testing.T) {
	tree := new(node.Tree)
	tree.AddServer("sys/fs", func(r *node.Request, rest string) (chainpack.Value, error) {
		return chainpack.String(r.Method + " of " + rest), nil
	})
	for request, want := range map[string]string{
		`<8:3,9:"sys",10:"ls">i{}`:             `["fs"]`,
		`<8:3,9:"sys/fs",10:"ls">i{}`:          `"ls of "`,
		`<8:3,9:"/sys//fs/a/b/",10:"read">i{}`: `"read of a/b"`,
		`<8:3,9:"sys/fs/../x",10:"nosuch">i{}`: `"nosuch of ../x"`,
	} {
		if got := answer(t, tree, request, rpc.AccessBrowse); got != "<1:1,8:3>i{2:"+want+"}" {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
	const missing = `<1:1,8:3>i{3:i{1:2,2:"Method: 'ls' on path 'sys/fsx' doesn't exist"}}`
	if got := answer(t, tree, `<8:3,9:"sys/fsx",10:"ls">i{}`, rpc.AccessSuper); got != missing {
		t.Errorf("beside it: %s", got)
	}
}

// Calling is called for each call that runs, before it runs, and for no other.
func TestCallingIsToldBeforeAMethodRuns(t *testing.T) {
	var events []string
	tree := &node.Tree{Calling: func(r *node.Request, m node.Method) { events = append(events, "call of "+m.Name) }}
	tree.Add("a", node.Method{Name: "m", Access: rpc.AccessCommand, Call: func(*node.Request) (chainpack.Value, error) {
		events = append(events, "runs")
		return chainpack.Null(), nil
	}})
	for _, request := range []string{
		`<8:3,9:"a",10:"ls">i{}`, `<8:3,9:"a",10:"dir">i{}`,
		`<8:3,9:"a",10:"nosuch">i{}`, `<8:3,9:"a",10:"m">i{5:true}`} {
		answer(t, tree, request, rpc.AccessSuper)
	}
	answer(t, tree, `<8:3,9:"a",10:"m">i{}`, rpc.AccessRead) // denied
	if len(events) > 0 {
		t.Errorf("told %q", events)
	}
	answer(t, tree, `<8:3,9:"a",10:"m">i{}`, rpc.AccessCommand)
	if want := []string{"call of m", "runs"}; !slices.Equal(events, want) {
		t.Errorf("told %q", events)
	}
}
