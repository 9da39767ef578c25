package node

import (
	"errors"

	"shvtools/internal/chainpack"
	"shvtools/internal/rpc"
	"shvtools/internal/shvpath"
)

// Answer serves the request m from tree and gives the message to answer with,
// nil when the answer comes later. level is the caller's access level, caller what
// the tree's methods see as Request.Caller.
//
// An abort or a query of a call (body key 5) never runs the method: nothing
// that this tree serves is still running, so the answer is RequestInvalid
// (protocol.md 3.7).
func Answer(tree *Tree, m *rpc.Message, level rpc.Access, caller any) []byte {
	from := m.Address()
	result, err := call(tree, m, level, from, caller)
	switch {
	case errors.Is(err, ErrLater):
		return nil
	case err != nil:
		return rpc.AppendError(nil, from, rpc.AsError(err))
	}
	return rpc.AppendResult(nil, from, result)
}

func call(tree *Tree, m *rpc.Message, level rpc.Access, from rpc.Address, caller any) (chainpack.Value, error) {
	content, err := m.Content()
	switch {
	case err != nil:
		return chainpack.Value{}, rpc.Errorf(rpc.CodeInvalidParam, "unreadable request: %v", err)
	case content.Key == rpc.KeyAbort:
		return chainpack.Value{}, rpc.Errorf(rpc.CodeRequestInvalid, "no such request is running")
	}
	userID, _ := m.MetaValue(rpc.TagUserID)
	return tree.Call(&Request{
		Path:   string(shvpath.Clean(m.Path())),
		Method: string(m.Method()),
		Param:  content.Value,
		Access: level,
		From:   from,
		UserID: userID,
		Caller: caller,
	})
}
