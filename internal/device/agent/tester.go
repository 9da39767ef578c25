package agent

import (
	"strconv"
	"sync"

	"shvtools/internal/shv/chainpack"
	"shvtools/internal/shv/node"
	"shvtools/internal/shv/rpc"
)

const (
	testerProps = 4
	// typeDataChange is the type of the value of a chng signal (spec.md 3.5).
	typeDataChange = 5
	// maxProp bounds a value that is set, in bytes.
	maxProp = 64 << 10
)

// tester holds the properties of the node tester, for tests of other programs (spec.md 9.6).
type tester struct {
	mu     sync.Mutex
	values [testerProps]chainpack.Value
}

// addTo adds the nodes to tree. Their signals go to c.
func (t *tester) addTo(tree *node.Tree, c *connection) {
	for i := range testerProps {
		path := "tester/prop" + strconv.Itoa(i+1)
		get := node.Getter("get", "?", rpc.AccessRead, func() chainpack.Value {
			t.mu.Lock()
			defer t.mu.Unlock()
			return t.values[i]
		})
		get.Signals = []string{"chng"}
		set := node.Method{Name: "set", Flags: node.FlagSetter, Param: "?", Result: "b", Access: rpc.AccessWrite}
		set.Call = func(r *node.Request) (chainpack.Value, error) {
			if r.Size > maxProp {
				return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam,
					"the value is too long: %d bytes (at most %d)", r.Size, maxProp)
			}
			t.mu.Lock()
			t.values[i] = r.Param
			t.mu.Unlock()
			change := r.Param.WithMeta(chainpack.N(rpc.TagMetaType, chainpack.Int(typeDataChange)))
			return chainpack.Bool(true), c.signal(path, "chng", change)
		}
		tree.Add(path, get, set)
	}
}
